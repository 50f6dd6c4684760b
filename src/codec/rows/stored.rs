//! One row of a journal's column as JSON, in the same spelling as the answer had.

use super::literal;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use std::ops::Range;

/// The value of a row: a list, an object or a plain value; `null` for one that is not there.
pub(in crate::codec) fn write(out: &mut Vec<u8>, array: &ArrayRef, row: usize) {
    if array.is_null(row) {
        return out.extend_from_slice(b"null");
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        let offsets = list.value_offsets();
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        out.push(b'[');
        values(out, list.values(), from..to);
        out.push(b']');
    } else if let Some(group) = array.as_struct_opt() {
        out.push(b'{');
        for (index, (field, column)) in group.fields().iter().zip(group.columns()).enumerate() {
            if 0 < index {
                out.push(b',');
            }
            literal::json(out, field.name());
            out.push(b':');
            write(out, column, row);
        }
        out.push(b'}');
    } else {
        values(out, array, row..row + 1);
    }
}

/// Values with commas between them.
#[expect(clippy::wildcard_enum_match_arm, reason = "a journal holds none of Arrow's other types")]
fn values(out: &mut Vec<u8>, array: &ArrayRef, range: Range<usize>) {
    macro_rules! each {
        ($array:expr, $write:expr) => {{
            let array = $array;
            separated(out, array, range, |out, index| $write(out, array.value(index)))
        }};
    }
    macro_rules! number {
        ($type:ty, $write:expr) => {
            each!(array.as_primitive::<$type>(), $write)
        };
    }
    let integer = |out: &mut Vec<u8>, value: i64| literal::json(out, &value);
    match array.data_type() {
        DataType::Boolean => each!(array.as_boolean(), |out, value| literal::json(out, &value)),
        DataType::Utf8 => each!(array.as_string::<i32>(), literal::json),
        DataType::Float16 => {
            number!(Float16Type, |out, value: half::f16| literal::float32(out, value.to_f32()));
        }
        DataType::Float32 => number!(Float32Type, literal::float32),
        DataType::Float64 => number!(Float64Type, literal::float),
        DataType::Int8 => number!(Int8Type, |out, value| integer(out, i64::from(value))),
        DataType::Int16 => number!(Int16Type, |out, value| integer(out, i64::from(value))),
        DataType::Int32 => number!(Int32Type, |out, value| integer(out, i64::from(value))),
        DataType::Int64 => number!(Int64Type, integer),
        DataType::UInt8 => number!(UInt8Type, |out, value| integer(out, i64::from(value))),
        DataType::UInt16 => number!(UInt16Type, |out, value| integer(out, i64::from(value))),
        DataType::UInt32 => number!(UInt32Type, |out, value| integer(out, i64::from(value))),
        DataType::UInt64 => number!(UInt64Type, |out, value: u64| literal::json(out, &value)),
        // Lists within lists, and groups in a list.
        _ => {
            for (place, index) in range.enumerate() {
                if 0 < place {
                    out.push(b',');
                }
                write(out, array, index);
            }
        }
    }
}

fn separated(
    out: &mut Vec<u8>,
    array: &dyn Array,
    range: Range<usize>,
    write: impl Fn(&mut Vec<u8>, usize),
) {
    for (place, index) in range.enumerate() {
        if 0 < place {
            out.push(b',');
        }
        match array.is_null(index) {
            true => out.extend_from_slice(b"null"),
            false => write(out, index),
        }
    }
}
