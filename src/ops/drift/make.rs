//! A baseline that is made: of a window of logged time, or of a file that somebody has.

use super::baseline::Baseline;
use super::gathered::Gathered;
use crate::codec::logs::{LogColumn, TableError, read_table};
use crate::exit;
use crate::ops::logs::{Logs, ReadError, Walk, Walked};
use crate::ops::name::NAME_CHARS_MAX;
use crate::ops::store::{LogsAsked, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::File;

/// Baselines of one pipeline: each is a further count of every row that comes.
pub(in crate::ops) const BASELINES_MAX: usize = 10;

/// Bytes of a file: a hundred thousand rows of fifty numbers as text.
pub(in crate::ops) const BASELINE_FILE_BYTES_MAX: u64 = 64 << 20;

/// Rows of one baseline: what is made of more tells no more.
const ROWS_MAX: u64 = 1_000_000;

/// Of what a baseline was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::ops) enum Origin {
    /// What edges inferred in a time.
    Logs {
        /// Milliseconds since the epoch.
        from_ms: Option<i64>,
        /// The same.
        until_ms: Option<i64>,
        /// Of these alone, where some are named.
        edges: Vec<String>,
    },
    /// A file.
    File {
        /// What it is called where it comes from.
        name: String,
    },
}

/// What a baseline is made of.
#[derive(Debug)]
pub(in crate::ops) struct Made {
    /// Its columns, as they are recorded.
    pub columns: String,
    /// Rows.
    pub rows: i64,
    /// Columns that there was no room for.
    pub left_out: usize,
}

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum DriftError {
    #[error(
        "a baseline's name has at most {NAME_CHARS_MAX} of a-z, 0-9 and -, with a letter or digit at both \
         ends"
    )]
    Name,
    #[error("the pipeline has {BASELINES_MAX} baselines: remove one that nobody looks at any more")]
    TooMany,
    #[error("no edge inferred anything in that time: choose another, or upload a file")]
    NoRows,
    #[error("the file has no rows with columns: it needs those that the pipeline takes or gives")]
    EmptyFile,
    #[error(
        "a baseline is made of at most {ROWS_MAX} rows: choose a shorter time, or sample the file"
    )]
    TooManyRows,
    #[error("{}", exit::chain(.0))]
    Table(#[source] TableError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TableError> for DriftError {
    fn from(error: TableError) -> DriftError {
        DriftError::Table(error)
    }
}

/// Makes one of what was logged.
///
/// # Errors
/// When nothing was, or too much, or it cannot be read.
pub(in crate::ops) fn of_logs(logs: &Logs, asked: LogsAsked) -> Result<Made, DriftError> {
    let (mut gathered, mut rows) = (Gathered::default(), 0);
    let mut walk = Walk::after(logs, asked, 0);
    while let Some((_, walked)) = walk.next()? {
        rows += match walked {
            Walked::Nothing => 0,
            Walked::Rows(batch) => {
                gathered.add(&batch.columns());
                batch.rows() as u64
            }
            Walked::Summary(summary, _) => {
                gathered.add_summary(&summary);
                summary.rows
            }
        };
        if ROWS_MAX < rows {
            return Err(DriftError::TooManyRows);
        }
    }
    made(gathered, rows, DriftError::NoRows)
}

/// Makes one of a file.
///
/// # Errors
/// When it has no rows, or too many, or cannot be read.
pub(in crate::ops) fn of_file(file: File) -> Result<Made, DriftError> {
    let (mut gathered, mut rows) = (Gathered::default(), 0);
    read_table(file, |columns: &[LogColumn]| {
        gathered.add(columns);
        rows += columns.iter().map(|it| it.offsets.len() as u64 - 1).max().unwrap_or(0);
        if rows <= ROWS_MAX { Ok(()) } else { Err(DriftError::TooManyRows) }
    })?;
    made(gathered, rows, DriftError::EmptyFile)
}

fn made(gathered: Gathered, rows: u64, nothing: DriftError) -> Result<Made, DriftError> {
    let (columns, left_out) = gathered.columns();
    if rows == 0 || columns.is_empty() {
        return Err(nothing);
    }
    let columns = serde_json::to_string(&Baseline::of(columns).columns)
        .map_err(|_| StoreError::Malformed { what: "a baseline" })?;
    Ok(Made { columns, rows: i64::try_from(rows).unwrap_or(i64::MAX), left_out })
}
