//! A shelf: an image layout on this machine, whether it is a directory or one tar file.

use std::io::{self, Write};
use std::path::Path;

use super::signature::Place;
use super::verify::Verified;
use super::{Archive, Error, Fetched, Layout};
use crate::disk::Stretch;
use crate::oci::{Descriptor, Digest, Version};

/// What `oci-layout:PATH` names.
#[derive(Debug, Clone)]
pub enum Shelf {
    /// A directory.
    Directory(Layout),
    /// A tar file, read where it lies.
    Archive(Archive),
}

impl Shelf {
    /// Opens the directory or the tar file that is there.
    ///
    /// # Errors
    /// Those of [`Layout::open`] and [`Archive::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() || !path.exists() {
            return Layout::open(path).map(Self::Directory);
        }
        Archive::open(path).map(Self::Archive)
    }

    /// Reads the manifest of a version; without one, of the only artifact that there is.
    ///
    /// # Errors
    /// Those of [`Layout::manifest`] and [`Layout::only`].
    pub fn manifest(&self, version: Option<&Version>) -> Result<Fetched, Error> {
        let only;
        let version = match version {
            Some(version) => version,
            None => {
                only = match self {
                    Self::Directory(layout) => layout.only()?,
                    Self::Archive(archive) => archive.only()?,
                };
                &only
            }
        };
        self.place().manifest(version)
    }

    /// The same as a place of signatures.
    #[must_use]
    pub fn place(&self) -> &dyn Place {
        match self {
            Self::Directory(layout) => layout,
            Self::Archive(archive) => archive,
        }
    }

    /// Reads a small blob whole, checked.
    ///
    /// # Errors
    /// Those of [`Layout::read_blob`].
    pub fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error> {
        self.place().read_blob(blob, bytes_max)
    }

    /// Copies a blob and gives the proof that it is right.
    ///
    /// # Errors
    /// Those of [`Layout::copy_blob`] and [`Archive::copy_blob`].
    pub fn copy_blob(&self, blob: &Descriptor, into: &mut dyn Write) -> Result<Verified, Error> {
        match self {
            Self::Directory(layout) => layout.copy_blob(blob, into),
            Self::Archive(archive) => archive.copy_blob(blob, into),
        }
    }

    /// Reads a blob through and gives the proof that it is right.
    ///
    /// # Errors
    /// Those of [`copy_blob`](Self::copy_blob).
    pub fn verify_blob(&self, blob: &Descriptor) -> Result<Verified, Error> {
        self.copy_blob(blob, &mut io::sink())
    }

    /// Where the bytes of a blob are.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`] when a tar file has no such entry.
    pub fn blob_stretch(&self, digest: &Digest) -> Result<Stretch, Error> {
        match self {
            Self::Directory(layout) => Ok(Stretch::whole(layout.blob_path(digest))),
            Self::Archive(archive) => archive.blob_stretch(digest),
        }
    }
}
