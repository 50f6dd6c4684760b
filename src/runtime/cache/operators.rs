//! The operators of a decluttered graph, as far as nets whose loading takes long have them.

use super::bytes::{Reader, Unkept, Writer};
use super::graph::Tensors;
use crate::runtime::operators::Words;
use tract_onnx::tract_core::internal::{AxisOp, TypedOp};
use tract_onnx::tract_core::ops::Downsample;
use tract_onnx::tract_core::ops::array::{
    Gather, MultiBroadcastTo, Pad, PadMode, Slice, TypedConcat,
};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::cnn::{
    Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool,
};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::identity::Identity;
use tract_onnx::tract_core::ops::nn::resize::Interpolator;
use tract_onnx::tract_core::ops::nn::{
    DataFormat, GeluExact, HardSwish, LeakyRelu, Reduce, Reducer, RmsNorm, Sigmoid, Silu, Softmax,
    SoftmaxKind,
};
use tract_onnx::tract_core::ops::{logic, math};
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest, Resize};

const FORMATS: [DataFormat; 4] =
    [DataFormat::NCHW, DataFormat::NHWC, DataFormat::CHW, DataFormat::HWC];

const KERNELS: [KernelFormat; 3] = [KernelFormat::OIHW, KernelFormat::HWIO, KernelFormat::OHWI];

const REDUCERS: [Reducer; 11] = [
    Reducer::ArgMax(false),
    Reducer::ArgMax(true),
    Reducer::ArgMin(false),
    Reducer::ArgMin(true),
    Reducer::Max,
    Reducer::Min,
    Reducer::Prod,
    Reducer::Sum,
    Reducer::MeanOfSquares,
    Reducer::All,
    Reducer::Any,
];

/// Operators of two inputs that have no form but their name.
fn binary(name: &str) -> Option<Box<dyn BinMiniOp>> {
    Some(match name {
        "Add" => Box::new(math::Add),
        "And" => Box::new(logic::And),
        "Div" => Box::new(math::Div),
        "Max" => Box::new(math::Max),
        "Min" => Box::new(math::Min),
        "Mul" => Box::new(math::Mul),
        "Or" => Box::new(logic::Or),
        "Pow" => Box::new(math::Pow),
        "Rem" => Box::new(math::Rem),
        "Sub" => Box::new(math::Sub),
        "SubF" => Box::new(math::SubF),
        _ => return None,
    })
}

/// Operators of one input that have no form but their name.
fn unary(name: &str) -> Option<Box<dyn ElementWiseMiniOp>> {
    Some(match name {
        "Abs" => Box::new(math::Abs {}),
        "Ceil" => Box::new(math::Ceil {}),
        "Cos" => Box::new(math::Cos {}),
        "Erf" => Box::new(math::Erf {}),
        "Exp" => Box::new(math::Exp {}),
        "Floor" => Box::new(math::Floor {}),
        "GeluExact" => Box::new(GeluExact {}),
        "HardSwish" => Box::new(HardSwish {}),
        "Ln" => Box::new(math::Ln {}),
        "Neg" => Box::new(math::Neg {}),
        "Recip" => Box::new(math::Recip {}),
        "Round" => Box::new(math::Round {}),
        "RoundHalfToEven" => Box::new(math::RoundHalfToEven {}),
        "Rsqrt" => Box::new(math::Rsqrt {}),
        "Sigmoid" => Box::new(Sigmoid {}),
        "Silu" => Box::new(Silu {}),
        "Sin" => Box::new(math::Sin {}),
        "Sqrt" => Box::new(math::Sqrt {}),
        "Square" => Box::new(math::Square {}),
        "Tanh" => Box::new(math::Tanh {}),
        _ => return None,
    })
}

