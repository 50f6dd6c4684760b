//! `TopK` that gives no more values than there are: tract fills the rest with invented ones.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Topk;

/// tract's operator, asked only for what it can give.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Top(pub(super) Topk);

impl Op for Top {
    fn name(&self) -> StaticName {
        "Top".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        self.0.mints_runtime_symbols()
    }

    op_as_typed_op!();
}

impl EvalOp for Top {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let wanted = inputs[1].cast_to_scalar::<i64>()?;
        let there = inputs[0].shape()[self.0.axis];
        ensure!(
            usize::try_from(wanted).is_ok_and(|wanted| wanted <= there),
            "TopK is to give {wanted} of {there} values"
        );
        self.0.eval(ctx, inputs)
    }
}

impl TypedOp for Top {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    fn set_symbols(
        &self,
        _source: &TypedModel,
        node: &TypedNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
        values: &HashMap<Symbol, TDim>,
    ) -> TractResult<TVec<OutletId>> {
        let fallback_k = self.0.fallback_k.substitute_all(values)?;
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| mapping[input]).collect();
        target.wire_node(&node.name, Top(Topk { fallback_k, ..self.0.clone() }), &inputs)
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_values_than_there_are_is_an_error() {
        let top = Top(Topk { axis: 0, largest: true, fallback_k: 3.to_dim() });
        let ask = |count: i64| {
            let inputs = tvec!(tensor1(&[3_f32, 1.0, 2.0]).into(), tensor1(&[count]).into());
            top.eval(&EvalContext::out_of_plan(), inputs)
        };
        assert_eq!(*ask(2).unwrap()[0], tensor1(&[3_f32, 2.0]));
        assert!(ask(4).is_err());
        assert!(ask(-1).is_err());
    }
}
