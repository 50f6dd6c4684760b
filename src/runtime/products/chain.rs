//! What follows a value and is used by nobody else: terms, factors and functions that a kernel can compute along with it.

use super::Means;
use super::operator::{Kernel, Ours};
use crate::runtime::kernels::Activation;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::{GeluApproximate, GeluExact, LeakyRelu, Sigmoid, Silu};

/// Puts ours in the place of a GELU that stands by itself.
pub(super) fn replace(means: Means<'_>, model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let node = model.node(id);
    let outlet = OutletId::new(id, 0);
    let (Some(_), Some(activation)) = (shape(model, outlet), activation(node)) else {
        return Ok(false);
    };
    if !matches!(activation, Activation::Gelu | Activation::GeluTanh) {
        return Ok(false);
    }
    let inputs = [node.inputs[0]];
    Ours::put(Kernel::Each(means.kind, activation), model, &inputs, outlet)?;
    Ok(true)
}

/// The extents of an outlet of floats, which are known and none of which is zero.
pub(super) fn shape(model: &TypedModel, outlet: OutletId) -> Option<TVec<usize>> {
    let fact = model.outlet_fact(outlet).ok()?;
    let shape: TVec<usize> = fact.shape.as_concrete()?.into();
    let is_plain = fact.datum_type == DatumType::F32 && fact.exotic_fact.is_none();
    (is_plain && !shape.contains(&0)).then_some(shape)
}

/// The node that alone uses this outlet, which is no output of the graph, and makes one.
pub(super) fn user(model: &TypedModel, outlet: OutletId) -> Option<&TypedNode> {
    let [inlet] = *model.node(outlet.node).outputs[outlet.slot].successors.as_slice() else {
        return None;
    };
    let node = model.node(inlet.node);
    (!model.outputs.contains(&outlet) && node.outputs.len() == 1).then_some(node)
}

/// Past axes of one that come or go, which leave all values where they are.
pub(super) fn past_units(model: &TypedModel, mut outlet: OutletId) -> OutletId {
    while let Some(node) = user(model, outlet) {
        if !matches!(node.op_as::<AxisOp>(), Some(AxisOp::Add(_) | AxisOp::Rm(_))) {
            break;
        }
        outlet = OutletId::new(node.id, 0);
    }
    outlet
}

/// The user of an outlet that is this operator, and its other input.
pub(super) fn with(
    model: &TypedModel,
    outlet: OutletId,
    name: &str,
) -> Option<(OutletId, OutletId)> {
    let node = user(model, outlet)?;
    let TypedBinOp(op, None) = node.op_as::<TypedBinOp>()? else { return None };
    let [one, other] = *node.inputs.as_slice() else { return None };
    let made = OutletId::new(node.id, 0);
    let other = if one == outlet { other } else { one };
    let is_same = shape(model, made)? == shape(model, outlet)?;
    (op.name() == name && is_same).then_some((made, other))
}

/// The values that an outlet is known to have.
pub(super) fn constant(model: &TypedModel, outlet: OutletId) -> Option<Arc<Tensor>> {
    shape(model, outlet)?;
    model.outlet_fact(outlet).ok()?.konst.clone()
}

/// One value for each of the last `columns` of what is made, from as many, or from one.
pub(super) fn per_column(
    model: &TypedModel,
    outlet: OutletId,
    made: OutletId,
    columns: usize,
) -> Option<Vec<f32>> {
    let constant = constant(model, outlet)?;
    let values = constant.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
    if let [one] = *values {
        return Some(vec![one; columns]);
    }
    // All its axes are those of columns, and those before are of one.
    let made = shape(model, made)?;
    let mut left = columns;
    let both = constant.shape().iter().rev().zip(made.iter().rev());
    for (extent, wide) in both {
        if *extent != if left == 1 { 1 } else { *wide } || !left.is_multiple_of(*extent) {
            return None;
        }
        left /= extent;
    }
    (values.len() == columns && left == 1).then(|| values.to_vec())
}

/// The one value that an outlet is known to have.
pub(super) fn number(model: &TypedModel, outlet: OutletId) -> Option<f32> {
    let constant = constant(model, outlet)?;
    match *constant.try_as_plain_ram().ok()?.as_slice::<f32>().ok()? {
        [one] => Some(one),
        _ => None,
    }
}

/// The function of each value that a node is.
pub(super) fn activation(node: &TypedNode) -> Option<Activation> {
    let ElementWiseOp(op, None) = node.op_as::<ElementWiseOp>()? else { return None };
    if op.is::<GeluExact>() {
        Some(Activation::Gelu)
    } else if let Some(GeluApproximate { fast_impl: false }) = op.downcast_ref() {
        Some(Activation::GeluTanh)
    } else if op.is::<Sigmoid>() {
        Some(Activation::Sigmoid)
    } else if op.is::<Silu>() {
        Some(Activation::Silu)
    } else {
        Some(Activation::LeakyRelu(op.downcast_ref::<LeakyRelu>()?.alpha))
    }
}
