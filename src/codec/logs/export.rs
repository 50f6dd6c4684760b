//! Many batches as one file, written batch by batch: whatever the number of rows, few are in memory.

use super::{LogBatch, LogsError, asked, csv};
use crate::codec::arrow;
use crate::codec::rows::Dataset;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::io::Write;
use std::sync::Arc;

/// Rows of a Parquet file that wait in memory to be written together, in bytes as they are encoded.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// The columns of an export: those of all batches, each of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogShape {
    fields: Vec<Field>,
}

impl LogShape {
    /// Takes the columns of a batch in: those that are known already must have the same type.
    ///
    /// # Errors
    /// [`LogsError::Conflict`].
    pub fn take_in(&mut self, batch: &LogBatch) -> Result<(), LogsError> {
        for field in flat(batch)?.schema().fields() {
            match self.fields.iter().find(|known| known.name() == field.name()) {
                None => self.fields.push(field.as_ref().clone().with_nullable(true)),
                Some(known) if known.data_type() == field.data_type() => {}
                Some(known) => {
                    return Err(LogsError::Conflict {
                        column: field.name().clone(),
                        first: known.data_type().to_string(),
                        second: field.data_type().to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The form of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Arrow's IPC file, compressed with zstd.
    Arrow,
    /// Comma-separated values.
    Csv,
    /// Parquet, compressed with zstd.
    Parquet,
}

/// A file that is being written.
pub struct Export<W: Write + Send> {
    schema: Arc<Schema>,
    sink: Sink<W>,
}

impl<W: Write + Send> std::fmt::Debug for Export<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({} columns)", self.schema.fields().len())
    }
}

enum Sink<W: Write + Send> {
    Arrow(Box<FileWriter<W>>),
    Csv(W),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Export<W> {
    /// Begins a file of these columns.
    ///
    /// # Errors
    /// When its beginning cannot be written, or its form has no place for a column's type.
    pub fn begin(format: LogFormat, shape: LogShape, mut out: W) -> Result<Export<W>, LogsError> {
        let schema = Arc::new(Schema::new(shape.fields));
        let sink = match format {
            LogFormat::Arrow => {
                let options =
                    IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
                Sink::Arrow(Box::new(FileWriter::try_new_with_options(out, &schema, options)?))
            }
            LogFormat::Csv => {
                csv::head(&mut out, &schema)?;
                Sink::Csv(out)
            }
            LogFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Sink::Parquet(Box::new(writer.map_err(parquet)?))
            }
        };
        Ok(Export { schema, sink })
    }

    /// Writes the rows of a batch, with nothing in columns that it has not.
    ///
    /// # Errors
    /// When a column has another type than in the file, or the rows cannot be written.
    pub fn write(&mut self, batch: &LogBatch) -> Result<(), LogsError> {
        let rows = batch.rows();
        let given = flat(batch)?;
        let column = |field: &Arc<Field>| -> Result<ArrayRef, LogsError> {
            match given.column_by_name(field.name()) {
                None => Ok(new_null_array(field.data_type(), rows)),
                Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
                Some(array) => Err(LogsError::Conflict {
                    column: field.name().clone(),
                    first: field.data_type().to_string(),
                    second: array.data_type().to_string(),
                }),
            }
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        match &mut self.sink {
            Sink::Csv(out) => csv::rows(out, &columns),
            Sink::Arrow(writer) => Ok(writer.write(&whole(&self.schema, columns, rows)?)?),
            Sink::Parquet(writer) => {
                writer.write(&whole(&self.schema, columns, rows)?).map_err(parquet)?;
                if ROW_GROUP_BYTES <= writer.in_progress_size() {
                    writer.flush().map_err(parquet)?;
                }
                Ok(())
            }
        }
    }

    /// Writes the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self) -> Result<(), LogsError> {
        match self.sink {
            Sink::Csv(mut out) => Ok(out.flush()?),
            Sink::Arrow(mut writer) => Ok(writer.finish()?),
            Sink::Parquet(writer) => writer.close().map(|_| ()).map_err(parquet),
        }
    }
}

/// The rows under the names of their parts, joined as in the original's exports.
fn flat(batch: &LogBatch) -> Result<RecordBatch, LogsError> {
    Ok(arrow::batch(&asked(Some(batch), &Dataset::flat())?, batch.rows())?)
}

fn whole(
    schema: &Arc<Schema>,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, LogsError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn parquet(error: parquet::errors::ParquetError) -> LogsError {
    LogsError::Parquet(Box::new(error))
}
