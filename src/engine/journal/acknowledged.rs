//! How far the ops center has a journal, on the disk: it may lag behind, for what is sent twice is kept once.

use crate::disk;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is written without need: each writing wears an SD card, and what is older than this
/// is sent twice after a power cut.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Bytes of the file: a number and a line's end.
const BYTES_MAX: u64 = 32;

/// The first number that the ops center does not have.
#[derive(Debug)]
pub(super) struct Acknowledged {
    path: PathBuf,
    next: u64,
    written: u64,
    since: Instant,
}

impl Acknowledged {
    /// As it stands in the journal's directory; `otherwise` where it cannot be read.
    pub(super) fn open(directory: &Path, otherwise: u64) -> Acknowledged {
        let path = directory.join("acknowledged");
        let text = disk::read_whole(&path, BYTES_MAX).ok().flatten().unwrap_or_default();
        let next = String::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
        let next = next.filter(|next| 0 < *next).unwrap_or(otherwise);
        Acknowledged { path, next, written: next, since: Instant::now() }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn set(&mut self, next: u64) {
        self.next = next;
        if WRITE_EVERY <= self.since.elapsed() {
            self.write();
        }
    }

    /// Writes it down; tells whether it stands there.
    pub(super) fn write(&mut self) -> bool {
        if self.written == self.next {
            return true;
        }
        let written = disk::write_durably(&self.path, format!("{}\n", self.next).as_bytes());
        if written.is_ok() {
            (self.written, self.since) = (self.next, Instant::now());
        }
        written.is_ok()
    }
}
