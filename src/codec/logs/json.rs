//! Rows as JSON, each value in the spelling of the engine's own answers.

use super::LogsError;
use crate::codec::literal;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};

/// A list of objects.
pub(super) fn rows(schema: &Schema, columns: &[ArrayRef]) -> Result<Vec<u8>, LogsError> {
    let rows = columns.first().map_or(0, |column| column.len());
    let mut out = Vec::new();
    out.push(b'[');
    for row in 0..rows {
        if 0 < row {
            out.push(b',');
        }
        out.push(b'{');
        for (at, (field, column)) in schema.fields().iter().zip(columns).enumerate() {
            if 0 < at {
                out.push(b',');
            }
            literal::json(&mut out, field.name());
            out.push(b':');
            value(&mut out, field.name(), column, row)?;
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(out)
}

/// One value; `column` is for the error.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has types that no journal of ours has")]
pub(super) fn value(
    out: &mut Vec<u8>,
    column: &str,
    array: &dyn Array,
    row: usize,
) -> Result<(), LogsError> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    macro_rules! number {
        ($type:ty) => {
            literal::json(out, &array.as_primitive::<$type>().value(row))
        };
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean => literal::json(out, &array.as_boolean().value(row)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => {
            literal::float32(out, array.as_primitive::<Float16Type>().value(row).to_f32());
        }
        DataType::Float32 => literal::float32(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => literal::float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => literal::json(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => literal::json(out, array.as_string::<i64>().value(row)),
        DataType::List(_) => list(out, column, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(out, column, &array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => {
            list(out, column, &array.as_fixed_size_list().value(row))?;
        }
        DataType::Struct(fields) => {
            out.push(b'{');
            for (at, (field, inner)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                if 0 < at {
                    out.push(b',');
                }
                literal::json(out, field.name());
                out.push(b':');
                value(out, column, inner, row)?;
            }
            out.push(b'}');
        }
        other => {
            let (column, found) = (column.to_owned(), other.to_string());
            return Err(LogsError::Unwritable { column, found });
        }
    }
    Ok(())
}

fn list(out: &mut Vec<u8>, column: &str, values: &ArrayRef) -> Result<(), LogsError> {
    out.push(b'[');
    for at in 0..values.len() {
        if 0 < at {
            out.push(b',');
        }
        value(out, column, values, at)?;
    }
    out.push(b']');
    Ok(())
}
