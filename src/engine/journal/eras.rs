//! The names that a journal's numbers are told under: another one from each start on, so that none is told twice.

use crate::codec::journal::LossReason;
use crate::disk;
use crate::fleet::Id;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

/// Names that are remembered: one for each start since the oldest inference that is kept.
const ERAS_MAX: usize = 1024;

/// Bytes of the file: a line for each, of a number, a name, and whether the stop before was clean.
const BYTES_MAX: u64 = 64 << 10;

/// The word behind a name that a start after a clean stop began.
const CLEAN: &str = "clean";

/// The numbers from one on, up to where the next era begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Era {
    first: u64,
    name: Id,
    /// Whether nothing was lost before it.
    is_clean: bool,
}

/// What was on a disk when the power went need not be there afterwards, though it was synced and sent:
/// disks lie. And an old image may be put back onto a disk, whose journal was closed as it should be. A
/// number that was sent under one name and is given out again would make the ops center take a new
/// inference for one that it has. So numbers go on, and with each start their name does not.
#[derive(Debug)]
pub(super) struct Eras {
    path: PathBuf,
    /// The oldest first.
    all: Vec<Era>,
    /// The name that counts now.
    current: Id,
    is_written: bool,
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
            all.push(Era { first: 1, name, is_clean: true });
        }
        let current = all.last().map_or(name, |era| era.name);
        Ok(Eras { path, all, current, is_written: true })
    }

    /// From `next` on another name counts; `oldest` is the first number that is still told.
    pub(super) fn begin(&mut self, next: u64, oldest: u64, is_clean: bool) {
        // One that had no number told nothing that is still here, but that there was a crash.
        let was_clean = self.all.iter().filter(|era| next <= era.first).all(|era| era.is_clean);
        self.all.retain(|era| era.first < next);
        let told = self.all.partition_point(|era| era.first <= oldest).saturating_sub(1);
        let too_many = (self.all.len() + 1).saturating_sub(ERAS_MAX);
        self.all.drain(..told.max(too_many));
        self.current = fresh_id();
        let is_clean = is_clean && was_clean;
        self.all.push(Era { first: next, name: self.current, is_clean });
        self.is_written = false;
    }

    /// Writes down what began; a start that numbers nothing writes nothing.
    ///
    /// # Errors
    /// When it cannot be written down: no frame may have the name then.
    pub(super) fn write(&mut self) -> Result<(), disk::Error> {
        if !self.is_written {
            disk::write_durably(&self.path, self.text().as_bytes())?;
            self.is_written = true;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let line = |Era { first, name, is_clean }: &Era| match is_clean {
            true => format!("{first} {name} {CLEAN}\n"),
            false => format!("{first} {name}\n"),
        };
        self.all.iter().map(line).collect()
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

    /// Where the numbers under a name begin; 1 for a name that is none of ours.
    pub(super) fn first_of(&self, name: Id) -> u64 {
        self.all.iter().find(|era| era.name == name).map_or(1, |era| era.first)
    }

    /// The mark of a number that is the first of its name; none for the first of all.
    pub(super) fn mark_of(&self, number: u64) -> Option<LossReason> {
        let era = self.all.iter().find(|era| 1 < number && era.first == number)?;
        Some(if era.is_clean { LossReason::Start } else { LossReason::Crash })
    }
}

fn era(line: &str) -> Option<Era> {
    let mut words = line.split(' ');
    let (first, name) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Era { first, name, is_clean: words.next() == Some(CLEAN) })
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
        eras.begin(10, 1, false);
        let second = eras.current();
        eras.begin(20, 1, true);
        assert_eq!(Eras::open(directory.path(), name).unwrap().current(), name, "not yet");
        eras.write().unwrap();
        let mut again = Eras::open(directory.path(), fresh_id()).unwrap();
        assert_eq!(again.of(9), Some((name, 10)));
        assert_eq!(again.of(10), Some((second, 20)));
        assert_eq!((again.end_of(second), again.current()), (Some(20), eras.current()));
        assert_eq!((again.first_of(second), again.first_of(name)), (10, 1));
        let marks = [1, 10, 11, 20].map(|number| again.mark_of(number));
        assert_eq!(marks, [None, Some(LossReason::Crash), None, Some(LossReason::Start)]);
        // Before the next crash nothing of the third era came to be: it is another one now.
        again.begin(20, 12, false);
        assert_ne!(again.current(), eras.current());
        assert_eq!((again.end_of(name), again.of(12)), (None, Some((second, 20))));
        // Nor of this one, and that there was a crash is told all the same.
        again.begin(20, 12, true);
        assert_eq!(again.mark_of(20), Some(LossReason::Crash));
    }
}