/// Writes the operator, or tells its name when it has no form here.
pub(super) fn write(
    op: &dyn TypedOp,
    to: &mut Writer,
    tensors: &mut Tensors<'_>,
) -> Result<(), Unkept> {
    let op = op.as_op();
    if let Some(Conv { pool_spec, kernel_fmt, group, q_params }) = op.downcast_ref() {
        to.number(0);
        pool(pool_spec, to);
        to.size(place(&KERNELS, kernel_fmt)?);
        to.size(*group);
        to.maybe(*q_params, Writer::datum_type)
    } else if let Some(MaxPool { pool_spec, with_index_outputs }) = op.downcast_ref() {
        to.number(1);
        pool(pool_spec, to);
        to.maybe(*with_index_outputs, Writer::datum_type)
    } else if let Some(SumPool { pool_spec, count_include_pad, normalize }) = op.downcast_ref() {
        to.number(2);
        pool(pool_spec, to);
        to.flag(*count_include_pad);
        to.flag(*normalize);
        Ok(())
    } else if let Some(EinSum { axes, operating_dt, q_params }) = op.downcast_ref() {
        to.number(3);
        to.text(&axes.to_string());
        to.datum_type(*operating_dt)?;
        to.maybe(*q_params, Writer::datum_type)
    } else if let Some(axis_op) = op.downcast_ref::<AxisOp>() {
        to.number(4);
        axes(axis_op, to)
    } else if let Some(TypedBinOp(op, datum)) = op.downcast_ref() {
        to.number(5);
        to.text(op.name());
        to.maybe(*datum, Writer::datum_type)
    } else if let Some(ElementWiseOp(op, datum)) = op.downcast_ref() {
        to.number(6);
        to.maybe(*datum, Writer::datum_type)?;
        to.text(&op.name());
        if let Some(LeakyRelu { alpha }) = op.downcast_ref() {
            to.float(*alpha);
        } else if let Some(math::PowConst { exponent }) = op.downcast_ref() {
            to.float(*exponent);
        }
        Ok(())
    } else if let Some(Reduce { axes, reducer }) = op.downcast_ref() {
        to.number(7);
        to.sizes(axes);
        to.size(place(&REDUCERS, reducer)?);
        Ok(())
    } else if let Some(Softmax { axes, quant_output_dt: None, kind }) = op.downcast_ref() {
        to.number(8);
        to.sizes(axes);
        to.flag(*kind == SoftmaxKind::LogSoftmax);
        Ok(())
    } else if let Some(cast) = op.downcast_ref::<Cast>() {
        to.number(9);
        to.datum_type(cast.to)
    } else if let Some(Slice { axis, start, end }) = op.downcast_ref() {
        to.number(10);
        to.size(*axis);
        to.dimension(start)?;
        to.dimension(end)
    } else if let Some(TypedConcat { axis }) = op.downcast_ref() {
        to.number(11);
        to.size(*axis);
        Ok(())
    } else if let Some(Gather { axis, output_type }) = op.downcast_ref() {
        to.number(12);
        to.size(*axis);
        to.maybe(*output_type, Writer::datum_type)
    } else if let Some(Pad { pads, mode }) = op.downcast_ref() {
        to.number(13);
        to.size(pads.len());
        pads.iter().for_each(|(before, after)| to.sizes(&[*before, *after]));
        match mode {
            PadMode::Constant(value) => {
                to.number(0);
                tensors.write(value, to)?;
            }
            PadMode::Reflect => to.number(1),
            PadMode::Edge => to.number(2),
        }
        Ok(())
    } else if let Some(Downsample { axis, stride, modulo }) = op.downcast_ref() {
        to.number(14);
        to.sizes(&[*axis, *modulo]);
        to.number(*stride as u64);
        Ok(())
    } else if let Some(MultiBroadcastTo { shape }) = op.downcast_ref() {
        to.number(15);
        to.dimensions(shape.dims())
    } else if let Some(RmsNorm { axis, eps }) = op.downcast_ref() {
        to.number(16);
        to.size(*axis);
        tensors.write(eps, to)
    } else if let Some(op) = op.downcast_ref::<Resize>() {
        to.number(17);
        resize(op, to);
        Ok(())
    } else if let Some(Words { name, integers, floats, types }) = Words::of(op) {
        to.number(18);
        to.text(&name);
        to.size(integers.len());
        integers.iter().for_each(|integer| to.number(*integer as u64));
        to.size(floats.len());
        floats.iter().for_each(|float| to.float(*float));
        to.size(types.len());
        types.iter().try_for_each(|datum| to.datum_type(*datum))
    } else if op.is::<Identity>() {
        to.number(19);
        Ok(())
    } else {
        Err(format!("the operator {}", op.name()))
    }
}

