//! The names that a journal's numbers are told under: another one after each crash, so that none is told twice.

use super::JournalError;
use crate::disk;
use crate::fleet::Id;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

/// Names that are remembered: one for each crash since the oldest inference that is kept.
const ERAS_MAX: usize = 1024;

/// Bytes of the file: a line for each, of a number and a name.
const BYTES_MAX: u64 = 64 << 10;

/// The numbers from one on, up to where the next era begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Era {
    first: u64,
    name: Id,
}

/// What was on a disk when the power went need not be there afterwards, though it was synced and sent:
/// disks lie. A number that was sent under one name and is given out again would make the ops center
/// take a new inference for one that it has. So numbers go on, and their name does not.
#[derive(Debug)]
pub(super) struct Eras {
    path: PathBuf,
    /// The oldest first.
    all: Vec<Era>,
    /// The name that counts now.
    current: Id,
}

impl Eras {
    /// The names of the journal in a directory; `name` for all where no other is written down.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn open(directory: &Path, name: Id) -> Result<Eras, disk::Error> {
        let path = directory.join("eras");
        let text = disk::read_whole(&path, BYTES_MAX)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut all: Vec<Era> = text.lines().filter_map(era).collect();
        all.sort_by_key(|era| era.first);
        if all.is_empty() {
            all.push(Era { first: 1, name });
        }
        let current = all.last().map_or(name, |era| era.name);
        Ok(Eras { path, all, current })
    }

    /// From `next` on another name counts; `oldest` is the first number that is still told.
    ///
    /// # Errors
    /// When it cannot be written down: nothing may be numbered then.
    pub(super) fn begin(&mut self, next: u64, oldest: u64) -> Result<(), JournalError> {
        // One that had no number told nothing that is still here.
        self.all.retain(|era| era.first < next);
        let told = self.all.partition_point(|era| era.first <= oldest).saturating_sub(1);
        let too_many = (self.all.len() + 1).saturating_sub(ERAS_MAX);
        self.all.drain(..told.max(too_many));
        self.current = fresh_id();
        self.all.push(Era { first: next, name: self.current });
        let lines = self.all.iter().map(|era| format!("{} {}\n", era.first, era.name));
        let text: String = lines.collect();
        disk::write_durably(&self.path, text.as_bytes())
            .map_err(|source| JournalError::Disk { path: self.path.clone(), source })
    }

    /// The name that counts now.
    pub(super) fn current(&self) -> Id {
        self.current
    }

    /// The name of a number, and the number where the next name begins.
    pub(super) fn of(&self, number: u64) -> Option<(Id, u64)> {
        let at = self.all.partition_point(|era| era.first <= number).saturating_sub(1);
        let era = self.all.get(at)?;
        let end = self.all.get(at + 1).map_or(u64::MAX, |next| next.first);
        Some((era.name, end))
    }

    /// Where the numbers under a name end; `None` for a name that is none of ours.
    pub(super) fn end_of(&self, name: Id) -> Option<u64> {
        let at = self.all.iter().position(|era| era.name == name)?;
        Some(self.all.get(at + 1).map_or(u64::MAX, |next| next.first))
    }

    /// Whether a number is the first after a crash.
    pub(super) fn begins_at(&self, number: u64) -> bool {
        1 < number && self.all.iter().any(|era| era.first == number)
    }
}

fn era(line: &str) -> Option<Era> {
    let (first, name) = line.split_once(' ')?;
    Some(Era { first: first.parse().ok()?, name: name.parse().ok()? })
}

/// 128 bits of the system's randomness, by way of the keys of the standard library's hashes.
pub(super) fn fresh_id() -> Id {
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    let (low, high) = (half(), half());
    let mut bits = [0; 16];
    bits[..8].copy_from_slice(&low);
    bits[8..].copy_from_slice(&high);
    Id::of_random(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_name_and_a_start_reads_them_again() {
        let directory = tempfile::tempdir().unwrap();
        let name = fresh_id();
        let mut eras = Eras::open(directory.path(), name).unwrap();
        assert_eq!((eras.current(), eras.of(9)), (name, Some((name, u64::MAX))));
        eras.begin(10, 1).unwrap();
        let second = eras.current();
        eras.begin(20, 1).unwrap();
        let mut again = Eras::open(directory.path(), fresh_id()).unwrap();
        assert_eq!(again.of(9), Some((name, 10)));
        assert_eq!(again.of(10), Some((second, 20)));
        assert_eq!((again.end_of(second), again.current()), (Some(20), eras.current()));
        assert!(again.begins_at(10) && !again.begins_at(11) && !again.begins_at(1));
        // Before the second crash nothing of the third era came to be: it is another one now.
        again.begin(20, 12).unwrap();
        assert_ne!(again.current(), eras.current());
        assert_eq!((again.end_of(name), again.of(12)), (None, Some((second, 20))));
    }
}
