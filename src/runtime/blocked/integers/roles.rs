//! What a node of tract's graph is among images of integers, with the nodes before it that count for it.

use super::super::graph::{Extents, Name, Node};
use super::super::roles::{constant, window};
use super::super::stretch::{self, Draft};
use super::graph::{Filters, Graph, Operator, Value};
use super::weights::Weights;
use crate::runtime::kernels::Window;
use crate::runtime::kernels::integers::{Code, Sum};
use crate::runtime::operators::{self, Counting, Integers};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, InOut, OutletId};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool};
use tract_onnx::tract_core::ops::einsum::EinSum;

type Role = stretch::Role<Operator>;

impl Draft for Operator {
    type Operator = Operator;
    type Value = Value;

    fn image(model: &TypedModel, outlet: OutletId) -> Option<(usize, Value)> {
        image(model, outlet)
    }

    fn is_convolution(&self) -> bool {
        matches!(self, Operator::Convolution(_))
    }

    fn operators(&self) -> usize {
        1
    }

    fn write(self, graph: &mut Graph, inputs: Vec<Name>, output: Value) -> Option<()> {
        graph.nodes.push(Node { operator: self, inputs, output });
        Some(())
    }
}

/// Rows, and what one of them is: a batch of images of integers of 8 bits, or of vectors.
fn image(model: &TypedModel, outlet: OutletId) -> Option<(usize, Value)> {
    let fact = model.outlet_fact(outlet).ok()?;
    let element = fact.datum_type;
    if ![DatumType::U8, DatumType::I8].contains(&element) {
        return None;
    }
    let moved = if element == DatumType::I8 { 128 } else { 0 };
    let extents: Extents = match *fact.shape.as_concrete()? {
        [_, channels, height, width] => [channels, height, width],
        [_, channels, width] => [channels, 1, width],
        [_, channels] => [channels, 1, 1],
        _ => return None,
    };
    let rows = *fact.shape.as_concrete()?.first()?;
    let is_there = rows > 0 && extents.iter().all(|extent| *extent > 0);
    (is_there && fact.exotic_fact.is_none()).then_some((rows, Value { extents, moved }))
}

/// The code that stands for an integer, of a value that is moved so.
fn code_of(integer: i32, moved: u8) -> Option<u8> {
    u8::try_from(integer.checked_add(i32::from(moved))?).ok()
}

/// What the node is, if there is a kernel for it.
pub(super) fn role(model: &TypedModel, node: &TypedNode) -> Option<Role> {
    let (rows, made) = image(model, OutletId::new(node.id, 0))?;
    let [output] = node.outputs.as_slice() else { return None };
    if output.fact.konst.is_some() {
        return None;
    }
    let op = node.op.as_op();
    let given = |at: usize| {
        let (count, value) = image(model, *node.inputs.get(at)?)?;
        (count == rows).then_some(value)
    };
    let role = |draft| Role { draft, images: node.inputs.to_vec(), inside: Vec::new() };
    if let Some(MaxPool { pool_spec, with_index_outputs: None }) = op.downcast_ref() {
        let [given, after] = [given(0)?, made].map(|value| {
            let [channels, height, width] = value.extents;
            [rows, channels, height, width]
        });
        return Some(role(Operator::Largest(window(pool_spec, given, after)?)));
    }
    if op.is::<AxisOp>() {
        let is_pixel = |value: Value| value.extents[1..] == [1, 1];
        let same = given(0)? == made && is_pixel(made);
        return same.then(|| role(Operator::Same));
    }
    match operators::counting(op)? {
        Counting::Sum { terms, made: to } => {
            if given(0)? != made || given(1)? != made || node.inputs[0] == node.inputs[1] {
                return None;
            }
            let (ratios, constant) = operators::sum_ratios(terms, to);
            Some(role(Operator::Sum(Sum { ratios, constant, moved: made.moved })))
        }
        Counting::Mean { from, made: to } => {
            let value = given(0)?;
            let area = value.extents[1] * value.extents[2];
            let step = operators::mean_step(from, to, area);
            let zero = code_of(from.1, value.moved)?;
            let code = Code::of(code_of(to.1, made.moved)?);
            Some(role(Operator::Mean(zero, step, code)))
        }
        Counting::Rounded { steps, biases } => {
            let (scales, axis) = steps.scales();
            let channels = made.extents[0];
            let spread = |values: usize| values == 1 || (axis == 1 && values == channels);
            if !spread(scales.len()) || !spread(biases.len()) {
                return None;
            }
            let code = Code::of(code_of(steps.zero_point()?, made.moved)?);
            let mut counted = counted(model, *node.inputs.first()?, rows, made)?;
            let Operator::Convolution(filters) = &mut counted.draft else { return None };
            filters.code = code;
            let each = |at: usize, count: usize| if count == 1 { 0 } else { at };
            filters.steps =
                (0..channels).map(|channel| scales[each(channel, scales.len())]).collect();
            for (channel, bias) in filters.bias.iter_mut().enumerate() {
                *bias = bias.checked_add(biases[each(channel, biases.len())])?;
            }
            Some(counted)
        }
        Counting::Spread { .. } | Counting::Coded { .. } => None,
    }
}

