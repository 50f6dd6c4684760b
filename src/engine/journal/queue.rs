//! Inferences on their way from the requests to the disk: bounded, and without a wait.

use super::lock;
use crate::codec::Decoded;
use crate::codec::journal::{Alike, Entry, Origin, Run};
use crate::pipeline::Record;
use crate::tensor::Table;
use std::borrow::Cow;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of inferences in memory: some seconds of a busy sensor's images, and little of a small
/// board's memory.
const QUEUE_BYTES_MAX: usize = 16 << 20;

/// Inferences in memory, however small: what ten thousand a second bring in some seconds.
const QUEUE_RECORDS_MAX: usize = 1 << 16;

/// Bytes of an inference that its request still copies into a run: one with more is handed over.
const COPIED_BYTES_MAX: usize = 256 << 10;

/// A list that grows has room for as much again.
const GROWTH: usize = 2;

/// Bytes of an inference beside its values, packed: its times, its rows, and the times of some steps.
const RECORD_BYTES: usize = 64;

/// What wakes the writer before its time: a wake costs the request a system call, so that not
/// each does it.
const WAKE_BYTES: usize = 1 << 20;
const WAKE_RECORDS: usize = 4096;

/// What of the device's CPU time writing may take, one part of so many: answers are to be no slower
/// by it than nobody notices, whatever is inferred. What comes faster than this can write is lost
/// and counted; on a small board that is some thousand rows a second.
const CPU_PARTS: u32 = 50;

/// An inference that was answered, with what it was made of.
#[derive(Debug)]
pub(in crate::engine) struct Inference<'o> {
    /// The pipeline that answered. All threads count in its one count: who only copies does not.
    pub(in crate::engine) origin: Cow<'o, Arc<Origin>>,
    pub(in crate::engine) record: Record<'static>,
    pub(in crate::engine) input: Decoded,
    /// Names of the columns that were left out.
    pub(in crate::engine) dropped: Vec<String>,
    /// Milliseconds since the boot.
    pub(in crate::engine) mono_ms: u64,
    /// Whether it is counted alone, and not kept.
    pub(in crate::engine) is_counted_alone: bool,
    /// Bytes that it takes in memory.
    pub(in crate::engine) bytes: usize,
}

impl Inference<'_> {
    /// As it goes into a batch; `input` is its own.
    pub(super) fn entry<'a>(&'a self, input: &'a Table<'a>) -> Entry<'a> {
        let Inference { origin, record, dropped, mono_ms, .. } = self;
        Entry { origin, record, input, dropped, mono_ms: *mono_ms }
    }

    fn into_owned(self) -> Inference<'static> {
        Inference { origin: Cow::Owned(self.origin.into_owned()), ..self }
    }
}

/// What waits for the writer.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Inferences that are like each other, which is what most are: the request that answered one has
    /// its values in its processor's cache and packs them, and what it allocated it frees itself.
    Run(Box<Run>),
    /// One that the writer has to look at.
    One(Box<Inference<'static>>),
}

/// How much may stand in one batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchMax {
    pub(super) rows: usize,
    /// Bytes of values.
    pub(super) bytes: u64,
}

impl BatchMax {
    /// Whether a batch of so many rows and bytes takes nothing more.
    pub(super) fn is_reached(self, rows: usize, bytes: usize) -> bool {
        self.bytes <= bytes as u64 || self.rows <= rows
    }
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) waiting: Vec<Waiting>,
    /// Inferences that found no room, and came after these.
    pub(super) lost: u64,
    /// Whether all shall be on the disk now.
    pub(super) sync: bool,
    /// Whether nothing comes after this.
    pub(super) closed: bool,
    /// The number of this taking, for those who wait for it.
    turn: u64,
}

/// The queue.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes those who wait for the disk.
    synced: Condvar,
    sync_every: Duration,
    batch_max: BatchMax,
    /// Whether one more found no room: the next do not even try before the writer has taken.
    is_full: AtomicBool,
    /// Inferences that found no room since the writer took.
    lost: AtomicU64,
    cpus: u32,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Waiting>,
    /// How many inferences these are.
    records: usize,
    /// Bytes that they take.
    bytes: usize,
    /// Inferences and bytes that the writer has taken, and that are not on the disk yet.
    taken: (usize, usize),
    /// How often the writer has taken; the next taking has this number.
    turn: u64,
    /// All before this turn is on the disk.
    done: u64,
    wants_sync: bool,
    closed: bool,
    /// The writer has gone.
    ended: bool,
    /// Since when the oldest that is not on the disk waits.
    since: Option<Instant>,
    /// Until when the writer rests, unless somebody waits for it.
    rests_until: Option<Instant>,
}

impl Queue {
    pub(super) fn new(sync_every: Duration, batch_max: BatchMax) -> Queue {
        let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
        Queue {
            inner: Mutex::default(),
            filled: Condvar::new(),
            synced: Condvar::new(),
            sync_every,
            batch_max,
            is_full: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            cpus: u32::try_from(cpus).unwrap_or(1),
        }
    }

    pub(super) fn batch_max(&self) -> BatchMax {
        self.batch_max
    }

    /// Whether one more is worth making ready; one for which there is no room counts as lost.
    pub(super) fn admits(&self) -> bool {
        if self.is_full.load(Relaxed) {
            self.lost.fetch_add(1, Relaxed);
            return false;
        }
        true
    }

