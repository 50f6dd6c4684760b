//! Durable writes: what has its final name on disk is whole, even after the power went.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

mod aside;
mod hold;
mod own;
mod space;
mod stretch;

pub use aside::step_aside;
pub use hold::{hold, remove_unheld, sweep};
pub use own::own;
pub use space::free_bytes;
pub use stretch::{Picking, Reading, Stretch};

/// The ending of a file that is being written; one left behind may be deleted.
pub const UNFINISHED: &str = ".unfinished";

/// How many names are tried for a file that is being written.
///
/// Names have 64 random bits, so a second try is already a sign of trouble.
const NAMES_MAX: usize = 8;

/// Writes `bytes` to `path`: whole and for good, or not at all.
///
/// # Errors
/// When any step fails; `path` then still has what it had before.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = DurableFile::create(directory_of(path))?;
    file.write_all(bytes).map_err(failed(Step::Write, file.path()))?;
    file.persist(path)
}

/// Makes the directory and those above it that are missing, so that they outlive a power cut.
///
/// # Errors
/// When one cannot be made or synced.
pub fn make_directory(path: &Path) -> Result<(), Error> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    make_directory(directory_of(path))?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(failed(Step::MakeDirectory, path)(error)),
        Ok(()) => sync_directory(directory_of(path)),
    }
}

/// Makes a name that leads to another place, written as seen from where the name is, so that it
/// outlives a power cut; whatever has the name already keeps it.
///
/// # Errors
/// When it cannot be made or its directory not be synced.
pub fn make_link(path: &Path, leads_to: &Path) -> Result<(), Error> {
    match std::os::unix::fs::symlink(leads_to, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(Step::Link, path)(error)),
        Ok(()) => sync_directory(directory_of(path)),
    }
}

/// Reads a whole file of at most `bytes_max` bytes; `None` when there is none.
///
/// # Errors
/// When it cannot be read or has more bytes.
pub fn read_whole(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(Step::Open, path)(error)),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed(Step::Read, path))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(Some(bytes))
}

/// Syncs a file and gives it a name in another directory of its file system, for good.
///
/// # Errors
/// When a step fails; after syncing the directory did, a power cut may take the new name back.
pub fn move_durably(file: &File, from: &Path, to: &Path) -> Result<(), Error> {
    file.sync_all().map_err(failed(Step::Sync, from))?;
    fs::rename(from, to).map_err(failed(Step::Rename, to))?;
    sync_directory(directory_of(to))
}

/// A file that has no final name yet; dropped before it gets one, it is gone.
#[derive(Debug)]
pub struct DurableFile {
    file: File,
    path: PathBuf,
    is_persisted: bool,
}

impl DurableFile {
    /// Creates a file of no bytes in `directory`, under a name that no other process uses.
    ///
    /// # Errors
    /// When the directory is missing, is not writable, or the disk is full.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        Self::create_with_mode(directory, 0o666)
    }

    /// The same, and nobody but its owner may ever read it.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_private(directory: &Path) -> Result<Self, Error> {
        Self::create_with_mode(directory, 0o600)
    }

    fn create_with_mode(directory: &Path, mode: u32) -> Result<Self, Error> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..NAMES_MAX {
            // Each `RandomState` has fresh random keys, so this is a random number without a crate.
            let name = format!(".{:016x}{UNFINISHED}", RandomState::new().build_hasher().finish());
            let path = directory.join(name);
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&path) {
                Ok(file) if hold::hold_new(&file, &path) => {
                    return Ok(Self { file, path, is_persisted: false });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(failed(Step::Create, &path)(error)),
            }
        }
        Err(failed(Step::Create, directory)(last))
    }

    /// Where the bytes are until [`persist`](Self::persist).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name, replacing one that has it, and returns when it is safe.
    ///
    /// # Panics
    /// When `final_path` is in another directory: a name moves durably within one only.
    ///
    /// # Errors
    /// When a step fails. After any but the last the old file is untouched; after the last,
    /// syncing the directory, the new one is in place but a power cut may take it back.
    pub fn persist(mut self, final_path: &Path) -> Result<(), Error> {
        let directory = directory_of(final_path);
        assert_eq!(self.path.parent(), Some(directory), "a rename stays in one directory");
        self.file.sync_all().map_err(failed(Step::Sync, &self.path))?;
        fs::rename(&self.path, final_path).map_err(failed(Step::Rename, final_path))?;
        self.is_persisted = true;
        sync_directory(directory)
    }
}

