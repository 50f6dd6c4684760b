//! One column of an Arrow file as a tensor's values: lent from the body where they lie there in
//! one run, copied otherwise.

use super::{shape, unreadable};
use crate::codec::decoded::{Held, Values};
use crate::codec::limits::{NESTING_MAX, VALUES_MAX};
use crate::tensor::{Data, Misfit, MisfitKind};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, GenericListArray, GenericStringArray, OffsetSizeTrait};
use arrow_schema::{DataType, Field};
use std::borrow::Cow;
use std::ops::Range;

/// Refuses a column of a type that no model takes.
pub(super) fn supported(field: &Field) -> Result<(), Misfit> {
    let name = field.name();
    let mut data_type = field.data_type();
    for _ in 0..=NESTING_MAX {
        match child(data_type) {
            Some(inner) => data_type = inner.data_type(),
            None if is_value(data_type) => return Ok(()),
            None => {
                let found = data_type.to_string();
                let expected = "numbers, booleans, text, or lists of them";
                let sentence =
                    format!("column `{name}` has Arrow's type {found}, a model takes {expected}");
                let misfit = Misfit::new(MisfitKind::WrongType, sentence).column(name);
                return Err(misfit.expected(expected, found));
            }
        }
    }
    let sentence = format!("column `{name}` has more than {NESTING_MAX} lists within lists");
    Err(Misfit::new(MisfitKind::OverLimit, sentence).column(name))
}

/// What the lists of a column hold; `None` for what is no list.
fn child(data_type: &DataType) -> Option<&Field> {
    if let DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) =
        data_type
    {
        Some(field)
    } else {
        None
    }
}

fn is_value(data_type: &DataType) -> bool {
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8);
    let is_number = data_type.is_integer() || data_type.is_floating();
    is_text || is_number || *data_type == DataType::Boolean
}

/// Reads a column from its part in each batch; no part is empty.
pub(super) fn read(
    field: &Field,
    parts: &[ArrayRef],
    values_left: &mut usize,
) -> Result<Held, Misfit> {
    let name = field.name();
    let mut whole: Option<(Vec<usize>, Values)> = None;
    let mut first_row = 0;
    for part in parts {
        let leaf = Leaf::under(part, Place { column: name, first_row })?;
        *values_left = values_left.checked_sub(leaf.range.len()).ok_or_else(|| {
            let sentence = format!("the request has more than {VALUES_MAX} values");
            Misfit::new(MisfitKind::OverLimit, sentence).column(name)
        })?;
        let more = leaf.values()?;
        whole = Some(match whole {
            None => (leaf.lengths, more),
            Some((lengths, _)) if lengths != leaf.lengths => {
                let place = Place { column: name, first_row };
                return Err(place.ragged(0, &lengths, &leaf.lengths));
            }
            Some((lengths, before)) => (lengths, joined(before, &more)?),
        });
        first_row += part.len();
    }
    let (lengths, values) = whole.ok_or_else(|| unreadable("it has no batch with rows"))?;
    let row_shape = shape::row_shape(field, lengths)?;
    Ok(Held { name: name.clone(), row_shape, values })
}

fn joined(before: Values, more: &Values) -> Result<Values, Misfit> {
    let mut data = before.into_owned();
    let appended = data.append(more.lend());
    appended.map_err(|_| unreadable("its batches differ in their columns' types"))?;
    Ok(Values::Owned(data))
}

/// Which rows of which column an array is about.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    column: &'a str,
    first_row: usize,
}

impl Place<'_> {
    fn ragged(self, row: usize, expected: &[usize], found: &[usize]) -> Misfit {
        let (column, row) = (self.column, self.first_row + row);
        let (expected, found) = (format!("lists of {expected:?}"), format!("lists of {found:?}"));
        let sentence = format!("column `{column}`, row {row} has {found}, others {expected}");
        let misfit = Misfit::new(MisfitKind::WrongShape, sentence).column(column).row(row);
        misfit.expected(expected, found)
    }

    fn null(self, row: usize) -> Misfit {
        let (column, row) = (self.column, self.first_row + row);
        let sentence =
            format!("tensor values may not be null: column `{column}`, row {row} has a null");
        Misfit::new(MisfitKind::Null, sentence).column(column).row(row)
    }
}

/// What lies under all lists of an array.
struct Leaf {
    /// The lengths of the lists above, outermost first.
    lengths: Vec<usize>,
    array: ArrayRef,
    /// The part of `array` that the lists above refer to.
    range: Range<usize>,
}

