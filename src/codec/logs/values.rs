//! The values of rows, column by column, as plain numbers and texts for who counts them.

use super::LogBatch;
use super::batch::TIME;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::DataType;

/// One column of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct LogColumn {
    /// `in.tensor`, `out.score`
    pub name: String,
    /// Where each row's values begin, and where the last one's end; one more than there are rows.
    pub offsets: Vec<usize>,
    /// All rows' values, one after the other.
    pub values: LogValues,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum LogValues {
    /// NaN where there is none.
    Numbers(Vec<f64>),
    /// Nothing where there is none.
    Texts(Vec<Option<String>>),
}

/// The groups whose columns are inputs and outputs; those of shadows begin with the second.
const INPUTS: &str = "in";
const OUTPUTS: &str = "out";

/// Whether a group of that name has inputs or outputs.
pub(super) fn is_of_values(group: &str) -> bool {
    group == INPUTS || group == OUTPUTS || group.starts_with("out_")
}

impl LogBatch {
    /// The inputs and outputs of the rows; those whose values are neither numbers nor texts are left out.
    pub fn columns(&self) -> Vec<LogColumn> {
        let mut found = Vec::new();
        for (field, column) in self.0.schema().fields().iter().zip(self.0.columns()) {
            if let Some(group) = column.as_struct_opt()
                && is_of_values(field.name())
            {
                members(field.name(), group, &mut found);
            }
        }
        found
    }

    /// When each row was answered, milliseconds since the epoch.
    pub fn times(&self) -> Vec<i64> {
        let times = self.0.column_by_name(TIME).and_then(|it| it.as_primitive_opt::<Int64Type>());
        times.map_or_else(Vec::new, |times| times.values().to_vec())
    }
}

/// The members of a group under its name.
pub(super) fn members(group_name: &str, group: &StructArray, found: &mut Vec<LogColumn>) {
    for (field, column) in group.fields().iter().zip(group.columns()) {
        found.extend(column_of(format!("{group_name}.{}", field.name()), column));
    }
}

/// A column of a value or a flat list in each row; `None` for others.
pub(super) fn column_of(name: String, array: &ArrayRef) -> Option<LogColumn> {
    let rows = array.len();
    let (offsets, values) = if let Some(list) = array.as_list_opt::<i32>() {
        let offsets: Vec<usize> = list.value_offsets().iter().map(|at| *at as usize).collect();
        (offsets, list.values().clone())
    } else if let Some(list) = array.as_list_opt::<i64>() {
        let offsets = list.value_offsets().iter().map(|at| usize::try_from(*at).unwrap_or(0));
        (offsets.collect(), list.values().clone())
    } else if let Some(list) = array.as_fixed_size_list_opt() {
        let length = usize::try_from(list.value_length()).unwrap_or(0);
        ((0..=rows).map(|row| row * length).collect(), list.values().clone())
    } else {
        ((0..=rows).collect(), array.clone())
    };
    Some(LogColumn { name, offsets, values: values_of(&values)? })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow has forty types, of which few are values"
)]
fn values_of(array: &ArrayRef) -> Option<LogValues> {
    macro_rules! numbers {
        ($type:ty, $to:expr) => {
            Some(LogValues::Numbers(numbers::<$type>(array, $to)))
        };
    }
    match array.data_type() {
        DataType::Boolean => {
            let bools = array.as_boolean();
            let number = |row| {
                if bools.is_null(row) { f64::NAN } else { f64::from(u8::from(bools.value(row))) }
            };
            Some(LogValues::Numbers((0..bools.len()).map(number).collect()))
        }
        DataType::Float16 => numbers!(Float16Type, |value| value.to_f64()),
        DataType::Float32 => numbers!(Float32Type, f64::from),
        DataType::Float64 => numbers!(Float64Type, |value| value),
        DataType::Int8 => numbers!(Int8Type, f64::from),
        DataType::Int16 => numbers!(Int16Type, f64::from),
        DataType::Int32 => numbers!(Int32Type, f64::from),
        DataType::Int64 => numbers!(Int64Type, |value| value as f64),
        DataType::UInt8 => numbers!(UInt8Type, f64::from),
        DataType::UInt16 => numbers!(UInt16Type, f64::from),
        DataType::UInt32 => numbers!(UInt32Type, f64::from),
        DataType::UInt64 => numbers!(UInt64Type, |value| value as f64),
        DataType::Utf8 => Some(LogValues::Texts(texts(array.as_string::<i32>().iter()))),
        DataType::LargeUtf8 => Some(LogValues::Texts(texts(array.as_string::<i64>().iter()))),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let keys = dictionary.normalized_keys();
            let LogValues::Texts(known) = values_of(dictionary.values())? else { return None };
            let text = |(row, key): (usize, &usize)| match dictionary.keys().is_null(row) {
                true => None,
                false => known.get(*key).cloned().flatten(),
            };
            Some(LogValues::Texts(keys.iter().enumerate().map(text).collect()))
        }
        _ => None,
    }
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef, to: impl Fn(T::Native) -> f64) -> Vec<f64> {
    array.as_primitive::<T>().iter().map(|value| value.map_or(f64::NAN, &to)).collect()
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Vec<Option<String>> {
    texts.map(|text| text.map(str::to_owned)).collect()
}
