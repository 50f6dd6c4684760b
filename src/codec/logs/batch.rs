//! The rows of one frame: read, marked with where they come from, and chosen from.

use super::LogsError;
use crate::codec::journal;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StructArray, UInt32Array};
use arrow_schema::{DataType, Field, Fields, Schema};
use std::sync::Arc;

/// The columns that are ours alone: the sequence number and the monotonic time.
const SEQUENCE: &str = "_seq";
const MONOTONIC: &str = "_mono_ms";

/// The column that a time of day is in.
const TIME: &str = "time";

/// The group that tells of each row where it comes from, and what it tells of that.
const METADATA: &str = "metadata";
const PARTITION: &str = "partition";
const TIME_SOURCE: &str = "time_source";

/// The group of what validations found, and how many did.
const ANOMALY: &str = "anomaly";
const COUNT: &str = "count";

/// Rows of inferences, one for each row of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct LogBatch(pub(super) RecordBatch);

/// Which rows are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsWanted {
    /// Those of this sequence number or a later one.
    pub from: u64,
    /// From this time on, milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// Only those in which a validation failed.
    pub is_failures: bool,
}

impl LogBatch {
    /// Reads the payload of a frame of records.
    ///
    /// # Errors
    /// When it is damaged, or has not the columns of a journal.
    pub fn read(payload: &[u8]) -> Result<LogBatch, LogsError> {
        let batch =
            journal::batch(payload).map_err(|error| LogsError::Payload(error.to_string()))?;
        for (name, wanted) in
            [(SEQUENCE, DataType::UInt64), (MONOTONIC, DataType::UInt64), (TIME, DataType::Int64)]
        {
            match batch.column_by_name(name) {
                Some(column) if *column.data_type() == wanted && column.null_count() == 0 => {}
                Some(_) | None => {
                    return Err(LogsError::Payload(format!("it has no sound column `{name}`")));
                }
            }
        }
        Ok(LogBatch(batch))
    }

    /// The same rows with the edge's name as partition, and their times from the device's monotonic
    /// clock, which was at 0 at `base_ms`, or as they are without one.
    ///
    /// # Errors
    /// When Arrow refuses what we make.
    pub fn marked(
        self,
        edge: &str,
        base_ms: Option<i64>,
        time_source: &str,
    ) -> Result<LogBatch, LogsError> {
        let rows = self.0.num_rows();
        let schema = self.0.schema();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        let mut has_metadata = false;
        for (field, column) in schema.fields().iter().zip(self.0.columns()) {
            let (field, column): (Arc<Field>, ArrayRef) = match field.name().as_str() {
                TIME => (field.clone(), self.times(base_ms, column)),
                METADATA => {
                    has_metadata = true;
                    let old = column.as_struct_opt();
                    let (field, column) = metadata(old, rows, edge, time_source)?;
                    (Arc::new(field), column)
                }
                _ => (field.clone(), column.clone()),
            };
            fields.push(field);
            columns.push(column);
        }
        if !has_metadata {
            let (field, column) = metadata(None, rows, edge, time_source)?;
            fields.push(Arc::new(field));
            columns.push(column);
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(LogBatch(RecordBatch::try_new(schema, columns)?))
    }

    fn times(&self, base_ms: Option<i64>, device: &ArrayRef) -> ArrayRef {
        let Some((base, monotonic)) = base_ms.zip(self.0.column_by_name(MONOTONIC)) else {
            return device.clone();
        };
        let monotonic = monotonic.as_primitive::<UInt64Type>().values();
        let corrected =
            monotonic.iter().map(|ms| base.saturating_add_unsigned(*ms)).collect::<Vec<_>>();
        Arc::new(Int64Array::from(corrected))
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }

    /// The places of the rows that are wanted.
    pub fn places(&self, wanted: &RowsWanted) -> Vec<u32> {
        let numbers =
            self.0.column_by_name(SEQUENCE).and_then(|it| it.as_primitive_opt::<UInt64Type>());
        let times = self.0.column_by_name(TIME).and_then(|it| it.as_primitive_opt::<Int64Type>());
        let counts = self.0.column_by_name(ANOMALY).and_then(|it| {
            it.as_struct_opt()?.column_by_name(COUNT)?.as_primitive_opt::<UInt32Type>()
        });
        let fits = |row: usize| {
            let is_new = numbers.is_none_or(|numbers| wanted.from <= numbers.value(row));
            let is_in_time = times.is_none_or(|times| {
                let time = times.value(row);
                wanted.from_ms.is_none_or(|from| from <= time)
                    && wanted.until_ms.is_none_or(|until| time < until)
            });
            let failed = counts.is_some_and(|counts| counts.is_valid(row) && 0 < counts.value(row));
            is_new && is_in_time && (failed || !wanted.is_failures)
        };
        let rows = u32::try_from(self.rows()).unwrap_or(u32::MAX);
        (0..rows).filter(|row| fits(*row as usize)).collect()
    }

    /// The rows of those places, in that order.
    ///
    /// # Errors
    /// When Arrow refuses what we make.
    pub fn taken(&self, places: &[u32]) -> Result<LogBatch, LogsError> {
        let places = UInt32Array::from(places.to_vec());
        Ok(LogBatch(arrow_select::take::take_record_batch(&self.0, &places)?))
    }

    /// Batches of the same columns as one, by time; rows of one time keep their order.
    ///
    /// # Errors
    /// When they are of different columns.
    pub fn by_time(
        batches: &[LogBatch],
        is_descending: bool,
    ) -> Result<Option<LogBatch>, LogsError> {
        let Some(first) = batches.first() else { return Ok(None) };
        let records: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.0).collect();
        let whole = arrow_select::concat::concat_batches(&first.0.schema(), records)?;
        let times = whole.column_by_name(TIME).and_then(|it| it.as_primitive_opt::<Int64Type>());
        let Some(times) = times else { return Ok(Some(LogBatch(whole))) };
        let rows = u32::try_from(whole.num_rows()).unwrap_or(u32::MAX);
        let mut places: Vec<u32> = (0..rows).collect();
        match is_descending {
            false => places.sort_by_key(|row| times.value(*row as usize)),
            true => places.sort_by_key(|row| std::cmp::Reverse(times.value(*row as usize))),
        }
        LogBatch(whole).taken(&places).map(Some)
    }
}

/// What a row tells of where it comes from; the name of the edge is the one that was proven to us.
fn metadata(
    old: Option<&StructArray>,
    rows: usize,
    edge: &str,
    time_source: &str,
) -> Result<(Field, ArrayRef), LogsError> {
    let mut fields: Vec<Arc<Field>> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    if let Some(old) = old {
        for (field, column) in old.fields().iter().zip(old.columns()) {
            if ![PARTITION, TIME_SOURCE].contains(&field.name().as_str()) {
                fields.push(field.clone());
                columns.push(column.clone());
            }
        }
    }
    for (name, text) in [(PARTITION, edge), (TIME_SOURCE, time_source)] {
        let mut texts = StringBuilder::with_capacity(rows, rows * text.len());
        (0..rows).for_each(|_| texts.append_value(text));
        fields.push(Arc::new(Field::new(name, DataType::Utf8, false)));
        columns.push(Arc::new(texts.finish()));
    }
    let fields = Fields::from(fields);
    let column = StructArray::try_new_with_length(fields.clone(), columns, None, rows)?;
    Ok((Field::new(METADATA, DataType::Struct(fields), false), Arc::new(column)))
}
