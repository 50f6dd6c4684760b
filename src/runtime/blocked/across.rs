//! Softmax along an axis that is not the last one: tract 0.23 takes a view of each column and copies it.

use crate::runtime::kernels::{Kind, softmax_across};
use std::hash::{Hash, Hasher};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};

/// A softmax of columns that lie beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SoftmaxAcross {
    kind: Kind,
    axis: usize,
}

// tract asks for it to join what is the same; equal ones have equal axes.
impl Hash for SoftmaxAcross {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.axis.hash(state);
    }
}

impl SoftmaxAcross {
    /// Puts it in the place of tract's, where that goes along an inner axis of floats.
    pub(super) fn take(kind: Kind, model: &mut TypedModel) {
        for id in 0..model.nodes().len() {
            let node = model.node(id);
            let Some(softmax) = node.op_as::<Softmax>() else { continue };
            let ([axis], SoftmaxKind::Softmax, None) =
                (softmax.axes.as_slice(), softmax.kind, softmax.quant_output_dt)
            else {
                continue;
            };
            let (axis, fact) = (*axis, &node.outputs[0].fact);
            let inner = fact.shape.as_concrete().map(|shape| shape[axis + 1..].iter().product());
            if fact.datum_type == DatumType::F32 && inner.is_some_and(|inner: usize| inner > 1) {
                model.node_mut(id).op = Box::new(SoftmaxAcross { kind, axis });
            }
        }
    }
}

impl Op for SoftmaxAcross {
    fn name(&self) -> StaticName {
        "SoftmaxAcross".into()
    }

    op_as_typed_op!();
}

impl EvalOp for SoftmaxAcross {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [input] = inputs.as_slice() else { bail!("a softmax takes one input") };
        let shape = input.shape().to_vec();
        let (terms, inner) = (shape[self.axis], shape[self.axis + 1..].iter().product::<usize>());
        let mut values = input.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        if !values.is_empty() {
            softmax_across(self.kind, &mut values, terms, inner);
        }
        let made = tract_ndarray::ArrayD::from_shape_vec(shape, values)?;
        Ok(tvec!(made.into_tensor().into_tvalue()))
    }
}

impl TypedOp for SoftmaxAcross {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}
