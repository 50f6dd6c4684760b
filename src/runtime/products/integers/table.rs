//! Functions of one code of 8 bits, which exporters write between `DequantizeLinear` and `QuantizeLinear`: all 256 answers, known beforehand.

use super::operator::of_bytes;
use crate::runtime::kernels::Gang;
use crate::runtime::kernels::integers::{Kind, looked_up};
use crate::runtime::operators::{self, Counting};
use std::collections::HashMap;
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;

/// Operators that are looked back over at most.
const DEPTH_MAX: usize = 64;

/// Codes that there are.
const CODES: usize = 256;

/// Puts a table in the place of all that makes codes of one code each, whatever lies between:
/// operators on single values, and axes that move, which codes then do.
///
/// The operators themselves say what is in the table, so the answers are theirs, bit for bit.
pub(in crate::runtime::products) fn replace(
    model: &mut TypedModel,
    id: usize,
) -> TractResult<bool> {
    let made = OutletId::new(id, 0);
    if code(model, made).is_none() || !operators::is_of_single_values(model.node(id).op.as_op()) {
        return Ok(false);
    }
    let mut seen = HashMap::new();
    let Some(Path { root, axes }) = path(model, model.node(id).inputs[0], DEPTH_MAX, &mut seen)
    else {
        return Ok(false);
    };
    let answers = answers(model, root, made)?;
    let mut patch = TypedModelPatch::default();
    let mut outlet = patch.tap_model(model, root)?;
    let name = &model.node(id).name;
    let is_same = answers.to == model.outlet_fact(root)?.datum_type
        && answers.bytes.iter().zip(0_u8..).all(|(answer, code)| *answer == code);
    if !is_same {
        outlet = patch.wire_node(format!("{name}.table"), Table { answers }, &[outlet])?[0];
    }
    for axis in axes {
        let moved = model.node(axis);
        let name = format!("{name}.{}", moved.name);
        outlet = patch.wire_node(name, moved.op.clone(), &[outlet])?[0];
    }
    patch.shunt_outside(model, made, outlet)?;
    patch.apply(model)?;
    Ok(true)
}

/// Where values come from, each from one code, and the nodes that have moved their axes since.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    root: OutletId,
    axes: Vec<usize>,
}

type Seen = HashMap<OutletId, Option<Path>>;

/// Back to the farthest codes of which each value here is a function.
fn path(model: &TypedModel, outlet: OutletId, left: usize, seen: &mut Seen) -> Option<Path> {
    if let Some(known) = seen.get(&outlet) {
        return known.clone();
    }
    let here = || Some(Path { root: outlet, axes: Vec::new() }).filter(|_| is_root(model, outlet));
    let found = match left.checked_sub(1) {
        Some(left) => before(model, outlet, left, seen).or_else(here),
        None => here(),
    };
    seen.insert(outlet, found.clone());
    found
}

fn before(model: &TypedModel, outlet: OutletId, left: usize, seen: &mut Seen) -> Option<Path> {
    let node = model.node(outlet.node);
    let element = model.outlet_fact(outlet).ok()?.datum_type;
    if element != DatumType::F32 && code(model, outlet).is_none() {
        return None;
    }
    if node.op_is::<AxisOp>() {
        let mut path = path(model, node.inputs[0], left, seen)?;
        path.axes.push(node.id);
        return Some(path);
    }
    if let Some(operands) = operands(model, node) {
        let mut paths = operands.iter().map(|operand| path(model, *operand, left, seen));
        let first = paths.next()??;
        return paths.all(|path| path.as_ref() == Some(&first)).then_some(first);
    }
    None
}

/// The inputs of an operator on single values that are no constants; what is one number for all may be.
fn operands(model: &TypedModel, node: &TypedNode) -> Option<TVec<OutletId>> {
    let is_one_for_each = operators::is_of_single_values(node.op.as_op())
        || node.op_is::<Table>()
        || matches!(node.op_as(), Some(ElementWiseOp(_, None)));
    if is_one_for_each {
        return Some(node.inputs.iter().copied().collect());
    }
    let is_sum = matches!(operators::counting(node.op.as_op()), Some(Counting::Sum { .. }));
    if !is_sum && !matches!(node.op_as(), Some(TypedBinOp(_, None))) {
        return None;
    }
    let made = &node.outputs[0].fact.shape;
    let mut operands = tvec!();
    for input in &node.inputs {
        let fact = model.outlet_fact(*input).ok()?;
        if number(fact).is_none() {
            (fact.shape == *made).then(|| operands.push(*input))?;
        }
    }
    (!operands.is_empty()).then_some(operands)
}

