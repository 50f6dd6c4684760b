//! What lies under all lists of an Arrow column, and its way into a tensor's values.

use super::unreadable;
use crate::codec::base64;
use crate::codec::decoded::Values;
use crate::codec::limits::{TEXT_BYTES_MAX, VALUES_MAX};
use crate::tensor::{Data, Misfit, MisfitKind};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_schema::DataType;
use std::borrow::Cow;
use std::ops::Range;

/// Keys of a dictionary that are widened at once.
const KEYS_AT_ONCE: usize = 1 << 16;

/// How the values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Text whose characters stand for the bytes of a row.
    Base64,
    /// Byte strings that are the bytes of a row.
    Bytes,
    /// Numbers and truth values as they are.
    Plain,
    /// Text as it is.
    Text,
}

/// What of a request's limits on values is left.
#[derive(Debug)]
pub(super) struct Allowance {
    values: usize,
    text_bytes: usize,
}

impl Allowance {
    pub(super) fn new() -> Allowance {
        Allowance { values: VALUES_MAX, text_bytes: TEXT_BYTES_MAX }
    }

    fn spend_values(&mut self, count: usize, place: Place<'_>) -> Result<(), Misfit> {
        self.values = self.values.checked_sub(count).ok_or_else(|| {
            let sentence = format!("the request has more than {VALUES_MAX} values");
            Misfit::new(MisfitKind::OverLimit, sentence).column(place.column)
        })?;
        Ok(())
    }

    fn spend_text(&mut self, text: &[u8], place: Place<'_>) -> Result<(), Misfit> {
        let bytes = size_of::<String>() + text.len();
        self.text_bytes = self.text_bytes.checked_sub(bytes).ok_or_else(|| {
            let sentence = format!("the request has more than {TEXT_BYTES_MAX} bytes of text");
            Misfit::new(MisfitKind::OverLimit, sentence).column(place.column)
        })?;
        Ok(())
    }
}

/// Which rows of which column an array is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) column: &'a str,
    pub(super) first_row: usize,
}

impl Place<'_> {
    pub(super) fn ragged(self, row: usize, expected: &[usize], found: &[usize]) -> Misfit {
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

    fn bad_text(self, kind: MisfitKind, row: usize, what: &str) -> Misfit {
        let (column, row) = (self.column, self.first_row + row);
        let sentence = format!("column `{column}`, row {row} has a string that is not {what}");
        Misfit::new(kind, sentence).column(column).row(row).expected(what, "other text")
    }
}

/// What lies under all lists of an array.
pub(super) struct Leaf {
    /// The lengths of the lists above, outermost first.
    lengths: Vec<usize>,
    array: ArrayRef,
    /// The part of `array` that the lists above refer to.
    range: Range<usize>,
}

