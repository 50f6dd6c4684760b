//! Whether the memory will do for a request, asked before its body is taken.

use super::gate::Busy;
use crate::supervisor;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a request is taken to need for each byte of its body: the body, its values, what the models make
/// of them, and the answer count once each. A rule of thumb; what models need beside that for one part of
/// the rows they needed when they were warmed up.
const TIMES: u64 = 4;

/// Needs below this are not looked at, bytes: they are what any thread's stack may take.
const LOOKED_AT_MIN: u64 = 1 << 20;

/// What must be left for everything else, bytes: logs, connections, the kernel's own.
const KEPT: u64 = 2 << 20;

/// For how long what the system said is believed: to ask is several files to read.
const BELIEVED: Duration = Duration::from_millis(50);

/// The memory that requests may take.
#[derive(Debug)]
pub(super) struct Room {
    root: PathBuf,
    seen: Mutex<Option<Seen>>,
}

/// What the system said, and what was promised since.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    free: u64,
    promised: u64,
}

impl Room {
    /// What the system below `root` tells of; `/` but in tests.
    pub(super) fn of(root: PathBuf) -> Room {
        Room { root, seen: Mutex::default() }
    }

    /// Lets a request with a body of so many bytes go on.
    ///
    /// # Errors
    /// When the memory would hardly do: better one request that is told so than an engine that the
    /// kernel ends.
    pub(super) fn admit(&self, body_bytes: u64) -> Result<(), Busy> {
        let wanted_bytes = body_bytes.saturating_mul(TIMES);
        if wanted_bytes < LOOKED_AT_MIN {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.filter(|seen| seen.at.elapsed() < BELIEVED);
        let told = match fresh {
            Some(seen) => seen,
            None => {
                let Some(room) = supervisor::room(&self.root) else { return Ok(()) };
                Seen { at: Instant::now(), free: room.free_bytes, promised: 0 }
            }
        };
        let free_bytes = told.free.saturating_sub(told.promised).saturating_sub(KEPT);
        let fits = wanted_bytes <= free_bytes;
        let promised = told.promised + if fits { wanted_bytes } else { 0 };
        *seen = Some(Seen { promised, ..told });
        if fits { Ok(()) } else { Err(Busy::NoRoom { wanted_bytes, free_bytes }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_request_that_the_memory_would_not_do_for_is_told_the_numbers() {
        let root = tempfile::tempdir().unwrap();
        let room = || Room::of(root.path().to_owned());
        assert_eq!(room().admit(1 << 40), Ok(()), "nothing is known");
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/meminfo"), "MemAvailable: 12288 kB\n").unwrap();
        let one = room();
        assert_eq!(one.admit(2 << 20), Ok(()));
        let error = one.admit(1 << 20).unwrap_err();
        assert_eq!(error, Busy::NoRoom { wanted_bytes: 4 << 20, free_bytes: 2 << 20 });
        assert!(error.to_string().starts_with("the request takes some 4 MiB of memory, and 2 MiB"));
        assert_eq!(one.admit(100), Ok(()), "small ones are not looked at");
        assert_eq!(room().admit(5 << 19), Ok(()), "what is promised is forgotten with a new look");
    }
}
