//! The signatures that a device keeps, so that it can check them again without a network.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::attached::{Attached, attached};
use super::verdict::Flaw;
use crate::disk::{Step, failed};
use crate::oci::Digest;
use crate::registry::{Error, Layout};

/// How the directory of one artifact's signatures begins; the digest's digits follow.
const BEGINS: &str = "sha256-";

/// A directory with a small image layout for each artifact, which holds its signatures alone.
#[derive(Debug, Clone)]
pub struct Kept {
    root: PathBuf,
}

impl Kept {
    /// Those below this directory, which need not be there yet.
    #[must_use]
    pub const fn below(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{BEGINS}{}", digest.hex()))
    }

    /// What is kept of an artifact's signatures; nothing where that cannot be read.
    #[must_use]
    pub fn of(&self, digest: &Digest) -> (Vec<Attached>, Vec<Flaw>) {
        let layout = Layout::open(&self.path(digest));
        layout.and_then(|layout| attached(&layout, digest)).unwrap_or_default()
    }

    /// Keeps signatures of an artifact, beside those that are kept of it.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn keep(&self, digest: &Digest, signatures: &[Attached]) -> Result<(), Error> {
        let layout = Layout::create(&self.path(digest))?;
        signatures.iter().try_for_each(|one| layout.put_attached(digest, one))
    }

    /// Forgets the signatures of every artifact but those that `is_wanted`.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn forget(&self, is_wanted: &dyn Fn(&Digest) -> bool) -> Result<(), Error> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(Step::Open, &self.root)(error).into()),
        };
        for entry in entries {
            let entry = entry.map_err(failed(Step::Read, &self.root))?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(BEGINS));
            let digest: Option<Digest> =
                digits.and_then(|digits| format!("sha256:{digits}").parse().ok());
            // What has another name is not ours to take away.
            if digest.is_some_and(|digest| !is_wanted(&digest)) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(failed(Step::Remove, &path))?;
            }
        }
        Ok(())
    }
}