impl Leaf {
    /// Goes down through the lists, which must be alike in length and without nulls.
    pub(super) fn under(part: &ArrayRef, place: Place<'_>) -> Result<Leaf, Misfit> {
        let mut leaf = Leaf { lengths: Vec::new(), array: part.clone(), range: 0..part.len() };
        loop {
            if let Some(index) = first_null(&leaf.array, &leaf.range) {
                return Err(place.null(leaf.row_of(index)));
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
            let level = level.map_err(|unlike| leaf.unlike(&unlike, place))?;
            leaf.lengths.push(level.length);
            (leaf.array, leaf.range) = (level.array, level.range);
        }
    }

    /// The lengths of all lists and the values.
    pub(super) fn read(
        mut self,
        reading: Reading,
        place: Place<'_>,
        allowance: &mut Allowance,
    ) -> Result<(Vec<usize>, Values), Misfit> {
        let values = match reading {
            Reading::Base64 => self.base64(place, allowance)?,
            Reading::Bytes => self.bytes(place, allowance)?,
            Reading::Plain | Reading::Text => {
                allowance.spend_values(self.range.len(), place)?;
                if self.array.as_any_dictionary_opt().is_some() {
                    Values::Owned(self.picked(reading, place, allowance)?)
                } else if reading == Reading::Text {
                    let all = self.range.clone();
                    let row_of = |at| self.row_of(at);
                    Values::Owned(text(&self.array, all, row_of, place, allowance)?)
                } else {
                    plain(&self.array, &self.range)?
                }
            }
        };
        Ok((self.lengths, values))
    }

    /// The row of the value at a place of the range.
    fn row_of(&self, index: usize) -> usize {
        index / self.lengths.iter().product::<usize>().max(1)
    }

    fn unlike(&self, unlike: &UnlikeList, place: Place<'_>) -> Misfit {
        let lists = |length: usize| [&self.lengths[..], &[length]].concat();
        let row = self.row_of(unlike.index);
        place.ragged(row, &lists(unlike.expected), &lists(unlike.found))
    }

    /// The values that a dictionary's keys stand for.
    fn picked(
        &self,
        reading: Reading,
        place: Place<'_>,
        allowance: &mut Allowance,
    ) -> Result<Data<'static>, Misfit> {
        let dictionary = self.array.as_any_dictionary();
        let values = dictionary.values();
        if values.is_empty() && !self.range.is_empty() {
            return Err(unreadable("a dictionary is empty"));
        }
        let known = match reading {
            Reading::Text => Values::Owned(Data::String(Cow::Owned(Vec::new()))),
            Reading::Base64 | Reading::Bytes | Reading::Plain => plain(values, &(0..values.len()))?,
        };
        let mut data = known.lend().pick(&[]);
        for start in self.range.clone().step_by(KEYS_AT_ONCE) {
            let length = KEYS_AT_ONCE.min(self.range.end - start);
            let keys = self.array.slice(start, length);
            let keys = keys.as_any_dictionary().normalized_keys();
            let first = start - self.range.start;
            if let Some(index) = keys.iter().position(|key| values.is_null(*key)) {
                return Err(place.null(self.row_of(first + index)));
            }
            let more = match reading {
                Reading::Text => {
                    let row_of = |at: usize| self.row_of(first + at);
                    text(values, keys.iter().copied(), row_of, place, allowance)?
                }
                Reading::Base64 | Reading::Bytes | Reading::Plain => known.lend().pick(&keys),
            };
            data.append(more).map_err(|_| unreadable("a dictionary changed its type"))?;
        }
        Ok(data)
    }

    /// The bytes of byte strings, which must be alike in length: one more level of lists.
    fn bytes(&mut self, place: Place<'_>, allowance: &mut Allowance) -> Result<Values, Misfit> {
        let level = if let Some(array) = self.array.as_binary_opt::<i32>() {
            Level::of_offsets(array.value_offsets(), &self.range)
                .map(|(length, run)| (length, Some((array.values(), run))))
        } else if let Some(array) = self.array.as_binary_opt::<i64>() {
            Level::of_offsets(array.value_offsets(), &self.range)
                .map(|(length, run)| (length, Some((array.values(), run))))
        } else if let Some(array) = self.array.as_fixed_size_binary_opt() {
            let length = array.value_size();
            let run = self.range.start * length..self.range.end * length;
            Ok((length, Some((array.values(), run))))
        } else {
            let at = byte_strings(&self.array)?;
            let lengths = self.range.clone().map(|index| at(index).len());
            alike(lengths).map(|length| (length, None))
        };
        let (length, run) = level.map_err(|unlike| self.unlike(&unlike, place))?;
        allowance.spend_values(self.range.len().saturating_mul(length), place)?;
        self.lengths.push(length);
        Ok(match run {
            Some((values, run)) => window(values, &run),
            None => {
                let at = byte_strings(&self.array)?;
                let bytes: Vec<u8> =
                    self.range.clone().flat_map(|i| at(i).iter().copied()).collect();
                Values::Owned(Data::U8(Cow::Owned(bytes)))
            }
        })
    }