fn resize(op: &Resize, to: &mut Writer) {
    let Resize {
        axes,
        coord_transformer,
        interpolator,
        nearest,
        antialias,
        cubic_coeff_a_bits,
        exclude_outside,
        extrapolation_value_bits,
        keep_aspect_ratio_policy,
        optional_roi_input,
        optional_scales_input,
        optional_sizes_input,
    } = op;
    to.flag(axes.is_some());
    let axes = axes.as_deref().unwrap_or_default();
    to.size(axes.len());
    axes.iter().for_each(|axis| to.number(*axis as u64));
    to.text(coord_transformer.as_str());
    to.text(interpolator.as_str());
    to.text(nearest.as_str());
    to.text(keep_aspect_ratio_policy.as_str());
    to.flag(*antialias);
    to.flag(*exclude_outside);
    to.number(u64::from(*cubic_coeff_a_bits));
    to.number(u64::from(*extrapolation_value_bits));
    for place in [optional_roi_input, optional_scales_input, optional_sizes_input] {
        to.sizes(place.as_slice());
    }
}

fn read_resize(from: &mut Reader<'_>) -> Option<Resize> {
    let has_axes = from.flag()?;
    let axes: Vec<i64> = from.list(|from| Some(from.number()? as i64))?;
    let place = |from: &mut Reader<'_>| match *from.sizes()? {
        [] => Some(None),
        [place] => Some(Some(place)),
        _ => None,
    };
    Some(Resize {
        axes: has_axes.then_some(axes),
        coord_transformer: CoordTransform::parse(from.text()?).ok()?,
        interpolator: Interpolator::parse(from.text()?).ok()?,
        nearest: Nearest::parse(from.text()?).ok()?,
        keep_aspect_ratio_policy: AspectRatio::parse(from.text()?).ok()?,
        antialias: from.flag()?,
        exclude_outside: from.flag()?,
        cubic_coeff_a_bits: u32::try_from(from.number()?).ok()?,
        extrapolation_value_bits: u32::try_from(from.number()?).ok()?,
        optional_roi_input: place(from)?,
        optional_scales_input: place(from)?,
        optional_sizes_input: place(from)?,
    })
}

/// Reads what [`write()`] wrote.
pub(super) fn read(from: &mut Reader<'_>, tensors: &mut Tensors<'_>) -> Option<Box<dyn TypedOp>> {
    Some(match from.number()? {
        0 => Box::new(Conv {
            pool_spec: read_pool(from)?,
            kernel_fmt: *KERNELS.get(from.size()?)?,
            group: from.size()?,
            q_params: from.maybe(Reader::datum_type)?,
        }),
        1 => Box::new(MaxPool {
            pool_spec: read_pool(from)?,
            with_index_outputs: from.maybe(Reader::datum_type)?,
        }),
        2 => Box::new(SumPool {
            pool_spec: read_pool(from)?,
            count_include_pad: from.flag()?,
            normalize: from.flag()?,
        }),
        3 => Box::new(EinSum {
            axes: from.text()?.parse().ok()?,
            operating_dt: from.datum_type()?,
            q_params: from.maybe(Reader::datum_type)?,
        }),
        4 => Box::new(read_axes(from)?),
        5 => Box::new(TypedBinOp(binary(from.text()?)?, from.maybe(Reader::datum_type)?)),
        6 => {
            let datum = from.maybe(Reader::datum_type)?;
            let op: Box<dyn ElementWiseMiniOp> = match from.text()? {
                "LeakyRelu" => Box::new(LeakyRelu { alpha: from.float()? }),
                "PowConst" => Box::new(math::PowConst { exponent: from.float()? }),
                name => unary(name)?,
            };
            Box::new(ElementWiseOp(op, datum))
        }
        7 => {
            let axes = from.sizes()?;
            Box::new(Reduce { axes, reducer: *REDUCERS.get(from.size()?)? })
        }
        8 => {
            let axes = from.sizes()?;
            let kind = if from.flag()? { SoftmaxKind::LogSoftmax } else { SoftmaxKind::Softmax };
            Box::new(Softmax { axes, quant_output_dt: None, kind })
        }
        9 => Box::new(Cast { to: from.datum_type()? }),
        10 => {
            Box::new(Slice { axis: from.size()?, start: from.dimension()?, end: from.dimension()? })
        }
        11 => Box::new(TypedConcat { axis: from.size()? }),
        12 => Box::new(Gather { axis: from.size()?, output_type: from.maybe(Reader::datum_type)? }),
        13 => {
            let pads = from.list(|from| match *from.sizes()? {
                [before, after] => Some((before, after)),
                _ => None,
            })?;
            let mode = match from.number()? {
                0 => PadMode::Constant(tensors.read(from)?),
                1 => PadMode::Reflect,
                2 => PadMode::Edge,
                _ => return None,
            };
            Box::new(Pad { pads, mode })
        }
        14 => {
            let [axis, modulo] = from.sizes()?.as_slice().try_into().ok()?;
            Box::new(Downsample { axis, stride: from.number()? as isize, modulo })
        }
        15 => Box::new(MultiBroadcastTo { shape: from.shape()? }),
        16 => Box::new(RmsNorm { axis: from.size()?, eps: tensors.read(from)? }),
        17 => Box::new(read_resize(from)?),
        18 => {
            let name = from.text()?.to_owned();
            let integers = from.list(|from| Some(from.number()? as i64))?;
            let (floats, types) = (from.list(Reader::float)?, from.list(Reader::datum_type)?);
            Words { name, integers, floats, types }.operator()?
        }
        19 => Box::new(Identity),
        _ => return None,
    })
}

