//! Frames by another's encoder, sound ones and damaged ones, and blocks made by hand.

use super::*;
use crate::random::Random;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use std::io::Write;

fn framed(content: &[u8], info: FrameInfo) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Every kind of frame that writers make.
fn kinds() -> Vec<FrameInfo> {
    let mut kinds = Vec::new();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let info = FrameInfo::new().block_mode(mode).block_size(size);
                kinds.push(info.block_checksums(sums).content_checksum(sums));
            }
        }
    }
    kinds
}

/// Contents from what does not compress to what repeats one byte.
fn contents() -> Vec<Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let noise: Vec<u8> = (0..300_000).map(|_| random.below(256) as u8).collect();
    let runs = (0..3_000).flat_map(|_| {
        let (byte, times) = (random.below(256) as u8, random.below(200));
        std::iter::repeat_n(byte, times)
    });
    let runs: Vec<u8> = runs.collect();
    let words = (0..40_000).flat_map(|_| [1.5_f32, -2.0, 0.25][random.below(3)].to_le_bytes());
    vec![
        vec![],
        vec![7],
        vec![0; 1 << 20],
        noise,
        runs,
        words.collect(),
        b"abcabcabc".repeat(9_000),
    ]
}

#[test]
fn what_another_encoder_writes_is_read() {
    for content in contents() {
        for info in kinds() {
            let frame = framed(&content, info.clone());
            let mut out = vec![0xaa; content.len()];
            assert_eq!(decompress(&frame, &mut out), Ok(()), "{info:?}");
            assert!(out == content, "{info:?}");
            let sized = framed(&content, info.content_size(Some(content.len() as u64)));
            assert_eq!(decompress(&sized, &mut out), Ok(()));
        }
    }
}

#[test]
fn a_frame_of_another_length_is_refused() {
    let content = b"0123456789".repeat(100);
    for info in kinds() {
        let frame = framed(&content, info);
        assert_eq!(decompress(&frame, &mut [0; 999]), Err(TOO_LONG));
        assert!(decompress(&frame, &mut [0; 1001]).is_err());
        assert!(decompress(&[&frame[..], b"\0"].concat(), &mut [0; 1000]).is_err());
        for end in 0..frame.len() {
            assert!(decompress(&frame[..end], &mut [0; 1000]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn damage_that_changes_what_a_checksum_covers_is_found() {
    let content = b"0123456789abcdef".repeat(40);
    let info = FrameInfo::new().content_checksum(true).block_size(BlockSize::Max64KB);
    let frame = framed(&content, info);
    let mut out = vec![0; content.len()];
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut damaged = frame.clone();
            damaged[at] ^= 1 << bit;
            // The last token of a block has four bits that mean nothing.
            let is_read = decompress(&damaged, &mut out).is_ok();
            assert!(!is_read || out == content, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn no_damage_panics_or_differs_from_what_another_decoder_makes_of_it() {
    use std::io::Read;
    let mut random = Random(7);
    let mut read = 0;
    for content in contents().iter_mut() {
        content.truncate(3_000);
        for info in [FrameInfo::new(), FrameInfo::new().block_mode(BlockMode::Linked)] {
            let frame = framed(content, info.block_size(BlockSize::Max64KB));
            for _ in 0..3_000 {
                let mut damaged = frame.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(damaged.len());
                    damaged[at] = [0, 0xff, random.below(256) as u8][random.below(3)];
                }
                let mut out = vec![0; content.len()];
                if decompress(&damaged, &mut out).is_ok() {
                    let mut theirs = Vec::new();
                    let mut decoder = lz4_flex::frame::FrameDecoder::new(damaged.as_slice());
                    assert!(decoder.read_to_end(&mut theirs).is_ok(), "only we read {damaged:?}");
                    assert!(theirs == out, "{damaged:?}");
                    read += 1;
                }
            }
        }
    }
    assert!(read > 100, "{read} were readable: not much was tried");
}

#[test]
fn blocks_may_repeat_what_is_there_and_nothing_else() {
    // Two literals, then a match of 4 + n bytes at an offset; at the end, five literals.
    let sequence = |offset: u16, more: u8| {
        let mut data = vec![0x20 | more, b'a', b'b'];
        data.extend(offset.to_le_bytes());
        data.extend(b"\x50cdefg");
        data
    };
    let decoded = |data: &[u8], length: usize| {
        let mut out = vec![0; length];
        block(data, &mut out, 0).map(|end| String::from_utf8(out[..end].to_vec()).unwrap())
    };
    assert_eq!(decoded(&sequence(1, 0), 11).as_deref(), Ok("abbbbbcdefg"));
    assert_eq!(decoded(&sequence(2, 3), 14).as_deref(), Ok("ababababacdefg"));
    assert_eq!(decoded(&sequence(2, 3), 99).as_deref(), Ok("ababababacdefg"));
    assert_eq!(decoded(&sequence(0, 0), 11), Err(OUTSIDE));
    assert_eq!(decoded(&sequence(3, 0), 11), Err(OUTSIDE));
    assert_eq!(decoded(&sequence(1, 0), 10), Err(TOO_LONG));
    assert_eq!(decoded(&sequence(1, 0), 5), Err(TOO_LONG));
    assert_eq!(decoded(b"\xf0\xff", 999), Err(CUT));
    assert_eq!(decoded(b"", 9), Err(CUT));
}
