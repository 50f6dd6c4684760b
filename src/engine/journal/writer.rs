//! The thread that writes a journal: batches of what is there, synced at a pace, losses among them.

use super::queue::{BatchMax, Inference, Taken, Waiting};
use super::{Journal, lock};
use crate::clock::{since_boot_ms, thread_cpu, unix_ms};
use crate::codec::AnswerError;
use crate::codec::journal::{
    Entry, GatherError, Gathered, LossReason, Origin, Stamp, Summary, encode,
};
use crate::disk::{self, Step};
use crate::exit;
use crate::logging::AT_JOURNAL;
use crate::tensor::Table;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are written before they are synced in any case.
const UNSYNCED_BYTES_MAX: u64 = 1 << 20;

/// Losses that wait for a disk that takes them; beyond it they become one.
const OWED_MAX: usize = 64;

/// How long inferences are counted into one summary.
const SUMMARY_EVERY: Duration = Duration::from_secs(60);

/// How often a failing disk is told of.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Runs until the journal is closed.
pub(super) fn run(journal: &Journal) {
    let ended = Ended(journal);
    disk::step_aside();
    let mut writer = Writer::new(journal);
    loop {
        let mut taken = journal.queue.take();
        let before = thread_cpu();
        writer.write(std::mem::take(&mut taken.waiting), taken.lost);
        if taken.sync {
            writer.close_batch();
            writer.close_summary(if taken.closed { Duration::ZERO } else { SUMMARY_EVERY });
            writer.sync();
        }
        let closed = taken.closed;
        let cpu = thread_cpu().saturating_sub(before);
        journal.queue.done(&taken, writer.summary.is_some(), cpu);
        drop::<Taken>(taken);
        if closed {
            break;
        }
    }
    lock(&journal.kept).close();
    drop(ended);
}

/// Tells those who wait that the writer is gone, whatever ended it.
struct Ended<'a>(&'a Journal);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.queue.ended();
    }
}

/// The file that is being written.
struct Active {
    file: File,
    path: PathBuf,
    first: u64,
    /// Bytes that were written, and those that are safe.
    written: u64,
    safe: u64,
}

/// Inferences that no frame tells of yet.
#[derive(Debug, Clone, Copy)]
struct Owed {
    reason: LossReason,
    first: u64,
    count: u64,
}

struct Writer<'j> {
    journal: &'j Journal,
    active: Option<Active>,
    gathered: Option<Gathered>,
    /// Counts, and since when they are gathered.
    summary: Option<(Summary, Instant)>,
    /// The number of the next inference.
    next: u64,
    /// The first number that is written and not yet safe, and how many inferences are.
    unsafe_first: u64,
    unsafe_records: u64,
    segment_bytes: u64,
    batch_max: BatchMax,
    owed: Vec<Owed>,
    told: Option<Instant>,
}

impl<'j> Writer<'j> {
    fn new(journal: &'j Journal) -> Writer<'j> {
        let kept = lock(&journal.kept);
        let (next, segment_bytes) = (kept.next(), kept.segment_bytes());
        let crash = Owed { reason: LossReason::Crash, first: next, count: 0 };
        let owed = if kept.crashed() { vec![crash] } else { Vec::new() };
        drop(kept);
        let (active, gathered, summary, told) = (None, None, None, None);
        Writer {
            journal,
            active,
            gathered,
            summary,
            next,
            unsafe_first: next,
            unsafe_records: 0,
            segment_bytes,
            batch_max: journal.queue.batch_max(),
            owed,
            told,
        }
    }

    fn write(&mut self, waiting: Vec<Waiting>, lost: u64) {
        for it in waiting {
            match it {
                Waiting::One(inference) => self.gather(&inference),
                Waiting::Run(run) => {
                    self.close_batch();
                    self.gathered = Some(run.gathered());
                    self.close_full_batch();
                }
            }
        }
        if 0 < lost {
            self.close_batch();
            // The queue has counted them.
            self.owe(LossReason::Queue, lost);
        }
    }

    /// Puts one more into the batch, or begins another with it.
    fn gather(&mut self, inference: &Inference<'_>) {
        let input = inference.input.table();
        if inference.is_counted_alone {
            return self.count(inference, &input);
        }
        let entry = inference.entry(&input);
        if self.add(&entry).is_err() {
            // An output that does not come in rows is left out, as one that is too large.
            let mut record = inference.record.clone();
            let mut dropped = inference.dropped.clone();
            let rows = input.rows();
            record.outputs.retain(|output| {
                let shape = output.tensor.shape();
                let in_rows = rows == 1 || shape.first().is_some_and(|extent| extent % rows == 0);
                if !in_rows {
                    dropped.push(format!("out.{}", output.name));
                }
                in_rows
            });
            record.shadows.retain(|shadow| {
                let in_rows = shadow.outputs.iter().all(|output| {
                    rows == 1 || output.tensor.shape().first().is_some_and(|it| it % rows == 0)
                });
                if !in_rows {
                    dropped.push(format!("out_{}", shadow.model_name));
                }
                in_rows
            });
            let entry = Entry { record: &record, dropped: &dropped, ..entry };
            if let Err(error) = self.add(&entry) {
                self.close_batch();
                self.tell("an inference cannot be written", &exit::chain(&error));
                self.lose(LossReason::Size, 1);
            }
        }
    }

    /// Counts one into the summary of its pipeline.
    fn count(&mut self, inference: &Inference<'_>, input: &Table<'_>) {
        let Inference { origin, record, mono_ms, .. } = inference;
        if self.summary.as_ref().is_some_and(|(summary, _)| !summary.is_of(origin)) {
            self.close_summary(Duration::ZERO);
        }
        let origin: &Arc<Origin> = origin;
        let fresh = || (Summary::new(origin.clone(), record, *mono_ms), Instant::now());
        self.summary.get_or_insert_with(fresh).0.add(record, input, *mono_ms);
    }

    /// Makes a summary that is that old a frame and writes it.
    fn close_summary(&mut self, age: Duration) {
        let Some((summary, since)) = self.summary.take() else { return };
        if since.elapsed() < age {
            self.summary = Some((summary, since));
            return;
        }
        self.close_batch();
        match summary.frame(self.stamp()) {
            Ok(frame) => self.put(&frame, summary.records()),
            Err(error) => {
                self.tell("a summary cannot be written", &exit::chain(&error));
                self.lose(LossReason::Size, summary.records());
            }
        }
    }

    fn stamp(&self) -> Stamp<'static> {
        let Journal { id, boot, .. } = *self.journal;
        Stamp { journal: id, first: self.next, boot, engine: env!("CARGO_PKG_VERSION") }
    }

