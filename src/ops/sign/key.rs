//! A private key: made here or by cosign, and never shown.

use super::sealed::{self, SealedError};
use crate::disk;
use crate::registry::Secret;
use crate::registry::signature::{KEY_FILE_BYTES_MAX, KeyError, PublicKey, blocks, write_block};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::path::Path;

/// What cosign calls the block of a key today, and what it called it before.
const SEALED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
/// What everyone else calls the block of a key that is not sealed (RFC 5958).
const PLAIN: &str = "PRIVATE KEY";
/// What goes before the 65 bytes of a point on P-256 to make the DER of a public key (RFC 5480).
const SPKI_BEGINS: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A private ECDSA key on the curve P-256, the kind that cosign makes.
pub struct PrivateKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// Why there is no private key.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// The file cannot be read.
    #[error("the key cannot be read")]
    Disk(#[from] disk::Error),
    /// There is no file.
    #[error("there is no file {0}")]
    Missing(String),
    /// Not one block of PEM.
    #[error("{0} is not PEM text with one block")]
    NotPem(String),
    /// A block of another kind.
    #[error("{path} holds `{label}`, expected `{}` or `{PLAIN}`", SEALED[0])]
    Label {
        /// The file.
        path: String,
        /// What the block is called.
        label: String,
    },
    /// A sealed key and nothing to open it with.
    #[error("{0} is sealed, and there is no password")]
    NoPassword(String),
    /// A sealed key that does not open.
    #[error("{path} cannot be opened: {why}")]
    Sealed {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// Another kind of key.
    #[error("the key is no ECDSA key on the curve P-256 in the form PKCS #8 with its public half")]
    Kind,
    /// The system's fault.
    #[error("no key can be made: {0}")]
    Random(String),
    /// Our own public half does not read back.
    #[error("the public half of the key cannot be used")]
    Public(#[from] KeyError),
}

impl PrivateKey {
    /// Reads a key from a file of cosign's, or from a plain PKCS #8 one.
    ///
    /// # Errors
    /// When it is neither, or the password does not open it.
    pub fn read(path: &Path, password: Option<&Secret>) -> Result<Self, PrivateKeyError> {
        let shown = path.display().to_string();
        let bytes = disk::read_whole(path, KEY_FILE_BYTES_MAX)?
            .ok_or_else(|| PrivateKeyError::Missing(shown.clone()))?;
        let found = std::str::from_utf8(&bytes).ok().and_then(blocks).unwrap_or_default();
        let [block] = found.as_slice() else { return Err(PrivateKeyError::NotPem(shown)) };
        if block.label == PLAIN {
            return Self::from_pkcs8(&block.bytes);
        }
        if !SEALED.contains(&block.label.as_str()) {
            return Err(PrivateKeyError::Label { path: shown, label: block.label.clone() });
        }
        let password = password.ok_or_else(|| PrivateKeyError::NoPassword(shown.clone()))?;
        let plain = sealed::open(&block.bytes, password.reveal().as_bytes())
            .map_err(|error| PrivateKeyError::Sealed { path: shown, why: error.to_string() })?;
        Self::from_pkcs8(&plain)
    }

    fn from_pkcs8(plain: &[u8]) -> Result<Self, PrivateKeyError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, plain, &random)
            .map_err(|_| PrivateKeyError::Kind)?;
        Ok(Self { pair, random })
    }

    /// Makes a new key: itself, and the text of its sealed file.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate(password: &Secret) -> Result<(Self, String), PrivateKeyError> {
        let random = |_| PrivateKeyError::Random(SealedError::Random.to_string());
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .map_err(random)?;
        let sealed = sealed::seal(pkcs8.as_ref(), password.reveal().as_bytes())
            .map_err(|error| PrivateKeyError::Random(error.to_string()))?;
        Ok((Self::from_pkcs8(pkcs8.as_ref())?, write_block(SEALED[0], &sealed)))
    }

    /// The DER of the public half.
    fn spki(&self) -> Vec<u8> {
        [SPKI_BEGINS.as_slice(), self.pair.public_key().as_ref()].concat()
    }

    /// The public half, as devices are given it.
    #[must_use]
    pub fn public_pem(&self) -> String {
        write_block("PUBLIC KEY", &self.spki())
    }

    /// The public half, to check with.
    ///
    /// # Errors
    /// Never, unless ring changes the form of its points.
    pub fn public(&self) -> Result<PublicKey, PrivateKeyError> {
        Ok(PublicKey::from_der(&self.spki())?)
    }

    /// Signs a message. Each signature of one message is another one, and all of them hold.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        let signature = self.pair.sign(&self.random, message);
        let signature =
            signature.map_err(|_| PrivateKeyError::Random(SealedError::Random.to_string()))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}