/// The node that makes this, if it has no other use.
fn only(model: &TypedModel, outlet: OutletId) -> Option<&TypedNode> {
    let node = model.node(outlet.node);
    let [output] = node.outputs.as_slice() else { return None };
    let is_out = model.outputs.contains(&outlet);
    (output.successors.len() == 1 && !is_out).then_some(node)
}

/// What is counted at an outlet, with counts that are not rounded yet.
fn counted(model: &TypedModel, counts: OutletId, rows: usize, made: Value) -> Option<Role> {
    let node = only(model, counts)?;
    let mut inside = vec![node.id];
    let op = node.op.as_op();
    if op.is::<Cast>() {
        let mut role = counted(model, *node.inputs.first()?, rows, made)?;
        role.inside.append(&mut inside);
        return Some(role);
    }
    if let Some(conv) = op.downcast_ref::<Conv>() {
        return convolution(model, node, conv, rows, made);
    }
    let mut bias = vec![0; made.extents[0]];
    let mut product = node;
    if let Some(TypedBinOp(sum, None)) = op.downcast_ref() {
        let [one, other] = *node.inputs.as_slice() else { return None };
        if sum.name() != "Add" {
            return None;
        }
        let (wire, terms) = match (constant(model, one), constant(model, other)) {
            (None, Some(terms)) => (one, terms),
            (Some(terms), None) => (other, terms),
            (_, _) => return None,
        };
        bias = integers(&terms, made.extents[0])?;
        product = only(model, wire)?;
        inside.push(product.id);
    }
    let sum = product.op_as::<EinSum>()?;
    let [input, weights] = *product.inputs.as_slice() else { return None };
    let spread = spread(model, input, rows)?;
    inside.push(spread.node);
    let weights = turned(sum, written(model, weights)?)?;
    let single = Window { size: [1; 2], stride: [1; 2], dilation: [1; 2], padding: [0; 2] };
    let [given, 1, 1] = spread.value.extents else { return None };
    if made.extents[1..] != [1, 1] || weights.len() != given * made.extents[0] {
        return None;
    }
    let filters = filters(spread.zero, single, false, weights, bias);
    let draft = Operator::Convolution(filters);
    Some(Role { draft, images: vec![spread.image], inside })
}

/// Steps and code are those of the rounding behind it.
fn filters(
    zero: u8,
    window: Window,
    is_depthwise: bool,
    weights: Weights,
    bias: Vec<i32>,
) -> Filters {
    Filters { window, is_depthwise, zero, weights, bias, steps: Vec::new(), code: Code::of(0) }
}

/// An image of integers that is spread to floats from its zero point on, by a node for one use.
struct Spread {
    node: usize,
    image: OutletId,
    value: Value,
    zero: u8,
}

fn spread(model: &TypedModel, outlet: OutletId, rows: usize) -> Option<Spread> {
    let node = only(model, outlet)?;
    let Counting::Spread { steps } = operators::counting(node.op.as_op())? else { return None };
    let (1.0, zero) = steps.single()? else { return None };
    let image = *node.inputs.first()?;
    let (count, value) = self::image(model, image)?;
    let zero = code_of(zero, value.moved)?;
    (count == rows).then_some(Spread { node: node.id, image, value, zero })
}

