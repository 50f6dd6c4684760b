//! Where a layout keeps the blobs that are on their way: beside those that are there, under their digests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Layout;
use crate::disk::{self, Step, failed};
use crate::oci::Digest;
use crate::registry::Error;

/// The directory of partial blobs; no other tool looks into it.
const PARTIAL: &str = "partial";
/// What the name of a partial blob begins with; the digits of its digest follow.
const PREFIX: &str = "sha256-";

impl Layout {
    /// The directory of the layout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the partial blobs; it need not be there.
    pub(in crate::registry) fn partials(&self) -> PathBuf {
        self.root.join(PARTIAL)
    }

    /// Where the blob is while it comes.
    pub(in crate::registry) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.partials().join(format!("{PREFIX}{}", digest.hex()))
    }

    /// How many bytes have come of a blob that is not whole; none when nothing has.
    ///
    /// # Errors
    /// [`Error::Disk`] when that cannot be seen.
    pub fn partial_bytes(&self, digest: &Digest) -> Result<u64, Error> {
        let path = self.partial_path(digest);
        match fs::metadata(&path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed(Step::Open, &path)(error).into()),
        }
    }

    /// The digests of the blobs of which only a part has come.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn partial_blobs(&self) -> Result<Vec<Digest>, Error> {
        let directory = self.partials();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(Step::Read, &directory)(error).into()),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed(Step::Read, &directory))?.file_name();
            let hex = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            found.extend(hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
        }
        Ok(found)
    }

    /// Takes a partial blob away that nobody wants any more, unless it is just being fetched; one
    /// that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn discard_partial(&self, digest: &Digest) -> Result<(), Error> {
        disk::remove_unheld(&self.partial_path(digest))?;
        Ok(())
    }
}
