//! `Gemm` in any float type: tract's mixes 32-bit factors into a product of 16-bit floats.

use super::{float, integer};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::change_axes::wire_with_rank_broadcast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::math::{add, mul};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_output_arity, expand,
};

pub(super) fn gemm(
    _context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Gemm::read(node)), Vec::new()))
}

/// `alpha * A * B + beta * C`, with A or B transposed if told so.
#[derive(Debug, Clone)]
pub(super) struct Gemm {
    alpha: f32,
    beta: f32,
    transposed: [bool; 2],
}

impl Gemm {
    pub(super) fn read(node: &NodeProto) -> Gemm {
        Gemm {
            alpha: float(node, "alpha", 1.0),
            beta: float(node, "beta", 1.0),
            transposed: ["transA", "transB"].map(|name| integer(node, name, 0) != 0),
        }
    }

    fn scaled(
        &self,
        prefix: String,
        model: &mut TypedModel,
        wire: OutletId,
        by: f32,
    ) -> TractResult<OutletId> {
        if by == 1.0 {
            return Ok(wire);
        }
        let fact = model.outlet_fact(wire)?.clone();
        let by = tensor0(by)
            .cast_to_dt(fact.datum_type)?
            .into_owned()
            .broadcast_into_rank(fact.rank())?;
        let by = model.add_const(format!("{prefix}.by"), by)?;
        Ok(model.wire_node(prefix, mul(), &[wire, by])?[0])
    }
}

impl Expansion for Gemm {
    fn name(&self) -> StaticName {
        "Gemm".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        ensure!(matches!(inputs.len(), 2 | 3), "Gemm takes 2 or 3 inputs, not {}", inputs.len());
        check_output_arity(outputs, 1)?;
        for input in inputs {
            solver.equals(&input.datum_type, &outputs[0].datum_type)?;
        }
        for wire in [&inputs[0], &inputs[1], &outputs[0]] {
            solver.equals(&wire.rank, 2)?;
        }
        let [row, inner] = if self.transposed[0] { [1, 0] } else { [0, 1] };
        let [depth, column] = if self.transposed[1] { [1, 0] } else { [0, 1] };
        solver.equals(&inputs[0].shape[row], &outputs[0].shape[0])?;
        solver.equals(&inputs[0].shape[inner], &inputs[1].shape[depth])?;
        solver.equals(&inputs[1].shape[column], &outputs[0].shape[1])
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let element = model.outlet_fact(inputs[0])?.datum_type;
        let axes = AxesMapping::for_numpy_matmul(2, self.transposed[0], self.transposed[1], false)?;
        let product = EinSum::new(axes, element);
        let product = model.wire_node(format!("{prefix}.product"), product, &inputs[..2])?[0];
        let product = self.scaled(format!("{prefix}.alpha"), model, product, self.alpha)?;
        match inputs.get(2).filter(|_| self.beta != 0.0) {
            None => Ok(tvec!(product)),
            Some(bias) => {
                let bias = self.scaled(format!("{prefix}.beta"), model, *bias, self.beta)?;
                wire_with_rank_broadcast(prefix, model, add(), &[product, bias])
            }
        }
    }
}
