//! The data directory of the ops center: its records, its blobs, its keys, and who has it open.

use crate::disk::{self, Step};
use crate::exit::{Exit, Failure};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The records' file.
pub(in crate::ops) const RECORDS: &str = "records.db";

/// The directory of keys.
pub(in crate::ops) const KEYS: &str = "keys";

/// The directory of model files and everything published.
pub(in crate::ops) const BLOBS: &str = "blobs";

/// The directory of what edges inferred.
pub(in crate::ops) const LOGS: &str = "logs";

/// A data directory that is ours alone as long as this lives.
#[derive(Debug)]
pub(in crate::ops) struct Home {
    root: PathBuf,
    _held: File,
}

impl Home {
    /// Opens the directory, making it where there is none.
    ///
    /// # Errors
    /// When it cannot be used, or another ops center has it.
    pub(in crate::ops) fn open(root: &Path) -> Result<Home, Failure> {
        let unusable = |error: disk::Error| {
            Failure::new(Exit::Disk, error).hint("name a directory that can be written with --data")
        };
        for directory in [root.to_owned(), root.join("uploads"), root.join(KEYS)] {
            disk::make_directory(&directory).map_err(unusable)?;
        }
        let lock = root.join("lock");
        let held = File::options().read(true).write(true).create(true).truncate(false).open(&lock);
        let held = held.map_err(|error| unusable(disk::failed(Step::Open, &lock)(error)))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let sentence = format!("another ops center has {} open", root.display());
                return Err(Failure::new(Exit::Disk, sentence)
                    .hint("stop it, or name another directory with --data"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(unusable(disk::failed(Step::Lock, &lock)(error)));
            }
        }
        Ok(Home { root: root.to_owned(), _held: held })
    }

    /// The records.
    pub(in crate::ops) fn records(&self) -> PathBuf {
        self.root.join(RECORDS)
    }

    /// Uploads that are not whole yet.
    pub(in crate::ops) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Model files and everything published: the blobs, each once.
    pub(in crate::ops) fn blobs(&self) -> PathBuf {
        self.root.join(BLOBS)
    }

    /// What edges inferred.
    pub(in crate::ops) fn logs(&self) -> PathBuf {
        self.root.join(LOGS)
    }

    /// Keys of our own: what signs tokens.
    pub(in crate::ops) fn keys(&self) -> PathBuf {
        self.root.join(KEYS)
    }
}
