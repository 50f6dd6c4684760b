//! The files of a journal: which there are, what of them is safe, how far they were sent.

use super::JournalError;
use super::acknowledged::Acknowledged;
use super::eras::{Eras, fresh_id};
use super::reading::{Reading, Scan, Segment, part};
use crate::codec::journal::{FRAME_BYTES_MAX, LossReason};
use crate::disk::{self, Step};
use crate::fleet::Id;
use crate::logging::AT_JOURNAL;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Segments that a journal at its cap has at least: what goes at once is no more than such a part.
const SEGMENTS_MIN: u64 = 16;

/// Bytes of a segment: the erase block of a large SD card at most, and not too many files.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 20;

/// The mark of a journal that is being written: one that is there at the start was not closed.
const OPEN: &str = "open";

/// Where sending goes on: the offset behind what was sent.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u64,
    offset: u64,
    next: u64,
}

/// Inferences that went before they were sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct LostBefore {
    pub(super) journal: Id,
    pub(super) first: u64,
    pub(super) count: u64,
    /// The mark that the ops center has to be told before, and its number.
    pub(super) mark: Option<(LossReason, u64)>,
}

/// The bytes of a loss of so many inferences, from a number of a name on, for that reason.
type LossBytes<'l> = dyn FnMut(Id, LossReason, u64, u64) -> Option<Vec<u8>> + 'l;

/// The segments of a journal.
#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    eras: Eras,
    /// The oldest first; the last one is being written.
    all: VecDeque<Segment>,
    cap_bytes: u64,
    /// All before this is on the disk for good, or lost.
    next: u64,
    acknowledged: Acknowledged,
    /// Where the ops center is.
    place: Option<Place>,
    /// Where it is once it has what was given out last.
    given: Option<Place>,
    crashed: bool,
    /// Whether the ops center has not even the beginning of what is sent.
    is_unknown: bool,
    /// When the oldest that waits was, and for which place that was looked up.
    oldest: Option<(u64, Option<u64>)>,
    /// Inferences that went for want of room since the start.
    dropped: u64,
}

impl Segments {
    /// Opens the newest journal in a directory, or begins one.
    pub(super) fn open(directory: &Path, cap_bytes: u64) -> Result<Segments, JournalError> {
        let broken = |source| JournalError::Disk { path: directory.to_owned(), source };
        disk::make_directory(directory).map_err(broken)?;
        let found = newest(directory);
        let is_new = found.is_none();
        let (id, directory) = found.unwrap_or_else(|| {
            let id = fresh_id();
            (id, directory.join(id.to_string()))
        });
        disk::make_directory(&directory).map_err(broken)?;
        disk::sweep(&directory).map_err(broken)?;
        let mut all = Reading::look(&directory).map_err(broken)?.segments;
        let cut = recover(&mut all).map_err(broken)?;
        let last = all.back().map(|last| last.next);
        let oldest = all.front().map_or(1, |oldest| oldest.first);
        let acknowledged = Acknowledged::open(&directory, oldest);
        let next = last.unwrap_or(1).max(acknowledged.next());
        let mark = directory.join(OPEN);
        let crashed = mark.exists() || cut;
        disk::write_durably(&mark, b"").map_err(broken)?;
        let mut eras = Eras::open(&directory, id).map_err(broken)?;
        if !is_new {
            eras.begin(next, oldest.min(acknowledged.next()), !crashed);
        }
        let (place, given, oldest) = (None, None, None);
        Ok(Segments {
            directory,
            eras,
            all,
            cap_bytes,
            next,
            acknowledged,
            place,
            given,
            crashed,
            is_unknown: false,
            oldest,
            dropped: 0,
        })
    }

    /// The name of what is written from now on.
    pub(super) fn id(&self) -> Id {
        self.eras.current()
    }

    /// Whether what was in memory before the start may be lost.
    pub(super) fn crashed(&self) -> bool {
        self.crashed
    }

