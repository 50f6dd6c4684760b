//! The journal: what was inferred, kept on the disk until the ops center has it.
//!
//! ```text
//! request ─record─▶ queue (bounded) ─writer thread─▶ frames ─▶ segments ─▶ next_batch, pages
//! ```
//! Recording packs an inference behind others like it in a queue, or puts it there as it is, and never
//! waits. One thread makes frames of what is there, writes and syncs them, and drops the oldest segments
//! once there are too many. Whatever is not kept is counted, and stands with its sequence numbers in a
//! loss.

mod acknowledged;
mod eras;
mod promised;
mod queue;
mod reading;
mod recorder;
mod segments;
mod state;
#[cfg(test)]
mod tests;
mod writer;

pub(in crate::engine) use queue::Inference;
pub(in crate::engine) use reading::{Asked, Cursor, Order, Page, Reading, Wants};
pub(in crate::engine) use recorder::Recorder;
pub(in crate::engine) use segments::look;
pub(in crate::engine) use state::State;

use crate::clock::{Clock, boot_id};
use crate::codec::journal::{Header, Loss, LossReason, encode};
use crate::disk;
use crate::fleet::Id;
use promised::Promised;
use queue::{BatchMax, Queue};
use segments::{LostBefore, Segments};
use state::Counts;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The directory of journals in the persistent directory.
pub(in crate::engine) const DIRECTORY: &str = "journal";

/// What of a journal can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes that all segments may have together.
    pub cap_bytes: u64,
    /// How long an inference may wait in memory: what a power cut takes at most.
    pub sync_every: Duration,
    /// Bytes that one row of a column may have; longer ones are left out, and named.
    pub value_bytes_max: usize,
    /// Rows in one frame and on one page.
    pub page_rows: usize,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum JournalError {
    #[error("the journal cannot be kept in {}", path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: disk::Error,
    },
    #[error("the thread that writes the journal cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Frames to be sent, whole.
#[derive(Debug)]
pub(in crate::engine) struct Batch {
    /// One frame after the other.
    pub(in crate::engine) bytes: Vec<u8>,
    /// The name that their numbers are told under.
    pub(in crate::engine) journal: Id,
    /// The number of the first inference in them.
    pub(in crate::engine) first: u64,
}

/// A journal that is being kept.
pub(in crate::engine) struct Journal {
    id: Id,
    settings: Settings,
    promised: Promised,
    queue: Queue,
    kept: Mutex<Segments>,
    /// Told whenever something was written or acknowledged.
    changed: Condvar,
    counts: Counts,
    clock: Arc<dyn Clock>,
    boot: Option<Id>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `directory`, or begins one, cuts off what a power cut left half
    /// written, and starts the thread that writes.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub(in crate::engine) fn open(
        directory: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Journal>, JournalError> {
        let segments = Segments::open(directory, settings.cap_bytes)?;
        let batch_max = BatchMax { rows: settings.page_rows, bytes: segments.segment_bytes() };
        let journal = Arc::new(Journal {
            id: segments.id(),
            promised: Promised::default(),
            queue: Queue::new(settings.sync_every, batch_max),
            settings,
            counts: Counts::new(segments.crashed()),
            kept: Mutex::new(segments),
            changed: Condvar::new(),
            clock,
            boot: boot_id(),
            writer: Mutex::new(None),
        });
        let writing = journal.clone();
        let thread = std::thread::Builder::new().name("journal".into());
        let thread = thread.spawn(move || writer::run(&writing)).map_err(JournalError::Thread)?;
        *lock(&journal.writer) = Some(thread);
        Ok(journal)
    }

    /// The name of what is written since the start.
    pub(in crate::engine) fn id(&self) -> Id {
        self.id
    }

    pub(in crate::engine) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether there may be room for one more inference. Where there is none it is counted as lost,
    /// and no work of making it ready is to be done.
    pub(in crate::engine) fn admits(&self) -> bool {
        let admits = self.queue.admits();
        if !admits {
            self.counts.lost(LossReason::Queue, 1);
        }
        admits
    }

    /// Takes an inference; one for which there is no room is counted as lost. Never waits.
    pub(in crate::engine) fn record(&self, inference: Inference<'_>) {
        if !self.queue.push(inference) {
            self.counts.lost(LossReason::Queue, 1);
        }
    }

    /// An inference is none of the sample that the pipeline's policy keeps.
    pub(in crate::engine) fn passed_over(&self) {
        self.counts.passed_over();
    }

    /// Waits until all that was recorded or promised before is on the disk, or has been counted as
    /// lost; `false` where either takes longer than `timeout`.
    pub(in crate::engine) fn flush(&self, timeout: Duration) -> bool {
        let is_all_here = self.promised.wait(Instant::now() + timeout);
        self.queue.flush(timeout) && is_all_here
    }

    /// The next frames that the ops center does not have, of up to `bytes_max` together; `None`
    /// when it has all that is on the disk. Where the oldest went, a loss comes first.
    pub(in crate::engine) fn next_batch(&self, bytes_max: usize) -> Option<Batch> {
        let mut kept = lock(&self.kept);
        if let Some(LostBefore { journal, first, count, mark }) = kept.lost_before() {
            let mut bytes = Vec::new();
            if let Some((reason, number)) = mark {
                bytes = encode(&self.loss(journal, reason, number, 0), &[]).ok()?;
            }
            bytes.extend(encode(&self.loss(journal, LossReason::Cap, first, count), &[]).ok()?);
            return Some(Batch { bytes, journal, first });
        }
        kept.next_batch(bytes_max, &mut |journal, reason, first, count| {
            encode(&self.loss(journal, reason, first, count), &[]).ok()
        })
    }

    /// The ops center has all before `next` under that name. What it has is not kept any longer.
    pub(in crate::engine) fn acknowledge(&self, journal: Id, next: u64) {
        lock(&self.kept).acknowledge(journal, next);
        self.changed.notify_all();
    }

    /// The ops center has less of that name than goes before the batch that it was sent.
    pub(in crate::engine) fn lacks(&self, journal: Id, next: u64) {
        lock(&self.kept).lacks(journal, next);
    }

    /// Waits until there is something to send, or the time is over; tells whether there is.
    pub(in crate::engine) fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut kept = lock(&self.kept);
        loop {
            if kept.has_waiting() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How it stands.
    pub(in crate::engine) fn state(&self) -> State {
        let queued = self.queue.load();
        self.counts.state(self.id, &mut lock(&self.kept), queued)
    }

    /// A look at all that is on the disk, which goes on being written.
    pub(in crate::engine) fn reading(&self) -> Reading {
        lock(&self.kept).reading()
    }

    /// Writes what is left and ends the thread.
    pub(in crate::engine) fn close(&self) {
        self.queue.close();
        if let Some(writer) = lock(&self.writer).take() {
            // A writer that broke has told so itself.
            let _ = writer.join();
        }
    }

    fn loss(&self, journal: Id, reason: LossReason, first: u64, count: u64) -> Header {
        Header::Loss(Loss {
            journal,
            first,
            count,
            reason,
            boot: self.boot,
            ms: crate::clock::unix_ms(&*self.clock),
            mono_ms: crate::clock::since_boot_ms(),
        })
    }
}

/// A lock that is held for moments, by code that leaves what it guards whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
