//! The store: the ops center's records in one SQLite file, changed in transactions and never half.

// A change is acknowledged when its transaction is on the disk: WAL with a sync at each commit, so
// that a kill or a power cut loses nothing that was answered. The queries stand by subject, each as
// methods of `Tx`; what they take and give are plain structs, and no type of rusqlite's leaves here.

mod access;
mod assignments;
mod audit;
mod drift;
mod edges;
mod fleet;
mod glances;
mod logs;
mod models;
mod pipelines;
mod publishes;
mod rollouts;
mod schema;
mod side_files;
mod snapshot;
mod tokens;
mod uploads;

pub(in crate::ops) use access::{User, Workspace};
pub(in crate::ops) use assignments::{AssignmentRecord, NewAssignment};
pub(in crate::ops) use audit::{Change, Wanted};
pub(in crate::ops) use drift::{BaselineRecord, HourCounts, NewBaseline};
pub(in crate::ops) use edges::{Between, Edge, EdgesAsked, Fares, NewEdge};
pub(in crate::ops) use fleet::{Faring, InstanceRecord, SessionRecord};
pub(in crate::ops) use glances::{
    Deployable, LogTally, ModelGlance, PipelineGlance, VersionGlance,
};
pub(in crate::ops) use logs::{
    JournalPlace, LogEdge, LogFrame, LogLoss, LogOrder, LogSegment, LogsAsked, NewLogFrame,
    log_file,
};
pub(in crate::ops) use models::{Model, ModelConfig, ModelStatus, ModelVersion, NewModelVersion};
pub(in crate::ops) use pipelines::{NewPipelineVersion, Pipeline, PipelineVersion};
pub(in crate::ops) use publishes::{
    NewPublish, Publish, PublishPlace, PublishStatus, PublishesAsked, VersionToPublish,
};
pub(in crate::ops) use rollouts::{NewRollout, Rollout, RolloutEdge, RolloutState};
pub(in crate::ops) use side_files::SideRecord;
pub(in crate::ops) use snapshot::{examine, named_blobs, named_logs, snapshot};
pub(in crate::ops) use tokens::{TokenFacts, TokenHolder, TokenRecord};
pub(in crate::ops) use uploads::Upload;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that read beside the one that writes: as many as there are often requests at once.
const READERS: usize = 4;

/// What a reader may keep of the file in memory, KiB: ten thousand publishes with their edges have 10 MB, and
/// with less than that each look at them reads all of it again, 4 ms.
const READER_KIB: i64 = 16 << 10;

/// How long a statement waits for another process that has the file, `backup` for instance.
const BUSY: Duration = Duration::from_secs(5);

/// The records, for many threads.
#[derive(Debug)]
pub(in crate::ops) struct Store {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
}

/// A transaction: what it reads is of one moment, what it changes is changed whole or not at all.
#[derive(Debug)]
pub(in crate::ops) struct Tx<'a>(Transaction<'a>);

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum StoreError {
    /// The file was written by a later version.
    #[error(
        "the records have schema {found}, and this version knows {known}: run the version that wrote \
         them, or a later one"
    )]
    Newer {
        /// The schema of the file.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// The disk is full.
    #[error("the disk of the ops center is full: nothing was changed; make room and try again")]
    Full(#[source] rusqlite::Error),
    /// Another record has what must be its alone.
    #[error("there is one already")]
    Taken(#[source] rusqlite::Error),
    /// The file cannot be read or written.
    #[error("the records of the ops center cannot be used")]
    Broken(#[source] rusqlite::Error),
    /// A record is not of the form that we write.
    #[error("the record of {what} is not as it was written")]
    Malformed {
        /// Of what kind.
        what: &'static str,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match error.sqlite_error() {
            Some(inner) if inner.code == ErrorCode::DiskFull => StoreError::Full(error),
            Some(inner)
                if [
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE,
                    rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
                ]
                .contains(&inner.extended_code) =>
            {
                StoreError::Taken(error)
            }
            Some(_) | None => StoreError::Broken(error),
        }
    }
}

impl Store {
    /// Opens the file, making it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`], or when the file is none of ours or cannot be used.
    pub(in crate::ops) fn open(path: &Path) -> Result<Store, StoreError> {
        let mut writer = Connection::open(path)?;
        prepare(&writer)?;
        writer.pragma_update(None, "journal_mode", "wal")?;
        writer.pragma_update(None, "synchronous", "full")?;
        schema::bring_up_to_date(&mut writer)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let reader = Connection::open_with_flags(path, flags)?;
            prepare(&reader)?;
            reader.pragma_update(None, "cache_size", -READER_KIB)?;
            readers.push(Mutex::new(reader));
        }
        Ok(Store { writer: Mutex::new(writer), readers })
    }

    /// Looks at the records as they are at one moment.
    ///
    /// # Errors
    /// Those of `look`, and when the file cannot be read.
    pub(in crate::ops) fn read<T, E: From<StoreError>>(
        &self,
        look: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut reader = self.reader();
        let transaction = reader.transaction().map_err(StoreError::from)?;
        look(&Tx(transaction))
    }

    /// Changes the records: all of it when `change` gives `Ok`, nothing otherwise.
    ///
    /// # Errors
    /// Those of `change`, and when the change cannot be made durable.
    pub(in crate::ops) fn write<T, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let tx = Tx(transaction);
        let done = change(&tx)?;
        tx.0.commit().map_err(StoreError::from)?;
        Ok(done)
    }

    /// One of the readers that is free, or the first when none is.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        let free = self.readers.iter().find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| self.readers[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The text of a column where SQLite has it, as long as the row is looked at.
fn text<'a, T: From<&'a str>>(row: &'a Row<'_>, at: usize) -> Result<Option<T>, StoreError> {
    let found = row.get_ref(at)?.as_str_or_null();
    Ok(found.map_err(|_| StoreError::Malformed { what: "a text" })?.map(T::from))
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests;
