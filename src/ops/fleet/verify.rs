//! Verifies that a request was signed by the key that it names.

use crate::fleet::{PublicKey, Signature};
use ring::signature::{ED25519, UnparsedPublicKey};

/// Whether the holder of that key signed this text.
pub(super) fn is_signed(key: &PublicKey, text: &str, signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ED25519, &key.0).verify(text.as_bytes(), &signature.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of RFC 8032's own examples (section 7.1): an empty message.
    #[test]
    fn the_standards_example_verifies_and_any_other_text_does_not() {
        let hex = |text: &str| -> Vec<u8> {
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(byte).collect()
        };
        let key = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let key = PublicKey(key.try_into().unwrap());
        let signature = hex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        );
        let signature = Signature(signature.try_into().unwrap());
        assert!(is_signed(&key, "", &signature));
        assert!(!is_signed(&key, "a", &signature));
    }
}
