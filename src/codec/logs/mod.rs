//! Inferences as the ops center keeps them: read from a journal's payload, corrected, chosen, and written as JSON, Arrow, Parquet or CSV.

mod batch;
mod cells;
mod csv;
mod export;
mod summed;
mod table;
mod values;

pub use batch::{LogBatch, RowsWanted};
pub use export::{Export, LogFormat, LogShape};
pub use summed::{LogSummary, SummedColumn};
pub use table::{TableError, read_table};
pub use values::{LogColumn, LogValues};

use super::arrow;
use super::rows::{AnswerError, Dataset, Member, write_elements};
use crate::tensor::Misfit;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::FileWriter;
use arrow_schema::ArrowError;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// Inferences that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The payload of a frame is not what its header says.
    #[error("a frame of the logs cannot be read: {0}")]
    Payload(Misfit),
    /// A frame without rows is none of records.
    #[error("a frame of the logs has no rows")]
    NoRows,
    /// What is asked for is not there, or too large.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Columns of one name and different types.
    #[error(
        "the column `{column}` is {first} in some of the logs and {second} in others: ask for one version \
         of the pipeline, or for a shorter time"
    )]
    Conflict {
        /// The column's name.
        column: String,
        /// The one type.
        first: String,
        /// The other.
        second: String,
    },
    /// Arrow refused what we made.
    #[error("the logs cannot be put together")]
    Arrow(#[from] ArrowError),
    /// Parquet's writer did.
    #[error("the logs cannot be written as a Parquet file")]
    Parquet(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Where they are written to did.
    #[error("the logs cannot be written")]
    Write(#[from] io::Error),
}

/// The parts of rows that are asked for; nothing of nothing.
fn asked(rows: Option<&LogBatch>, dataset: &Dataset) -> Result<Vec<Member<'static>>, LogsError> {
    let Some(rows) = rows else { return Ok(Vec::new()) };
    Ok(dataset.select(rows.members()).map_err(AnswerError::from)?)
}

/// Writes rows as JSON: a list with an object for each.
///
/// # Errors
/// When `dataset` asks for what they do not have.
pub fn write_log_rows(rows: Option<&LogBatch>, dataset: &Dataset) -> Result<Vec<u8>, LogsError> {
    let members = asked(rows, dataset)?;
    let mut out = vec![b'['];
    if let Some(rows) = rows {
        write_elements(&mut out, &members, rows.rows(), b",");
    }
    out.push(b']');
    Ok(out)
}

/// Writes rows as an Arrow file of one batch; `status` goes into the schema's metadata, where the
/// original's clients look for it.
///
/// # Errors
/// As [`write_log_rows`].
pub fn write_log_file(
    rows: Option<&LogBatch>,
    dataset: &Dataset,
    status: &str,
) -> Result<Vec<u8>, LogsError> {
    let count = rows.map_or(0, LogBatch::rows);
    let batch = arrow::batch(&asked(rows, dataset)?, count)?;
    let told = HashMap::from([("status".to_owned(), status.to_owned())]);
    let schema = Arc::new(batch.schema().as_ref().clone().with_metadata(told));
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    if 0 < count {
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let columns = batch.columns().to_vec();
        writer.write(&RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)?;
    }
    Ok(writer.into_inner()?)
}
