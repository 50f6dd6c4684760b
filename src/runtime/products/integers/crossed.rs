//! A product of two tensors of codes that nobody knows beforehand, as attention has them, and the codes that it becomes.

use super::super::attention::product;
use super::super::chain;
use super::super::operator::Ours;
use super::super::view::View;
use super::rows::step;
use crate::runtime::kernels::Layout;
use crate::runtime::kernels::integers::{Crossed, Crossing, Kind, Step};
use crate::runtime::operators::{self, Counting};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::change_axes::AxisOp;

/// Terms whose products are a count of 32 bits, whatever they are.
const TERMS_MAX: usize = (i32::MAX / (255 * 255)) as usize;

/// Puts ours in the place of the product `id` of two tensors of codes, and of what rounds it.
pub(super) fn replace(kind: Kind, model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let Some((crossing, sources, end)) = found(model, id) else { return Ok(false) };
    let Some(crossed) = Crossed::new(kind, crossing) else { return Ok(false) };
    Ours::put(crossed, model, &sources, end)?;
    Ok(true)
}

/// Codes behind moves of their axes, as a product sees them.
struct Codes {
    view: View,
    step: Step,
}

fn found(model: &TypedModel, id: usize) -> Option<(Crossing, [OutletId; 2], OutletId)> {
    let (labels, inputs) = product(model, id)?;
    let counts = OutletId::new(id, 0);
    let rounding = chain::user(model, chain::past_units(model, counts))?;
    let Counting::Rounded { steps, biases } = operators::counting(rounding.op.as_op())? else {
        return None;
    };
    let ([_], [0]) = (steps.scales().0, biases) else { return None };
    let end = OutletId::new(rounding.id, 0);
    let made = step(model, end, steps)?;
    let [one, other] = [codes(model, inputs[0])?, codes(model, inputs[1])?];
    let crossed = View::whole(model, counts)?;
    // Columns are side by side in what is made: they tell which of both are the rows.
    let last = crossed.shape.iter().rposition(|extent| *extent > 1)?;
    let column = labels.iter().find(|(_, made)| *made == Some(last))?.0;
    let (one, other, side) = match column {
        [None, Some(_)] => (one, other, 0),
        [Some(_), None] => (other, one, 1),
        [Some(_), Some(_)] | [None, None] => return None,
    };
    let at = |codes: &Codes, place: Option<usize>| {
        place.map_or((1, 0), |at| (codes.view.shape[at], codes.view.strides[at]))
    };
    // Extents and strides of each axis but those of one.
    let (mut heads, mut row, mut term, mut columns) = (Vec::new(), None, None, None);
    for (places, made) in labels {
        let (of_one, of_other) = (at(&one, places[side]), at(&other, places[1 - side]));
        let to = made.map(|at| crossed.strides[at]);
        let extent = of_one.0.max(of_other.0);
        if extent == 1 {
            continue;
        }
        let taken = match (of_one.0 > 1, of_other.0 > 1, to) {
            (true, true, Some(to)) => {
                heads.push((extent, [of_one.1, of_other.1, to]));
                continue;
            }
            (true, true, None) => term.replace((extent, of_one.1, of_other.1)),
            (true, false, Some(to)) => row.replace((extent, of_one.1, to)),
            (false, true, Some(to)) => columns.replace((extent, of_other.1, to)),
            _ => return None,
        };
        if taken.is_some() {
            return None;
        }
    }
    let (terms, one_value, other_row) = term?;
    let (columns, other_value, 1) = columns? else { return None };
    let (rows, one_row, output_row) = row.unwrap_or((1, 0, 0));
    let mut starts = vec![[one.view.offset, other.view.offset, 0]];
    for (extent, strides) in heads {
        let each = |start: [usize; 3]| {
            (0..extent).map(move |it| [0, 1, 2].map(|place| start[place] + it * strides[place]))
        };
        starts = starts.into_iter().flat_map(each).collect();
    }
    let layout = |place: usize, row: usize, value: usize| Layout {
        heads: starts.iter().map(|start| start[place]).collect(),
        row,
        value,
    };
    let crossing = Crossing {
        rows,
        terms,
        columns,
        one: layout(0, one_row, one_value),
        other: layout(1, other_row, other_value),
        output: layout(2, output_row, 1),
        given: [one.step, other.step],
        made,
    };
    let sources = [one.view.source, other.view.source];
    (terms <= TERMS_MAX && sources[0] != sources[1]).then_some((crossing, sources, end))
}

/// The codes whose whole numbers are at this outlet.
fn codes(model: &TypedModel, mut outlet: OutletId) -> Option<Codes> {
    let mut moves: Vec<&AxisOp> = Vec::new();
    let (codes, steps) = loop {
        let node = model.node(outlet.node);
        if let Some(axis) = node.op_as::<AxisOp>() {
            moves.push(axis);
            outlet = node.inputs[0];
            continue;
        }
        let Counting::Spread { steps } = operators::counting(node.op.as_op())? else {
            return None;
        };
        break (node.inputs[0], steps);
    };
    let (1.0, _) = steps.single()? else { return None };
    let step = step(model, codes, steps)?;
    let view = View::of(model, codes)?;
    let view = moves.into_iter().rev().try_fold(view, View::changed)?;
    Some(Codes { view, step })
}