    /// Takes one more, or counts it as lost and tells so.
    pub(super) fn push(&self, inference: Inference<'_>) -> bool {
        let table = inference.input.table();
        let entry = inference.entry(&table);
        let mut inner = lock(&self.inner);
        let bytes = inner.bytes.saturating_add(inference.bytes);
        if QUEUE_BYTES_MAX < bytes || inner.records == QUEUE_RECORDS_MAX || inner.closed {
            self.lost.fetch_add(1, Relaxed);
            // One that alone is too large says nothing about the next.
            self.is_full.store(inference.bytes <= QUEUE_BYTES_MAX / 2, Relaxed);
            return false;
        }
        let was = inner.is_worth_waking();
        if let Some(bytes) = inner.pack(&inference, &entry, self.batch_max) {
            inner.bytes = inner.bytes.saturating_add(bytes);
        } else {
            drop(table);
            inner.bytes = bytes;
            inner.waiting.push(Waiting::One(Box::new(inference.into_owned())));
        }
        inner.records += 1;
        let wakes = !was && inner.is_worth_waking();
        let begins = inner.since.is_none();
        if begins {
            inner.since = Some(Instant::now());
        }
        drop(inner);
        // The first after a silence starts the writer's clock.
        if wakes || begins {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until there is something to do, and takes it.
    pub(super) fn take(&self) -> Taken {
        let mut inner = lock(&self.inner);
        loop {
            let full = inner.is_worth_waking();
            let left = inner.since.map(|since| self.sync_every.saturating_sub(since.elapsed()));
            let is_due = left.is_some_and(|left| left.is_zero());
            let is_awaited = inner.wants_sync || inner.closed;
            let rest = inner.rests_until.filter(|_| !is_awaited);
            let rest = rest.map(|until| until.saturating_duration_since(Instant::now()));
            if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
                let waited = self.filled.wait_timeout(inner, rest);
                inner = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if full || is_due || is_awaited {
                let sync = is_due || inner.wants_sync || inner.closed;
                let turn = inner.turn;
                inner.turn += 1;
                inner.taken.0 += std::mem::take(&mut inner.records);
                inner.taken.1 += std::mem::take(&mut inner.bytes);
                inner.wants_sync = false;
                if sync {
                    inner.since = None;
                }
                let waiting = std::mem::take(&mut inner.waiting);
                let lost = self.lost.swap(0, Relaxed);
                self.is_full.store(false, Relaxed);
                return Taken { waiting, lost, sync, closed: inner.closed, turn };
            }
            inner = match left {
                Some(left) => {
                    let waited = self.filled.wait_timeout(inner, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What was taken is on the disk, or counted as lost, which took so much CPU time; the writer
    /// comes again within the usual time where it `holds` counts that grow.
    pub(super) fn done(&self, taken: &Taken, holds: bool, cpu: Duration) {
        let rest = (cpu * CPU_PARTS / self.cpus).min(self.sync_every);
        let mut inner = lock(&self.inner);
        inner.rests_until = Some(Instant::now() + rest);
        if taken.sync {
            inner.taken = (0, 0);
            inner.done = taken.turn + 1;
            if holds && inner.since.is_none() {
                inner.since = Some(Instant::now());
            }
            drop(inner);
            self.synced.notify_all();
        }
    }

    /// The writer ends, for good or because it broke.
    pub(super) fn ended(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        inner.ended = true;
        drop(inner);
        self.synced.notify_all();
    }

    /// Waits until all that is here is on the disk; `false` when that takes too long.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut inner = lock(&self.inner);
        let is_idle = inner.done == inner.turn && inner.since.is_none();
        let is_all_done = is_idle && self.lost.load(Relaxed) == 0;
        if is_all_done && inner.waiting.is_empty() {
            return true;
        }
        let wanted = inner.turn + 1;
        inner.wants_sync = true;
        self.filled.notify_one();
        while inner.done < wanted && !inner.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.synced.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Inferences and bytes in memory, with the writer too: none is left out on its way to the disk.
    pub(super) fn load(&self) -> (u64, u64) {
        let Inner { records, bytes, taken, .. } = &*lock(&self.inner);
        ((records + taken.0) as u64, bytes.saturating_add(taken.1) as u64)
    }

    /// Takes nothing more; the writer writes what is left and ends.
    pub(super) fn close(&self) {
        lock(&self.inner).closed = true;
        self.filled.notify_one();
    }
}

impl Inner {
    /// Whether the writer is to come before its time.
    fn is_worth_waking(&self) -> bool {
        WAKE_BYTES <= self.bytes || WAKE_RECORDS <= self.records
    }

    /// Puts an inference into the run that is open, or begins one with it, and tells the bytes that
    /// this takes; `None` for one that the writer has to look at. After such a one all go to the writer
    /// until it has taken them: where inferences differ, each would begin a run.
    fn pack(
        &mut self,
        inference: &Inference<'_>,
        entry: &Entry<'_>,
        batch_max: BatchMax,
    ) -> Option<usize> {
        if inference.is_counted_alone || COPIED_BYTES_MAX < inference.bytes {
            return None;
        }
        match self.waiting.last_mut() {
            Some(Waiting::One(_)) => return None,
            Some(Waiting::Run(run)) if !batch_max.is_reached(run.rows(), run.bytes()) => {
                match run.add(entry) {
                    Alike::Taken { bytes } => return Some(GROWTH * (bytes + RECORD_BYTES)),
                    Alike::Other => return None,
                    Alike::Full => {}
                }
            }
            Some(Waiting::Run(_)) | None => {}
        }
        let run = Run::new(entry).ok()?;
        self.waiting.push(Waiting::Run(Box::new(run)));
        Some(inference.bytes)
    }
}
