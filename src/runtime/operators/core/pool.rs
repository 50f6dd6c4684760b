//! `GlobalLpPool`: the norm of each channel; tract gives the mean where the sum is asked for.

use super::integer;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::math::{abs, pow};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

pub(super) fn global_lp_pool(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(GlobalLpPool { power: integer(node, "p", 2) }), Vec::new()))
}

#[derive(Debug, Clone)]
struct GlobalLpPool {
    power: i64,
}

impl Expansion for GlobalLpPool {
    fn name(&self) -> StaticName {
        "GlobalLpPool".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        solver.equals(&outputs[0].rank, &inputs[0].rank)?;
        solver.given(&inputs[0].rank, move |solver, rank| {
            for axis in 0..rank as usize {
                match axis {
                    0 | 1 => solver.equals(&outputs[0].shape[axis], &inputs[0].shape[axis])?,
                    _ => solver.equals(&outputs[0].shape[axis], 1.to_dim())?,
                }
            }
            Ok(())
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let mut constant = |part: &str, value: f32| -> TractResult<OutletId> {
            let value = tensor0(value).cast_to_dt(fact.datum_type)?.into_owned();
            model.add_const(format!("{prefix}.{part}"), value.broadcast_into_rank(fact.rank())?)
        };
        let power = constant("power", self.power as f32)?;
        let root = constant("root", 1.0 / self.power as f32)?;
        let size = model.wire_node(format!("{prefix}.size"), abs(), inputs)?[0];
        let raised = model.wire_node(format!("{prefix}.raised"), pow(), &[size, power])?;
        let axes = (2..fact.rank()).collect();
        let sum = Reduce::new(axes, Reducer::Sum);
        let sum = model.wire_node(format!("{prefix}.sum"), sum, &raised)?[0];
        model.wire_node(prefix, pow(), &[sum, root])
    }
}
