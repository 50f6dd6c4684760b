//! `Sigmoid` in double precision: tract 0.23 has it for single and half precision alone.

use tract_onnx::tract_core::internal::*;

/// `1 / (1 + exp(-x))`, element by element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WideSigmoid;

impl Op for WideSigmoid {
    fn name(&self) -> StaticName {
        "WideSigmoid".into()
    }

    op_as_typed_op!();
}

impl EvalOp for WideSigmoid {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut values = args_1!(inputs).to_plain_array_view::<f64>()?.to_owned();
        values.mapv_inplace(|value| 1.0 / (1.0 + (-value).exp()));
        Ok(tvec!(values.into_tensor().into_tvalue()))
    }
}

impl TypedOp for WideSigmoid {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::super::correct;
    use super::*;
    use tract_onnx::tract_core::ops::nn::sigmoid;

    #[test]
    fn a_sigmoid_of_doubles_runs_and_keeps_their_precision() {
        let mut model = TypedModel::default();
        let source = model.add_source("x", f64::fact([4])).unwrap();
        let outputs = model.wire_node("y", sigmoid(), &[source]).unwrap();
        model.select_output_outlets(&outputs).unwrap();
        correct(&mut model).unwrap();
        let plan = TypedSimplePlan::new(model.into_optimized().unwrap()).unwrap();
        let x = tensor1(&[0.0, 1e-9, 800.0, -800.0]).into_tvalue();
        let y = plan.spawn().unwrap().run(tvec!(x)).unwrap();
        let y = y[0].try_as_plain_ram().unwrap().as_slice::<f64>().unwrap().to_vec();
        assert_eq!(y, [0.5, 0.500_000_000_25, 1.0, 0.0]);
    }
}