    /// The number of the next inference to be written.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes that a segment shall have.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.cap_bytes / SEGMENTS_MIN).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end())
    }

    /// The file of a segment that begins with this number.
    pub(super) fn path(&self, first: u64) -> PathBuf {
        self.directory.join(Segment::name(first))
    }

    /// A segment was begun, or has more that is safe: so many bytes, and all before `next`.
    pub(super) fn written(&mut self, first: u64, bytes: u64, next: u64) {
        match self.all.back_mut().filter(|last| last.first == first) {
            Some(last) => (last.bytes, last.next) = (bytes, next),
            None => {
                let path = self.path(first);
                self.all.push_back(Segment { first, path, bytes, next });
            }
        }
        self.next = self.next.max(next);
        self.remove_acknowledged();
    }

    /// Numbers were given to what is lost, and no frame says so yet.
    pub(super) fn lost_up_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Sees to it that a start knows the name of what is written next.
    pub(super) fn name(&mut self) -> Result<(), disk::Error> {
        self.eras.write()
    }

    /// Makes room for so many bytes more: the oldest segments go.
    pub(super) fn make_room(&mut self, bytes: u64, keep: Option<u64>) -> u64 {
        let mut lost = 0;
        while self.cap_bytes < self.bytes().saturating_add(bytes) {
            let Some(oldest) = self.all.front().filter(|it| Some(it.first) != keep) else { break };
            let next = self.all.get(1).map_or(oldest.next, |second| second.first);
            lost += next.saturating_sub(oldest.first.max(self.acknowledged.next()));
            if !self.remove_oldest() {
                break;
            }
        }
        self.dropped += lost;
        lost
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|segment| segment.bytes).sum()
    }

    fn remove_oldest(&mut self) -> bool {
        let Some(oldest) = self.all.front() else { return false };
        let removed = fs::remove_file(&oldest.path);
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!(
                target: AT_JOURNAL,
                "file={:?} cause={error:?} msg=\"a segment of the journal cannot be removed\"",
                oldest.path
            );
            return false;
        }
        self.all.pop_front();
        true
    }

    /// Takes away what the ops center has; not the segment that is being written.
    fn remove_acknowledged(&mut self) {
        while 1 < self.all.len()
            && self.all.get(1).is_some_and(|second| second.first <= self.acknowledged.next())
        {
            // Otherwise, after a power cut, what was sent would seem to be lost.
            if !self.acknowledged.write() || !self.remove_oldest() {
                return;
            }
        }
    }

    /// The ops center has all before `next` under that name; what it has beyond is of the time before
    /// a crash, and not here any more.
    pub(super) fn acknowledge(&mut self, name: Id, next: u64) {
        // Of a name that no start knows any more, what was given out last counts.
        let given = self.given.map(|given| given.next);
        let Some(end) = self.eras.end_of(name).or(given) else { return };
        let next = next.clamp(1, self.next.min(end));
        match self.given.take() {
            Some(given) if given.next <= next => self.place = Some(given),
            // It has less than was thought, as after the restoring of a backup.
            Some(_) | None if next < self.acknowledged.next() => self.place = None,
            Some(_) | None => {}
        }
        self.is_unknown = false;
        self.acknowledged.set(next);
        self.remove_acknowledged();
    }

    /// The ops center has less under a name than goes before what it was sent. Where it has nothing, it
    /// does not know either where the name begins, as after the restoring of a backup, and is told.
    pub(super) fn lacks(&mut self, name: Id, next: u64) {
        self.is_unknown = next < self.eras.first_of(name);
    }

    /// What the ops center is told before this number of a name: where the name begins.
    fn mark(&self, journal: Id, first: u64) -> Option<(LossReason, u64)> {
        let number = if self.is_unknown { self.eras.first_of(journal) } else { first };
        self.eras.mark_of(number).map(|reason| (reason, number))
    }

    /// Writes down what else a start would not know, and that nothing is open.
    pub(super) fn close(&mut self) {
        self.acknowledged.write();
        let mark = self.directory.join(OPEN);
        let removed = fs::remove_file(&mark).map_err(disk::failed(Step::Remove, &mark));
        if let Err(error) = removed.and_then(|()| disk::sync_directory_of(&mark)) {
            log::warn!(target: AT_JOURNAL, "cause={:?} msg=\"the journal is not closed\"", crate::exit::chain(&error));
        }
    }

    /// The inferences before the oldest segment that the ops center does not have, under one name.
    pub(super) fn lost_before(&self) -> Option<LostBefore> {
        let oldest = self.all.front().map_or(self.next, |oldest| oldest.first);
        let first = self.acknowledged.next();
        let (journal, end) = self.eras.of(first)?;
        let mark = self.mark(journal, first);
        let count = oldest.min(end).saturating_sub(first);
        (0 < count).then_some(LostBefore { journal, first, count, mark })
    }

    /// Whether there is something that the ops center does not have. A crash alone is not worth a
    /// sending: it goes along with what comes after it.
    pub(super) fn has_waiting(&self) -> bool {
        self.acknowledged.next() < self.next
    }

    /// The segment in which the ops center is, and the offset there.
    fn start(&self) -> Option<(usize, u64)> {
        if let Some(place) = self.place
            && let Some(index) = self.all.iter().position(|it| it.first == place.segment)
        {
            return Some((index, place.offset));
        }
        let acknowledged = self.acknowledged.next();
        let index = self.all.partition_point(|segment| segment.first <= acknowledged);
        (!self.all.is_empty()).then(|| (index.saturating_sub(1), 0))
    }

    /// Frames of one name from the first on that the ops center does not have. A number that is in
    /// none of them makes a loss, whose bytes `loss` gives, and so does a beginning before the first.
    pub(super) fn next_batch(
        &mut self,
        bytes_max: usize,
        loss: &mut LossBytes<'_>,
    ) -> Option<super::Batch> {
        let (mut index, mut offset) = self.start()?;
        let first = self.acknowledged.next();
        let (mut journal, end) = self.eras.of(first)?;
        let mut expected = first;
        let mut out = Vec::new();
        let mut given = None;
        let mark = |journal, loss: &mut LossBytes<'_>| match self.mark(journal, first) {
            Some((reason, number)) => loss(journal, reason, number, 0),
            None => Some(Vec::new()),
        };
        'segments: while let Some(segment) = self.all.get(index) {
            let bytes = match part(segment, offset) {
                Ok(bytes) => bytes,
                Err(error) => {
                    log::warn!(target: AT_JOURNAL, "cause={:?} msg=\"a segment of the journal cannot be read\"", crate::exit::chain(&error));
                    Vec::new()
                }
            };
            for found in Scan::new(&bytes) {
                let header = &found.frame.header;
                let (name, is_mark) = (header.journal(), header.count() == 0);
                // A mark of an era in which nothing came to be is told to nobody.
                let is_stale = is_mark && self.eras.end_of(name).is_none();
                let is_known = header.next() <= expected && !is_mark;
                if !is_known && !is_stale {
                    if expected < header.first() {
                        if out.is_empty() {
                            out.extend(mark(journal, loss)?);
                        }
                        let count = header.first() - expected;
                        out.extend(loss(journal, LossReason::Disk, expected, count)?);
                        expected = header.first();
                    }
                    // A mark alone is no batch: something has to go along with it.
                    let is_full = bytes_max < out.len() + found.frame.bytes.len();
                    if first < expected && (is_full || name != journal) {
                        break 'segments;
                    }
                    if name != journal {
                        out.clear();
                        journal = name;
                    }
                    if out.is_empty() && !is_mark {
                        out.extend(mark(journal, loss)?);
                    }
                    out.extend_from_slice(found.frame.bytes);
                    expected = expected.max(header.next());
                }
                let end = offset + (found.offset + found.frame.bytes.len()) as u64;
                given = Some(Place { segment: segment.first, offset: end, next: expected });
            }
            index += 1;
            offset = 0;
        }
        let last = self.next.min(end);
        if index == self.all.len() && expected < last {
            if out.is_empty() {
                out.extend(mark(journal, loss)?);
            }
            out.extend(loss(journal, LossReason::Disk, expected, last - expected)?);
            expected = last;
        }
        given = given.map(|place| Place { next: expected, ..place });
        self.given = given;
        (first < expected).then_some(super::Batch { bytes: out, journal, first })
    }

    /// How many inferences wait, and their bytes.
    pub(super) fn waiting(&self) -> (u64, u64) {
        let bytes = match self.start() {
            None => 0,
            Some((index, offset)) => {
                let rest = self.all.iter().skip(index).map(|segment| segment.bytes).sum::<u64>();
                rest.saturating_sub(offset)
            }
        };
        let records = self.next.saturating_sub(self.acknowledged.next());
        (records, if records == 0 { 0 } else { bytes })
    }

    /// When the oldest that waits was.
    pub(super) fn oldest_ms(&mut self) -> Option<u64> {
        let acknowledged = self.acknowledged.next();
        if let Some((at, ms)) = self.oldest
            && at == acknowledged
            && ms.is_some()
        {
            return ms;
        }
        let ms = self.start().and_then(|(index, offset)| {
            let segment = self.all.get(index)?;
            let bytes = part(segment, offset).ok()?;
            let mut frames = Scan::new(&bytes).map(|found| found.frame.header);
            frames.find(|header| acknowledged < header.next()).map(|header| header.first_ms())
        });
        self.oldest = Some((acknowledged, ms));
        ms
    }

    /// A look at all segments.
    pub(super) fn reading(&self) -> Reading {
        Reading { segments: self.all.clone() }
    }
}