    /// Writes a frame of so many inferences, or counts them as lost.
    fn put(&mut self, frame: &[u8], count: u64) {
        if let Err(error) = self.append_after_owed(frame, self.next) {
            self.tell("inferences are lost: the disk does not take them", &exit::chain(&error));
            return self.lose(LossReason::Disk, count);
        }
        self.next += count;
        self.unsafe_records += count;
        if self.active.as_ref().is_some_and(|it| UNSYNCED_BYTES_MAX <= it.written - it.safe) {
            self.sync();
        }
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<(), GatherError> {
        if let Some(gathered) = &mut self.gathered {
            if gathered.add(entry)? {
                self.close_full_batch();
                return Ok(());
            }
            self.close_batch();
        }
        self.gathered = Some(Gathered::new(entry)?);
        self.close_full_batch();
        Ok(())
    }

    fn close_full_batch(&mut self) {
        let is_full = |it: &Gathered| self.batch_max.is_reached(it.rows(), it.bytes());
        if self.gathered.as_ref().is_some_and(is_full) {
            self.close_batch();
        }
    }

    /// Makes the batch a frame and writes it.
    fn close_batch(&mut self) {
        let Some(gathered) = self.gathered.take() else { return };
        let count = gathered.records();
        let frame = match gathered.frame(self.stamp()) {
            Ok(frame) if (frame.len() as u64) < self.journal.settings.cap_bytes => frame,
            Ok(_) => return self.lose(LossReason::Size, count),
            Err(error @ GatherError::Frame(_)) => {
                self.tell("an inference is too large for the journal", &exit::chain(&error));
                return self.lose(LossReason::Size, count);
            }
            Err(
                error @ (GatherError::Answer(
                    AnswerError::NotInRows { .. }
                    | AnswerError::TooLarge { .. }
                    | AnswerError::Dataset(_)
                    | AnswerError::Arrow(_),
                )
                | GatherError::Arrow(_)),
            ) => {
                self.tell("inferences cannot be written in columns", &exit::chain(&error));
                return self.lose(LossReason::Size, count);
            }
        };
        self.put(&frame, count);
    }

    /// Counts inferences as lost, with the numbers that they would have had.
    fn lose(&mut self, reason: LossReason, count: u64) {
        self.journal.counts.lost(reason, count);
        self.owe(reason, count);
    }

    fn owe(&mut self, reason: LossReason, count: u64) {
        let first = self.next;
        self.next += count;
        let is_full = self.owed.len() == OWED_MAX;
        match self.owed.last_mut() {
            Some(last)
                if last.first + last.count == first
                    && (is_full || (last.reason == reason && 0 < last.count)) =>
            {
                last.count += count;
            }
            Some(_) | None => self.owed.push(Owed { reason, first, count }),
        }
    }

    /// Appends a frame, and before it the losses that no frame tells of.
    fn append_after_owed(&mut self, frame: &[u8], first: u64) -> Result<(), disk::Error> {
        let full = |it: &Active| self.segment_bytes < it.written + frame.len() as u64;
        if self.active.as_ref().is_some_and(|it| 0 < it.written && full(it)) {
            self.sync();
            self.active = None;
        }
        self.append_owed()?;
        self.append(frame, first)
    }

    fn append_owed(&mut self) -> Result<(), disk::Error> {
        while let Some(owed) = self.owed.first().copied() {
            let header = self.journal.loss(self.journal.id, owed.reason, owed.first, owed.count);
            match encode(&header, &[]) {
                Ok(frame) => self.append(&frame, owed.first)?,
                Err(error) => self.tell("a loss cannot be written", &exit::chain(&error)),
            }
            self.owed.remove(0);
        }
        Ok(())
    }

    /// Appends a frame whose first number is `first`; either all of it or nothing is there then.
    fn append(&mut self, frame: &[u8], first: u64) -> Result<(), disk::Error> {
        let bytes = frame.len() as u64;
        let keep = self.active.as_ref().map(|active| active.first);
        let unsynced = self.active.as_ref().map_or(0, |active| active.written - active.safe);
        let mut kept = lock(&self.journal.kept);
        kept.name()?;
        let dropped = kept.make_room(bytes + unsynced, keep);
        drop(kept);
        self.journal.counts.lost(LossReason::Cap, dropped);
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin(first)?,
        };
        let written = active.file.write_all(frame);
        match written {
            Ok(()) => {
                active.written += bytes;
                self.active = Some(active);
                self.journal.counts.written(bytes, unix_ms(&*self.journal.clock));
                Ok(())
            }
            Err(error) => {
                let failed = disk::failed(Step::Write, &active.path)(error);
                // A part of it may be there: it goes, or the file is not gone on with.
                let length = active.written;
                let restored = active.file.set_len(length).is_ok()
                    && active.file.seek(SeekFrom::Start(length)).is_ok();
                if restored {
                    self.active = Some(active);
                } else {
                    self.give_up(active);
                }
                Err(failed)
            }
        }
    }

