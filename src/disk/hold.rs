//! Holding a file: one writer at a time, by a lock that the system ends with its process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Error, Step, UNFINISHED, failed};

/// Opens a file to read and write it, made where there is none, once nobody else holds it.
///
/// It is held until it is closed.
///
/// # Errors
/// When it cannot be opened, or its file system has no locks.
pub fn hold(path: &Path) -> Result<File, Error> {
    loop {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed(Step::Open, path))?;
        file.lock().map_err(failed(Step::Lock, path))?;
        // Whoever held it may have given it another name or none; this name is then another file.
        if is_at(&file, path).map_err(failed(Step::Open, path))? {
            return Ok(file);
        }
    }
}

/// Holds a file that was just made; `false` when a sweep was faster and takes it away.
pub(super) fn hold_new(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        // Where there are no locks there are no sweeps either.
        Err(TryLockError::Error(_)) => true,
        Ok(()) => is_at(file, path).unwrap_or(true),
    }
}

/// Takes away the files in a directory whose writers ended before they were done; tells how many.
///
/// Those of living writers stay: they are held.
///
/// # Errors
/// When the directory cannot be read or a file not be removed.
pub fn sweep(directory: &Path) -> Result<usize, Error> {
    let mut removed = 0;
    for entry in fs::read_dir(directory).map_err(failed(Step::Read, directory))? {
        let path = entry.map_err(failed(Step::Read, directory))?.path();
        if !path.to_string_lossy().ends_with(UNFINISHED) {
            continue;
        }
        removed += usize::from(remove_unheld(&path)?);
    }
    Ok(removed)
}

/// Takes a file away unless somebody holds it; tells whether it did.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_unheld(path: &Path) -> Result<bool, Error> {
    // It may be gone or renamed by now.
    let Ok(file) = File::open(path) else { return Ok(false) };
    let is_ours = file.try_lock().is_ok() && is_at(&file, path).unwrap_or(false);
    if is_ours {
        fs::remove_file(path).map_err(failed(Step::Remove, path))?;
    }
    Ok(is_ours)
}

/// Whether the name leads to this very file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{hold, sweep};
    use crate::disk::DurableFile;

    #[test]
    fn a_sweep_takes_what_the_dead_left_and_nothing_of_the_living() {
        let dir = tempfile::tempdir().unwrap();
        let mut living = DurableFile::create(dir.path()).unwrap();
        living.write_all(b"whole").unwrap();
        // A killed process leaves its file, and the system has ended its lock.
        fs::write(dir.path().join(".0123456789abcdef.unfinished"), b"half").unwrap();
        fs::write(dir.path().join("kept"), b"").unwrap();
        assert_eq!(sweep(dir.path()).unwrap(), 1);
        living.persist(&dir.path().join("done")).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["done", "kept"]);
    }

    #[test]
    fn a_file_that_was_moved_while_it_was_waited_for_is_not_taken_for_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("a"), dir.path().join("b"));
        let mut first = hold(&path).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| hold(&path).unwrap().metadata().unwrap().len());
            first.write_all(b"first").unwrap();
            fs::rename(&path, &moved).unwrap();
            drop(first);
            assert_eq!(second.join().unwrap(), 0);
        });
        assert_eq!(fs::read(&moved).unwrap(), b"first");
    }
}
