//! Between floats and the integers of a quantised model: `QuantizeLinear` and `DequantizeLinear`.

use super::integer;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::tract_itertools::izip;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

pub(super) fn quantize_linear(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let told = match integer(node, "output_dtype", 0) {
        0 => None,
        told => Some(DataType::try_from(i32::try_from(told)?)?.try_into()?),
    };
    Ok((expand(Linear { way: Way::Quantize(told), ..linear(node)? }), Vec::new()))
}

pub(super) fn dequantize_linear(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(linear(node)?), Vec::new()))
}

fn linear(node: &NodeProto) -> TractResult<Linear> {
    ensure!(integer(node, "block_size", 0) == 0, "scales for blocks are not supported");
    let zero_point = node.input.get(2).is_some_and(|name| !name.is_empty());
    Ok(Linear { way: Way::Dequantize, axis: integer(node, "axis", 1), zero_point })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// To integers, of this type if there is no zero point to tell it.
    Quantize(Option<DatumType>),
    Dequantize,
}

#[derive(Debug, Clone, Copy)]
struct Linear {
    way: Way,
    axis: i64,
    zero_point: bool,
}

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        match self.way {
            Way::Quantize(_) => "QuantizeLinear".into(),
            Way::Dequantize => "DequantizeLinear".into(),
        }
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, if self.zero_point { 3 } else { 2 })?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        match (self.way, self.zero_point) {
            (Way::Dequantize, zero_point) => {
                solver.equals(&outputs[0].datum_type, &inputs[1].datum_type)?;
                if zero_point {
                    solver.equals(&inputs[0].datum_type, &inputs[2].datum_type)?;
                }
                Ok(())
            }
            (Way::Quantize(_), true) => {
                solver.equals(&outputs[0].datum_type, &inputs[2].datum_type)
            }
            (Way::Quantize(told), false) => {
                solver.equals(&outputs[0].datum_type, told.unwrap_or(DatumType::U8))
            }
        }
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = if self.axis < 0 { self.axis + rank as i64 } else { self.axis };
        let single = |fact: &TypedFact| fact.shape.volume().is_one();
        if !single(model.outlet_fact(inputs[1])?) {
            ensure!((0..rank as i64).contains(&axis), "there is no axis {} to scale", self.axis);
        }
        let axis = usize::try_from(axis).unwrap_or(0);
        match self.way {
            Way::Dequantize => model.wire_node(prefix, Dequantize { axis }, inputs),
            Way::Quantize(told) => {
                let to = match inputs.get(2) {
                    Some(zero_point) => model.outlet_fact(*zero_point)?.datum_type,
                    None => told.unwrap_or(DatumType::U8),
                };
                model.wire_node(prefix, quantize(axis, to)?, inputs)
            }
        }
    }
}

/// The operator to integers of type `to`; its inputs are values, scale, and maybe zero point.
pub(super) fn quantize(axis: usize, to: DatumType) -> TractResult<Quantize> {
    let ours = [DatumType::U8, DatumType::I8, DatumType::U16, DatumType::I16];
    ensure!(ours.contains(&to), "quantising to {to:?} is not supported");
    Ok(Quantize { axis, to })
}

/// `saturate(round_half_to_even(value / scale) + zero point)`.
///
/// tract multiplies by the reciprocal of the scale, which is another number now and then, and one
/// step of a quantised net becomes many further on; the specification and onnxruntime divide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Quantize {
    axis: usize,
    to: DatumType,
}

/// `(value - zero point) * scale`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Dequantize {
    pub(super) axis: usize,
}

/// Scale and zero point as they go along an axis.
struct Steps {
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    /// Values that lie between one place of the axis and the next.
    run: usize,
}