fn convolution(
    model: &TypedModel,
    node: &TypedNode,
    conv: &Conv,
    rows: usize,
    made: Value,
) -> Option<Role> {
    let Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group, q_params } = conv else {
        return None;
    };
    let mut inside = vec![node.id];
    let (image, value, zero, weights, bias) = match (q_params, node.inputs.as_slice()) {
        (None, [input, weights, bias]) => {
            let Spread { node, image, value, zero } = spread(model, *input, rows)?;
            inside.push(node);
            let weights = written(model, *weights)?;
            (image, value, zero, weights, bias)
        }
        (Some(DatumType::I32), [image, weights, bias, zero, _, zero_of_weights, ..]) => {
            let single = |outlet: OutletId| {
                Some(integers(&*constant(model, outlet)?, 1)?).filter(|one| one.len() == 1)
            };
            let (count, value) = self::image(model, *image)?;
            if count != rows || single(*zero_of_weights)? != [0] {
                return None;
            }
            let weights = Weights::of(Integers::of(constant(model, *weights)?, 0)?)?;
            (*image, value, code_of(single(*zero)?[0], value.moved)?, weights, bias)
        }
        (_, _) => return None,
    };
    let [channels, height, width] = value.extents;
    let [given, after] = [
        [rows, channels, height, width],
        [rows, made.extents[0], made.extents[1], made.extents[2]],
    ];
    let window = window(pool_spec, given, after)?;
    let is_depthwise = *group > 1 && *group == channels && channels == made.extents[0];
    if *group != 1 && !is_depthwise {
        return None;
    }
    let inputs = if is_depthwise { 1 } else { channels };
    if weights.shape() != [made.extents[0], inputs, window.size[0], window.size[1]] {
        return None;
    }
    let bias = integers(&*constant(model, *bias)?, made.extents[0])?;
    let filters = filters(zero, window, is_depthwise, weights, bias);
    Some(Role { draft: Operator::Convolution(filters), images: vec![image], inside })
}

/// What is written down for an outlet as weights, spread to floats or not; none when one is no integer of 8
/// bits.
fn written(model: &TypedModel, outlet: OutletId) -> Option<Weights> {
    if let Some(integers) = Integers::spread(model, outlet) {
        return Weights::of(integers);
    }
    if let Some(constant) = constant(model, outlet) {
        return whole(&constant);
    }
    let node = model.node(outlet.node);
    let Counting::Spread { .. } = operators::counting(node.op.as_op())? else { return None };
    let constant = constant(model, *node.inputs.first()?)?;
    let mut made = node.op.eval_out_of_plan(tvec!(constant.into_tvalue())).ok()??;
    whole(&*made.pop()?)
}

/// Floats as the integers that they are.
fn whole(floats: &Tensor) -> Option<Weights> {
    let values = floats.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
    let mut integers = Tensor::zero::<i8>(floats.shape()).ok()?;
    let mut plain = integers.try_as_plain_ram_mut().ok()?;
    for (value, to) in values.iter().zip(plain.as_slice_mut::<i8>().ok()?) {
        let is_it = value.fract() == 0.0 && (-128.0..=127.0).contains(value);
        *to = is_it.then_some(*value as i8)?;
    }
    Weights::of(Integers::of(integers.into_arc_tensor(), 0)?)
}

/// The weights of a product of matrices, output by output.
fn turned(sum: &EinSum, weights: Weights) -> Option<Weights> {
    let &[_, columns] = weights.shape() else { return None };
    let axes: Vec<_> = sum.axes.iter_all_axes().collect();
    let place = |input: usize, output: Option<usize>, at: usize| {
        axes.iter().any(|axis| {
            let outputs: &[usize] = &axis.outputs[0];
            axis.inputs[input].as_slice() == [at]
                && axis.inputs[1 - input].is_empty() == output.is_some()
                && outputs == output.as_slice()
        })
    };
    let ranks = [InOut::In(0), InOut::In(1), InOut::Out(0)].map(|slot| sum.axes.rank(slot));
    if ranks != [2, 2, 2] || axes.len() != 3 || !place(0, Some(0), 0) || !place(0, None, 1) {
        return None;
    }
    if place(1, Some(1), 0) {
        return Some(weights);
    }
    place(1, Some(1), 1).then(|| weights.by_columns(columns))
}

/// As many integers as this, from one or as many.
fn integers(tensor: &Tensor, count: usize) -> Option<Vec<i32>> {
    let floats = tensor.cast_to::<f64>().ok()?;
    let values = floats.try_as_plain_ram().ok()?.as_slice::<f64>().ok()?;
    let integer = |value: &f64| {
        let is_it = value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX);
        is_it.then_some(*value as i32)
    };
    let integers: Vec<i32> = values.iter().map(integer).collect::<Option<_>>()?;
    match *integers.as_slice() {
        [one] => Some(vec![one; count]),
        _ => (integers.len() == count).then_some(integers),
    }
}