/// What is one number, or one code, for all values.
fn number(fact: &TypedFact) -> Option<&Arc<Tensor>> {
    let is_known = [DatumType::F32, DatumType::U8, DatumType::I8].contains(&fact.datum_type);
    fact.konst.as_ref().filter(|it| it.len() == 1 && is_known)
}

/// The type of an outlet of codes.
fn code(model: &TypedModel, outlet: OutletId) -> Option<DatumType> {
    let fact = model.outlet_fact(outlet).ok()?;
    let is_code = [DatumType::U8, DatumType::I8].contains(&fact.datum_type);
    (is_code && fact.exotic_fact.is_none()).then_some(fact.datum_type)
}

/// Codes that are not written in the file, where all is computed beforehand anyway.
fn is_root(model: &TypedModel, outlet: OutletId) -> bool {
    let is_known = model.outlet_fact(outlet).is_ok_and(|fact| fact.konst.is_some());
    code(model, outlet).is_some() && !is_known
}

/// What `made` is for each code at the root, whose type tells which the byte means.
fn answers(model: &TypedModel, root: OutletId, made: OutletId) -> TractResult<Arc<Answers>> {
    let of = code(model, root).context("codes at the root")?;
    let mut alone = TypedModel::default();
    let source = alone.add_source("codes", of.fact([CODES]))?;
    let mut wired = HashMap::from([(root, source)]);
    let outlet = copied(model, &mut alone, made, &mut wired)?;
    alone.select_output_outlets(&[outlet])?;
    let mut codes = Tensor::zero_dt(of, &[CODES])?;
    (0_u8..=255).zip(codes.try_as_plain_ram_mut()?.as_bytes_mut()).for_each(|(it, to)| *to = it);
    let answers = alone.into_runnable()?.run(tvec!(codes.into_tvalue()))?;
    let bytes = answers[0].try_as_plain_ram()?.as_bytes().try_into()?;
    Ok(Arc::new(Answers { bytes, to: answers[0].datum_type() }))
}

/// An outlet and all before it up to the root, in a graph of its own without any axes but one.
fn copied(
    model: &TypedModel,
    alone: &mut TypedModel,
    outlet: OutletId,
    wired: &mut HashMap<OutletId, OutletId>,
) -> TractResult<OutletId> {
    if let Some(known) = wired.get(&outlet) {
        return Ok(*known);
    }
    let node = model.node(outlet.node);
    let name = format!("{}.{}", node.name, outlet.slot);
    let made = if let Some(number) = number(model.outlet_fact(outlet)?) {
        let number = number.clone().into_tensor().into_shape(&[1])?;
        alone.add_const(name, number)?
    } else if node.op_is::<AxisOp>() {
        copied(model, alone, node.inputs[0], wired)?
    } else {
        let inputs = node.inputs.iter().map(|input| copied(model, alone, *input, wired));
        let inputs = inputs.collect::<TractResult<TVec<OutletId>>>()?;
        alone.wire_node(name, node.op.clone(), &inputs)?[0]
    };
    wired.insert(outlet, made);
    Ok(made)
}

/// Bytes for bytes, and the type that they have then.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Answers {
    bytes: [u8; CODES],
    to: DatumType,
}

/// Codes become codes, each for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Table {
    answers: Arc<Answers>,
}

impl Op for Table {
    fn name(&self) -> StaticName {
        "Table".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Table {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Answers { bytes, to } = &*self.answers;
        let from = inputs[0].try_as_plain_ram()?;
        let made = Gang::with(|crew| looked_up(Kind::best(), bytes, from.as_bytes(), crew));
        Ok(tvec!(of_bytes(&to.fact(inputs[0].shape()), made)?.into_tvalue()))
    }
}

impl TypedOp for Table {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.answers.to.fact(inputs[0].shape.clone())))
    }

    as_op!();
}
