//! The list at the end of a backup: every file with its length and its digest.

use super::Saved;
use crate::oci::{Digest, Hasher};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// The list's name in the tar file.
pub(super) const CONTENTS: &str = "contents.json";

/// The largest list that is read, in bytes: half a million files.
pub(super) const CONTENTS_BYTES_MAX: u64 = 96 << 20;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    /// Of this form; another one is refused.
    pub format: u32,
    /// Every file, in its order.
    pub files: Vec<Entry>,
    /// Every link to the blobs.
    pub links: Vec<String>,
}

/// The form of this version.
pub(super) const FORMAT: u32 = 1;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its path in the data directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// 64 hex digits.
    pub sha256: String,
}

impl Default for Contents {
    fn default() -> Contents {
        Contents { format: FORMAT, files: Vec::new(), links: Vec::new() }
    }
}

impl Contents {
    #[expect(clippy::expect_used, reason = "texts and numbers always have a JSON form")]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a list has a JSON form")
    }

    pub(super) fn saved(&self) -> Saved {
        let bytes = self.files.iter().map(|entry| entry.bytes).sum();
        Saved { files: self.files.len() as u64, bytes }
    }
}

/// Reads on, and hashes what passes.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Hashing<R> {
        Hashing { inner, hasher: Hasher::new(), bytes: 0 }
    }

    /// The digest of what passed, and how many bytes that were.
    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hasher.update(&into[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
