//! Tensors of a request as rows of one table: their first dimension is the batch.

use super::given::{Given, Place};
use crate::codec::decoded::{Decoded, Held, Values};
use crate::codec::limits::{ROWS_MAX, VALUES_MAX};
use crate::tensor::{Data, Dimension, Misfit, MisfitKind, RowShape};

/// The tensors as rows of one table.
pub(super) fn rows(tensors: Vec<Given>, values_left: usize) -> Result<Decoded, Misfit> {
    let batch = tensors.iter().find(|tensor| !tensor.shape.is_empty());
    let rows = batch.map_or(1, |tensor| tensor.shape[0]);
    if let Some(other) =
        tensors.iter().find(|tensor| tensor.shape.first().is_some_and(|r| *r != rows))
    {
        let first = batch.map_or("", |tensor| tensor.name.as_str());
        let found = other.shape[0];
        let what =
            format!("its first dimension, the batch, is {found}, that of `{first}` is {rows}");
        let misfit = Place { name: &other.name }.misfit(MisfitKind::WrongShape, what);
        return Err(misfit.expected(rows.to_string(), found.to_string()));
    }
    if rows == 0 {
        let sentence = "there is no row to infer: the first dimension, the batch, is 0";
        return Err(Misfit::new(MisfitKind::NoRows, sentence));
    }
    if ROWS_MAX < rows {
        let sentence = format!("there are more than {ROWS_MAX} rows");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    let mut room = values_left;
    let mut columns = Vec::with_capacity(tensors.len());
    for Given { name, shape, mut values } in tensors {
        if shape.is_empty() && 1 < rows {
            values = repeated(Place { name: &name }, values, rows, &mut room)?;
        }
        let row_shape = RowShape::Told(shape.get(1..).unwrap_or_default().to_vec());
        columns.push(Held { name, row_shape, values });
    }
    Decoded::new(rows, columns)
}

/// The one value of a tensor without dimensions, for each row.
fn repeated(
    place: Place<'_>,
    values: Values,
    rows: usize,
    room: &mut usize,
) -> Result<Values, Misfit> {
    let one = values.into_owned();
    let weight = if let Data::String(texts) = &one {
        texts.iter().map(String::len).sum::<usize>().max(1)
    } else {
        1
    };
    *room = room.checked_sub(rows.saturating_mul(weight)).ok_or_else(|| {
        let what =
            format!("repeated for {rows} rows it has more than {VALUES_MAX} values or bytes");
        place.misfit(MisfitKind::OverLimit, what)
    })?;
    let mut all = one.clone();
    for _ in 1..rows {
        // The types are the same: it is appended to itself.
        let _ = all.append(one.borrow());
    }
    Ok(Values::Owned(all))
}

/// The shape of so many values. One free extent follows from their number; of two, the first is
/// the batch, and then a batch of one.
pub(super) fn raw_shape(dimensions: &[Dimension], elements: usize) -> Option<Vec<usize>> {
    let is_free = |dimension: &Dimension| matches!(dimension, Dimension::Free(_));
    let free = dimensions.iter().filter(|dimension| is_free(dimension)).count();
    let mut known: Vec<Option<usize>> = dimensions
        .iter()
        .map(|dimension| match dimension {
            Dimension::Fixed(extent) => Some(*extent),
            Dimension::Free(_) => None,
        })
        .collect();
    if free == 2 && dimensions.first().is_some_and(is_free) {
        known[0] = Some(1);
    }
    let product =
        known.iter().flatten().try_fold(1_usize, |all, extent| all.checked_mul(*extent))?;
    let open = known.iter().filter(|extent| extent.is_none()).count();
    let last = match open {
        0 => (product == elements).then_some(1),
        1 if 0 < product && elements.is_multiple_of(product) => Some(elements / product),
        _ => None,
    }?;
    Some(known.into_iter().map(|extent| extent.unwrap_or(last)).collect())
}
