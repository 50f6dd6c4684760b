//! The files of models: whole or not at all, once for each digest, and never taken from another.

use super::*;
use std::io;

struct Stand {
    _directory: tempfile::TempDir,
    models: Models,
}

fn stand() -> Stand {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::open(directory.path()).unwrap();
    let models = Models::open(&home, "no-program".into()).unwrap();
    Stand { _directory: directory, models }
}

impl Stand {
    fn files(&self) -> usize {
        let blobs = self.models.blobs.blob_path(&Digest::of(b""));
        std::fs::read_dir(blobs.parent().unwrap()).unwrap().count()
    }

    fn put(&self, bytes: &[u8], recorded: bool) -> Result<(), UploadError> {
        let weighed = self.models.receive(&mut &*bytes, Some(bytes.len() as u64))?;
        self.models.place(vec![weighed], || if recorded { Ok(()) } else { Err(UploadError::Busy) })
    }
}

#[test]
fn a_file_without_a_record_is_taken_away_unless_another_has_it() {
    let stand = stand();
    stand.put(b"model", false).unwrap_err();
    assert_eq!(stand.files(), 0);
    stand.put(b"model", true).unwrap();
    stand.put(b"model", false).unwrap_err();
    assert_eq!(stand.files(), 1);
}

#[test]
fn a_body_that_breaks_or_is_empty_leaves_nothing() {
    struct Breaks(usize);
    impl Read for Breaks {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(into.len())
        }
    }
    let stand = stand();
    let broken = stand.models.receive(&mut Breaks(3), None).unwrap_err();
    assert!(matches!(broken, UploadError::Read(_)), "{broken}");
    let empty = stand.models.receive(&mut io::empty(), None).unwrap_err();
    assert!(matches!(empty, UploadError::Empty), "{empty}");
    assert_eq!(stand.files(), 0);
}

#[test]
fn a_file_that_the_disk_has_no_room_for_is_refused_before_it_comes() {
    let stand = stand();
    let error = stand.models.receive(&mut io::empty(), Some(u64::MAX)).unwrap_err();
    assert!(matches!(error, UploadError::NoRoom { .. }), "{error}");
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    let full = UploadError::write(io::ErrorKind::StorageFull.into());
    assert!(matches!(full, UploadError::Full(_)), "{full}");
    let broken = UploadError::write(io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(matches!(broken, UploadError::Disk(_)), "{broken}");
}

#[test]
fn who_waits_for_a_change_hears_of_it() {
    let stand = stand();
    let seen = stand.models.changes();
    assert!(!stand.models.wait(seen, Duration::ZERO));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| stand.models.wait(seen, Duration::from_secs(60)));
        stand.models.wake();
        assert!(waiting.join().unwrap());
    });
}
