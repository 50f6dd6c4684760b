//! An edge's key pair: made once, and what it signs.

use crate::fleet::{Id, PublicKey, Signature};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// A private key with its public half; `Debug` shows neither.
pub(super) struct Keys(Ed25519KeyPair);

/// Why there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::engine) enum KeysError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The file is damaged.
    #[error("the file holds no Ed25519 key in the form PKCS #8")]
    Damaged,
}

impl Keys {
    /// A new pair, as the bytes of its file.
    pub(super) fn generate() -> Result<Vec<u8>, KeysError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        Ok(pkcs8.map_err(|_| KeysError::Random)?.as_ref().to_vec())
    }

    /// The pair of such a file.
    pub(super) fn read(pkcs8: &[u8]) -> Result<Keys, KeysError> {
        Ed25519KeyPair::from_pkcs8(pkcs8).map(Keys).map_err(|_| KeysError::Damaged)
    }

    /// The public half.
    pub(super) fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        // A key on that curve has 32 bytes and no other number.
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// What is signed.
    pub(super) fn sign(&self, text: &str) -> Signature {
        let signed = self.0.sign(text.as_bytes());
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(signed.as_ref()) {
            *to = *from;
        }
        Signature(bytes)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// A new random identifier.
pub(super) fn fresh_id() -> Result<Id, KeysError> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| KeysError::Random)?;
    Ok(Id::of_random(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_reads_back_and_damage_is_told() {
        let file = Keys::generate().unwrap();
        let (one, again) = (Keys::read(&file).unwrap(), Keys::read(&file).unwrap());
        assert_eq!(one.public(), again.public());
        assert_eq!(one.sign("a"), again.sign("a"));
        assert_ne!(one.sign("a"), one.sign("b"));
        assert_eq!(Keys::read(&file[..file.len() - 1]).unwrap_err(), KeysError::Damaged);
        assert_eq!(format!("{one:?}"), "Keys(…)");
    }
}
