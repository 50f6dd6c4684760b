//! Frames one after the other in the order of their arrival, rows and summaries, for who counts what is in them.

use super::Logs;
use super::page::FRAMES_AT_ONCE;
use super::reading::{ReadError, Reader};
use crate::codec::logs::{LogBatch, LogSummary, RowsWanted};
use crate::ops::store::{LogFrame, LogsAsked};
use std::collections::VecDeque;

/// What is in a frame.
#[derive(Debug)]
pub(in crate::ops) enum Walked {
    /// Rows that did not come in another frame.
    Rows(LogBatch),
    /// Counts alone, of inferences from that time on, milliseconds since the epoch.
    Summary(LogSummary, i64),
    /// Nothing that can be read, or that was asked for.
    Nothing,
}

/// A walk along the frames of a pipeline.
#[derive(Debug)]
pub(in crate::ops) struct Walk<'a> {
    logs: &'a Logs,
    asked: LogsAsked,
    reader: Reader,
    waiting: VecDeque<(LogFrame, bool)>,
    is_last: bool,
    after: i64,
}

impl<'a> Walk<'a> {
    /// Begins behind the frame of that number. Of `asked` the pipeline, the edges and the time count.
    pub(in crate::ops) fn after(logs: &'a Logs, asked: LogsAsked, after: i64) -> Walk<'a> {
        let reader = Reader::new(&logs.root, asked.pipeline);
        Walk { logs, asked, reader, waiting: VecDeque::new(), is_last: false, after }
    }

    /// The number of the frame that was walked by last.
    pub(in crate::ops) fn place(&self) -> i64 {
        self.after
    }

    /// The next frame, with the name of its edge; `None` at the end.
    ///
    /// # Errors
    /// When records or files cannot be read.
    pub(in crate::ops) fn next(&mut self) -> Result<Option<(String, Walked)>, ReadError> {
        if self.waiting.is_empty() && !self.is_last {
            let (asked, after) = (&self.asked, self.after);
            let find =
                |tx: &crate::ops::store::Tx<'_>| tx.log_frames_after(asked, after, FRAMES_AT_ONCE);
            self.waiting.extend(self.logs.store.read(find)?);
            self.is_last = (self.waiting.len() as i64) < FRAMES_AT_ONCE;
        }
        let Some((frame, is_summary)) = self.waiting.pop_front() else { return Ok(None) };
        let walked = if is_summary {
            // A frame is of as many inferences as came together, so it is taken whole.
            let is_in_time = self.asked.from_ms.is_none_or(|from| from <= frame.first_ms);
            let summary = self.reader.read_summary(&frame)?.filter(|_| is_in_time);
            summary.map_or(Walked::Nothing, |summary| Walked::Summary(summary, frame.first_ms))
        } else {
            let wanted = RowsWanted {
                from: frame.from,
                from_ms: self.asked.from_ms,
                until_ms: self.asked.until_ms,
                is_failures: false,
            };
            match self.reader.read(&frame)? {
                None => Walked::Nothing,
                Some(batch) => {
                    let places = batch.places(&wanted);
                    let is_whole = places.len() == batch.rows();
                    Walked::Rows(if is_whole { batch } else { batch.taken(&places)? })
                }
            }
        };
        self.after = frame.id;
        Ok(Some((frame.edge, walked)))
    }
}