impl Leaf {
    /// Goes down through the lists, which must be alike in length and without nulls.
    fn under(part: &ArrayRef, place: Place<'_>) -> Result<Leaf, Misfit> {
        let mut leaf = Leaf { lengths: Vec::new(), array: part.clone(), range: 0..part.len() };
        loop {
            let rows_of = leaf.lengths.iter().product::<usize>().max(1);
            if let Some(index) = first_null(&leaf.array, &leaf.range) {
                return Err(place.null(index / rows_of));
            }
            let level = if let Some(list) = leaf.array.as_list_opt::<i32>() {
                Level::of(list, &leaf.range)
            } else if let Some(list) = leaf.array.as_list_opt::<i64>() {
                Level::of(list, &leaf.range)
            } else if let Some(list) = leaf.array.as_fixed_size_list_opt() {
                let length = usize::try_from(list.value_length()).unwrap_or(0);
                let (start, end) = (
                    leaf.range.start.saturating_mul(length),
                    leaf.range.end.saturating_mul(length),
                );
                Ok(Level { length, array: list.values().clone(), range: start..end })
            } else {
                return Ok(leaf);
            };
            let level = level.map_err(|unlike| {
                let row = unlike.index / rows_of;
                let lists = |length: usize| [&leaf.lengths[..], &[length]].concat();
                place.ragged(row, &lists(unlike.expected), &lists(unlike.found))
            })?;
            leaf.lengths.push(level.length);
            (leaf.array, leaf.range) = (level.array, level.range);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are refused")]
    fn values(&self) -> Result<Values, Misfit> {
        let (start, length) = (self.range.start, self.range.len());
        macro_rules! window {
            ($variant:ident, $type:ty) => {
                Values::$variant(self.array.as_primitive::<$type>().values().slice(start, length))
            };
        }
        Ok(match self.array.data_type() {
            DataType::Boolean => {
                let bits = self.array.as_boolean().values().slice(start, length);
                Values::Owned(Data::Bool(Cow::Owned(bits.iter().collect())))
            }
            DataType::Float16 => window!(F16, Float16Type),
            DataType::Float32 => window!(F32, Float32Type),
            DataType::Float64 => window!(F64, Float64Type),
            DataType::Int8 => window!(I8, Int8Type),
            DataType::Int16 => window!(I16, Int16Type),
            DataType::Int32 => window!(I32, Int32Type),
            DataType::Int64 => window!(I64, Int64Type),
            DataType::UInt8 => window!(U8, UInt8Type),
            DataType::UInt16 => window!(U16, UInt16Type),
            DataType::UInt32 => window!(U32, UInt32Type),
            DataType::UInt64 => window!(U64, UInt64Type),
            DataType::Utf8 => text(self.array.as_string::<i32>(), &self.range),
            DataType::LargeUtf8 => text(self.array.as_string::<i64>(), &self.range),
            other => return Err(unreadable(format!("a column turned into {other}"))),
        })
    }
}

fn text<O: OffsetSizeTrait>(array: &GenericStringArray<O>, range: &Range<usize>) -> Values {
    let strings = range.clone().map(|index| array.value(index).to_owned()).collect();
    Values::Owned(Data::String(Cow::Owned(strings)))
}

/// The place of the first null in `range`, counted from its start.
fn first_null(array: &ArrayRef, range: &Range<usize>) -> Option<usize> {
    let nulls = array.nulls()?.slice(range.start, range.len());
    if nulls.null_count() == 0 { None } else { nulls.iter().position(|valid| !valid) }
}

/// One level of lists of the same length, and what they hold.
struct Level {
    length: usize,
    array: ArrayRef,
    range: Range<usize>,
}

/// A list whose length is not that of the first.
struct UnlikeList {
    index: usize,
    expected: usize,
    found: usize,
}

impl Level {
    fn of<O: OffsetSizeTrait>(
        list: &GenericListArray<O>,
        range: &Range<usize>,
    ) -> Result<Level, UnlikeList> {
        let offsets = &list.value_offsets()[range.start..=range.end];
        let mut lengths = offsets.windows(2).map(|pair| pair[1].as_usize() - pair[0].as_usize());
        let expected = lengths.next().unwrap_or(0);
        if let Some((index, found)) = lengths.enumerate().find(|(_, length)| *length != expected) {
            return Err(UnlikeList { index: index + 1, expected, found });
        }
        let range = offsets[0].as_usize()..offsets[offsets.len() - 1].as_usize();
        Ok(Level { length: expected, array: list.values().clone(), range })
    }
}
