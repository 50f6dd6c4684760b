//! A blob whose digest is known only once it is there: written beside the others, and named at its end.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::super::Error;
use super::Layout;
use crate::disk::{self, DurableFile, Step, failed};
use crate::oci::{Descriptor, Digest, Hasher, media_type};

/// Bytes that come; dropped, they are gone.
#[derive(Debug)]
pub struct Incoming {
    layout: Layout,
    file: DurableFile,
    hasher: Hasher,
    bytes: u64,
}

/// The same when it is whole: its digest is known, and it has not got its name yet.
#[derive(Debug)]
pub struct Weighed {
    layout: Layout,
    file: DurableFile,
    digest: Digest,
    bytes: u64,
}

impl Layout {
    /// Begins a blob.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn incoming(&self) -> Result<Incoming, Error> {
        let file = DurableFile::create(&self.blobs())?;
        Ok(Incoming { layout: self.clone(), file, hasher: Hasher::new(), bytes: 0 })
    }

    /// Gives a file of that digest and size, which the caller knows and has synced, a name among the
    /// blobs beside its own, without a copy; tells `false` where the file system has no such links.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn link_blob(&self, digest: Digest, bytes: u64, file: &Path) -> Result<bool, Error> {
        let path = self.blob_path(&digest);
        if self.has_blob(&Descriptor::new(media_type::MODEL_WEIGHT, digest, bytes))? {
            return Ok(true);
        }
        self.discard_blob(&digest)?; // of another size, it is damaged
        match fs::hard_link(file, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                return Err(failed(Step::Rename, &path)(error).into());
            }
            Err(_) => return Ok(false),
        }
        disk::sync_directory_of(&path)?;
        Ok(true)
    }
}

impl Incoming {
    /// What has come is all.
    #[must_use]
    pub fn weighed(self) -> Weighed {
        let Incoming { layout, file, hasher, bytes } = self;
        Weighed { layout, file, digest: hasher.finish(), bytes }
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Weighed {
    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it a blob, in the place of one of the same digest: that may be damaged, this is not.
    ///
    /// # Errors
    /// [`Error::Disk`]; it is gone then.
    pub fn store(self) -> Result<(), Error> {
        let path = self.layout.blob_path(&self.digest);
        Ok(self.file.persist(&path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_named_by_its_digest_and_what_is_dropped_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let count = || fs::read_dir(layout.blobs()).unwrap().count();
        let mut dropped = layout.incoming().unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(count(), 0);
        for _ in 0..2 {
            let mut incoming = layout.incoming().unwrap();
            incoming.write_all(b"whole").unwrap();
            let weighed = incoming.weighed();
            assert_eq!((weighed.digest(), weighed.bytes()), (Digest::of(b"whole"), 5));
            weighed.store().unwrap();
        }
        assert_eq!(count(), 1);
        assert_eq!(fs::read(layout.blob_path(&Digest::of(b"whole"))).unwrap(), b"whole");
    }

    #[test]
    fn a_file_that_is_linked_stands_in_for_a_damaged_blob() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(&directory.path().join("layout")).unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"whole").unwrap();
        let digest = Digest::of(b"whole");
        fs::write(layout.blob_path(&digest), b"wh").unwrap();
        assert!(layout.link_blob(digest, 5, &file).unwrap());
        fs::remove_file(&file).unwrap();
        assert_eq!(fs::read(layout.blob_path(&digest)).unwrap(), b"whole");
    }
}
