//! Inferences as the ops center keeps them: read from a journal's payload, corrected, chosen, and written as JSON, Arrow, Parquet or CSV.

mod batch;
mod csv;
mod export;
mod json;
mod select;
#[cfg(test)]
mod tests;

pub use batch::{LogBatch, RowsWanted};
pub use export::{Export, LogFormat, LogShape};

use super::rows::{Dataset, DatasetError};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Field, Schema};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// Inferences that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The payload of a frame is not what its header says.
    #[error("a frame of the logs cannot be read: {0}")]
    Payload(String),
    /// What is asked for is not there.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
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
    /// A type of column that we do not write.
    #[error("the column `{column}` is {found}, which has no form here")]
    Unwritable {
        /// The column's name.
        column: String,
        /// Its type.
        found: String,
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

/// Batches as one table of the parts that `dataset` asks for; all have the same columns.
///
/// # Errors
/// When `dataset` asks for what is not there, or the batches differ.
fn table(batches: &[LogBatch], dataset: &Dataset) -> Result<(Schema, Vec<ArrayRef>), LogsError> {
    let Some(first) = batches.first() else { return Ok((Schema::empty(), Vec::new())) };
    let records: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.0).collect();
    let whole = arrow_select::concat::concat_batches(&first.0.schema(), records)?;
    let columns = select::selected(&whole, dataset)?;
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    Ok((Schema::new(fields), arrays))
}

/// Writes rows as JSON: a list with an object for each, in the batches' order.
///
/// # Errors
/// As the parts that `dataset` asks for are not there.
pub fn write_log_rows(batches: &[LogBatch], dataset: &Dataset) -> Result<Vec<u8>, LogsError> {
    let (schema, arrays) = table(batches, dataset)?;
    json::rows(&schema, &arrays)
}

/// Writes rows as an Arrow file of one batch; `status` goes into the schema's metadata, where the
/// original's clients look for it.
///
/// # Errors
/// As [`write_log_rows`].
pub fn write_log_file(
    batches: &[LogBatch],
    dataset: &Dataset,
    status: &str,
) -> Result<Vec<u8>, LogsError> {
    let (schema, arrays) = table(batches, dataset)?;
    let told = HashMap::from([("status".to_owned(), status.to_owned())]);
    let schema = Arc::new(schema.with_metadata(told));
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    if let Some(rows) = arrays.first().map(|array| array.len()) {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        writer.write(&RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)?;
    }
    Ok(writer.into_inner()?)
}