fn place<T: PartialEq>(known: &[T], it: &T) -> Result<usize, Unkept> {
    known.iter().position(|known| known == it).ok_or_else(|| "a form of an operator".to_owned())
}

fn pool(spec: &PoolSpec, to: &mut Writer) {
    let PoolSpec {
        data_format,
        kernel_shape,
        padding,
        dilations,
        strides,
        input_channels,
        output_channels,
    } = spec;
    to.size(FORMATS.iter().position(|known| known == data_format).unwrap_or(FORMATS.len()));
    to.sizes(kernel_shape);
    match padding {
        PaddingSpec::Explicit(before, after) => {
            to.number(0);
            to.sizes(before);
            to.sizes(after);
        }
        PaddingSpec::ExplicitOnnxPool(before, after, ceil) => {
            to.number(1);
            to.sizes(before);
            to.sizes(after);
            to.flag(*ceil);
        }
        PaddingSpec::Valid => to.number(2),
        PaddingSpec::SameUpper => to.number(3),
        PaddingSpec::SameLower => to.number(4),
    }
    for list in [dilations, strides] {
        to.flag(list.is_some());
        to.sizes(list.as_deref().unwrap_or_default());
    }
    to.sizes(&[*input_channels, *output_channels]);
}

fn read_pool(from: &mut Reader<'_>) -> Option<PoolSpec> {
    let data_format = *FORMATS.get(from.size()?)?;
    let kernel_shape = from.sizes()?;
    let padding = match from.number()? {
        0 => PaddingSpec::Explicit(from.sizes()?, from.sizes()?),
        1 => PaddingSpec::ExplicitOnnxPool(from.sizes()?, from.sizes()?, from.flag()?),
        2 => PaddingSpec::Valid,
        3 => PaddingSpec::SameUpper,
        4 => PaddingSpec::SameLower,
        _ => return None,
    };
    let mut list = || {
        let is_there = from.flag()?;
        let sizes = from.sizes()?;
        Some(is_there.then_some(sizes))
    };
    let (dilations, strides) = (list()?, list()?);
    let [input_channels, output_channels] = from.sizes()?.as_slice().try_into().ok()?;
    Some(PoolSpec {
        data_format,
        kernel_shape,
        padding,
        dilations,
        strides,
        input_channels,
        output_channels,
    })
}

fn axes(op: &AxisOp, to: &mut Writer) -> Result<(), Unkept> {
    match op {
        AxisOp::Add(axis) => to.sizes(&[0, *axis]),
        AxisOp::Rm(axis) => to.sizes(&[1, *axis]),
        AxisOp::Move(from, into) => to.sizes(&[2, *from, *into]),
        AxisOp::Reshape(at, from, into) => {
            to.sizes(&[3, *at]);
            to.dimensions(from)?;
            to.dimensions(into)?;
        }
    }
    Ok(())
}

fn read_axes(from: &mut Reader<'_>) -> Option<AxisOp> {
    Some(match *from.sizes()? {
        [0, axis] => AxisOp::Add(axis),
        [1, axis] => AxisOp::Rm(axis),
        [2, one, other] => AxisOp::Move(one, other),
        [3, at] => AxisOp::Reshape(at, from.dimensions()?, from.dimensions()?),
        _ => return None,
    })
}