/// Cuts off what is no frame at the end of the last segment; tells whether there was something.
///
/// A segment is whole but for its last write; an empty last one goes.
fn recover(all: &mut VecDeque<Segment>) -> Result<bool, disk::Error> {
    let mut cut = false;
    while let Some(last) = all.back_mut() {
        let bytes = part(last, 0)?;
        let (mut end, mut next) = (0, last.first);
        for found in Scan::new(&bytes) {
            end = (found.offset + found.frame.bytes.len()) as u64;
            next = next.max(found.frame.header.next());
        }
        if end < last.bytes {
            cut = true;
            let file = fs::OpenOptions::new().write(true).open(&last.path);
            let file = file.map_err(disk::failed(Step::Open, &last.path))?;
            file.set_len(end).map_err(disk::failed(Step::Write, &last.path))?;
            file.sync_all().map_err(disk::failed(Step::Sync, &last.path))?;
        }
        (last.bytes, last.next) = (end, next);
        if 0 < end {
            break;
        }
        // Its name tells the number that was to come; what comes now may well have another.
        fs::remove_file(&last.path).map_err(disk::failed(Step::Remove, &last.path))?;
        all.pop_back();
    }
    // Of the others only the end matters, which is where the next begins.
    let firsts: Vec<u64> = all.iter().skip(1).map(|segment| segment.first).collect();
    for (segment, next) in all.iter_mut().zip(firsts) {
        segment.next = next;
    }
    Ok(cut)
}

/// The journal in a directory as it is now, whoever writes it; `None` where there is none.
///
/// # Errors
/// When it cannot be read.
pub(in crate::engine) fn look(directory: &Path) -> Result<Option<(Id, Reading)>, disk::Error> {
    match newest(directory) {
        Some((id, path)) => Reading::look(&path).map(|reading| Some((id, reading))),
        None => Ok(None),
    }
}

/// The journal that was written last.
fn newest(directory: &Path) -> Option<(Id, PathBuf)> {
    let journal = |entry: fs::DirEntry| {
        let id: Id = entry.file_name().to_str()?.parse().ok()?;
        let changed = entry.metadata().ok()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((changed, id, entry.path()))
    };
    let found = fs::read_dir(directory).ok()?.flatten().filter_map(journal);
    found.max_by_key(|(changed, id, _)| (*changed, *id)).map(|(_, id, path)| (id, path))
}

const _: () = assert!(FRAME_BYTES_MAX as u64 <= *SEGMENT_BYTES.end(), "a segment holds any frame");
