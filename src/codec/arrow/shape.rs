//! The shape of a column's rows, as its field's metadata tell it.

use super::unreadable;
use crate::tensor::{Misfit, MisfitKind, RowShape};
use arrow_schema::Field;
use serde::Deserialize;

/// The key under which the original's clients put `{"shape": [3, 224, 224]}`, without the batch.
pub(in crate::codec) const TENSOR_TYPE: &str = "tensor_type";

/// Arrow's own way, "Canonical Extension Types: Fixed shape tensor".
const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
const FIXED_SHAPE_TENSOR: &str = "arrow.fixed_shape_tensor";

/// Either metadata; further keys (`dim_names`) are passed over.
#[derive(Debug, Deserialize)]
struct TensorType {
    /// An extent of `null` varies from request to request.
    shape: Vec<Option<usize>>,
    #[serde(default)]
    permutation: Option<Vec<usize>>,
}

/// The shape of each row of a column whose lists are nested as `nested` tells.
///
/// # Errors
/// When the metadata cannot be read or tell of another number of values than there are.
pub(super) fn row_shape(field: &Field, nested: Vec<usize>) -> Result<RowShape, Misfit> {
    let Some(told) = told(field)? else {
        return Ok(match nested[..] {
            [length] => RowShape::Flat(length),
            [] | [_, ..] => RowShape::Told(nested),
        });
    };
    let found = RowShape::Told(nested.clone()).elements();
    match filled(&told, found) {
        Some(shape) => Ok(RowShape::Told(shape)),
        None => {
            let name = field.name();
            let shape = written(&told);
            let sentence = format!(
                "column `{name}` has {found} values in each row, its metadata tell shape {shape}"
            );
            let misfit = Misfit::new(MisfitKind::WrongShape, sentence).column(name);
            Err(misfit.row(0).expected(format!("shape {shape}"), format!("{found} values")))
        }
    }
}

fn told(field: &Field) -> Result<Option<Vec<Option<usize>>>, Misfit> {
    let metadata = field.metadata();
    let is_extension = metadata.get(EXTENSION_NAME).is_some_and(|name| name == FIXED_SHAPE_TENSOR);
    let extension = metadata.get(EXTENSION_METADATA).filter(|_| is_extension);
    let Some(text) = metadata.get(TENSOR_TYPE).or(extension) else { return Ok(None) };
    let name = field.name();
    let told: TensorType = serde_json::from_str(text).map_err(|_| {
        unreadable(format!("the metadata of column `{name}` are not `{{\"shape\": […]}}`"))
            .column(name)
    })?;
    if told.permutation.is_some_and(|order| !order.is_sorted()) {
        let sentence = format!("column `{name}` has permuted dimensions; send them in order");
        return Err(Misfit::new(MisfitKind::WrongShape, sentence).column(name));
    }
    Ok(Some(told.shape))
}

/// `told` with its one unknown extent worked out; `None` when it does not make `values`.
fn filled(told: &[Option<usize>], values: usize) -> Option<Vec<usize>> {
    let known =
        told.iter().flatten().try_fold(1_usize, |product, extent| product.checked_mul(*extent))?;
    let free = match told.iter().filter(|extent| extent.is_none()).count() {
        0 => (known == values).then_some(1),
        1 if 0 < known && values.is_multiple_of(known) => Some(values / known),
        _ => None,
    }?;
    Some(told.iter().map(|extent| extent.unwrap_or(free)).collect())
}

fn written(told: &[Option<usize>]) -> String {
    let extents = told.iter().map(|extent| match extent {
        Some(extent) => extent.to_string(),
        None => "null".to_owned(),
    });
    format!("[{}]", extents.collect::<Vec<_>>().join(", "))
}
