//! A stretch of a file: the whole of it, or the part that one entry of a tar file takes up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::os::unix::fs::{FileExt, MetadataExt};
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

    /// So many bytes of it from `offset` on, both counted within it.
    #[must_use]
    pub fn within(&self, offset: u64, bytes: u64) -> Self {
        let start = self.part.map_or(0, |part| part.offset);
        Self::part(self.path.clone(), start.saturating_add(offset), bytes)
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

    /// Opens it to be read here and there.
    ///
    /// # Errors
    /// When the file is not there or cannot be read.
    pub fn pick(&self) -> io::Result<Picking> {
        let file = File::open(&self.path)?;
        let state = State::of(&file)?;
        let (offset, bytes) = match self.part {
            Some(part) => (part.offset, part.bytes),
            None => (0, state.bytes),
        };
        Ok(Picking { file, offset, bytes, state })
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

/// An open stretch that is read here and there, by several threads at once.
#[derive(Debug)]
pub struct Picking {
    file: File,
    offset: u64,
    bytes: u64,
    /// When it was opened.
    state: State,
}

/// What tells that a file was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl State {
    fn of(file: &File) -> io::Result<State> {
        let data = file.metadata()?;
        let (seconds, nanoseconds) = (data.mtime(), data.mtime_nsec());
        Ok(State { bytes: data.len(), seconds, nanoseconds })
    }
}

impl Picking {
    /// Whether nobody has written to the file since it was opened, as far as its length and its times tell;
    /// that it has another name now, or none, does not count.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(State::of(&self.file)? == self.state)
    }

    /// How many bytes it had when it was opened.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `buffer` with what is from this byte of the stretch on.
    ///
    /// # Errors
    /// When the stretch ends before, or the file cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], from: u64) -> io::Result<()> {
        let end = from.checked_add(buffer.len() as u64);
        match end.is_some_and(|end| end <= self.bytes) {
            true => self.file.read_exact_at(buffer, self.offset + from),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// An open stretch, which takes exactly the memory that it needs when it is read at once.
#[derive(Debug)]
pub struct Reading {
    left: Take<File>,
    part: bool,
}

impl Reading {
    /// How many bytes it had when it was opened, less those of a part that were read since.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.left.limit()
    }
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
            (Stretch::part(path.clone(), 3, 0), ""),
            (Stretch::whole(path.clone()).within(2, 3), "234"),
            (Stretch::part(path, 3, 4).within(1, 2), "45"),
        ] {
            let (mut whole, mut first) = (Vec::new(), [0; 2]);
            // A part may say more than its file has.
            assert!(stretch.open().unwrap().bytes_left() >= expected.len() as u64);
            stretch.open().unwrap().read_to_end(&mut whole).unwrap();
            assert_eq!(whole, expected.as_bytes());
            assert!(whole.capacity() <= 10);
            let picking = stretch.pick().unwrap();
            let mut last = vec![0; expected.len().min(2)];
            let from = expected.len() - last.len();
            picking.read_exact_at(&mut last, from as u64).unwrap();
            assert!(expected.as_bytes().ends_with(&last));
            let behind = picking.read_exact_at(&mut [0], expected.len() as u64);
            assert_eq!(behind.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
            let count = stretch.open().unwrap().read(&mut first).unwrap();
            assert_eq!(&first[..count], &whole[..count]);
        }
    }
}
