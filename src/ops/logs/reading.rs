//! Reading frames where the records say they are, and marking their rows with where they come from.

use super::segments;
use crate::codec::journal;
use crate::codec::logs::{LogBatch, LogSummary, LogsError};
use crate::disk::{self, Step, failed};
use crate::exit;
use crate::logging::AT_LOGS;
use crate::ops::store::{LogFrame, StoreError};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Why logs cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum ReadError {
    /// The records cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files cannot.
    #[error("the logs of the ops center cannot be read")]
    Disk(#[source] disk::Error),
    /// They cannot be put together as asked.
    #[error(transparent)]
    Logs(#[from] LogsError),
}

/// Reads frames, one file open at a time.
#[derive(Debug)]
pub(super) struct Reader {
    root: PathBuf,
    pipeline: i64,
    open: Option<(i64, File)>,
    /// Frames that could not be read: damaged, or of a form that is not known here.
    pub unreadable: u64,
}

impl Reader {
    pub(super) fn new(root: &Path, pipeline: i64) -> Reader {
        Reader { root: root.to_owned(), pipeline, open: None, unreadable: 0 }
    }

    /// The rows of a frame; `None` when it has gone meanwhile, or cannot be read.
    pub(super) fn read(&mut self, frame: &LogFrame) -> Result<Option<LogBatch>, ReadError> {
        self.read_as(frame, |found| {
            LogBatch::read(found, &frame.edge, frame.base_ms, &frame.time_source)
        })
    }

    /// What a frame of a summary tells; `None` as in [`Reader::read`].
    pub(super) fn read_summary(
        &mut self,
        frame: &LogFrame,
    ) -> Result<Option<LogSummary>, ReadError> {
        Ok(self.read_as(frame, LogSummary::read)?.flatten())
    }

    /// What `of` makes of a frame; `None` as in [`Reader::read`].
    pub(super) fn read_as<T>(
        &mut self,
        frame: &LogFrame,
        of: impl FnOnce(&journal::Frame<'_>) -> Result<T, LogsError>,
    ) -> Result<Option<T>, ReadError> {
        let path = segments::path(&self.root, self.pipeline, &frame.day, frame.segment);
        let file = match self.open.take() {
            Some((segment, file)) if segment == frame.segment => file,
            Some(_) | None => match File::open(&path) {
                Ok(file) => file,
                // Its segment had its time since the records were asked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(ReadError::Disk(failed(Step::Open, &path)(error))),
            },
        };
        // Frames were of a bounded length when they came.
        let mut bytes = vec![0; usize::try_from(frame.bytes).unwrap_or(0)];
        let read = file.read_exact_at(&mut bytes, frame.at);
        read.map_err(failed(Step::Read, &path)).map_err(ReadError::Disk)?;
        self.open = Some((frame.segment, file));
        match opened(&bytes, of) {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                self.unreadable += 1;
                let why = exit::chain(&*error);
                log::warn!(target: AT_LOGS, "path={path:?} at={} msg={why:?}", frame.at);
                Ok(None)
            }
        }
    }
}

fn opened<T>(
    bytes: &[u8],
    of: impl FnOnce(&journal::Frame<'_>) -> Result<T, LogsError>,
) -> Result<T, Box<dyn std::error::Error>> {
    Ok(of(&journal::first(bytes)?)?)
}
