//! Operators of our own, where tract has none or gives other answers than the ONNX specification.

mod core;
mod integer_product;
mod integer_sum;
mod ml;
mod top;
mod wide_sigmoid;

pub(super) use self::core::{
    ASIDE, Counting, Integers, QUANTIZED_MEAN, QUANTIZED_SUM, REQUANTIZE, SPREAD, Steps, Words,
    counting, is_of_single_values, mean_step, prepare, spread_stored, stepwise, sum_ratios,
};
use integer_product::IntegerProduct;
use integer_sum::IntegerSum;
use top::Top;
use tract_onnx::Onnx;
use tract_onnx::prelude::{DatumType, SpecialOps, TypedModel};
use tract_onnx::tract_core::internal::{InletId, OutletId, TractResult, TypedOp, tensor0};
use tract_onnx::tract_core::ops::array::Topk;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use wide_sigmoid::WideSigmoid;

/// tract's reader of ONNX with our operators in its register.
pub(super) fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    core::register(&mut onnx);
    ml::register(&mut onnx);
    onnx
}

/// Whether what a row comes to depends on those that are computed along with it.
pub(super) fn mixes_rows(model: &TypedModel) -> bool {
    model.nodes().iter().any(|node| {
        node.op_is::<core::Choice>() // by a condition that may be about all of them
            || node.op_is::<core::DynamicQuantize>()
            || node.op_as::<core::Recurrent>().is_some_and(core::Recurrent::mixes_rows)
    })
}

/// Whether one of ours looks along this axis of this input.
pub(super) fn look_along(op: &dyn TypedOp, slot: usize, axis: usize) -> bool {
    if let Some(top) = op.downcast_ref::<Top>() {
        top.0.axis == axis
    } else if let Some(sum) = op.downcast_ref::<IntegerSum>() {
        sum.axes.contains(&axis)
    } else {
        op.downcast_ref::<core::Sound>().is_some_and(|sound| sound.looks_along(slot, axis))
    }
}

fn is_of_bools(model: &TypedModel, outlet: OutletId) -> bool {
    model.outlet_fact(outlet).is_ok_and(|fact| fact.datum_type == DatumType::Bool)
}

/// A mask of what an attention looks at, as what is added to its scores: tract's fused attention
/// takes no other.
fn added_mask(model: &mut TypedModel, node: usize, mask: OutletId) -> TractResult<OutletId> {
    let element = model.node_input_facts(node)?[0].datum_type;
    let rank = model.outlet_fact(mask)?.rank();
    let name = model.node(node).name.clone();
    let mut constant = |part: &str, value: f32| -> TractResult<OutletId> {
        let value = tensor0(value).cast_to_dt(element)?.into_owned().broadcast_into_rank(rank)?;
        model.add_const(format!("{name}.{part}"), value)
    };
    let (seen, hidden) = (constant("seen", 0.0)?, constant("hidden", f32::NEG_INFINITY)?);
    Ok(model.wire_node(format!("{name}.mask"), Iff, &[mask, seen, hidden])?[0])
}

/// Puts our operators in the place of tract's that are wrong.
///
/// Bodies of loops are not walked: none of our fixtures has a sum of integers there.
pub(super) fn correct(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        if node.op.name() == "Sigmoid"
            && model.node_input_facts(id)?[0].datum_type == DatumType::F64
        {
            model.node_mut(id).op = Box::new(WideSigmoid);
            continue;
        }
        if node.op.name() == "SDPA" {
            let mask = node.inputs.get(3).copied(); // behind the queries, the keys and the values
            if let Some(mask) = mask.filter(|mask| is_of_bools(model, *mask)) {
                let added = added_mask(model, id, mask)?;
                model.add_edge(added, InletId::new(id, 3))?;
            }
            continue;
        }
        if let Some(top) = node.op_as::<Topk>() {
            let top = Top(top.clone());
            model.node_mut(id).op = Box::new(top);
            continue;
        }
        if let Some(sound) = core::Sound::of(model, id)? {
            model.node_mut(id).op = Box::new(sound);
            continue;
        }
        if let Some(sum) = node.op_as::<EinSum>() {
            let element = model.node_input_facts(id)?[0].datum_type;
            if let Some(product) = IntegerProduct::of(sum, element, node.inputs.len()) {
                model.node_mut(id).op = Box::new(product);
            }
            continue;
        }
        let Some(reduce) = node.op_as::<Reduce>() else { continue };
        let element = model.node_input_facts(id)?[0].datum_type;
        let wide =
            matches!(element, DatumType::I32 | DatumType::I64 | DatumType::U32 | DatumType::U64);
        if reduce.reducer == Reducer::Sum && wide {
            let sum = IntegerSum { axes: reduce.axes.to_vec() };
            model.node_mut(id).op = Box::new(sum);
        }
    }
    Ok(())
}
