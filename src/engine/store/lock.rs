//! One engine for one persistent directory: the lock that goes with its process, however that ends.

use crate::disk;
use crate::exit::{Exit, Failure};
use crate::logging::AT_START;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file that is locked; it stays, empty, when nobody holds it.
pub(in crate::engine) const FILE: &str = "lock";

/// How long a lock that is held is waited for: who only looks whether it is held has it for a moment,
/// and an engine that ends gives it back with its last breath.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The directory, held until this value goes.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Another process has the directory.
#[derive(Debug, thiserror::Error)]
#[error("the persistent directory {} is in use by another engine", directory.display())]
struct InUse {
    directory: PathBuf,
}

/// Takes the directory, or says soon that it cannot be had.
///
/// # Errors
/// When another engine has it, or no lock can be taken there.
pub(super) fn take(directory: &Path) -> Result<Lock, Failure> {
    let path = directory.join(FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(disk::failed(disk::Step::Open, &path)).map_err(super::disk_failure)?;
    let end = Instant::now() + PATIENCE;
    let mut locked = file.try_lock();
    while matches!(locked, Err(TryLockError::WouldBlock)) && Instant::now() < end {
        std::thread::sleep(TRY_EVERY);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let error = InUse { directory: directory.to_owned() };
            return Err(Failure::new(Exit::Disk, error).hint(
                "stop that engine first, or give this one a directory of its own with \
                 POTOROO_PERSIST",
            ));
        }
        // Some network file systems know no locks. To serve without is better than not to serve.
        Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
            log::warn!(
                target: AT_START,
                "directory={:?} msg=\"no lock can be taken here: see that one engine alone uses it\"",
                directory.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(super::disk_failure(disk::failed(disk::Step::Lock, &path)(error)));
        }
    }
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_held_is_refused_by_name_and_free_again_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let held = take(directory.path()).unwrap();
        let refused = take(directory.path()).unwrap_err();
        assert_eq!(refused.exit, Exit::Disk);
        let report = refused.report();
        assert!(report.contains(&directory.path().display().to_string()), "{report}");
        assert!(report.contains("POTOROO_PERSIST"), "{report}");
        drop(held);
        take(directory.path()).unwrap();
    }
}
