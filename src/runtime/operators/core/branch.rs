//! `If` that looks into the branch that is taken, where that is known, and into no other.

use super::super::super::check::sized;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::tract_itertools::izip;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode};
use tract_onnx::tract_hir::internal::InferenceOp;

pub(super) fn branch(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let graph = |name: &str| -> TractResult<&GraphProto> {
        let attribute = node.attribute.iter().find(|one| one.name == name);
        attribute.and_then(|one| one.g.as_ref()).with_context(|| format!("it has no `{name}`"))
    };
    let mut outer: Vec<String> = Vec::new();
    let mut body = |graph: &GraphProto| -> TractResult<Body> {
        let ParseResult { model, unresolved_inputs, .. } = context.parse_graph(graph)?;
        let mut inputs = Vec::new();
        for name in unresolved_inputs {
            let known = outer.iter().position(|one| *one == name);
            let place = known.unwrap_or_else(|| {
                outer.push(name);
                outer.len() - 1
            });
            inputs.push(place + 1); // the condition comes first
        }
        Ok(Body { graph: model, inputs })
    };
    let (taken, left) = (body(graph("then_branch")?)?, body(graph("else_branch")?)?);
    let outputs = (taken.graph.outputs.len(), left.graph.outputs.len());
    ensure!(outputs.0 == outputs.1, "its branches make {} and {} values", outputs.0, outputs.1);
    Ok((Box::new(Branch { taken, left }), outer))
}

/// A branch, and which inputs of the node are those of its graph.
#[derive(Debug, Clone)]
struct Body {
    graph: InferenceModel,
    inputs: Vec<usize>,
}

/// tract types both: a branch that is there for other sizes, and makes no sense for these, stops it.
#[derive(Debug, Clone)]
struct Branch {
    /// What runs when the condition holds.
    taken: Body,
    left: Body,
}

impl PartialEq for Branch {
    fn eq(&self, _other: &Branch) -> bool {
        false
    }
}

impl Eq for Branch {}

impl Body {
    /// What the branch makes of these inputs.
    fn inferred(&mut self, inputs: &[InferenceFact]) -> TractResult<TVec<InferenceFact>> {
        for (place, outer) in self.inputs.iter().enumerate() {
            let known = self.graph.input_fact(place)?.unify(&inputs[*outer])?;
            self.graph.set_input_fact(place, known)?;
        }
        sized(&mut self.graph)?;
        let outlets = self.graph.output_outlets()?;
        outlets.iter().map(|outlet| self.graph.outlet_fact(*outlet).cloned()).collect()
    }

    /// The branch by itself, for inputs as they are known in `target`: more than the inference told
    /// where an extent is only known by a name.
    fn typed(&self, target: &TypedModel, inputs: &[OutletId]) -> TractResult<TypedModel> {
        let mut graph = self.graph.clone();
        for (place, outer) in self.inputs.iter().enumerate() {
            let known = target.outlet_fact(inputs[*outer])?.without_value();
            graph.set_input_fact(place, InferenceFact::from(&known))?;
        }
        graph.into_typed()
    }

    /// Puts the nodes of the branch into `target`.
    fn inlined(
        &self,
        prefix: &str,
        target: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let mut graph = self.graph.clone();
        for (place, outer) in self.inputs.iter().enumerate() {
            let fact = InferenceFact::from(target.outlet_fact(inputs[*outer])?);
            graph.set_input_fact(place, fact)?;
        }
        let body = graph.into_typed()?;
        let mut mapping: HashMap<OutletId, OutletId> = HashMap::default();
        for (outlet, outer) in izip!(body.input_outlets()?, &self.inputs) {
            mapping.insert(*outlet, inputs[*outer]);
        }
        for id in body.eval_order()? {
            let node = body.node(id);
            if TypedModel::is_source(&node.op) {
                continue;
            }
            let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
            let name = target.unique_name(format!("{prefix}.{}", node.name));
            let made = target.wire_node(name, node.op.clone(), &inputs)?;
            for (slot, outlet) in made.into_iter().enumerate() {
                mapping.insert(OutletId::new(id, slot), outlet);
            }
        }
        Ok(body.output_outlets()?.iter().map(|outlet| mapping[outlet]).collect())
    }
}

impl Branch {
    fn condition(fact: &InferenceFact) -> TractResult<Option<bool>> {
        let value = fact.value.concretize();
        value.map(|value| value.cast_to_scalar::<bool>()).transpose()
    }
}

impl Op for Branch {
    fn name(&self) -> StaticName {
        "If".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Branch {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let body = if inputs[0].cast_to_scalar::<bool>()? { &self.taken } else { &self.left };
        let inputs: TVec<TValue> = body.inputs.iter().map(|one| inputs[*one].clone()).collect();
        let mut graph = body.graph.clone();
        for (place, input) in inputs.iter().enumerate() {
            let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
            graph.set_input_fact(place, fact)?;
        }
        graph.into_typed()?.into_runnable()?.run(inputs)
    }
}

type Facts = TVec<InferenceFact>;

impl InferenceOp for Branch {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        let inputs: Facts = inputs.into_iter().cloned().collect();
        let made = match Branch::condition(&inputs[0])? {
            Some(true) => self.taken.inferred(&inputs)?,
            Some(false) => self.left.inferred(&inputs)?,
            None => {
                let pairs = izip!(self.taken.inferred(&inputs)?, self.left.inferred(&inputs)?);
                // A value of one branch is not the other's.
                let pairs = pairs.map(|(one, other)| {
                    let same = InferenceFact {
                        datum_type: one.datum_type.unify(&other.datum_type)?,
                        shape: one.shape.unify(&other.shape)?,
                        ..InferenceFact::default()
                    };
                    Ok(same)
                });
                pairs.collect::<TractResult<Facts>>()?
            }
        };
        let known = outputs.into_iter().zip(made);
        let outputs: TractResult<Facts> = known.map(|(known, made)| known.unify(&made)).collect();
        Ok((inputs, outputs?, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.taken.graph.outputs.len())
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        match Branch::condition(source.outlet_fact(node.inputs[0])?)? {
            Some(true) => self.taken.inlined(&node.name, target, &inputs),
            Some(false) => self.left.inlined(&node.name, target, &inputs),
            None => {
                let op = IfThenElse {
                    then_body: self.taken.typed(target, &inputs)?,
                    then_input_mapping: self.taken.inputs.clone(),
                    else_body: self.left.typed(target, &inputs)?,
                    else_input_mapping: self.left.inputs.clone(),
                };
                target.wire_node(&node.name, op, &inputs)
            }
        }
    }

    as_op!();
}
