//! A partial blob: what has come of it so far, kept over cuts, restarts and lost power.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::pull::mismatched;
use super::verify::{CHUNK_BYTES, Mismatch};
use super::{Error, Layout};
use crate::disk::{self, Step, failed};
use crate::oci::{Descriptor, Hasher};

/// After how many new bytes a partial blob is synced: 8 MiB.
///
/// What a power cut can take at most. Each sync makes an SD card write its own large blocks, so
/// a sync for every chunk would wear it out; ext4 by itself would wait for half a minute.
const SYNC_BYTES: u64 = 8 << 20;

/// After how long new bytes are synced at the latest: a slow link must not lose an hour of work.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// The file of a blob that is on its way, held against every other writer of it.
///
/// Nothing of it is trusted: its bytes are hashed from the first on, also those that were there.
pub(super) struct Partial<'a> {
    blob: &'a Descriptor,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    have: u64,
    is_pieced: bool,
    unsynced: u64,
    synced_at: Instant,
    /// Whether its name outlives a power cut, as its bytes do.
    is_named: bool,
}

impl<'a> Partial<'a> {
    /// What is there of the blob, read through; a file of no bytes when there is nothing.
    pub(super) fn open(layout: &Layout, blob: &'a Descriptor) -> Result<Self, Error> {
        disk::make_directory(&layout.partials())?;
        let path = layout.partial_path(&blob.digest);
        let file = disk::hold(&path)?;
        let hasher = Hasher::new();
        let synced_at = Instant::now();
        let mut partial = Self {
            blob,
            path,
            file,
            hasher,
            have: 0,
            is_pieced: false,
            unsynced: 0,
            synced_at,
            is_named: false,
        };
        // Bytes that cannot be read back, on a worn-out card for instance, are fetched again.
        if !partial.read_through().unwrap_or(false) {
            partial.restart()?;
        }
        partial.is_pieced = partial.have > 0;
        Ok(partial)
    }

    /// Hashes what is there; `false` when it is more than the blob has.
    fn read_through(&mut self) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match self.file.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    self.hasher.update(&chunk[..count]);
                    self.have += count as u64;
                    if self.have > self.blob.size {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes of the blob are there.
    pub(super) const fn have(&self) -> u64 {
        self.have
    }

    /// Whether the bytes come from more than one answer, so that one may not fit the other.
    pub(super) const fn is_pieced(&self) -> bool {
        self.is_pieced
    }

    /// The bytes of another answer follow.
    pub(super) const fn next_piece(&mut self) {
        self.is_pieced = self.have > 0;
    }

    /// Begins anew with no bytes.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(failed(Step::Write, &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed(Step::Write, &self.path))?;
        self.hasher = Hasher::new();
        self.have = 0;
        self.is_pieced = false;
        self.unsynced = 0;
        Ok(())
    }

    /// Takes the next bytes, and syncs now and then.
    ///
    /// # Panics
    /// When they are more than the blob has.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        assert!(self.have + bytes.len() as u64 <= self.blob.size, "no more bytes than it has");
        if let Err(error) = self.file.write_all(bytes) {
            // Part of them may be there: the file ends again where the hash does.
            let _ = self.file.set_len(self.have);
            let _ = self.file.seek(SeekFrom::Start(self.have));
            return Err(failed(Step::Write, &self.path)(error).into());
        }
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES || self.synced_at.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.file.sync_data().map_err(failed(Step::Sync, &self.path))?;
        if !std::mem::replace(&mut self.is_named, true) {
            disk::sync_directory_of(&self.path)?;
        }
        self.unsynced = 0;
        self.synced_at = Instant::now();
        Ok(())
    }

    /// Sees that the blob is all there and is what its digest says.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        let Descriptor { digest, size, .. } = *self.blob;
        if self.have < size {
            return Err(mismatched(self.blob, Mismatch::Ended { got: self.have, expected: size }));
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if found != digest {
            return Err(mismatched(self.blob, Mismatch::Digest { expected: digest, found }));
        }
        Ok(())
    }

    /// Makes it a blob of the layout, once [`check`](Self::check) was passed.
    pub(super) fn keep(self, layout: &Layout) -> Result<(), Error> {
        disk::move_durably(&self.file, &self.path, &layout.blob_path(&self.blob.digest))?;
        Ok(())
    }

    /// Takes it away: its bytes are of no use.
    pub(super) fn discard(self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(failed(Step::Remove, &self.path))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::{Hasher, Instant, Partial, SYNC_BYTES};
    use crate::oci::{Descriptor, media_type};
    use crate::registry::{Error, Layout};

    #[test]
    fn a_full_disk_is_told_as_such() {
        let blob = Descriptor::of(media_type::OCTET_STREAM, b"hello");
        // The kernel's own full disk.
        let path = std::path::PathBuf::from("/dev/full");
        let mut partial = Partial {
            blob: &blob,
            file: OpenOptions::new().write(true).open(&path).unwrap(),
            path,
            hasher: Hasher::new(),
            have: 0,
            is_pieced: false,
            unsynced: 0,
            synced_at: Instant::now(),
            is_named: true,
        };
        let error = partial.write(b"hello").unwrap_err();
        assert!(matches!(&error, Error::Disk(disk) if disk.is_full()), "{error:?}");
        assert_eq!(partial.have(), 0);
    }

    #[test]
    fn bytes_are_synced_by_the_megabyte_and_not_by_the_write() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let bytes = vec![7; usize::try_from(SYNC_BYTES).unwrap()];
        let blob = Descriptor::of(media_type::OCTET_STREAM, &bytes);
        let mut partial = Partial::open(&layout, &blob).unwrap();
        let (first, last) = bytes.split_at(1000);
        partial.write(first).unwrap();
        assert_eq!(partial.unsynced, 1000);
        partial.write(last).unwrap();
        assert_eq!(partial.unsynced, 0);
        partial.check().unwrap();
        partial.keep(&layout).unwrap();
        assert_eq!(fs::read(layout.blob_path(&blob.digest)).unwrap(), bytes);
    }

    #[test]
    fn a_part_is_hashed_again_when_it_is_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let blob = Descriptor::of(media_type::OCTET_STREAM, b"hello");
        Partial::open(&layout, &blob).unwrap().write(b"hel").unwrap();
        let mut partial = Partial::open(&layout, &blob).unwrap();
        assert_eq!((partial.have(), partial.is_pieced()), (3, true));
        partial.write(b"lo").unwrap();
        partial.check().unwrap();
        partial.discard().unwrap();
        assert_eq!(layout.partial_blobs().unwrap(), []);
    }
}
