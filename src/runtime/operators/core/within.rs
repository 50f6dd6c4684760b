//! Operators of tract's that trust the rank of their input: too few axes make it read beyond them, or never end.

use super::{ASIDE, integer, tracts};
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode};
use tract_onnx::tract_hir::internal::InferenceOp;

/// Operators whose input has a batch, and channels: tract reads the second extent unchecked.
const OVER_CHANNELS: [&str; 14] = [
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LpPool",
    "MaxPool",
    "QLinearConv",
];

/// Those whose axis tract counts up to, whatever it is, with the axis that holds where none is told
/// and how many axes more the result has than the input.
const OVER_AXIS: [(&str, i64, i64); 2] = [("LayerNormalization", -1, 0), ("OneHot", -1, 1)];

/// Puts a guard before each of them. `runtime/check` asks for ranks and axes in a model's graph,
/// and cannot in those inside of its nodes: what the inputs of a body are is known when the body is
/// inferred, here.
pub(super) fn register(register: &mut OnnxOpRegister) {
    for name in OVER_CHANNELS.into_iter().chain(OVER_AXIS.map(|(name, ..)| name)) {
        if let Some(tracts) = register.0.remove(name) {
            register.0.insert(aside(name), tracts);
            register.insert(name, within);
        }
    }
}

/// Where tract's operator is kept.
fn aside(name: &str) -> String {
    format!("{name}{ASIDE}")
}

fn within(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let (inner, outer) = tracts(context, node, &aside(&node.op_type))?;
    let over = OVER_AXIS.iter().find(|(name, ..)| *name == node.op_type);
    let axis = over.map(|(_, otherwise, more)| (integer(node, "axis", *otherwise), *more));
    Ok((Box::new(Within { inner, axis }), outer))
}

#[derive(Debug, Clone)]
struct Within {
    inner: Box<dyn InferenceOp>,
    /// The axis that the input must have, or would have with so many more of them; without one, it
    /// has a batch and channels.
    axis: Option<(i64, i64)>,
}

impl PartialEq for Within {
    fn eq(&self, _other: &Within) -> bool {
        false
    }
}

impl Eq for Within {}

impl Within {
    fn fits(&self, rank: usize) -> TractResult<()> {
        match self.axis {
            Some((axis, more)) => {
                let axes = rank as i64 + more;
                let sound = (-axes..axes).contains(&axis);
                ensure!(sound, "it has the axis {axis}, and its input {rank} dimensions");
            }
            None => ensure!(
                rank > 1,
                "it wants a batch and channels, and its input has {rank} dimensions"
            ),
        }
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
