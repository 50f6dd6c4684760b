//! DER: the few forms of it that a public key is made of (X.690; RFC 5280, 4.1.2.7).

/// The tag of a sequence.
pub(super) const SEQUENCE: u8 = 0x30;
/// The tag of an object identifier.
pub(super) const OBJECT_ID: u8 = 0x06;
/// The tag of a bit string.
pub(super) const BIT_STRING: u8 = 0x03;
/// The tag of an integer.
pub(super) const INTEGER: u8 = 0x02;

/// Takes the next value, if it has this tag, from the front of `rest`.
///
/// Lengths are definite and in their shortest form, as DER has it; keys have no value of 64 KiB.
pub(super) fn take<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&found, after) = rest.split_first()?;
    let (&first, after) = after.split_first()?;
    let (length, after) = match first {
        0..=0x7f => (usize::from(first), after),
        0x81 => match after.split_first()? {
            (&length, after) if length >= 0x80 => (usize::from(length), after),
            _ => return None,
        },
        0x82 => match after.split_first_chunk::<2>()? {
            (length, after) if length[0] > 0 => (usize::from(u16::from_be_bytes(*length)), after),
            _ => return None,
        },
        _ => return None,
    };
    if found != tag || after.len() < length {
        return None;
    }
    let (value, after) = after.split_at(length);
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{INTEGER, SEQUENCE, take};

    #[test]
    fn a_value_is_taken_and_what_follows_stays() {
        let mut rest: &[u8] = &[0x30, 3, 2, 1, 7, 9];
        assert_eq!(take(&mut rest, INTEGER), None);
        let mut inside = take(&mut rest, SEQUENCE).unwrap();
        assert_eq!(rest, [9]);
        assert_eq!(take(&mut inside, INTEGER), Some([7].as_slice()));
    }

    #[test]
    fn lengths_that_lie_or_are_not_the_shortest_are_refused() {
        for wrong in [
            &[0x30][..],
            &[0x30, 2, 0],
            &[0x30, 0x81, 1, 0],
            &[0x30, 0x82, 0, 1, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(take(&mut &*wrong, SEQUENCE), None, "{wrong:?}");
        }
        let long = [&[0x30, 0x81, 0x80][..], &[0; 0x80]].concat();
        assert_eq!(take(&mut &*long, SEQUENCE).unwrap().len(), 0x80);
    }
}
