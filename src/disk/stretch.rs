//! A stretch of a file: the whole of it, or the part that one entry of a tar file takes up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

/// Where bytes are on the disk, to be read as if they were a file of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    path: PathBuf,
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    offset: u64,
    bytes: u64,
}

impl Stretch {
    /// A whole file.
    #[must_use]
    pub const fn whole(path: PathBuf) -> Self {
        Self { path, part: None }
    }

    /// So many bytes of a file from `offset` on.
    #[must_use]
    pub const fn part(path: PathBuf, offset: u64, bytes: u64) -> Self {
        Self { path, part: Some(Part { offset, bytes }) }
    }

    /// So many bytes of this stretch from its `offset` on; the caller sees to it that it has them.
    #[must_use]
    pub fn cut(&self, offset: u64, bytes: u64) -> Self {
        let before = self.part.map_or(0, |part| part.offset);
        Self::part(self.path.clone(), before.saturating_add(offset), bytes)
    }

    /// The file that it is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the whole of its file.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.part.is_none()
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn bytes(&self) -> io::Result<u64> {
        match self.part {
            Some(part) => Ok(part.bytes),
            None => Ok(std::fs::metadata(&self.path)?.len()),
        }
    }

    /// Opens it at its beginning.
    ///
    /// # Errors
    /// When the file is not there or cannot be read.
    pub fn open(&self) -> io::Result<Reading> {
        let mut file = File::open(&self.path)?;
        let bytes = match self.part {
            Some(part) => {
                file.seek(SeekFrom::Start(part.offset))?;
                part.bytes
            }
            None => file.metadata()?.len(),
        };
        Ok(Reading { left: file.take(bytes), part: self.part.is_some() })
    }
}

/// An open stretch, which takes exactly the memory that it needs when it is read at once.
#[derive(Debug)]
pub struct Reading {
    left: Take<File>,
    part: bool,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A whole file may have grown since it was opened, and who verifies it must see that.
        if self.part { self.left.read(buffer) } else { self.left.get_mut().read(buffer) }
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        // Without this the vector doubles its way up: twice the model, on a board of 512 MB.
        let left = usize::try_from(self.left.limit()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.try_reserve_exact(left).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if self.part {
            self.left.read_to_end(bytes)
        } else {
            self.left.get_mut().read_to_end(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stretch;
    use std::io::Read;

    #[test]
    fn a_part_reads_as_a_file_of_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        let path = file.path().to_owned();
        for (stretch, expected) in [
            (Stretch::whole(path.clone()), "0123456789"),
            (Stretch::part(path.clone(), 3, 4), "3456"),
            (Stretch::part(path.clone(), 8, 4), "89"),
            (Stretch::part(path.clone(), 3, 4).cut(1, 2), "45"),
            (Stretch::whole(path.clone()).cut(7, 3), "789"),
            (Stretch::part(path, 3, 0), ""),
        ] {
            let (mut whole, mut first) = (Vec::new(), [0; 2]);
            stretch.open().unwrap().read_to_end(&mut whole).unwrap();
            assert_eq!(whole, expected.as_bytes());
            assert!(whole.capacity() <= 10);
            let count = stretch.open().unwrap().read(&mut first).unwrap();
            assert_eq!(&first[..count], &whole[..count]);
        }
    }
}
