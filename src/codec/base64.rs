//! Bytes as JSON and text columns carry them: base64, padded or not.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// RFC 4648, section 4; clients differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that so many characters stand for, or up to two more.
pub(super) fn most_bytes_in(characters: usize) -> usize {
    characters.div_ceil(4).saturating_mul(3)
}

/// Appends the bytes that `text` stands for; whether it is base64.
pub(super) fn decode_onto(bytes: &mut Vec<u8>, text: &[u8]) -> bool {
    BASE64.decode_vec(text, bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_may_be_left_out() {
        for text in ["AP8Q/w==", "AP8Q/w=", "AP8Q/w"] {
            let mut bytes = vec![1];
            assert!(decode_onto(&mut bytes, text.as_bytes()));
            assert_eq!(bytes, [1, 0, 0xff, 0x10, 0xff]);
            assert!(bytes.len() <= 1 + most_bytes_in(text.len()));
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["A", "AP_Q", "AP8\nQ", "AP8=Q", "AP8Q/x=="] {
            assert!(!decode_onto(&mut Vec::new(), text.as_bytes()), "{text}");
        }
    }
}
