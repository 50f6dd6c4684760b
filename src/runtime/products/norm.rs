//! Layer norms, as tract leaves them: less the mean, a norm by the root of the mean square, a scale and a shift.

use super::Means;
use super::chain;
use super::integers::Around;
use super::operator::{Kernel, Ours};
use crate::runtime::kernels::Normal;
use crate::runtime::kernels::integers::By;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm};

/// How far the factor of a sum may be from one over the number of its terms, relative to it.
const MEAN_DIFFERENCE_MAX: f32 = 1e-6;

/// Puts ours in the place of a norm along the last axis, and of the scale and the shift that follow.
pub(super) fn replace(means: Means<'_>, model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let Some((input, values, epsilon)) = found(model, id) else { return Ok(false) };
    let mut made = OutletId::new(id, 0);
    let (mut scale, mut shift) = (None, None);
    if let Some((product, factor)) = chain::with(model, made, "Mul")
        && let Some(values) = chain::per_column(model, factor, product, values)
    {
        (made, scale) = (product, Some(values));
    }
    if let Some((sum, term)) = chain::with(model, made, "Add")
        && let Some(values) = chain::per_column(model, term, sum, values)
    {
        (made, shift) = (sum, Some(values));
    }
    let Some(kernel) = Normal::new(means.kind, values, scale.as_deref(), shift.as_deref(), epsilon)
    else {
        return Ok(false);
    };
    match Around::of(model, input, made) {
        Some(around) => around.put(By::Normal(kernel), model)?,
        None => Ours::put(Kernel::Normal(kernel), model, &[input], made)?,
    }
    Ok(true)
}

/// What is normed, by how many values, and what is added to the variance.
fn found(model: &TypedModel, id: usize) -> Option<(OutletId, usize, f32)> {
    let norm = model.node(id);
    let RmsNorm { axis, eps } = norm.op_as()?;
    let apart = model.node(norm.inputs[0].node);
    let [input, mean] = *of(apart, "Sub")? else { return None };
    let shape = chain::shape(model, input)?;
    if *axis + 1 != shape.len() || chain::shape(model, norm.inputs[0])? != shape {
        return None;
    }
    let mean = model.node(mean.node);
    let [one, other] = *of(mean, "Mul")? else { return None };
    let (sum, factor) = match chain::number(model, other) {
        Some(factor) => (one, factor),
        None => (other, chain::number(model, one)?),
    };
    let sum = model.node(sum.node);
    let Reduce { axes, reducer: Reducer::Sum } = sum.op_as()? else { return None };
    let values = shape[*axis];
    let is_mean = (factor * values as f32 - 1.0).abs() <= MEAN_DIFFERENCE_MAX;
    let is_of_input = sum.inputs[0] == input && axes.as_slice() == [*axis];
    chain::user(model, norm.inputs[0])?;
    let epsilon = eps.cast_to_scalar::<f32>().ok()?;
    (is_mean && is_of_input).then_some((input, values, epsilon))
}

/// The inputs of a node of this name.
fn of<'m>(node: &'m TypedNode, name: &str) -> Option<&'m [OutletId]> {
    let TypedBinOp(op, None) = node.op_as::<TypedBinOp>()? else { return None };
    (op.name() == name).then_some(node.inputs.as_slice())
}
