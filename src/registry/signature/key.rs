//! A public key: the half of a key pair that a device is given, to tell who signed.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

use super::der::{self, BIT_STRING, INTEGER, OBJECT_ID, SEQUENCE};
use crate::oci::Digest;

/// 1.2.840.10045.2.1, a key on an elliptic curve (RFC 5480).
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7, the curve P-256.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34, the curve P-384.
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.101.112, Ed25519 (RFC 8410).
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.113549.1.1.1, RSA (RFC 8017).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The shortest RSA modulus that is trusted, in bytes; shorter ones have been broken.
const RSA_BYTES_MIN: usize = 2048 / 8;

/// How many hexadecimal digits of a key's identifier are shown: enough to tell one's own apart.
const SHOWN_DIGITS: usize = 16;

/// A key that signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// As ring takes it: the point, the Ed25519 key, or the RSA key in DER.
    bytes: Vec<u8>,
    id: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Reads the content of a `PUBLIC KEY` block (RFC 5280, `SubjectPublicKeyInfo`).
    ///
    /// # Errors
    /// [`KeyError`] when it is no key, or one that nothing here can check with.
    pub fn from_der(spki: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, parameters, bytes) = parts(spki).ok_or(KeyError::Broken)?;
        let is_point = |length: usize| bytes.len() == length && bytes[0] == 4;
        let kind = if algorithm == EC_KEY {
            match der::take(&mut &*parameters, OBJECT_ID) {
                Some(P256) if is_point(65) => Kind::P256,
                Some(P384) if is_point(97) => Kind::P384,
                Some(P256 | P384) | None => return Err(KeyError::Broken),
                Some(_) => return Err(KeyError::Curve),
            }
        } else if algorithm == EDWARDS && bytes.len() == 32 {
            Kind::Ed25519
        } else if algorithm == RSA {
            let modulus = modulus(bytes).ok_or(KeyError::Broken)?;
            if modulus.len() < RSA_BYTES_MIN {
                return Err(KeyError::ShortRsa { bits: modulus.len() * 8 });
            }
            Kind::Rsa
        } else {
            return Err(KeyError::Algorithm);
        };
        Ok(Self { kind, bytes: bytes.to_vec(), id: Digest::of(spki) })
    }

    /// Whether the key's other half made this signature over the message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let holds = |algorithm: &'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
        };
        match self.kind {
            Kind::P256 => holds(&ECDSA_P256_SHA256_ASN1),
            // Which hash goes with this curve changed between versions of cosign.
            Kind::P384 => holds(&ECDSA_P384_SHA384_ASN1) || holds(&ECDSA_P384_SHA256_ASN1),
            Kind::Ed25519 => holds(&ED25519),
            Kind::Rsa => holds(&RSA_PKCS1_2048_8192_SHA256),
        }
    }

    /// The sha256 of the key as it stands in its file, which other tools call it by, too.
    #[must_use]
    pub const fn id(&self) -> &Digest {
        &self.id
    }

    /// The beginning of the [`id`](Self::id), for people.
    #[must_use]
    pub fn short(&self) -> String {
        let mut hex = self.id.hex();
        hex.truncate(SHOWN_DIGITS);
        hex
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?} {})", self.kind, self.short())
    }
}

/// Algorithm, its parameters as they stand, and the key's own bytes.
fn parts(mut spki: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut outer = der::take(&mut spki, SEQUENCE).filter(|_| spki.is_empty())?;
    let mut parameters = der::take(&mut outer, SEQUENCE)?;
    let bits = der::take(&mut outer, BIT_STRING).filter(|_| outer.is_empty())?;
    let algorithm = der::take(&mut parameters, OBJECT_ID)?;
    // The first byte tells how many bits of the last one do not count.
    let key = bits.strip_prefix(&[0]).filter(|key| !key.is_empty())?;
    Some((algorithm, parameters, key))
}

/// The modulus of an RSA key, without the zero that keeps it positive.
fn modulus(mut key: &[u8]) -> Option<&[u8]> {
    let mut numbers = der::take(&mut key, SEQUENCE)?;
    let modulus = der::take(&mut numbers, INTEGER)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

/// Why bytes are no key that signatures can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the form of a public key.
    #[error("it is not the DER of a public key")]
    Broken,
    /// Another curve.
    #[error("its curve is neither P-256 nor P-384")]
    Curve,
    /// Another algorithm.
    #[error("it is neither an ECDSA, an Ed25519 nor an RSA key")]
    Algorithm,
    /// An RSA key that others can compute.
    #[error("it is an RSA key of {bits} bits, and at least 2048 are needed")]
    ShortRsa {
        /// The length of its modulus in bits.
        bits: usize,
    },
}
