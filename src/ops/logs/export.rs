//! All logs of a time as one file, made while it is sent.

use super::Logs;
use super::page::FRAMES_AT_ONCE;
use super::reading::{ReadError, Reader};
use crate::codec::logs::{Export, LogFormat, LogShape, LogsError, RowsWanted};
use crate::logging::AT_LOGS;
use crate::ops::store::{LogFrame, LogOrder, LogsAsked, Store};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Kinds of columns in one file: a pipeline has one for each version that changed them.
const KINDS_MAX: i64 = 256;

/// What is exported.
#[derive(Debug, Clone)]
pub(in crate::ops) struct ExportAsked {
    /// Of what; the earliest comes first.
    pub logs: LogsAsked,
    /// As what.
    pub format: LogFormat,
}

/// What a writer wrote and nobody has read yet.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of the file, frame by frame.
struct Exported {
    store: Arc<Store>,
    reader: Reader,
    asked: LogsAsked,
    waiting: VecDeque<LogFrame>,
    last: Option<i64>,
    is_last: bool,
    export: Option<Export<Shared>>,
    made: Shared,
    /// Bytes that are read from, and how many were.
    chunk: Vec<u8>,
    read: usize,
}

/// Begins an export: of what is here now, and nothing that comes later.
///
/// # Errors
/// When the columns of the logs do not go into one file, or cannot be read.
pub(in crate::ops) fn exported(
    logs: &Logs,
    asked: ExportAsked,
) -> Result<impl Read + Send + 'static, ReadError> {
    let ExportAsked { logs: mut wanted, format } = asked;
    wanted.order = LogOrder::Ascending;
    wanted.newest = Some(logs.store.read(|tx| tx.newest_log_frame())?);
    let mut reader = Reader::new(&logs.root, wanted.pipeline);
    let mut shape = LogShape::default();
    for kind in logs.store.read(|tx| tx.log_kinds(&wanted, KINDS_MAX))? {
        if let Some(batch) = reader.read(&kind)? {
            shape.take_in(&batch)?;
        }
    }
    let made = Shared::default();
    let export = Export::begin(format, shape, made.clone())?;
    Ok(Exported {
        store: logs.store.clone(),
        reader,
        asked: wanted,
        waiting: VecDeque::new(),
        last: None,
        is_last: false,
        export: Some(export),
        made,
        chunk: Vec::new(),
        read: 0,
    })
}

impl Exported {
    /// Makes some more; `false` at the end of the file.
    fn more(&mut self) -> Result<bool, ReadError> {
        let Some(export) = &mut self.export else { return Ok(false) };
        match self.waiting.pop_front() {
            Some(frame) => {
                if let Some(batch) = self.reader.read(&frame)? {
                    let LogsAsked { from_ms, until_ms, is_failures, .. } = self.asked;
                    let wanted = RowsWanted { from: frame.from, from_ms, until_ms, is_failures };
                    let places = batch.places(&wanted);
                    if !places.is_empty() {
                        match export.write(&batch.taken(&places)?) {
                            // What a device calls its columns is its own affair.
                            Err(LogsError::Conflict { column, .. }) => log::warn!(
                                target: AT_LOGS,
                                "frame={} column={column:?} msg=\"left out of an export: its columns are not what it said\"",
                                frame.id
                            ),
                            written => written?,
                        }
                    }
                }
            }
            None if self.is_last => {
                if let Some(export) = self.export.take() {
                    export.end()?;
                }
            }
            None => {
                let found = self.store.read(|tx| tx.log_frames(&self.asked, FRAMES_AT_ONCE))?;
                self.is_last = (found.len() as i64) < FRAMES_AT_ONCE;
                let (last, before) = (found.last().map(|it| (it.first_ms, it.id)), self.last);
                self.waiting.extend(found.into_iter().filter(|frame| before != Some(frame.id)));
                self.asked.after = last;
                self.last = last.map(|(_, id)| id);
            }
        }
        Ok(true)
    }
}

impl Read for Exported {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() {
            let mut made = self.made.0.lock().unwrap_or_else(PoisonError::into_inner);
            self.chunk.clear();
            self.read = 0;
            std::mem::swap(&mut self.chunk, &mut made);
            drop(made);
            if self.chunk.is_empty() && !self.more().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let left = &self.chunk[self.read..];
        let count = left.len().min(into.len());
        into[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(count)
    }
}
