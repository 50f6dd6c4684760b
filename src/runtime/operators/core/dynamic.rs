//! `DynamicQuantizeLinear`: values are quantised by the range that they have when they come.

use super::steps::{codes, kernel, quantize, shaped};
use crate::runtime::kernels::integers;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

/// Values that are compared side by side.
const LANES: usize = 16;

pub(super) fn dynamic_quantize_linear(
    _context: &ParsingContext<'_>,
    _node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(DynamicLinear), Vec::new()))
}

#[derive(Debug, Clone)]
struct DynamicLinear;

impl Expansion for DynamicLinear {
    fn name(&self) -> StaticName {
        "DynamicQuantizeLinear".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(3)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 3)?;
        solver.equals(&inputs[0].datum_type, DatumType::F32)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        for (place, element) in [DatumType::U8, DatumType::F32, DatumType::U8].iter().enumerate() {
            solver.equals(&outputs[place].datum_type, *element)?;
        }
        solver.equals(&outputs[1].rank, 0)?;
        solver.equals(&outputs[2].rank, 0)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, DynamicQuantize, inputs)
    }
}

/// To integers, with scale and zero point: what is answered for a row depends on those beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct DynamicQuantize;

impl Op for DynamicQuantize {
    fn name(&self) -> StaticName {
        "DynamicQuantize".into()
    }

    op_as_typed_op!();
}

impl EvalOp for DynamicQuantize {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let values = inputs[0].try_as_plain_ram()?;
        let values = values.as_slice::<f32>()?;
        if let Some(kind) = kernel() {
            let (scale, zero_point) = step(integers::reach(kind, values));
            let quantized = shaped(inputs[0].shape(), codes(kind, values, scale, (zero_point, 0)))?;
            let [scale, zero_point] = [tensor0(scale), tensor0(zero_point)];
            return Ok(tvec!(
                quantized.into_tvalue(),
                scale.into_tvalue(),
                zero_point.into_tvalue()
            ));
        }
        let (scale, zero_point) = scale_and_zero_point(values);
        let mut quantized = Tensor::zero::<u8>(inputs[0].shape())?;
        {
            let mut to = quantized.try_as_plain_ram_mut()?;
            quantize(values, to.as_slice_mut::<u8>()?, scale, i32::from(zero_point));
        }
        let [scale, zero_point] = [tensor0(scale), tensor0(zero_point)];
        Ok(tvec!(quantized.into_tvalue(), scale.into_tvalue(), zero_point.into_tvalue()))
    }
}

impl TypedOp for DynamicQuantize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let scalar = |element: DatumType| element.fact([0_usize; 0]);
        Ok(tvec!(
            DatumType::U8.fact(inputs[0].shape.clone()),
            scalar(DatumType::F32),
            scalar(DatumType::U8)
        ))
    }

    as_op!();
}

fn scale_and_zero_point(values: &[f32]) -> (f32, u8) {
    let (mut least, mut most) = ([0_f32; LANES], [0_f32; LANES]);
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut compare = |lane: usize, value: f32| {
        least[lane] = if value < least[lane] { value } else { least[lane] };
        most[lane] = if value > most[lane] { value } else { most[lane] };
    };
    for values in lanes {
        (0..LANES).for_each(|lane| compare(lane, values[lane]));
    }
    rest.iter().enumerate().for_each(|(lane, value)| compare(lane, *value));
    let least = least.into_iter().fold(0.0, f32::min);
    let most = most.into_iter().fold(0.0, f32::max);
    step((least, most))
}

/// The step with which 255 of them reach over the values and zero. Where all are zero any would do;
/// onnxruntime takes one, and tract divides by none.
fn step((least, most): (f32, f32)) -> (f32, u8) {
    let scale = if least == most { 1.0 } else { (most - least) / 255.0 };
    let zero_point = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    (scale, zero_point as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_reaches_over_all_values_and_zero() {
        let cases: [(&[f32], f32, u8); 5] = [
            (&[0.0, 2.0, -3.0, -2.5, 1.34, 0.5], 5.0 / 255.0, 153),
            (&[-1.0, -2.1, -1.3, -2.5, -3.34, -4.0], 4.0 / 255.0, 255),
            (&[1.0, 2.1, 4.0], 4.0 / 255.0, 0),
            (&[0.0; 3], 1.0, 0),
            (&[], 1.0, 0),
        ];
        for (values, scale, zero_point) in cases {
            assert_eq!(scale_and_zero_point(values), (scale, zero_point), "{values:?}");
        }
        let mut many = vec![0.5; 100];
        (many[37], many[99]) = (-1.0, 3.0);
        assert_eq!(scale_and_zero_point(&many), (4.0 / 255.0, 64));
    }
}
