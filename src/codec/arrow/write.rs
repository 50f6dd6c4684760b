//! The answer as an Arrow file: one batch, one row for each row of the input.

use super::shape::TENSOR_TYPE;
use crate::pipeline::Record;
use crate::tensor::{Column, Data, NamedTensor, RowShape, Table};
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Field, Fields, Schema};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Values, or bytes of text, that one column of an answer can have: list offsets are `i32`.
const COLUMN_MAX: usize = i32::MAX as usize;

/// A record that cannot be written as an Arrow file.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The model gave an output that does not come in rows.
    #[error(
        "output `{output}` of shape {shape:?} cannot be divided among the {rows} rows of the \
         request; ask for `application/json`, or send one row at a time"
    )]
    NotInRows {
        /// The output's name.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The rows of the request.
        rows: usize,
    },
    /// A column outgrows Arrow's offsets.
    #[error("column `{column}` has more than {COLUMN_MAX} values; send fewer rows at a time")]
    TooLarge {
        /// The column's name.
        column: String,
    },
    /// Arrow's writer refused what we made.
    #[error("the answer could not be written as an Arrow file")]
    Arrow(#[from] ArrowError),
}

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
    let rows = input.rows();
    let time = i64::try_from(record.time_ms).unwrap_or(i64::MAX);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(Int64Array::from_value(time, rows))),
        ("in", inputs(input)?),
        ("out", outputs(&record.outputs, rows)?),
        ("check_failures", check_failures(record, rows)?),
        ("metadata", metadata(record, rows)?),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), false))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays)?;
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn inputs(input: &Table<'_>) -> Result<ArrayRef, AnswerError> {
    let columns = input.columns().iter().map(|column| input_column(column, input.rows()));
    structs(columns.collect::<Result<_, _>>()?, input.rows())
}

/// The request's column: a value where the row is one, else a list.
fn input_column(column: &Column<'_>, rows: usize) -> Result<(Field, ArrayRef), AnswerError> {
    let values = values(&column.name, &column.data)?;
    let (shape, array) = match &column.row_shape {
        RowShape::Told(shape) if shape.is_empty() => (shape.clone(), values),
        RowShape::Told(shape) => {
            (shape.clone(), lists("item", true, values, column.row_shape.elements(), rows)?)
        }
        RowShape::Flat(length) => (vec![*length], lists("item", true, values, *length, rows)?),
    };
    Ok((tensor_field(&column.name, &array, &shape), array))
}

fn outputs(outputs: &[NamedTensor<'_>], rows: usize) -> Result<ArrayRef, AnswerError> {
    let columns = outputs.iter().map(|output| output_column(output, rows));
    structs(columns.collect::<Result<_, _>>()?, rows)
}

fn output_column(output: &NamedTensor<'_>, rows: usize) -> Result<(Field, ArrayRef), AnswerError> {
    let shape = output.tensor.shape();
    let row_shape = row_shape(shape, rows).ok_or_else(|| AnswerError::NotInRows {
        output: output.name.clone(),
        shape: shape.to_vec(),
        rows,
    })?;
    let values = values(&output.name, output.tensor.data())?;
    let length = row_shape.iter().product();
    let array = lists("inner", false, values, length, rows)?;
    Ok((tensor_field(&output.name, &array, &row_shape), array))
}

/// The shape of one row of an output; of at least one dimension, since a row is a list.
fn row_shape(shape: &[usize], rows: usize) -> Option<Vec<usize>> {
    let mut row_shape = match shape.split_first() {
        Some((first, rest)) if *first == rows => rest.to_vec(),
        Some(_) | None if rows == 1 => shape.to_vec(),
        Some((first, rest)) if 0 < rows && first % rows == 0 => [&[first / rows], rest].concat(),
        Some(_) | None => return None,
    };
    if row_shape.is_empty() {
        row_shape.push(1);
    }
    Some(row_shape)
}

/// The failed checks, each row having all of them.
fn check_failures(record: &Record<'_>, rows: usize) -> Result<ArrayRef, AnswerError> {
    let texts = record.check_failures.iter().map(|failure| failure.expression.len() + 1);
    refuse_above_offsets("check_failures", texts.sum(), rows)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for _ in 0..rows {
        for failure in &record.check_failures {
            lists.values().append_value(&failure.expression);
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// The model as the original tells it: JSON within a string.
#[derive(Serialize)]
struct LastModel<'a> {
    model_name: &'a str,
    model_sha: &'a str,
}

fn metadata(record: &Record<'_>, rows: usize) -> Result<ArrayRef, AnswerError> {
    let last_model = LastModel { model_name: &record.model_name, model_sha: &record.model_sha };
    let last_model = serde_json::to_string(&last_model)
        .map_err(|error| ArrowError::JsonError(error.to_string()))?;
    let repeated = |name: &'static str, text: &str| -> Result<(&str, ArrayRef), AnswerError> {
        refuse_above_offsets(name, text.len(), rows)?;
        let array = StringArray::from_iter_values(std::iter::repeat_n(text, rows));
        Ok((name, Arc::new(array)))
    };
    let steps = record.elapsed_ns.len();
    refuse_above_offsets("elapsed", steps, rows)?;
    let elapsed: ArrayRef = Arc::new(UInt64Array::from(record.elapsed_ns.repeat(rows)));
    // Nothing is left out of an answer; in the original's logs, large columns may be.
    let dropped: ArrayRef = Arc::new(StringArray::new_null(0));
    let columns: Vec<(&str, ArrayRef)> = vec![
        repeated("last_model", &last_model)?,
        repeated("pipeline_version", &record.pipeline_version)?,
        ("elapsed", lists("steps", false, elapsed, steps, rows)?),
        ("dropped", lists("item", true, dropped, 0, rows)?),
        repeated("partition", "")?,
    ];
    let named = columns
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), false), array));
    structs(named.collect(), rows)
}

/// Refuses a column of which each row takes so many values or bytes.
fn refuse_above_offsets(column: &str, per_row: usize, rows: usize) -> Result<(), AnswerError> {
    if COLUMN_MAX < per_row.saturating_mul(rows) {
        return Err(AnswerError::TooLarge { column: column.to_owned() });
    }
    Ok(())
}

/// A struct that is never null.
fn structs(columns: Vec<(Field, ArrayRef)>, rows: usize) -> Result<ArrayRef, AnswerError> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let array = StructArray::try_new_with_length(Fields::from(fields), arrays, None, rows)?;
    Ok(Arc::new(array))
}

/// A field that tells the shape of its rows.
fn tensor_field(name: &str, array: &ArrayRef, shape: &[usize]) -> Field {
    let metadata = HashMap::from([(TENSOR_TYPE.to_owned(), format!("{{\"shape\":{shape:?}}}"))]);
    Field::new(name, array.data_type().clone(), false).with_metadata(metadata)
}

/// `rows` lists of `length` values each; the caller has checked that they fit `i32`.
fn lists(
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

/// The values as an Arrow array, copied.
fn values(column: &str, data: &Data<'_>) -> Result<ArrayRef, AnswerError> {
    let too_large = || AnswerError::TooLarge { column: column.to_owned() };
    if COLUMN_MAX < data.len() {
        return Err(too_large());
    }
    macro_rules! primitive {
        ($type:ty, $values:expr) => {
            Arc::new(PrimitiveArray::<$type>::new(ScalarBuffer::from($values.to_vec()), None))
        };
    }
    Ok(match data {
        Data::Bool(values) => Arc::new(BooleanArray::from(values.to_vec())),
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
