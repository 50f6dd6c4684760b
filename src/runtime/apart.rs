//! Whether a model computes each row apart from the others, so that a batch may be cut and rows of several requests joined.

use super::operators;
use std::collections::{HashMap, HashSet};
use tract_onnx::prelude::{OutletId, TractResult, TypedFact, TypedModel};
use tract_onnx::tract_core::internal::{AxisOp, InOut, Symbol, TDim, TypedNode, TypedOp};
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{Gather, MultiBroadcastTo, Pad, Slice, TypedConcat};
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::{Reduce, RmsNorm, Softmax};
use tract_onnx::tract_core::ops::scan::{InputMapping, Scan};

/// Follows the rows from the inputs, whose first axis they are, to the outputs, whose first axis
/// they must be, and tells whether nothing on the way looks at several of them.
///
/// `batch` are the symbols of the number of rows. Bodies of loops and branches are not walked.
pub(super) fn are_rows_apart(model: &TypedModel, batch: &HashSet<Symbol>) -> TractResult<bool> {
    let mut rows: HashMap<OutletId, usize> = model.inputs.iter().map(|it| (*it, 0)).collect();
    for id in model.eval_order()? {
        let node = model.node(id);
        if model.inputs.iter().any(|input| input.node == id) {
            continue;
        }
        let slots = node.inputs.iter().enumerate();
        let given = slots.filter_map(|(slot, from)| Some((slot, *rows.get(from)?)));
        let given: Vec<(usize, usize)> = given.collect();
        for (place, made) in node.outputs.iter().enumerate() {
            let axis = match given.is_empty() {
                true if !made.fact.shape.iter().any(|it| is_of(it, batch)) => continue,
                // The same for each row; what else has their number may count them.
                true if node.op_is::<MultiBroadcastTo>() => only(&made.fact, batch),
                true => None,
                false => goes_to(model, node, &given, place, batch)?,
            };
            let Some(axis) = axis else {
                log::debug!(
                    "rows are computed together from `{}` ({}) on",
                    node.name,
                    node.op.name()
                );
                return Ok(false);
            };
            rows.insert(OutletId::new(id, place), axis);
        }
    }
    Ok(model.outputs.iter().all(|outlet| rows.get(outlet) == Some(&0)))
}

fn is_of(dim: &TDim, batch: &HashSet<Symbol>) -> bool {
    dim.symbols().iter().any(|symbol| batch.contains(symbol))
}

/// The one axis whose extent is told by the number of rows.
fn only(fact: &TypedFact, batch: &HashSet<Symbol>) -> Option<usize> {
    let mut axes = (0..fact.rank()).filter(|axis| is_of(&fact.shape[*axis], batch));
    axes.next().filter(|_| axes.next().is_none())
}

/// The axis of the rows in an output of a node, given slots and axes of the inputs that have them;
/// none where they get mixed.
fn goes_to(
    model: &TypedModel,
    node: &TypedNode,
    given: &[(usize, usize)],
    place: usize,
    batch: &HashSet<Symbol>,
) -> TractResult<Option<usize>> {
    let op = &*node.op;
    if given.iter().any(|(slot, axis)| mixes(op, *slot, *axis)) {
        return Ok(None);
    }
    let made = &node.outputs[place].fact;
    if let ([(_, axis)], Some(AxisOp::Reshape(at, from, to))) = (given, op.downcast_ref()) {
        return Ok(match axis {
            axis if axis < at => Some(*axis),
            // Each row becomes a stretch of the new axis, or a stretch becomes a row again.
            axis if axis == at => to.first().filter(|it| is_of(it, batch)).map(|_| *at),
            axis if *axis < at + from.len() => None,
            axis => Some(axis + to.len() - from.len()),
        });
    }
    let outputs: Vec<&TypedFact> = node.outputs.iter().map(|output| &output.fact).collect();
    // tract asks the body of a loop, where ours may stand, which it knows nothing of.
    let told = match op.is::<Scan>() {
        true => None,
        false => op.axes_mapping(&model.node_input_facts(node.id)?, &outputs).ok(),
    };
    let mut axes = HashSet::new();
    for (slot, axis) in given {
        let told = told.as_ref().and_then(|told| told.axis((InOut::In(*slot), *axis)).ok());
        match told.and_then(|told| told.outputs.get(place)).map(|axes| axes.as_slice()) {
            Some([axis]) => {
                axes.insert(*axis);
            }
            Some(_) | None if is_told_of(op) => return Ok(None),
            Some(_) | None => {}
        }
    }
    Ok(match axes.len() {
        0 => only(made, batch),
        1 => axes.into_iter().next(),
        _ => None,
    })
}

