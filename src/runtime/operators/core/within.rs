//! Operators of tract's whose axis must be one of their input's: it counts without an end otherwise.

use super::{integer, tracts};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode};
use tract_onnx::tract_hir::internal::InferenceOp;

/// Where tract's operator is kept when ours takes its name: no exporter would name this.
pub(super) const TRACTS_LAYER_NORM: &str = "LayerNormalization of tract";

/// `runtime/check` asks for the axes of a model's graph, and cannot of those inside of its nodes:
/// what a body's inputs are is known when the body is inferred, here.
pub(super) fn layer_normalization(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let (inner, outer) = tracts(context, node, TRACTS_LAYER_NORM)?;
    Ok((Box::new(Within { inner, axis: integer(node, "axis", -1) }), outer))
}

#[derive(Debug, Clone)]
struct Within {
    inner: Box<dyn InferenceOp>,
    axis: i64,
}

impl PartialEq for Within {
    fn eq(&self, _other: &Within) -> bool {
        false
    }
}

impl Eq for Within {}

impl Within {
    fn fits(&self, rank: usize) -> TractResult<()> {
        let (axis, rank) = (self.axis, rank as i64);
        ensure!(
            (-rank..rank).contains(&axis),
            "it has the axis {axis}, and its input {rank} dimensions"
        );
        Ok(())
    }
}

impl Op for Within {
    fn name(&self) -> StaticName {
        self.inner.name()
    }

    not_a_typed_op!();
}

impl EvalOp for Within {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.fits(inputs[0].rank())?;
        self.inner.eval(context, inputs)
    }
}

type Facts = TVec<InferenceFact>;

impl InferenceOp for Within {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        match inputs.first().and_then(|input| input.shape.rank().concretize()) {
            Some(rank) => self.fits(usize::try_from(rank)?)?,
            // Until it is known nothing can be told; a rank that comes from elsewhere is no better.
            None => {
                let all = |facts: TVec<&InferenceFact>| facts.into_iter().cloned().collect();
                return Ok((all(inputs), all(outputs), all(observed)));
            }
        }
        self.inner.infer_facts(inputs, outputs, observed)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.inner.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let fact = node.inputs.first().map(|input| &mapping[input]);
        if let Some(outlet) = fact {
            self.fits(target.outlet_fact(*outlet)?.rank())?;
        }
        self.inner.to_typed(source, node, target, mapping)
    }

    as_op!();
}
