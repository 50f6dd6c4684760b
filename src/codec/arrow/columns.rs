//! One column of an Arrow body as a tensor's values: lent from the body where they lie there in
//! one run, copied otherwise.

use super::leaf::{Allowance, Leaf, Place, Reading};
use super::{shape, unreadable};
use crate::codec::decoded::{Held, Values};
use crate::codec::limits::NESTING_MAX;
use crate::tensor::{ElementType, Misfit, MisfitKind};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};

/// Refuses a column of a type that an input of type `wanted` cannot take.
pub(super) fn supported(field: &Field, wanted: ElementType) -> Result<(), Misfit> {
    let name = field.name();
    match leaf_of(field) {
        None => {
            let sentence =
                format!("column `{name}` has more than {NESTING_MAX} lists within lists");
            Err(Misfit::new(MisfitKind::OverLimit, sentence).column(name))
        }
        Some(leaf) if reading(leaf, wanted).is_some() => Ok(()),
        Some(leaf) => {
            let found = leaf.to_string();
            let expected = match wanted {
                ElementType::U8 => "numbers, booleans, text, bytes, or lists of them",
                ElementType::Bool
                | ElementType::F16
                | ElementType::F32
                | ElementType::F64
                | ElementType::I8
                | ElementType::I16
                | ElementType::I32
                | ElementType::I64
                | ElementType::String
                | ElementType::U16
                | ElementType::U32
                | ElementType::U64 => "numbers, booleans, text, or lists of them",
            };
            let sentence =
                format!("column `{name}` has Arrow's type {found}, a model takes {expected}");
            let misfit = Misfit::new(MisfitKind::WrongType, sentence).column(name);
            Err(misfit.expected(expected, found))
        }
    }
}

/// What the lists of a column hold; `None` for what is no list.
pub(super) fn child(data_type: &DataType) -> Option<&Field> {
    if let DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) =
        data_type
    {
        Some(field)
    } else {
        None
    }
}

/// The type under all lists of a column; `None` when there are too many.
fn leaf_of(field: &Field) -> Option<&DataType> {
    let mut data_type = field.data_type();
    for _ in 0..=NESTING_MAX {
        match child(data_type) {
            Some(inner) => data_type = inner.data_type(),
            None => return Some(data_type),
        }
    }
    None
}

/// How values of a type are read for an input of type `wanted`; `None` for a type that it
/// cannot take.
#[expect(clippy::wildcard_enum_match_arm, reason = "most of Arrow's forty types are refused")]
fn reading(leaf: &DataType, wanted: ElementType) -> Option<Reading> {
    let to_bytes = wanted == ElementType::U8;
    match leaf {
        DataType::Boolean => Some(Reading::Plain),
        number if number.is_integer() || number.is_floating() => Some(Reading::Plain),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if to_bytes => {
            Some(Reading::Base64)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Reading::Text),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
            if to_bytes =>
        {
            Some(Reading::Bytes)
        }
        DataType::Dictionary(_, values) if **values != DataType::Boolean => {
            match reading(values, wanted)? {
                one @ (Reading::Plain | Reading::Text) => Some(one),
                Reading::Base64 | Reading::Bytes => None,
            }
        }
        _ => None,
    }
}

/// Reads a column from its part in each batch; no part is empty.
pub(super) fn read(
    field: &Field,
    wanted: ElementType,
    parts: &[ArrayRef],
    allowance: &mut Allowance,
) -> Result<Held, Misfit> {
    let name = field.name();
    let reading = leaf_of(field).and_then(|leaf| reading(leaf, wanted));
    let reading = reading.ok_or_else(|| unreadable("a column changed its type"))?;
    let mut whole: Option<(Vec<usize>, Values)> = None;
    let mut first_row = 0;
    for part in parts {
        let place = Place { column: name, first_row };
        let (found, more) = Leaf::under(part, place)?.read(reading, place, allowance)?;
        whole = Some(match whole {
            None => (found, more),
            Some((lengths, _)) if lengths != found => {
                return Err(place.ragged(0, &lengths, &found));
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
