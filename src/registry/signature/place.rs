//! A place where an artifact and its signatures are: a registry, a layout, or a tar file.

use super::super::{Error, Fetched, Layout, Remote};
use crate::oci::{Descriptor, Digest, Version, media_type};

/// What signatures are fetched from.
pub trait Place {
    /// The manifest of a version, checked by its digest.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] or [`Error::UnknownRepository`] when there is none.
    fn manifest(&self, version: &Version) -> Result<Fetched, Error>;

    /// The manifests that say they are Sigstore bundles about `subject`.
    ///
    /// # Errors
    /// When the place cannot be asked; having none is no error.
    fn bundles(&self, subject: &Digest) -> Result<Vec<Digest>, Error>;

    /// A blob of at most `bytes_max` bytes, checked by its digest.
    ///
    /// # Errors
    /// [`Error::TooLarge`], and those of a blob that is missing or wrong.
    fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error>;
}

impl Place for Remote {
    fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        Self::manifest(self, version)
    }

    fn bundles(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        Ok(self.referrers(subject, media_type::SIGSTORE_BUNDLE)?.bundles())
    }

    fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if blob.size > bytes_max {
            return Err(Error::TooLarge { what: format!("the blob {}", blob.digest), bytes_max });
        }
        let mut bytes = Vec::new();
        let _proof = self.blob(blob, &mut bytes, &mut |_| {})?;
        Ok(bytes)
    }
}

impl Place for Layout {
    fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        Self::manifest(self, version)
    }

    fn bundles(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        self.referrers(subject)
    }

    fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error> {
        Self::read_blob(self, blob, bytes_max)
    }
}