impl Write for DurableFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        if !self.is_persisted {
            // Nothing to do when it fails: the name tells any later sweep that it is litter.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The directory that holds `path`; the current one where none is written.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Syncs the directory that holds `path`, so that its name outlives a power cut.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_directory_of(path: &Path) -> Result<(), Error> {
    sync_directory(directory_of(path))
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|it| it.sync_all()).map_err(failed(Step::SyncDirectory, path))
}

/// Makes the error of a step that failed at a path.
pub fn failed(step: Step, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Failed { step, path, source }
}

/// What was being done on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Opening a file to read it.
    Open,
    /// Reading a file.
    Read,
    /// Creating a file.
    Create,
    /// Writing to a file.
    Write,
    /// Waiting until a file's bytes are on the disk.
    Sync,
    /// Giving a file its final name.
    Rename,
    /// Waiting until a directory's names are on the disk.
    SyncDirectory,
    /// Making a directory.
    MakeDirectory,
    /// Making a name that leads to another place.
    Link,
    /// Waiting for another process to be done with it.
    Lock,
    /// Taking a file away.
    Remove,
    /// Asking for the room that is left.
    Measure,
}

impl Step {
    const fn verb(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Create => "create",
            Self::Write => "write to",
            Self::Sync => "sync",
            Self::Rename => "give its name to",
            Self::SyncDirectory => "sync the directory",
            Self::MakeDirectory => "make the directory",
            Self::Link => "make the link",
            Self::Lock => "lock",
            Self::Remove => "remove",
            Self::Measure => "see how much room is left at",
        }
    }
}

/// Why the disk did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a step.
    #[error("cannot {} {}", step.verb(), path.display())]
    Failed {
        /// What was being done.
        step: Step,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file with more bytes than its kind may have.
    #[error("{} has more than {bytes_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        bytes_max: u64,
    },
}

impl Error {
    /// Whether it is for want of room: the disk is full, or a quota is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Failed { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::TooLarge { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{DurableFile, Error, Step, make_directory, read_whole, write_durably};

    #[test]
    fn what_is_written_is_read_back_and_no_litter_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_durably(&path, b"one").unwrap();
        write_durably(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_dropped_before_its_name_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = DurableFile::create(dir.path()).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn many_writers_of_one_name_leave_one_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let path = &path;
                scope.spawn(move || write_durably(path, &[writer; 5000]).unwrap());
            }
        });
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes, vec![bytes[0]; 5000]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_named_in_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_durably(&dir.path().join("none/a"), b"").unwrap_err();
        assert!(matches!(&error, Error::Failed { step: Step::Create, path, .. }
            if path.starts_with(dir.path().join("none"))));
    }

    #[test]
    fn missing_directories_are_made_and_a_file_in_the_way_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        make_directory(&dir.path().join("a/b/c")).unwrap();
        make_directory(&dir.path().join("a/b/c")).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        fs::write(dir.path().join("f"), b"kept").unwrap();
        make_directory(&dir.path().join("f")).unwrap_err();
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_of_one_byte_more_than_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap().as_deref(), Some(b"12345".as_slice()));
        assert!(matches!(read_whole(&path, 4), Err(Error::TooLarge { bytes_max: 4, .. })));
        assert_eq!(read_whole(&dir.path().join("none"), 4).unwrap(), None);
    }
}
