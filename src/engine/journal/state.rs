//! How a journal stands: what waits, what was lost, what was written.

use super::segments::Segments;
use crate::codec::journal::LossReason;
use crate::fleet::Id;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Milliseconds of a day: written bytes are counted by the device's days.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// How a journal stands at one moment; counts are since the start of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct State {
    /// The journal.
    pub(in crate::engine) journal: Id,
    /// Inferences on the disk that the ops center does not have, those that are lost among them.
    pub(in crate::engine) waiting_records: u64,
    /// Their bytes.
    pub(in crate::engine) waiting_bytes: u64,
    /// When the oldest of them was.
    pub(in crate::engine) oldest_ms: Option<u64>,
    /// Inferences that were lost, by reason.
    pub(in crate::engine) lost: [(LossReason, u64); LossReason::ALL.len()],
    /// Whether the run before ended without closing the journal.
    pub(in crate::engine) crashed: bool,
    /// Inferences that a policy left out.
    pub(in crate::engine) passed_over: u64,
    /// Inferences that are safe.
    pub(in crate::engine) recorded: u64,
    /// Bytes of all segments.
    pub(in crate::engine) kept_bytes: u64,
    /// Bytes written since the start.
    pub(in crate::engine) written_bytes: u64,
    /// Those of them that were written today.
    pub(in crate::engine) written_bytes_today: u64,
    /// How often the disk was waited for.
    pub(in crate::engine) syncs: u64,
    /// Inferences in memory.
    pub(in crate::engine) queued_records: u64,
    /// Their bytes.
    pub(in crate::engine) queued_bytes: u64,
}

impl State {
    /// Inferences that were lost, for whatever reason.
    pub(in crate::engine) fn lost_records(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }
}

/// What is counted since the start.
#[derive(Debug)]
pub(super) struct Counts {
    lost: [AtomicU64; LossReason::ALL.len()],
    recorded: AtomicU64,
    passed_over: AtomicU64,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    today: AtomicU64,
    written_bytes_today: AtomicU64,
    crashed: bool,
}

impl Counts {
    pub(super) fn new(crashed: bool) -> Counts {
        Counts {
            lost: Default::default(),
            recorded: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            today: AtomicU64::new(0),
            written_bytes_today: AtomicU64::new(0),
            crashed,
        }
    }

    pub(super) fn lost(&self, reason: LossReason, count: u64) {
        // A start is no reason to lose anything, and has no count.
        if let Some(lost) = self.lost.get(reason as usize) {
            lost.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn passed_over(&self) {
        self.passed_over.fetch_add(1, Relaxed);
    }

    pub(super) fn recorded(&self, count: u64) {
        self.recorded.fetch_add(count, Relaxed);
    }

    /// So many bytes were written at this time; one thread alone does.
    pub(super) fn written(&self, bytes: u64, now_ms: u64) {
        self.written_bytes.fetch_add(bytes, Relaxed);
        if self.today.swap(now_ms / DAY_MS, Relaxed) != now_ms / DAY_MS {
            self.written_bytes_today.store(0, Relaxed);
        }
        self.written_bytes_today.fetch_add(bytes, Relaxed);
    }

    pub(super) fn synced(&self) {
        self.syncs.fetch_add(1, Relaxed);
    }

    pub(super) fn state(
        &self,
        journal: Id,
        kept: &mut Segments,
        (queued_records, queued_bytes): (u64, u64),
    ) -> State {
        let (waiting_records, waiting_bytes) = kept.waiting();
        State {
            journal,
            waiting_records,
            waiting_bytes,
            oldest_ms: kept.oldest_ms(),
            lost: LossReason::ALL.map(|reason| (reason, self.lost[reason as usize].load(Relaxed))),
            crashed: self.crashed,
            passed_over: self.passed_over.load(Relaxed),
            recorded: self.recorded.load(Relaxed),
            kept_bytes: kept.bytes(),
            written_bytes: self.written_bytes.load(Relaxed),
            written_bytes_today: self.written_bytes_today.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            queued_records,
            queued_bytes,
        }
    }
}
