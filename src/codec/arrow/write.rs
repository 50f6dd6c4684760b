//! The answer as an Arrow file: one batch, one row for each row of the input.

use super::shape::TENSOR_TYPE;
use crate::codec::rows::{
    AnswerError, COLUMN_MAX, Cells, Dataset, Generation, Member, Source, Value, answer,
};
use crate::pipeline::{Finding, Record};
use crate::tensor::{Data, Table};
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, ListArray, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{Field, Fields, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// Writes a record as an Arrow IPC file with the columns `time`, `in`, `out`, `check_failures`
/// and `metadata`, in the form of the original's 2023 releases. `input` is the table that the
/// record answers; time, failed checks and metadata are repeated in each row.
///
/// An output's rows are its first dimension when that is the number of rows or a multiple of it;
/// the answer to one row is the whole output. `partition` is empty: a record does not tell it.
///
/// # Errors
/// When an output does not come in rows, or a column is larger than Arrow's lists can be.
pub fn write_arrow(record: &Record<'_>, input: &Table<'_>) -> Result<Vec<u8>, AnswerError> {
    file(&answer(record, input, "", Generation::CheckFailures)?, input.rows())
}

/// Writes a record as [`write_arrow`] does, in the form of the original's later releases: with
/// `anomaly` in the place of `check_failures`, under the edge's name as `partition`, and with the
/// parts that `dataset` asks for.
///
/// # Errors
/// As [`write_arrow`], and when `dataset` asks for what is not there.
pub fn write_rows_arrow(
    record: &Record<'_>,
    input: &Table<'_>,
    partition: &str,
    dataset: &Dataset,
) -> Result<Vec<u8>, AnswerError> {
    let members = answer(record, input, partition, Generation::Anomaly)?;
    file(&dataset.select(members)?, input.rows())
}

fn file(members: &[Member<'_>], rows: usize) -> Result<Vec<u8>, AnswerError> {
    let batch = batch(members, rows)?;
    let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// Members as the columns of one batch.
pub(in crate::codec) fn batch(
    members: &[Member<'_>],
    rows: usize,
) -> Result<RecordBatch, AnswerError> {
    let (fields, arrays) = columns(members, rows)?;
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
}

fn columns(
    members: &[Member<'_>],
    rows: usize,
) -> Result<(Vec<Field>, Vec<ArrayRef>), AnswerError> {
    let columns = members.iter().map(|member| column(member, rows));
    Ok(columns.collect::<Result<Vec<_>, AnswerError>>()?.into_iter().unzip())
}

/// One member as a column that is never null; cells tell the shape of their rows.
fn column(member: &Member<'_>, rows: usize) -> Result<(Field, ArrayRef), AnswerError> {
    let name = &*member.name;
    let mut shape: Option<&[usize]> = None;
    let array: ArrayRef = match &member.value {
        Value::Group(members) => {
            let (fields, arrays) = columns(members, rows)?;
            let fields = Fields::from(fields);
            Arc::new(StructArray::try_new_with_length(fields, arrays, None, rows)?)
        }
        Value::Cells(cells) => {
            shape = Some(&cells.row_shape);
            cell_lists(name, cells, rows)?
        }
        Value::Dropped => lists("item", true, Arc::new(StringArray::new_null(0)), 0, rows)?,
        Value::Elapsed(elapsed) => {
            refuse_above_offsets(name, elapsed.len(), rows)?;
            let values = Arc::new(UInt64Array::from(elapsed.repeat(rows)));
            lists("steps", false, values, elapsed.len(), rows)?
        }
        Value::Failures(findings) => failed_checks(name, findings, rows)?,
        Value::Stored(stored) => {
            let field = Field::new(name, stored.array.data_type().clone(), false);
            let told = |shape| HashMap::from([(TENSOR_TYPE.to_owned(), shape)]);
            let metadata = stored.shape.clone().map(told).unwrap_or_default();
            return Ok((field.with_metadata(metadata), stored.array.clone()));
        }
        Value::Text(text) => {
            refuse_above_offsets(name, text.len(), rows)?;
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        Value::Time(time) => Arc::new(Int64Array::from_value(*time, rows)),
    };
    let field = Field::new(name, array.data_type().clone(), false);
    let told =
        |shape| HashMap::from([(TENSOR_TYPE.to_owned(), format!("{{\"shape\":{shape:?}}}"))]);
    Ok(match shape {
        Some(shape) => (field.with_metadata(told(shape)), array),
        None => (field, array),
    })
}

/// A value where a row is one, else a list. The names of the lists' items are the original's.
fn cell_lists(name: &str, cells: &Cells<'_>, rows: usize) -> Result<ArrayRef, AnswerError> {
    let values = values(name, cells.data.borrow())?;
    if cells.row_shape.is_empty() {
        return Ok(values);
    }
    let (item, nullable) = match cells.source {
        Source::Request => ("item", true),
        Source::Model => ("inner", false),
    };
    lists(item, nullable, values, cells.row_elements(), rows)
}

/// The expressions of the validations that failed in each row.
fn failed_checks(name: &str, findings: &[Finding], rows: usize) -> Result<ArrayRef, AnswerError> {
    let texts = findings.iter().map(|finding| finding.text.len() + 1);
    refuse_above_offsets(name, texts.sum(), rows)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        for finding in findings.iter().filter(|finding| finding.failed[row]) {
            lists.values().append_value(&finding.text);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// Refuses a column of which each row takes so many values or bytes.
fn refuse_above_offsets(column: &str, per_row: usize, rows: usize) -> Result<(), AnswerError> {
    if COLUMN_MAX < per_row.saturating_mul(rows) {
        return Err(AnswerError::TooLarge { column: column.to_owned() });
    }
    Ok(())
}

/// `rows` lists of `length` values each; the caller has checked that they fit `i32`.
pub(in crate::codec) fn lists(
    item: &str,
    nullable: bool,
    values: ArrayRef,
    length: usize,
    rows: usize,
) -> Result<ArrayRef, AnswerError> {
    let field = Arc::new(Field::new(item, values.data_type().clone(), nullable));
    let offsets = OffsetBuffer::from_repeated_length(length, rows);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

/// The values as an Arrow array, copied unless they are owned.
pub(in crate::codec) fn values(column: &str, data: Data<'_>) -> Result<ArrayRef, AnswerError> {
    let too_large = || AnswerError::TooLarge { column: column.to_owned() };
    if COLUMN_MAX < data.len() {
        return Err(too_large());
    }
    macro_rules! primitive {
        ($type:ty, $values:expr) => {
            Arc::new(PrimitiveArray::<$type>::new(ScalarBuffer::from($values.into_owned()), None))
        };
    }
    Ok(match data {
        Data::Bool(values) => Arc::new(BooleanArray::from(values.into_owned())),
        Data::F16(values) => primitive!(Float16Type, values),
        Data::F32(values) => primitive!(Float32Type, values),
        Data::F64(values) => primitive!(Float64Type, values),
        Data::I8(values) => primitive!(Int8Type, values),
        Data::I16(values) => primitive!(Int16Type, values),
        Data::I32(values) => primitive!(Int32Type, values),
        Data::I64(values) => primitive!(Int64Type, values),
        Data::String(values) => {
            let bytes = values.iter().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
            if COLUMN_MAX < bytes {
                return Err(too_large());
            }
            Arc::new(StringArray::from_iter_values(values.iter()))
        }
        Data::U8(values) => primitive!(UInt8Type, values),
        Data::U16(values) => primitive!(UInt16Type, values),
        Data::U32(values) => primitive!(UInt32Type, values),
        Data::U64(values) => primitive!(UInt64Type, values),
    })
}
