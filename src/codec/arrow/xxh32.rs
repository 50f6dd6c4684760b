//! XXH32, the checksum of LZ4 frames.

const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];

/// The checksum with seed 0 (xxHash fast digest algorithm, "XXH32 Algorithm Description").
pub(super) fn xxh32(bytes: &[u8]) -> u32 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let (stripes, mut rest) = bytes.as_chunks::<16>();
    let mut sum = p5;
    if !stripes.is_empty() {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0_u32.wrapping_sub(p1)];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
                let mixed = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p2));
                *lane = mixed.rotate_left(13).wrapping_mul(p1);
            }
        }
        sum = lanes
            .iter()
            .zip([1, 7, 12, 18])
            .fold(0_u32, |sum, (lane, turn)| sum.wrapping_add(lane.rotate_left(turn)));
    }
    sum = sum.wrapping_add(bytes.len() as u32);
    while let Some((word, after)) = rest.split_first_chunk() {
        sum = sum.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p3));
        sum = sum.rotate_left(17).wrapping_mul(p4);
        rest = after;
    }
    for byte in rest {
        sum = sum.wrapping_add(u32::from(*byte).wrapping_mul(p5)).rotate_left(11).wrapping_mul(p1);
    }
    sum = (sum ^ (sum >> 15)).wrapping_mul(p2);
    sum = (sum ^ (sum >> 13)).wrapping_mul(p3);
    sum ^ (sum >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sums_come_out() {
        let cases = [
            ("", 0x02cc_5d05),
            ("a", 0x550d_7456),
            ("abc", 0x32d1_53ff),
            ("Nobody inspects the spammish repetition", 0xe229_3b2f),
        ];
        for (text, sum) in cases {
            assert_eq!(xxh32(text.as_bytes()), sum, "{text}");
        }
    }
}
