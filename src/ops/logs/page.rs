//! A page of logs: rows of the same columns, by time, and where the next page begins.

use super::Logs;
use super::reading::{ReadError, Reader};
use crate::codec::logs::{LogBatch, RowsWanted};
use crate::ops::store::{LogFrame, LogOrder, LogsAsked};
use std::fmt;
use std::str::FromStr;

/// Rows of one page.
pub(in crate::ops) const PAGE_ROWS_MAX: usize = 100_000;

/// Memory that the rows of one page take before they are written; one row may have more.
const PAGE_BYTES_MAX: usize = 32 << 20;

/// Frames that are asked of the records at once.
pub(super) const FRAMES_AT_ONCE: i64 = 64;

/// Frames that one page looks at: a search for few failures ends, and goes on with the next page.
const PAGE_FRAMES_MAX: usize = 20_000;

/// What a page is asked with.
#[derive(Debug, Clone)]
pub(in crate::ops) struct PageAsked {
    /// Of what.
    pub logs: LogsAsked,
    /// As many rows at most.
    pub rows_max: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// Where a page ended: a frame by its time and number, and how many of its rows were passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Cursor {
    ms: i64,
    frame: i64,
    row: usize,
}

impl Cursor {
    /// Behind everything that has come so far.
    fn behind(newest: i64) -> Cursor {
        Cursor { ms: 0, frame: newest + 1, row: 0 }
    }

    fn at(frame: &LogFrame, row: usize) -> Cursor {
        Cursor { ms: frame.first_ms, frame: frame.id, row }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.ms, self.frame, self.row)
    }
}

/// A text that no page gave as its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cursor is none that a page of logs gave: send x-iteration-cursor of the page before, or none"
)]
pub(in crate::ops) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Cursor, NoCursor> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let found = number().zip(number()).zip(number());
        let Some(((ms, frame), row)) = found else { return Err(NoCursor) };
        match (usize::try_from(row), parts.next()) {
            (Ok(row), None) => Ok(Cursor { ms, frame, row }),
            (_, _) => Err(NoCursor),
        }
    }
}

/// Why a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum PageStatus {
    /// There is no more.
    All,
    /// More memory would be needed.
    ByteLimited,
    /// There are as many rows as were asked for.
    RecordLimited,
    /// The next rows have other columns.
    SchemaChange,
}

impl PageStatus {
    /// The original's word.
    pub(in crate::ops) fn word(self) -> &'static str {
        match self {
            PageStatus::All => "All",
            PageStatus::ByteLimited => "ByteLimited",
            PageStatus::RecordLimited => "RecordLimited",
            PageStatus::SchemaChange => "SchemaChange",
        }
    }
}

/// Rows of the same columns.
#[derive(Debug)]
pub(in crate::ops) struct LogPage {
    /// By time, in the order that was asked for.
    pub rows: Option<LogBatch>,
    /// Why there are no more.
    pub status: PageStatus,
    /// Where the next page begins, unless this was the last.
    pub cursor: Option<Cursor>,
    /// Where what comes later begins, in the order of arrival.
    pub follow: Cursor,
    /// Frames that could not be read.
    pub unreadable: u64,
}

