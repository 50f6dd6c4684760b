//! What a node of tract's graph is among images: the operators that there are kernels for, in the forms that a graph has after typing.

use super::graph::{Extents, Filters, Graph, Name, Node, Operator};
use super::stretch;
use super::weights::Weights;
use crate::runtime::kernels::{Activation, Kind, Pooling, Window};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, OutletId};
use tract_onnx::tract_core::ops::array::{Slice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{
    Conv, Deconv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool,
};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;
use tract_onnx::tract_core::ops::nn::{
    DataFormat, HardSwish, LeakyRelu, Reduce, Reducer, Sigmoid, Silu,
};

type Role = stretch::Role<Draft>;

/// An operator whose weights are still in the graph.
pub(super) enum Draft {
    Convolution {
        window: Window,
        is_depthwise: bool,
        weights: Arc<Tensor>,
        bias: Vec<f32>,
    },
    /// A convolution backwards whose windows, of such a size, lie side by side.
    Deconvolution {
        kind: Kind,
        size: [usize; 2],
        weights: Arc<Tensor>,
        bias: Vec<f32>,
    },
    Ready(Operator),
}

impl stretch::Draft for Draft {
    type Operator = Operator;
    type Value = Extents;

    fn image(model: &TypedModel, outlet: OutletId) -> Option<(usize, Extents)> {
        let [rows, channels, height, width] = image(model, outlet)?;
        Some((rows, [channels, height, width]))
    }

    /// Its weights are looked for at a node of the graph then, its second input.
    fn is_convolution(&self) -> bool {
        match self {
            Draft::Convolution { .. } | Draft::Deconvolution { .. } => true,
            Draft::Ready(_) => false,
        }
    }

    fn operators(&self) -> usize {
        match self {
            Draft::Deconvolution { .. } => 2,
            Draft::Convolution { .. } | Draft::Ready(_) => 1,
        }
    }

    fn write(self, graph: &mut Graph, mut inputs: Vec<Name>, output: Extents) -> Option<()> {
        let operator = match self {
            Draft::Deconvolution { kind, size, weights, bias } => {
                let (operator, channels) = before(kind, size, &weights, &bias)?;
                let [_, height, width] = graph.value(inputs[0]);
                let made = graph.inputs.len() + graph.nodes.len();
                let inputs = std::mem::replace(&mut inputs, vec![made]);
                graph.nodes.push(Node { operator, inputs, output: [channels, height, width] });
                Operator::Spread(size)
            }
            Draft::Convolution { window, is_depthwise, weights, bias } => {
                let weights = Weights::of(weights)?;
                Operator::Convolution(Filters { window, is_depthwise, weights, bias })
            }
            Draft::Ready(operator) => operator,
        };
        graph.nodes.push(Node { operator, inputs, output });
        Some(())
    }
}

/// A role without nodes that count for it.
fn plain(draft: Draft, images: Vec<OutletId>) -> Role {
    Role { draft, images, inside: Vec::new() }
}

/// What comes before the pixels of a convolution backwards are spread, and the channels that it makes.
fn before(
    kind: Kind,
    size: [usize; 2],
    weights: &Tensor,
    bias: &[f32],
) -> Option<(Operator, usize)> {
    let weights = weights.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
    let (made, taps) = (bias.len(), size[0] * size[1]);
    let (padded, given) =
        (made.next_multiple_of(kind.lanes()), weights.len() / (made * taps).max(1));
    // Each tap makes a pixel of its own: the taps are channels of a convolution of one pixel.
    let mut turned = vec![0.0; taps * padded * given];
    let mut biases = vec![0.0; taps * padded];
    for (channel, (weights, bias)) in weights.chunks_exact(given * taps).zip(bias).enumerate() {
        for (tap, channel) in (0..taps).map(|tap| (tap, tap * padded + channel)) {
            biases[channel] = *bias;
            let turned = &mut turned[channel * given..][..given];
            for (to, weights) in turned.iter_mut().zip(weights.chunks_exact(taps)) {
                *to = weights[tap];
            }
        }
    }
    let window = Window { size: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
    let (weights, bias) = (Weights::made(turned), biases);
    let filters = Filters { window, is_depthwise: false, weights, bias };
    Some((Operator::Convolution(filters), taps * padded))
}

/// The extents of an outlet that is a batch of images of floats: rows, channels, height, width.
pub(super) fn image(model: &TypedModel, outlet: OutletId) -> Option<[usize; 4]> {
    let fact = model.outlet_fact(outlet).ok()?;
    let shape: [usize; 4] = fact.shape.as_concrete()?.try_into().ok()?;
    let is_image = fact.datum_type == DatumType::F32 && fact.exotic_fact.is_none();
    (is_image && shape.iter().all(|extent| *extent > 0)).then_some(shape)
}

/// What the node is, if there is a kernel for it.
pub(super) fn role(kind: Kind, model: &TypedModel, node: &TypedNode) -> Option<Role> {
    let made = image(model, OutletId::new(node.id, 0))?;
    if node.outputs.len() != 1 {
        return None;
    }
    let op = node.op.as_op();
    if let Some(conv) = op.downcast_ref::<Conv>() {
        return convolution(model, node, conv);
    }
    if let Some(deconv) = op.downcast_ref::<Deconv>() {
        return deconvolution(kind, model, node, deconv);
    }
    if let Some(TypedBinOp(op, None)) = op.downcast_ref() {
        let [one, other] = *node.inputs.as_slice() else { return None };
        let op = op.name();
        return match (constant(model, one), constant(model, other)) {
            (None, Some(value)) => with_constant(model, op, one, &value, false),
            (Some(value), None) => with_constant(model, op, other, &value, true),
            (None, None) => of_two(model, op, one, other),
            (Some(_), Some(_)) => None,
        };
    }
    let [input] = *node.inputs.as_slice() else {
        let TypedConcat { axis: 1 } = op.downcast_ref()? else { return None };
        let are_images = node.inputs.iter().all(|input| image(model, *input).is_some());
        let draft = Draft::Ready(Operator::Concat);
        return are_images.then(|| plain(draft, node.inputs.to_vec()));
    };
    let given = image(model, input)?;
    let operator = if let Some(NearestUpsample { scales }) = op.downcast_ref() {
        let [1, 1, down, right] = *scales.as_slice() else { return None };
        Operator::Enlarge([down, right])
    } else if let Some(Slice { axis: 1, start, end }) = op.downcast_ref() {
        let (start, end) = (start.to_usize().ok()?, end.to_usize().ok()?);
        let is_whole = |channel: usize| channel.is_multiple_of(kind.lanes());
        if !is_whole(start) || !(is_whole(end) || end == given[1]) {
            return None;
        }
        Operator::Slice(start)
    } else if let Some(ElementWiseOp(op, None)) = op.downcast_ref() {
        Operator::Activation(if op.is::<Sigmoid>() {
            Activation::Sigmoid
        } else if op.is::<Silu>() {
            Activation::Silu
        } else if op.is::<HardSwish>() {
            Activation::HardSwish(1.0, 0.0)
        } else {
            Activation::LeakyRelu(op.downcast_ref::<LeakyRelu>()?.alpha)
        })
    } else if let Some(MaxPool { pool_spec, with_index_outputs: None }) = op.downcast_ref() {
        Operator::Pool(window(pool_spec, given, made)?, Pooling::Max)
    } else if let Some(SumPool { pool_spec, count_include_pad, normalize: true }) =
        op.downcast_ref()
    {
        // With an end that is rounded up, windows reach beyond the padding, which counts nowhere.
        let is_even = match &pool_spec.padding {
            PaddingSpec::ExplicitOnnxPool(_, _, ceil) => !ceil,
            PaddingSpec::Explicit(_, _)
            | PaddingSpec::Valid
            | PaddingSpec::SameUpper
            | PaddingSpec::SameLower => true,
        };
        let counts_padding = *count_include_pad;
        if counts_padding && !is_even {
            return None;
        }
        Operator::Pool(window(pool_spec, given, made)?, Pooling::Mean { counts_padding })
    } else {
        let Reduce { axes, reducer: Reducer::Sum } = op.downcast_ref()? else { return None };
        if axes.as_slice() != [2, 3] {
            return None;
        }
        let window = Window {
            size: [given[2], given[3]],
            stride: [1, 1],
            dilation: [1, 1],
            padding: [0, 0],
        };
        Operator::Pool(window, Pooling::Sum)
    };
    Some(plain(Draft::Ready(operator), vec![input]))
}

fn convolution(model: &TypedModel, node: &TypedNode, conv: &Conv) -> Option<Role> {
    let Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group, q_params: None } = conv else {
        return None;
    };
    let [input, kernel, bias] = *node.inputs.as_slice() else { return None };
    let given = image(model, input)?;
    let made = image(model, OutletId::new(node.id, 0))?;
    let weights = constant(model, kernel).filter(|it| it.datum_type() == DatumType::F32)?;
    let is_depthwise = *group > 1 && *group == given[1] && given[1] == made[1];
    if *group != 1 && !is_depthwise {
        return None;
    }
    let window = window(pool_spec, given, made)?;
    let inputs = if is_depthwise { 1 } else { given[1] };
    if weights.shape() != [made[1], inputs, window.size[0], window.size[1]] {
        return None;
    }
    // Quantised nets count in floats that hold whole numbers, each between operators of their own.
    if weights.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.iter().all(|it| it.fract() == 0.0) {
        return None;
    }
    let bias = constant(model, bias)?;
    let bias = per_channel(&bias, made[1])?;
    Some(plain(Draft::Convolution { window, is_depthwise, weights, bias }, vec![input]))
}

fn deconvolution(
    kind: Kind,
    model: &TypedModel,
    node: &TypedNode,
    deconv: &Deconv,
) -> Option<Role> {
    let Deconv { pool_spec: spec, kernel_format: KernelFormat::OIHW, adjustments, group: 1 } =
        deconv
    else {
        return None;
    };
    let [input, kernel, bias] = *node.inputs.as_slice() else { return None };
    let given = image(model, input)?;
    let made = image(model, OutletId::new(node.id, 0))?;
    let weights = constant(model, kernel).filter(|it| it.datum_type() == DatumType::F32)?;
    let (2, DataFormat::NCHW) = (spec.rank(), spec.data_format) else { return None };
    let size = [spec.kernel_shape[0], spec.kernel_shape[1]];
    let lie_side_by_side = size == [spec.stride(0), spec.stride(1)]
        && (spec.dilation(0), spec.dilation(1)) == (1, 1)
        && adjustments.iter().all(|adjustment| *adjustment == 0)
        && made[2..] == [given[2] * size[0], given[3] * size[1]]
        && weights.shape() == [made[1], given[1], size[0], size[1]];
    if !lie_side_by_side {
        return None;
    }
    let bias = constant(model, bias)?;
    let bias = per_channel(&bias, made[1])?;
    Some(plain(Draft::Deconvolution { kind, size, weights, bias }, vec![input]))
}

pub(super) fn window(spec: &PoolSpec, given: [usize; 4], made: [usize; 4]) -> Option<Window> {
    let (2, DataFormat::NCHW) = (spec.rank(), spec.data_format) else { return None };
    let padding = spec.computed_padding(&given[2..]);
    let convoluted = [padding[0].convoluted, padding[1].convoluted];
    let window = Window {
        size: [spec.kernel_shape[0], spec.kernel_shape[1]],
        stride: [spec.stride(0), spec.stride(1)],
        dilation: [spec.dilation(0), spec.dilation(1)],
        padding: [padding[0].pad_before, padding[1].pad_before],
    };
    (convoluted[..] == made[2..] && window.is_sound()).then_some(window)
}

/// An operator of an image and what a model's author wrote down, which stands first or second.
fn with_constant(
    model: &TypedModel,
    op: &str,
    input: OutletId,
    value: &Tensor,
    is_first: bool,
) -> Option<Role> {
    let [_, channels, _, _] = image(model, input)?;
    // One value for all, or one for each channel: along no other axis.
    let shape = value.shape();
    let axis = shape.len().checked_sub(3);
    let is_even = shape.iter().enumerate().all(|(at, extent)| *extent == 1 || Some(at) == axis);
    if !is_even || shape.len() > 4 {
        return None;
    }
    let values = per_channel(value, channels)?;
    let bound = || {
        let first = *values.first()?;
        (values.iter().all(|value| *value == first)).then_some(first) // none is a NaN either
    };
    let ones = vec![1.0; channels];
    let zeros = vec![0.0; channels];
    let negative = |values: &[f32]| values.iter().map(|value| -value).collect::<Vec<f32>>();
    let operator = match (op, is_first) {
        ("Max", _) => Operator::Activation(Activation::Clip(bound()?, f32::INFINITY)),
        ("Min", _) => Operator::Activation(Activation::Clip(f32::NEG_INFINITY, bound()?)),
        ("Add", _) => Operator::Scale(ones, values),
        ("Mul", _) => Operator::Scale(values, zeros),
        ("Sub", false) => Operator::Scale(ones, negative(&values)),
        ("Sub", true) => Operator::Scale(negative(&ones), values),
        ("Div", false) => Operator::Scale(values.iter().map(|it| 1.0 / it).collect(), zeros),
        _ => return None,
    };
    Some(plain(Draft::Ready(operator), vec![input]))
}

fn of_two(model: &TypedModel, op: &str, one: OutletId, other: OutletId) -> Option<Role> {
    let (first, second) = (image(model, one)?, image(model, other)?);
    let is_gate = |map: [usize; 4], gate: [usize; 4]| gate == [map[0], map[1], 1, 1];
    let (operator, images) = match op {
        "Add" if first == second => (Operator::Sum, vec![one, other]),
        "Mul" if first == second => (Operator::Product, vec![one, other]),
        "Mul" if is_gate(first, second) => (Operator::Gate, vec![one, other]),
        "Mul" if is_gate(second, first) => (Operator::Gate, vec![other, one]),
        _ => return None,
    };
    Some(plain(Draft::Ready(operator), images))
}

/// As many values as channels, from one or as many.
fn per_channel(tensor: &Tensor, channels: usize) -> Option<Vec<f32>> {
    let tensor = tensor.cast_to::<f32>().ok()?;
    let values = tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec();
    match *values.as_slice() {
        [one] => Some(vec![one; channels]),
        _ => (values.len() == channels).then_some(values),
    }
}

/// What is written down for an outlet, as it stands or through another type or shape.
pub(super) fn constant(model: &TypedModel, outlet: OutletId) -> Option<Arc<Tensor>> {
    if let Some(constant) = &model.outlet_fact(outlet).ok()?.konst {
        return Some(constant.clone());
    }
    let node = model.node(outlet.node);
    if !(node.op_is::<Cast>() || node.op_is::<AxisOp>()) {
        return None;
    }
    let constant = constant(model, node.inputs[0])?;
    let mut made = node.op.eval_out_of_plan(tvec!(constant.into_tvalue())).ok()??;
    Some(made.pop()?.into_arc_tensor())
}
