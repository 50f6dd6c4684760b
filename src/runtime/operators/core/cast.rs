//! `Cast`, with the whole range of 64-bit integers.

use super::{TRACTS_CAST, integer, tracts};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cast::cast as tract_cast;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

pub(super) fn cast(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    match integer(node, "to", 0) == i64::from(DataType::Int64 as i32) {
        true => Ok((expand(ToInt64), Vec::new())),
        false => tracts(context, node, TRACTS_CAST),
    }
}

/// To `int64`; a value that comes from shapes stays symbolic.
///
/// tract casts to `int64` by way of its symbolic dimensions, since most such casts are in the
/// arithmetic of shapes, and loses what does not fit 32 bits.
#[derive(Debug, Clone)]
struct ToInt64;

fn target(from: DatumType) -> DatumType {
    if from == DatumType::TDim { DatumType::TDim } else { DatumType::I64 }
}

impl Expansion for ToInt64 {
    fn name(&self) -> StaticName {
        "ToInt64".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].shape, &inputs[0].shape)?;
        solver.given(&inputs[0].datum_type, move |solver, from| {
            solver.equals(&outputs[0].datum_type, target(from))
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let to = target(model.outlet_fact(inputs[0])?.datum_type);
        model.wire_node(prefix, tract_cast(to), inputs)
    }
}