/// Operators that say of each axis where it goes: one that goes nowhere is summed up, cut or joined.
fn is_told_of(op: &dyn TypedOp) -> bool {
    op.is::<AxisOp>()
        || op.is::<Conv>()
        || op.is::<EinSum>()
        || op.is::<Pad>()
        || op.is::<Reduce>()
        || op.is::<Slice>()
        || op.is::<TypedConcat>()
}

/// Operators that look along an axis of an input, and give another of its extent or do not say so.
fn mixes(op: &dyn TypedOp, slot: usize, axis: usize) -> bool {
    if let Some(op) = op.downcast_ref::<Softmax>() {
        op.axes.contains(&axis)
    } else if let Some(op) = op.downcast_ref::<RmsNorm>() {
        op.axis == axis
    } else if let Some(op) = op.downcast_ref::<Gather>() {
        slot == 0 && op.axis == axis
    } else if let Some(op) = op.downcast_ref::<Downsample>() {
        op.axis == axis
    } else if let Some(op) = op.downcast_ref::<Scan>() {
        match op.input_mapping.get(slot) {
            Some(InputMapping::Scan(info)) => info.axis == axis,
            Some(InputMapping::Full | InputMapping::State) | None => false,
        }
    } else {
        operators::look_along(op, slot, axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::prelude::{DatumType, TypedModel, tvec};
    use tract_onnx::tract_core::internal::{DatumTypeExt, SpecialOps, ToDim};
    use tract_onnx::tract_core::ops::nn::Reducer;

    /// Whether rows of four numbers stay apart through these operators, one after the other.
    fn apart(operators: Vec<Box<dyn TypedOp>>) -> bool {
        let mut model = TypedModel::default();
        let rows = model.symbols.sym("rows");
        let fact = DatumType::F32.fact([rows.to_dim(), 4.to_dim()]);
        let mut outlet = model.add_source("x", fact).unwrap();
        for (number, op) in operators.into_iter().enumerate() {
            outlet = model.wire_node(format!("n{number}"), op, &[outlet]).unwrap()[0];
        }
        model.select_output_outlets(&[outlet]).unwrap();
        are_rows_apart(&model, &HashSet::from([rows])).unwrap()
    }

    fn softmax(axis: usize) -> Box<dyn TypedOp> {
        Box::new(Softmax { axes: tvec!(axis), ..Softmax::default() })
    }

    fn sum(axis: usize) -> Box<dyn TypedOp> {
        Box::new(Reduce { axes: tvec!(axis), reducer: Reducer::Sum })
    }

    #[test]
    fn rows_are_apart_until_something_looks_at_several() {
        let turn = || Box::new(AxisOp::Move(0, 1)) as Box<dyn TypedOp>;
        let split = AxisOp::Reshape(1, tvec!(4.to_dim()), tvec!(2.to_dim(), 2.to_dim()));
        assert!(apart(vec![softmax(1)]));
        assert!(apart(vec![sum(1)]));
        assert!(apart(vec![turn(), softmax(0), turn()]));
        assert!(apart(vec![Box::new(split), softmax(2), sum(1)]));
        assert!(!apart(vec![softmax(0)]));
        assert!(!apart(vec![sum(0)]));
        assert!(!apart(vec![turn(), softmax(1), turn()]));
        assert!(!apart(vec![turn()]), "they are not the first axis of the output");
        assert!(!apart(vec![Box::new(Slice::new(0, 0, 1))]));
    }
}