/// Reads a page.
///
/// # Errors
/// When records or files cannot be read.
pub(in crate::ops) fn page(logs: &Logs, asked: &PageAsked) -> Result<LogPage, ReadError> {
    let newest = logs.store.read(|tx| tx.newest_log_frame())?;
    let mut gathered = Gathered {
        reader: Reader::new(&logs.root, asked.logs.pipeline),
        asked,
        batches: Vec::new(),
        rows: 0,
        bytes: 0,
        schema: None,
    };
    let mut wanted = LogsAsked { newest: Some(newest), ..asked.logs.clone() };
    wanted.after = asked.cursor.map(|cursor| (cursor.ms, cursor.frame));
    let mut last = None;
    let mut end = None;
    let mut seen = 0;
    'pages: loop {
        let frames = logs.store.read(|tx| tx.log_frames(&wanted, FRAMES_AT_ONCE))?;
        let is_last = (frames.len() as i64) < FRAMES_AT_ONCE;
        for frame in frames.iter().filter(|frame| last != Some(frame.id)) {
            if let Some(ended) = gathered.take(frame)? {
                end = Some(ended);
                break 'pages;
            }
            seen += 1;
            if PAGE_FRAMES_MAX <= seen {
                end = Some((PageStatus::ByteLimited, Cursor::at(frame, frame_rows(frame))));
                break 'pages;
            }
        }
        let Some(frame) = frames.last().filter(|_| !is_last) else { break };
        wanted.after = Some((frame.first_ms, frame.id));
        last = Some(frame.id);
    }
    let is_descending = asked.logs.order == LogOrder::Descending;
    let Gathered { batches, reader, .. } = gathered;
    let follow = Cursor::behind(newest);
    let (status, cursor) = match (end, asked.logs.order) {
        (Some((status, cursor)), _) => (status, Some(cursor)),
        (None, LogOrder::Arrival) => (PageStatus::All, Some(follow)),
        (None, LogOrder::Ascending | LogOrder::Descending) => (PageStatus::All, None),
    };
    let rows = LogBatch::by_time(&batches, is_descending)?;
    Ok(LogPage { rows, status, cursor, follow, unreadable: reader.unreadable })
}

fn frame_rows(frame: &LogFrame) -> usize {
    usize::try_from(frame.rows).unwrap_or(usize::MAX)
}

/// What a page has so far.
struct Gathered<'a> {
    reader: Reader,
    asked: &'a PageAsked,
    batches: Vec<LogBatch>,
    rows: usize,
    bytes: usize,
    schema: Option<i64>,
}

impl Gathered<'_> {
    /// Takes what is wanted of a frame; where the page ends, why and where.
    fn take(&mut self, frame: &LogFrame) -> Result<Option<(PageStatus, Cursor)>, ReadError> {
        let passed = match self.asked.cursor {
            Some(cursor) if cursor.frame == frame.id => cursor.row,
            Some(_) | None => 0,
        };
        if frame_rows(frame) <= passed {
            return Ok(None);
        }
        if self.schema.is_some_and(|schema| schema != frame.schema) {
            return Ok(Some((PageStatus::SchemaChange, Cursor::at(frame, passed))));
        }
        if self.rows == self.asked.rows_max {
            return Ok(Some((PageStatus::RecordLimited, Cursor::at(frame, passed))));
        }
        if PAGE_BYTES_MAX <= self.bytes {
            return Ok(Some((PageStatus::ByteLimited, Cursor::at(frame, passed))));
        }
        let Some(batch) = self.reader.read(frame)? else { return Ok(None) };
        // What a device calls its columns is its own affair.
        if self.batches.first().is_some_and(|first| !first.is_like(&batch)) {
            return Ok(Some((PageStatus::SchemaChange, Cursor::at(frame, passed))));
        }
        let logs = &self.asked.logs;
        let wanted = RowsWanted {
            from: frame.from,
            from_ms: logs.from_ms,
            until_ms: logs.until_ms,
            is_failures: logs.is_failures,
        };
        let rows = batch.rows();
        let mut places = batch.places(&wanted);
        // A row's turn in the order that was asked for.
        let is_descending = logs.order == LogOrder::Descending;
        let turn = |place: u32| {
            let place = place as usize;
            if is_descending { rows - 1 - place } else { place }
        };
        if is_descending {
            places.reverse();
        }
        places.retain(|place| passed <= turn(*place));
        let room = self.asked.rows_max - self.rows;
        let end = places.get(room).map(|place| Cursor::at(frame, turn(*place)));
        places.truncate(room);
        if !places.is_empty() {
            let taken = batch.taken(&places)?;
            self.rows += taken.rows();
            self.bytes += taken.bytes();
            self.schema = Some(frame.schema);
            self.batches.push(taken);
        }
        Ok(end.map(|cursor| (PageStatus::RecordLimited, cursor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_text_that_a_page_gave() {
        let cursor = Cursor { ms: -5, frame: 7, row: 3 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "1.2", "1.2.-3", "1.2.3.4", "1.2.x", "1..2"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }
}
