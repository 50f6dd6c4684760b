//! `Compress`: the values along an axis for which a condition holds; tract cannot type it.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_hir::infer::InferenceNode;
use tract_onnx::tract_hir::internal::{
    InferenceOp, InferenceResult, InferenceRulesOp, Solver, TensorProxy, check_input_arity,
    check_output_arity,
};

pub(super) fn compress(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let axis = node.attribute.iter().find(|one| one.name == "axis").map(|one| one.i);
    let kept = context.template.symbols.new_with_prefix("kept");
    Ok((Box::new(Compress { axis, kept }), Vec::new()))
}

/// Along an axis, or over all values one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Compress {
    axis: Option<i64>,
    /// How many values hold.
    kept: Symbol,
}

impl Compress {
    fn own(&self, rank: usize) -> TractResult<Option<usize>> {
        let Some(axis) = self.axis else { return Ok(None) };
        let own = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis });
        match own {
            Ok(own) if own < rank => Ok(Some(own)),
            Ok(_) | Err(_) => bail!("it compresses the axis {axis} of {rank}"),
        }
    }
}

impl Op for Compress {
    fn name(&self) -> StaticName {
        "Compress".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Compress {
    op_out_of_plan!();

    fn eval(&self, ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (value, condition) = args_2!(inputs);
        let (value, axis) = match self.own(value.rank())? {
            Some(axis) => (value, axis),
            None => {
                let flat = [value.len()];
                (value.into_tensor().into_shape(&flat)?.into_tvalue(), 0)
            }
        };
        let condition = condition.try_as_plain_ram()?;
        let holds = condition.as_slice::<bool>()?.iter().enumerate().filter(|(_, holds)| **holds);
        let places: Vec<i64> = holds.map(|(place, _)| place as i64).collect();
        let extent = value.shape()[axis];
        ensure!(
            places.last().is_none_or(|last| *last < extent as i64),
            "a condition of {} values holds beyond the {extent} that there are",
            condition.as_slice::<bool>()?.len()
        );
        Gather::new(axis).eval(ctx, tvec!(value, tensor1(&places).into_tvalue()))
    }
}

impl TypedOp for Compress {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let kept = self.kept.to_dim();
        let shape = match self.own(inputs[0].rank())? {
            None => tvec!(kept),
            Some(axis) => {
                let mut shape: TVec<TDim> = inputs[0].shape.to_tvec();
                shape[axis] = kept;
                shape
            }
        };
        Ok(tvec!(inputs[0].datum_type.fact(&*shape)))
    }

    as_op!();
}

impl InferenceRulesOp for Compress {
    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[1].datum_type, bool::datum_type())?;
        solver.equals(&inputs[1].rank, 1)?;
        solver.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        match self.axis {
            None => solver.equals(&outputs[0].rank, 1),
            Some(_) => solver.equals(&outputs[0].rank, &inputs[0].rank),
        }
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        target.wire_node(&node.name, self.clone(), &inputs)
    }

    as_op!();
}
