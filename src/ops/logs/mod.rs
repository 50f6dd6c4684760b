//! Logs: what edges inferred, taken in for good, kept by pipeline and day, and read again.

// Frames come as they lie on a device's disk and are kept as they came. `Delivery` is what one request
// brings; the writer appends the frames of several deliveries to segments, syncs those, and names the
// frames in the records in one transaction: what the records do not name does not count, and is cut off
// at the next start. Reading goes by the records alone.

mod arrange;
mod export;
mod latency;
mod page;
mod reading;
mod retention;
mod segments;
mod shares;
mod summaries;
mod taking;
#[cfg(test)]
mod tests;
mod times;
mod walk;
mod writer;

pub(in crate::ops) use export::{ExportAsked, exported};
pub(in crate::ops) use latency::{Latency, latencies};
pub(in crate::ops) use page::{Cursor, LogPage, PAGE_ROWS_MAX, PageAsked, page};
pub(in crate::ops) use reading::ReadError;
pub(in crate::ops) use summaries::EdgeSummary;
pub(in crate::ops) use taking::{Delivery, RETRY_AFTER_S, TakeError, Taken};
pub(in crate::ops) use times::Clocks;
pub(in crate::ops) use walk::{Walk, Walked};

use super::settings::LogsKept;
use super::store::{Store, StoreError};
use segments::Segments;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taking::Intake;

/// The logs of an ops center.
#[derive(Debug)]
pub(in crate::ops) struct Logs {
    root: PathBuf,
    store: Arc<Store>,
    intake: Intake,
}

/// Why the logs cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum OpenError {
    /// The files cannot be used.
    #[error("the logs cannot be used")]
    Disk(#[source] crate::disk::Error),
    /// The records cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no thread for the writer.
    #[error("the writer of logs cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Logs {
    /// Opens the logs below a directory: cuts off what no record names, forgets what has no file.
    ///
    /// # Errors
    /// When files, records or a thread cannot be used.
    pub(in crate::ops) fn open(
        root: &Path,
        store: Arc<Store>,
        kept: LogsKept,
    ) -> Result<Logs, OpenError> {
        crate::disk::make_directory(root).map_err(OpenError::Disk)?;
        let segments = Segments::recover(root, &store)?;
        let intake = writer::start(store.clone(), segments, kept).map_err(OpenError::Thread)?;
        Ok(Logs { root: root.to_owned(), store, intake })
    }

    /// Takes a delivery in; when this returns, what it names is on the disk and in the records.
    ///
    /// # Errors
    /// [`TakeError::Busy`] when more is on its way than there is room for, [`TakeError::Share`] when more
    /// of this edge is than its share; when the frames are damaged
    /// or not of this edge, or the disk takes nothing.
    pub(in crate::ops) fn take(&self, delivery: Delivery) -> Result<Taken, TakeError> {
        self.intake.take(delivery)
    }
}