    /// Begins a segment, whose name is safe at once.
    fn begin(&mut self, first: u64) -> Result<Active, disk::Error> {
        let path = lock(&self.journal.kept).path(first);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(disk::failed(Step::Create, &path))?;
        disk::sync_directory_of(&path)?;
        // It is there already where its first frames were lost: what it has goes on.
        let end = file.seek(SeekFrom::End(0)).map_err(disk::failed(Step::Write, &path))?;
        Ok(Active { file, path, first, written: end, safe: end })
    }

    /// Waits until all that was written is safe.
    fn sync(&mut self) {
        if let Err(error) = self.append_owed() {
            self.tell(
                "losses cannot be written: the disk does not take them",
                &exit::chain(&error),
            );
            lock(&self.journal.kept).lost_up_to(self.next);
        }
        let Some(active) = &mut self.active else { return };
        if active.written == active.safe {
            return;
        }
        let synced = active.file.sync_data();
        self.journal.counts.synced();
        match synced {
            Ok(()) => {
                active.safe = active.written;
                let (first, bytes) = (active.first, active.safe);
                self.journal.counts.recorded(self.unsafe_records);
                (self.unsafe_first, self.unsafe_records) = (self.next, 0);
                lock(&self.journal.kept).written(first, bytes, self.next);
                self.journal.changed.notify_all();
            }
            Err(error) => {
                let failed = disk::failed(Step::Sync, &active.path)(error);
                self.tell(
                    "inferences may be lost: the disk does not keep them",
                    &exit::chain(&failed),
                );
                if let Some(active) = self.active.take() {
                    self.give_up(active);
                }
            }
        }
    }

    /// Leaves a file with what of it is safe; the rest is lost.
    fn give_up(&mut self, active: Active) {
        let _ = match active.safe {
            0 => fs::remove_file(&active.path),
            safe => active.file.set_len(safe),
        };
        let count = self.next - self.unsafe_first;
        self.journal.counts.lost(LossReason::Disk, self.unsafe_records);
        (self.next, self.unsafe_records) = (self.unsafe_first, 0);
        if 0 < count {
            self.owed.clear();
            self.owe(LossReason::Disk, count);
        }
        self.unsafe_first = self.next;
    }

    /// Says what goes wrong, once in a while: a line for each would fill what is full.
    fn tell(&mut self, what: &str, cause: &str) {
        if self.told.is_none_or(|told| TELL_EVERY <= told.elapsed()) {
            self.told = Some(Instant::now());
            let up = since_boot_ms();
            log::error!(target: AT_JOURNAL, "cause={cause:?} boot_ms={up} msg={what:?}");
        }
    }
}
