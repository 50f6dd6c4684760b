//! Where the frames of the journals lie, how far each journal has come, and what was lost, as records.

mod find;
mod record;

use rusqlite::Row;
use std::path::{Path, PathBuf};

/// The longest time that one frame is looked for under: engines write one every few seconds.
pub(in crate::ops) const FRAME_SPAN_MS_MAX: i64 = 3_600_000;

/// A file of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LogSegment {
    /// Its number, by which its file is called.
    pub id: i64,
    /// The number of the pipeline.
    pub pipeline: i64,
    /// When it was begun, `2026-11-28`.
    pub day: String,
    /// As many bytes of its file count.
    pub bytes: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

impl LogSegment {
    /// Its file, below the directory of logs.
    pub(in crate::ops) fn file(&self) -> PathBuf {
        log_file(self.pipeline, &self.day, self.id)
    }
}

/// The file of a segment, below the directory of logs.
pub(in crate::ops) fn log_file(pipeline: i64, day: &str, id: i64) -> PathBuf {
    Path::new(&pipeline.to_string()).join(day).join(format!("{id}.seg"))
}

/// How far a journal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct JournalPlace {
    /// Its number.
    pub id: i64,
    /// The first sequence number that is not here for good.
    pub next: u64,
    /// The sequence number that was asked for again after a gap.
    pub told: Option<u64>,
}

impl JournalPlace {
    /// Where a journal is of which nothing is here.
    pub(in crate::ops) const NOWHERE: JournalPlace = JournalPlace { id: 0, next: 1, told: None };
}

/// A frame that counts from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct NewLogFrame {
    /// The number of its journal.
    pub journal: i64,
    /// The sequence number of its first record.
    pub first: u64,
    /// The first one that did not come in another frame.
    pub from: u64,
    /// How many records from that one on.
    pub count: u64,
    /// How many rows it has.
    pub rows: u64,
    /// In how many of them a validation failed.
    pub failures: u64,
    /// The number of the pipeline.
    pub pipeline: i64,
    /// The version of the pipeline.
    pub version: String,
    /// Equal where columns and their types are.
    pub schema: i64,
    /// Whether it has counts alone.
    pub is_summary: bool,
    /// When its first record was, corrected; milliseconds since the epoch.
    pub first_ms: i64,
    /// The same of the last.
    pub last_ms: i64,
    /// When the device's monotonic clock was at 0, where its times are corrected by that.
    pub base_ms: Option<i64>,
    /// `device`, `corrected`, `unknown`
    pub time_source: &'static str,
    /// When it came.
    pub received_ms: i64,
    /// The number of its segment.
    pub segment: i64,
    /// Where it begins there.
    pub at: u64,
    /// How long it is.
    pub bytes: u64,
}

/// A frame that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LogFrame {
    /// Its number: later for what came later.
    pub id: i64,
    /// The edge's name.
    pub edge: String,
    /// Records before this one came in another frame.
    pub from: u64,
    /// How many rows it has.
    pub rows: u64,
    /// Equal where columns and their types are.
    pub schema: i64,
    /// When its first record was.
    pub first_ms: i64,
    /// When the device's monotonic clock was at 0, where its times are corrected by that.
    pub base_ms: Option<i64>,
    /// `device`, `corrected`, `unknown`
    pub time_source: String,
    /// The number of its segment.
    pub segment: i64,
    /// When that was begun.
    pub day: String,
    /// Where it begins there.
    pub at: u64,
    /// How long it is.
    pub bytes: u64,
}

/// In which order frames are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum LogOrder {
    /// The earliest first.
    Ascending,
    /// The latest first.
    Descending,
    /// What came first, whenever it was.
    Arrival,
}

/// Which frames are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LogsAsked {
    /// The number of the pipeline.
    pub pipeline: i64,
    /// Names of edges; all without any.
    pub edges: Vec<String>,
    /// A version of the pipeline.
    pub version: Option<String>,
    /// Only frames in which a validation failed.
    pub is_failures: bool,
    /// Frames with counts alone, in place of those with rows.
    pub is_summary: bool,
    /// From this time on, in milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// In which order.
    pub order: LogOrder,
    /// From this frame on, by its time and number.
    pub after: Option<(i64, i64)>,
    /// Nothing that came after the frame of this number.
    pub newest: Option<i64>,
}

/// Records that are not here and will not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LogLoss {
    /// The edge's name.
    pub edge: String,
    /// The journal, a UUID.
    pub journal: String,
    /// The first sequence number.
    pub first: u64,
    /// How many; 0 where nobody knows.
    pub count: u64,
    /// `cap`, `disk`, `crash`, `queue`, `gap`
    pub reason: String,
    /// When it was noticed.
    pub at_ms: i64,
}

/// What the sizes of logs are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::ops) struct LogTotals {
    /// Frames.
    pub frames: u64,
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What an edge is to its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LogEdge {
    /// The number of its workspace.
    pub workspace: i64,
    /// The number of the pipeline that it runs.
    pub pipeline: i64,
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let found: i64 = row.get(at)?;
    Ok(found.unsigned_abs())
}

/// Sequence numbers and lengths are below 2^63: the readers of frames see to it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn totals_of(row: &Row<'_>) -> rusqlite::Result<LogTotals> {
    Ok(LogTotals { frames: number(row, 0)?, records: number(row, 1)?, bytes: number(row, 2)? })
}

pub(in crate::ops::store) fn segment_of(row: &Row<'_>) -> rusqlite::Result<LogSegment> {
    Ok(LogSegment {
        id: row.get(0)?,
        pipeline: row.get(1)?,
        day: row.get(2)?,
        bytes: number(row, 3)?,
        created_ms: row.get(4)?,
    })
}
