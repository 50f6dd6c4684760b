//! A copy of the records as they were at one moment, taken while an ops center writes them.

use super::{StoreError, schema};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};
use std::path::{Path, PathBuf};

/// Every page in one step: a reader in WAL holds up no writer, and none makes it begin again.
const ALL_PAGES: i32 = -1;

/// Copies the records into an empty file, and sees that the copy is sound.
///
/// # Errors
/// [`StoreError::Newer`], or when either file cannot be used.
pub(in crate::ops) fn snapshot(from: &Path, into: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(super::BUSY)?;
    let mut copy = Connection::open(into)?;
    let step = Backup::new(&source, &mut copy)?.step(ALL_PAGES)?;
    if step != StepResult::Done {
        return Err(damaged(&format!("the records are in use: {step:?}")));
    }
    // One file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "delete")?;
    drop(copy);
    examine(into)
}

/// Sees that a file of records is whole, and of a schema that is known.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Broken`].
pub(in crate::ops) fn examine(path: &Path) -> Result<(), StoreError> {
    let connection = read_only(path)?;
    schema::of_a_known_version(&connection)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(damaged(&found));
    }
    let mut look = connection.prepare("PRAGMA foreign_key_check")?;
    match look.exists([])? {
        true => Err(damaged("a record names another one that is not there")),
        false => Ok(()),
    }
}

/// The digests of all model files that the records name, 64 hex digits each.
///
/// # Errors
/// When the file cannot be read.
pub(in crate::ops) fn named_blobs(path: &Path) -> Result<Vec<String>, StoreError> {
    let connection = read_only(path)?;
    let mut look = connection.prepare(
        "SELECT sha FROM model_versions UNION SELECT sha FROM model_files
         UNION SELECT sha FROM upload_files ORDER BY sha",
    )?;
    Ok(look.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The files of logs that the records name, below the directory of logs, and how many of their bytes
/// count.
///
/// # Errors
/// When the file cannot be read.
pub(in crate::ops) fn named_logs(path: &Path) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let connection = read_only(path)?;
    let mut look = connection
        .prepare("SELECT id, pipeline_id, day, bytes, created_ms FROM log_segments ORDER BY id")?;
    let found = look.query_map([], super::logs::segment_of)?;
    let named = |segment: super::LogSegment| (segment.file(), segment.bytes);
    Ok(found.map(|segment| segment.map(named)).collect::<Result<_, _>>()?)
}

fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

fn damaged(what: &str) -> StoreError {
    let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
    StoreError::Broken(rusqlite::Error::SqliteFailure(code, Some(what.to_owned())))
}
