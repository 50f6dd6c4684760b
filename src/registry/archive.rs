//! A tar file with an image layout in it, read where it lies: nothing of it is unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::layout::{INDEX_BYTES_MAX, Index, is_about, subject_tag};
use super::pull::mismatched;
use super::signature::Place;
use super::verify::{self, CopyError, Verified};
use super::{Error, Fetched, LayoutFault, Reply};
use crate::disk::{Step, Stretch, failed};
use crate::oci::{Descriptor, Digest, MANIFEST_BYTES_MAX, Manifest, Version};

mod entries;
mod fault;
mod header;
mod write;

#[cfg(test)]
mod tests;

use entries::Span;
pub use fault::ArchiveFault;
pub use write::{Contents, write_archive};

/// The file that makes it a layout.
const MARKER: &str = "oci-layout";
/// The file that lists the manifests.
const INDEX: &str = "index.json";
/// What the name of a blob begins with.
const BLOBS: &str = "blobs/sha256/";
/// The largest marker that is read, in bytes: it has thirty.
const MARKER_BYTES_MAX: u64 = 4 << 10;

/// An image layout in an uncompressed tar file.
///
/// Its headers are read once; after that a blob is a stretch of the file. So a pipeline runs from
/// a stick or a card without a second copy, and no name in the tar file becomes one on the disk.
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    spans: BTreeMap<String, Span>,
}

impl Archive {
    /// Reads the headers of a tar file.
    ///
    /// # Errors
    /// [`Error::Archive`] when it is none or holds what no layout has, [`Error::NotALayout`] when
    /// the marker is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(failed(Step::Open, path))?;
        let spans = entries::walk(&file)
            .map_err(|source| Error::Archive { path: path.to_owned(), source })?;
        let archive = Self { path: path.to_owned(), spans };
        let marker = archive
            .read(MARKER, MARKER_BYTES_MAX)?
            .ok_or_else(|| archive.fault(LayoutFault::NoMarker))?;
        let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap_or_default();
        if marker["imageLayoutVersion"] != "1.0.0" {
            return Err(archive.fault(LayoutFault::Version));
        }
        Ok(archive)
    }

    /// Reads the manifest of a version, checked by its digest.
    ///
    /// # Errors
    /// As those of [`Layout::manifest`](super::Layout::manifest).
    pub fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        let reference = format!("oci-layout:{}{version}", self.path.display());
        let unknown =
            || Error::UnknownVersion { reference: reference.clone(), reply: Reply::default() };
        let expected = match version {
            Version::Tag(tag) => self.index()?.find(tag).ok_or_else(unknown)?,
            Version::Digest(digest) | Version::Pinned { digest, .. } => *digest,
        };
        let bytes = match self.read(&blob_name(&expected), MANIFEST_BYTES_MAX)? {
            Some(bytes) => bytes,
            None if version.digest().is_none() => return Err(self.unknown_blob(expected)),
            None => return Err(unknown()),
        };
        let digest = Digest::of(&bytes);
        if digest != expected {
            let what = format!("the manifest {reference}");
            return Err(Error::DigestMismatch { what, expected, found: digest });
        }
        let manifest =
            Manifest::parse(&bytes).map_err(|source| Error::NotAManifest { reference, source })?;
        Ok(Fetched { manifest, digest, bytes })
    }

    /// The one artifact that it has beside signatures.
    ///
    /// # Errors
    /// [`Error::NotALayout`] when there is none, or when there are several.
    pub fn only(&self) -> Result<Version, Error> {
        self.index()?.only().map_err(|fault| self.fault(fault))
    }

    /// Where a blob is in the file.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`].
    pub fn blob_stretch(&self, digest: &Digest) -> Result<Stretch, Error> {
        let span = self.spans.get(&blob_name(digest));
        span.map(|span| self.stretch(span)).ok_or_else(|| self.unknown_blob(*digest))
    }

    /// Copies a blob and gives the proof that it is right.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`], [`Error::SizeMismatch`], [`Error::DigestMismatch`],
    /// [`Error::Sink`], [`Error::Disk`].
    pub fn copy_blob(&self, blob: &Descriptor, into: &mut dyn Write) -> Result<Verified, Error> {
        let Some(span) = self.spans.get(&blob_name(&blob.digest)) else {
            return Err(self.unknown_blob(blob.digest));
        };
        if span.bytes != blob.size {
            let (digest, announced, expected) = (blob.digest, span.bytes, blob.size);
            return Err(Error::SizeMismatch { digest, announced, expected });
        }
        let bytes = self.stretch(span).open().map_err(failed(Step::Open, &self.path))?;
        verify::copy(bytes, blob, into, &mut |_| {}).map_err(|error| match error {
            CopyError::Read(source) => failed(Step::Read, &self.path)(source).into(),
            CopyError::Write(source) => Error::Sink { digest: blob.digest, source },
            CopyError::Mismatch(mismatch) => mismatched(blob, mismatch),
        })
    }

    fn stretch(&self, span: &Span) -> Stretch {
        Stretch::part(self.path.clone(), span.offset, span.bytes)
    }

    /// A small entry as a whole; `None` when there is none of that name.
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(span) = self.spans.get(name) else { return Ok(None) };
        if span.bytes > bytes_max {
            let what = format!("{name} in {}", self.path.display());
            return Err(Error::TooLarge { what, bytes_max });
        }
        let mut bytes = Vec::new();
        let read: io::Result<_> =
            self.stretch(span).open().and_then(|mut from| from.read_to_end(&mut bytes));
        read.map_err(failed(Step::Read, &self.path))?;
        Ok(Some(bytes))
    }

    fn index(&self) -> Result<Index, Error> {
        let bytes =
            self.read(INDEX, INDEX_BYTES_MAX)?.ok_or_else(|| self.fault(LayoutFault::NoIndex))?;
        Index::parse(&bytes).ok_or_else(|| self.fault(LayoutFault::Index))
    }

    fn fault(&self, fault: LayoutFault) -> Error {
        Error::NotALayout { path: self.path.clone(), fault }
    }

    fn unknown_blob(&self, digest: Digest) -> Error {
        let place = self.path.display().to_string();
        Error::UnknownBlob { digest, place, reply: Reply::default() }
    }
}

impl Place for Archive {
    fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        Self::manifest(self, version)
    }

    fn bundles(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let index = self.index()?;
        let mut found = index.bundles();
        if let Some(digest) = index.find(&subject_tag(subject)) {
            let listed = self.read(&blob_name(&digest), INDEX_BYTES_MAX)?;
            let listed = listed.as_deref().and_then(Index::parse);
            found.extend(listed.iter().flat_map(Index::bundles));
        }
        found.retain(|digest| {
            self.read(&blob_name(digest), MANIFEST_BYTES_MAX)
                .is_ok_and(|bytes| bytes.is_some_and(|bytes| is_about(&bytes, subject)))
        });
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if blob.size > bytes_max {
            return Err(Error::TooLarge { what: format!("the blob {}", blob.digest), bytes_max });
        }
        let mut bytes = Vec::new();
        let _proof = self.copy_blob(blob, &mut bytes)?;
        Ok(bytes)
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hex())
}
