//! Secrets and names that nobody can guess, and the hashes under which secrets are kept.

use crate::oci::Digest;
use crate::registry::Secret;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of a token: 256 bits, so that a plain hash of it is enough.
const TOKEN_BYTES: usize = 32;

/// No random numbers: the kernel gives none, which it always does once it has started.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: try again")]
pub(in crate::ops) struct NoRandomness;

/// A new secret, URL-safe, beginning with `prefix` so that a leaked one is recognised.
pub(in crate::ops) fn fresh_secret(prefix: &str) -> Result<Secret, NoRandomness> {
    use base64::Engine;
    let bytes: [u8; TOKEN_BYTES] = random()?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    Ok(Secret::new(format!("{prefix}{text}")))
}

/// A new UUID of version 4 (RFC 9562, section 5.4).
pub(in crate::ops) fn fresh_uuid() -> Result<String, NoRandomness> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// The SHA-256 that stands for a secret in the records.
pub(in crate::ops) fn hashed(secret: &str) -> Vec<u8> {
    Digest::of(secret.as_bytes()).as_bytes().to_vec()
}

/// So many random bytes.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], NoRandomness> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_of_version_4_and_another_each_time() {
        let one = fresh_uuid().unwrap();
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'), "{one}");
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{one}");
        assert_ne!(one, fresh_uuid().unwrap());
    }
}