    /// The bytes that base64 stands for, in every row as many: one more level of lists.
    fn base64(&mut self, place: Place<'_>, allowance: &mut Allowance) -> Result<Values, Misfit> {
        let at = byte_strings(&self.array)?;
        let mut bytes = Vec::new();
        let mut expected = None;
        for (index, place_in_array) in self.range.clone().enumerate() {
            let written = at(place_in_array);
            allowance.spend_values(base64::most_bytes_in(written.len()), place)?;
            let before = bytes.len();
            if !base64::decode_onto(&mut bytes, written) {
                let row = self.row_of(index);
                return Err(place.bad_text(MisfitKind::WrongType, row, "base64"));
            }
            let found = bytes.len() - before;
            let expected = *expected.get_or_insert(found);
            if found != expected {
                return Err(self.unlike(&UnlikeList { index, expected, found }, place));
            }
        }
        drop(at);
        self.lengths.push(expected.unwrap_or(0));
        Ok(Values::Owned(Data::U8(Cow::Owned(bytes))))
    }
}

/// Numbers lent from the body, or truth values.
#[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are refused")]
fn plain(array: &ArrayRef, range: &Range<usize>) -> Result<Values, Misfit> {
    let (start, length) = (range.start, range.len());
    macro_rules! window {
        ($variant:ident, $type:ty) => {
            Values::$variant(array.as_primitive::<$type>().values().slice(start, length))
        };
    }
    Ok(match array.data_type() {
        DataType::Boolean => {
            let bits = array.as_boolean().values().slice(start, length);
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
        other => return Err(unreadable(format!("a column turned into {other}"))),
    })
}

/// Text at these places of an array, copied once all of it is known to be within the allowance.
fn text(
    array: &ArrayRef,
    places: impl Iterator<Item = usize> + Clone,
    row_of: impl Fn(usize) -> usize,
    place: Place<'_>,
    allowance: &mut Allowance,
) -> Result<Data<'static>, Misfit> {
    let at = byte_strings(array)?;
    for place_in_array in places.clone() {
        allowance.spend_text(at(place_in_array), place)?;
    }
    let strings = places.enumerate().map(|(index, place_in_array)| {
        match std::str::from_utf8(at(place_in_array)) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(place.bad_text(MisfitKind::Unreadable, row_of(index), "UTF-8")),
        }
    });
    Ok(Data::String(Cow::Owned(strings.collect::<Result<Vec<_>, Misfit>>()?)))
}

/// The bytes at each place of an array of text or byte strings.
type ByteStrings<'a> = Box<dyn Fn(usize) -> &'a [u8] + 'a>;

#[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are refused")]
fn byte_strings(array: &ArrayRef) -> Result<ByteStrings<'_>, Misfit> {
    macro_rules! at {
        ($typed:expr) => {{
            let typed = $typed;
            Box::new(move |index| AsRef::<[u8]>::as_ref(typed.value(index)))
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => at!(array.as_string::<i32>()),
        DataType::LargeUtf8 => at!(array.as_string::<i64>()),
        DataType::Binary => at!(array.as_binary::<i32>()),
        DataType::LargeBinary => at!(array.as_binary::<i64>()),
        DataType::BinaryView => at!(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => at!(array.as_fixed_size_binary()),
        other => return Err(unreadable(format!("a column turned into {other}"))),
    })
}

/// Bytes lent from the body.
fn window(values: &Buffer, run: &Range<usize>) -> Values {
    Values::U8(ScalarBuffer::new(values.clone(), run.start, run.len()))
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
        let (length, range) = Level::of_offsets(list.value_offsets(), range)?;
        Ok(Level { length, array: list.values().clone(), range })
    }

    /// The one length between offsets, and the run of values that they enclose.
    fn of_offsets<O: OffsetSizeTrait>(
        offsets: &[O],
        range: &Range<usize>,
    ) -> Result<(usize, Range<usize>), UnlikeList> {
        let offsets = &offsets[range.start..=range.end];
        let length = alike(offsets.windows(2).map(|pair| pair[1].as_usize() - pair[0].as_usize()))?;
        Ok((length, offsets[0].as_usize()..offsets[offsets.len() - 1].as_usize()))
    }
}

/// The one length, or the first that is another; 0 when there is none.
fn alike(mut lengths: impl Iterator<Item = usize>) -> Result<usize, UnlikeList> {
    let expected = lengths.next().unwrap_or(0);
    match lengths.enumerate().find(|(_, length)| *length != expected) {
        None => Ok(expected),
        Some((index, found)) => Err(UnlikeList { index: index + 1, expected, found }),
    }
}

#[cfg(test)]
mod tests;
