//! Protobuf's variable-length integers, read with limits and written to a given length.

/// The bytes of the longest varint: 64 bits, seven in each byte.
pub(super) const BYTES_MAX: usize = 10;

/// The integer at the front of `bytes`, and how many bytes it takes.
pub(super) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Fills `place` with `value`, however many more bytes than needed there are.
///
/// The caller gives enough of them and at most [`BYTES_MAX`].
pub(super) fn fill(place: &mut [u8], mut value: u64) {
    let last = place.len().saturating_sub(1);
    for (index, byte) in place.iter_mut().enumerate() {
        *byte = (value & 0x7f) as u8 | if index < last { 0x80 } else { 0 };
        value >>= 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_is_read_whatever_its_length() {
        for length in 3..=BYTES_MAX {
            let mut place = vec![0; length];
            fill(&mut place, 70_000);
            assert_eq!(read(&place), Some((70_000, length)));
        }
    }

    #[test]
    fn an_integer_without_an_end_is_none() {
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x80]), None);
        assert_eq!(read(&[]), None);
    }
}
