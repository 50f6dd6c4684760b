//! What a layout lists, for who serves it to others: each entry of its index, and manifests to the byte.

use std::path::PathBuf;

use serde_json::Value;

use super::{INDEX, Layout};
use crate::disk;
use crate::oci::{Digest, MANIFEST_BYTES_MAX, REF_NAME, Tag};
use crate::registry::{Error, Reply};

/// One entry of a layout's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is called; nothing where it is listed by its digest alone, as signatures are.
    pub tag: Option<Tag>,
    /// The digest of the manifest or index.
    pub digest: Digest,
}

impl Layout {
    /// Every entry of the index in its order; what has no digest of ours is left out, and so is a
    /// name that is no tag.
    ///
    /// # Errors
    /// [`Error::NotALayout`] or [`Error::Disk`] when the index cannot be read.
    pub fn listed(&self) -> Result<Vec<Listed>, Error> {
        let index = self.index()?;
        let entries = index.entries().iter().filter_map(|entry| {
            let digest = entry.get("digest")?.as_str()?.parse().ok()?;
            let name = entry.get("annotations").and_then(|it| it.get(REF_NAME));
            let tag = name.and_then(Value::as_str).and_then(|name| name.parse().ok());
            Some(Listed { tag, digest })
        });
        Ok(entries.collect())
    }

    /// Where the index is, which every change replaces by another file.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    /// A manifest or an index to the byte, checked by its digest.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`], [`Error::DigestMismatch`], [`Error::Disk`].
    pub fn whole_manifest(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let bytes = disk::read_whole(&self.blob_path(digest), MANIFEST_BYTES_MAX)?;
        let place = || self.root.display().to_string();
        let unknown =
            || Error::UnknownBlob { digest: *digest, place: place(), reply: Reply::default() };
        let bytes = bytes.ok_or_else(unknown)?;
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => Err(Error::DigestMismatch {
                what: format!("a manifest in {}", place()),
                expected: *digest,
                found,
            }),
        }
    }
}
