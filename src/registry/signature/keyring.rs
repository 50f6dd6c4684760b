//! The keyring: all public keys that an artifact may be signed with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::key::{KeyError, PublicKey};
use super::pem;
use crate::disk;

/// The largest file of keys that is read, in bytes: a key has some 180, an RSA key 800.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;
/// The most keys: those of a rotation are two, and each is tried on each signature.
pub const KEYS_MAX: usize = 64;

/// What files of a directory are taken for keys.
const ENDINGS: [&str; 2] = ["pub", "pem"];

/// The keys that are trusted, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<PublicKey>,
    path: PathBuf,
}

impl Keyring {
    /// Reads a file of `PUBLIC KEY` blocks, or all `*.pub` and `*.pem` files of a directory.
    ///
    /// # Errors
    /// When there is no key, one is broken or of a kind that is not checked, or a private key
    /// lies among them.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let unreadable = |source| KeyringError::Unreadable { path: path.to_owned(), source };
        let files = if fs::metadata(path).map_err(unreadable)?.is_dir() {
            key_files(path).map_err(unreadable)?
        } else {
            vec![path.to_owned()]
        };
        let mut keys = Vec::new();
        for file in files {
            read_file(&file, &mut keys)?;
        }
        if keys.is_empty() {
            return Err(KeyringError::Empty { path: path.to_owned() });
        }
        Ok(Self { keys, path: path.to_owned() })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The file or directory that they are from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key whose other half made this signature over the message.
    #[must_use]
    pub fn signer(&self, message: &[u8], signature: &[u8]) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.verifies(message, signature))
    }
}

impl From<PublicKey> for Keyring {
    fn from(key: PublicKey) -> Self {
        Self { keys: vec![key], path: PathBuf::new() }
    }
}

/// The key files of a directory by name; those that begin with a dot are a mount's own.
fn key_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !hidden && ENDINGS.contains(&ending) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, keys: &mut Vec<PublicKey>) -> Result<(), KeyringError> {
    let owned = || path.to_owned();
    let bytes = disk::read_whole(path, KEY_FILE_BYTES_MAX)
        .map_err(|source| KeyringError::Disk { path: owned(), source })?
        .unwrap_or_default();
    let blocks = std::str::from_utf8(&bytes).ok().and_then(pem::blocks);
    for block in blocks.ok_or_else(|| KeyringError::NotPem { path: owned() })? {
        if block.label.ends_with("PRIVATE KEY") {
            return Err(KeyringError::Private { path: owned() });
        }
        if block.label != "PUBLIC KEY" {
            return Err(KeyringError::NotAPublicKey { path: owned(), label: block.label });
        }
        let key = PublicKey::from_der(&block.bytes)
            .map_err(|source| KeyringError::Key { path: owned(), source })?;
        if keys.len() == KEYS_MAX {
            return Err(KeyringError::TooMany { path: owned() });
        }
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(())
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The path leads nowhere.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The path that was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be read or is too large.
    #[error("{} cannot be taken for a key", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: disk::Error,
    },
    /// No key at all.
    #[error(
        "{} holds no public key: expected a block `-----BEGIN PUBLIC KEY-----`, or a directory \
         with such files that end in .pub or .pem", path.display()
    )]
    Empty {
        /// The file or directory.
        path: PathBuf,
    },
    /// Text that is no PEM.
    #[error("{} is not PEM text, or a block of it is broken", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// The wrong half.
    #[error(
        "{} holds a private key: a device is given the public one alone (cosign.pub)",
        path.display()
    )]
    Private {
        /// The file.
        path: PathBuf,
    },
    /// Something else in PEM.
    #[error("{} holds a block `{label}`, expected `PUBLIC KEY`", path.display())]
    NotAPublicKey {
        /// The file.
        path: PathBuf,
        /// What the block is called.
        label: String,
    },
    /// A key that nothing here can check with.
    #[error("a key in {} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// More keys than anyone needs.
    #[error("{} brings more than {KEYS_MAX} keys", path.display())]
    TooMany {
        /// The file with the one too many.
        path: PathBuf,
    },
}
