//! `PRelu` before version 7: a slope for each channel, where later ones stand at the last axes.

use super::{TRACTS_PRELU, tracts};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::{AxisOp, wire_rank_broadcast};
use tract_onnx::tract_core::ops::logic::{Iff, comp_lt};
use tract_onnx::tract_core::ops::math::mul;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

pub(super) fn prelu(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    match context.onnx_operator_set_version < 7 {
        true => Ok((expand(Early), Vec::new())),
        false => tracts(context, node, TRACTS_PRELU),
    }
}

#[derive(Debug, Clone)]
struct Early;

impl Expansion for Early {
    fn name(&self) -> StaticName {
        "PRelu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, &inputs[1].datum_type)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let slope = model.outlet_fact(inputs[1])?.clone();
        let mut each = inputs[1];
        if slope.rank() == 1 && slope.shape[0] != 1.to_dim() {
            for axis in 0..fact.rank().saturating_sub(2) {
                let op = AxisOp::Add(1 + axis);
                each = model.wire_node(format!("{prefix}.axis_{axis}"), op, &[each])?[0];
            }
        }
        let zero = tensor0(0.0_f32).cast_to_dt(fact.datum_type)?.into_owned();
        let zero = model.add_const(format!("{prefix}.zero"), zero)?;
        let wires = wire_rank_broadcast(prefix, model, &[inputs[0], each, zero])?;
        let [value, slope, zero] = *wires else { bail!("three values have {}", wires.len()) };
        let below = model.wire_node(
            format!("{prefix}.below"),
            TypedBinOp(comp_lt(), None),
            &[value, zero],
        )?;
        let bent = model.wire_node(format!("{prefix}.bent"), mul(), &[value, slope])?;
        model.wire_node(prefix, Iff, &[below[0], bent[0], value])
    }
}
