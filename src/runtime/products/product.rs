//! Products with what a model's author wrote down: weights are packed once, and what follows is computed along.

use super::Means;
use super::chain;
use super::operator::{Kernel, Ours};
use crate::allocator;
use crate::runtime::kernels::{Activation, Product};
use crate::runtime::spent;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxesMapping, OutletId};
use tract_onnx::tract_core::ops::einsum::EinSum;

/// Fewer terms or columns are tract's: few terms are soon added up, and few columns leave most of a vector
/// empty.
const TERMS_MIN: usize = 8;
const COLUMNS_MIN: usize = 16;

/// A product as the graph has it.
struct Found {
    input: OutletId,
    /// Where the weights are known.
    known: OutletId,
    weights: Arc<Tensor>,
    /// Where the weights of each term, and of each column, lie.
    terms: Vec<usize>,
    columns: Vec<usize>,
}

/// Puts ours in the place of a product with constant weights, and of what follows it.
pub(super) fn replace(means: Means<'_>, model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let Some(Found { input, known, weights, terms, columns }) = found(model, id) else {
        return Ok(false);
    };
    let mut made = OutletId::new(id, 0);
    let mut bias = Vec::new();
    let mut inputs = tvec!(input);
    let next = chain::past_units(model, made);
    if let Some((sum, term)) = chain::with(model, next, "Add")
        && let Some(values) = chain::per_column(model, term, sum, columns.len())
    {
        (made, bias) = (sum, values);
    }
    let mut activation = Activation::NONE;
    let next = chain::past_units(model, made);
    if let Some(node) = chain::user(model, next)
        && let Some(function) = chain::activation(node)
    {
        (made, activation) = (OutletId::new(node.id, 0), function);
    } else if let Some((most, bound)) = chain::with(model, next, "Max")
        && let Some(bound) = chain::number(model, bound)
    {
        (made, activation) = (most, Activation::Clip(bound, f32::INFINITY));
    }
    let next = chain::past_units(model, made);
    if let Some((sum, other)) = chain::with(model, next, "Add")
        && chain::shape(model, other) == chain::shape(model, sum)
        && chain::constant(model, other).is_none()
    {
        made = sum;
        inputs.push(other);
    }
    let kernel = {
        let plain = weights.try_as_plain_ram()?;
        let values = plain.as_slice::<f32>()?;
        let weight = |term: usize, column: usize| values[terms[term] + columns[column]];
        let extents = [terms.len(), columns.len()];
        let weights = means.packed.or_pack(means.kind, extents, weight, means.on_all_threads);
        Product::new(weights, &bias, activation)
    };
    let Some(kernel) = kernel else { return Ok(false) };
    drop(weights);
    spent::drop_value(model, known, |node| node == id);
    allocator::give_back();
    Ours::put(Kernel::Product(kernel), model, &inputs, made)?;
    Ok(true)
}

fn found(model: &TypedModel, id: usize) -> Option<Found> {
    let node = model.node(id);
    let EinSum { axes, operating_dt: DatumType::F32, q_params: None } = node.op_as()? else {
        return None;
    };
    let [one, other] = *node.inputs.as_slice() else { return None };
    let constants = [chain::constant(model, one), chain::constant(model, other)];
    let (side, input, known, weights) = match constants {
        [None, Some(weights)] => (0, one, other, weights),
        [Some(weights), None] => (1, other, one, weights),
        [None, None] | [Some(_), Some(_)] => return None,
    };
    let given = chain::shape(model, input)?;
    let made = chain::shape(model, OutletId::new(id, 0))?;
    let Laid { terms, columns } = laid(axes, side, [&given, weights.shape(), &made])?;
    let is_worth = TERMS_MIN <= terms.len() && COLUMNS_MIN <= columns.len();
    is_worth.then_some(Found { input, known, weights, terms, columns })
}

/// Where the weights of each term of a product, and of each column, lie.
pub(super) struct Laid {
    pub(super) terms: Vec<usize>,
    pub(super) columns: Vec<usize>,
}

/// A product of what comes by this side of an operator with the weights of the other; of these shapes, those
/// of what comes, of the weights, and of what is made. None when rows of terms do not become
/// rows of columns.
pub(super) fn laid(axes: &AxesMapping, side: usize, shapes: [&[usize]; 3]) -> Option<Laid> {
    // Places of each kind of axis: rows are in the input and in what is made, and so on.
    let (mut rows, mut terms, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for axis in axes.iter_all_axes() {
        let places = [&axis.inputs[side], &axis.inputs[1 - side], &axis.outputs[0]];
        let mut extents = places
            .iter()
            .zip(shapes)
            .flat_map(|(places, shape)| places.iter().map(move |place| shape[*place]));
        let extent = extents.next()?;
        if extents.any(|other| other != extent) {
            return None;
        }
        if extent == 1 {
            continue;
        }
        match places.map(|places| places.as_slice()) {
            [[from], [], [to]] => rows.push((*from, *to, extent)),
            [[from], [weight], []] => terms.push((*from, *weight, extent)),
            [[], [weight], [to]] => columns.push((*to, *weight, extent)),
            _ => return None,
        }
    }
    rows.sort_unstable();
    terms.sort_unstable();
    columns.sort_unstable();
    let are_first = |axes: &[(usize, usize, usize)], last: &[(usize, usize, usize)]| {
        axes.last().is_none_or(|one| last.first().is_none_or(|other| one.0 < other.0))
    };
    let ends: Vec<(usize, usize, usize)> = rows.iter().map(|row| (row.1, 0, row.2)).collect();
    if !ends.is_sorted() || !are_first(&rows, &terms) || !are_first(&ends, &columns) {
        return None;
    }
    let mut strides = vec![1; shapes[1].len()];
    for at in (1..shapes[1].len()).rev() {
        strides[at - 1] = strides[at] * shapes[1][at];
    }
    let offsets = |axes: &[(usize, usize, usize)]| {
        axes.iter().fold(vec![0], |offsets: Vec<usize>, (_, weight, extent)| {
            let stride = strides[*weight];
            offsets.iter().flat_map(|at| (0..*extent).map(move |it| at + it * stride)).collect()
        })
    };
    let (terms, columns) = (offsets(&terms), offsets(&columns));
    Some(Laid { terms, columns })
}