impl Steps {
    fn read(values: &Tensor, axis: usize, inputs: &[TValue]) -> TractResult<Steps> {
        let scales = inputs[1].cast_to::<f32>()?;
        let mut scales = scales.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let mut zero_points = match inputs.get(2) {
            Some(zero_points) => {
                let zero_points = zero_points.cast_to::<i32>()?;
                zero_points.try_as_plain_ram()?.as_slice::<i32>()?.to_vec()
            }
            None => vec![0],
        };
        let (run, length) = match scales.len().max(zero_points.len()) {
            1 => (values.len().max(1), 1),
            length => {
                let extent = values.shape().get(axis).copied();
                ensure!(extent == Some(length), "{length} scales are for an axis of {extent:?}");
                (values.shape()[axis + 1..].iter().product::<usize>().max(1), length)
            }
        };
        for (name, found) in [("scales", scales.len()), ("zero points", zero_points.len())] {
            ensure!(found == length || found == 1, "{found} {name} are for an axis of {length}");
        }
        scales.resize(length, scales[0]);
        zero_points.resize(length, zero_points[0]);
        Ok(Steps { scales, zero_points, run })
    }

    /// Runs `each` over the stretches of one scale: where they begin, and the two numbers.
    fn over<I, O>(&self, from: &[I], to: &mut [O], mut each: impl FnMut(&[I], &mut [O], f32, i32)) {
        let steps = self.scales.iter().zip(&self.zero_points).cycle();
        for (from, to, (scale, zero_point)) in
            izip!(from.chunks(self.run), to.chunks_mut(self.run), steps)
        {
            each(from, to, *scale, *zero_point);
        }
    }
}

impl Op for Quantize {
    fn name(&self) -> StaticName {
        "Quantize".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Quantize {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let steps = Steps::read(&inputs[0], self.axis, &inputs)?;
        let values = inputs[0].cast_to::<f32>()?;
        let values = values.try_as_plain_ram()?;
        let values = values.as_slice::<f32>()?;
        let shape = inputs[0].shape();
        macro_rules! quantized {
            ($integer:ty) => {{
                let mut quantized = vec![0 as $integer; values.len()];
                steps.over(values, &mut quantized, |from, to, scale, zero_point| {
                    // Clamped as floats, so that the sum cannot leave the type.
                    let least = (i32::from(<$integer>::MIN) - zero_point) as f32;
                    let most = (i32::from(<$integer>::MAX) - zero_point) as f32;
                    for (from, to) in from.iter().zip(to) {
                        let step = (from / scale).clamp(least, most).round_ties_even();
                        *to = (step as i32 + zero_point) as $integer;
                    }
                });
                Tensor::from_shape(shape, &quantized)?
            }};
        }
        let quantized = if self.to == DatumType::U8 {
            quantized!(u8)
        } else if self.to == DatumType::I8 {
            quantized!(i8)
        } else if self.to == DatumType::U16 {
            quantized!(u16)
        } else {
            quantized!(i16)
        };
        Ok(tvec!(quantized.into_tvalue()))
    }
}

impl TypedOp for Quantize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.to.fact(inputs[0].shape.clone())))
    }

    as_op!();
}

impl Op for Dequantize {
    fn name(&self) -> StaticName {
        "Dequantize".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Dequantize {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let steps = Steps::read(&inputs[0], self.axis, &inputs)?;
        let mut floats = vec![0_f32; inputs[0].len()];
        let values = inputs[0].try_as_plain_ram()?;
        macro_rules! spread {
            ($integer:ty) => {
                steps.over(
                    values.as_slice::<$integer>()?,
                    &mut floats,
                    |from, to, scale, zero_point| {
                        for (from, to) in from.iter().zip(to) {
                            *to = i32::from(*from).wrapping_sub(zero_point) as f32 * scale;
                        }
                    },
                )
            };
        }
        let element = inputs[0].datum_type();
        if element == DatumType::U8 {
            spread!(u8);
        } else if element == DatumType::I8 {
            spread!(i8);
        } else if element == DatumType::U16 {
            spread!(u16);
        } else if element == DatumType::I16 {
            spread!(i16);
        } else if element == DatumType::I32 {
            spread!(i32);
        } else {
            bail!("{element:?} is no type of quantised values");
        }
        let floats = Tensor::from_shape(inputs[0].shape(), &floats)?;
        Ok(tvec!(floats.cast_to_dt(inputs[1].datum_type())?.into_owned().into_tvalue()))
    }
}

impl TypedOp for Dequantize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[1].datum_type.fact(inputs[0].shape.clone())))
    }

    as_op!();
}
