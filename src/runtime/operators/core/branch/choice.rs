//! An `If` in a typed graph, whose condition is known when it runs: one way of two, each with a plan of its own.

use super::super::body::{Body, with_symbols};
use super::stepwise::stepwise;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

/// The `If` in a typed graph.
#[derive(Debug, Clone)]
pub(in crate::runtime::operators) struct Choice {
    /// What runs when the condition holds.
    pub(super) taken: Way,
    pub(super) left: Way,
    /// What both make: extents in which they differ have names of their own.
    pub(super) facts: Vec<TypedFact>,
}

/// A branch, and which inputs of the node are those of its graph.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) inputs: Vec<usize>,
    pub(super) body: Ran,
}

#[derive(Debug, Clone)]
pub(super) enum Ran {
    Typed(Body),
    /// One whose values have shapes that are known when they are there, and not before.
    Steps(Arc<InferenceModel>),
}

impl PartialEq for Choice {
    fn eq(&self, _other: &Choice) -> bool {
        false
    }
}

impl Eq for Choice {}

impl Way {
    /// Itself with a body that this makes of its own, where that is typed.
    fn with(&self, body: impl FnOnce(&Body) -> TractResult<Body>) -> TractResult<Way> {
        let body = match &self.body {
            Ran::Typed(typed) => Ran::Typed(body(typed)?),
            Ran::Steps(_) => self.body.clone(),
        };
        Ok(Way { body, inputs: self.inputs.clone() })
    }

    fn run(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let inputs: TVec<TValue> = self.inputs.iter().map(|one| inputs[*one].clone()).collect();
        match &self.body {
            Ran::Typed(body) => body.plan()?.spawn()?.run(inputs),
            Ran::Steps(graph) => stepwise(graph, inputs),
        }
    }
}

impl Op for Choice {
    fn name(&self) -> StaticName {
        "If".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Choice {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let way = if inputs[0].cast_to_scalar::<bool>()? { &self.taken } else { &self.left };
        let made = way.run(&inputs)?;
        ensure!(made.len() == self.facts.len(), "a branch makes {} values", made.len());
        let typed = made.into_iter().zip(&self.facts).map(|(value, fact)| {
            ensure!(
                value.rank() == fact.rank(),
                "a branch makes a value of {} axes where {} are known",
                value.rank(),
                fact.rank()
            );
            match value.datum_type() == fact.datum_type {
                true => Ok(value),
                false => Ok(value.cast_to_dt(fact.datum_type)?.into_owned().into_tvalue()),
            }
        });
        typed.collect()
    }
}

impl TypedOp for Choice {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.iter().cloned().collect())
    }

    /// Where the sizes of a request settle the condition, the branch that is taken stands for both.
    fn declutter(
        &self,
        model: &TypedModel,
        node: &TypedNode,
    ) -> TractResult<Option<TypedModelPatch>> {
        let Some(condition) = &model.outlet_fact(node.inputs[0])?.konst else { return Ok(None) };
        let way = if condition.cast_to_scalar::<bool>()? { &self.taken } else { &self.left };
        let Ran::Typed(Body::Graph(graph)) = &way.body else { return Ok(None) };
        for (slot, fact) in self.facts.iter().enumerate() {
            if graph.output_fact(slot)?.without_value() != *fact {
                return Ok(None);
            }
        }
        let mut patch = TypedModelPatch::default();
        let mut known: HashMap<OutletId, OutletId> = HashMap::default();
        for (outlet, place) in graph.input_outlets()?.iter().zip(&way.inputs) {
            known.insert(*outlet, patch.tap_model(model, node.inputs[*place])?);
        }
        for id in graph.eval_order()? {
            let inner = graph.node(id);
            if TypedModel::is_source(&inner.op) {
                continue;
            }
            let inputs: TVec<OutletId> = inner.inputs.iter().map(|outlet| known[outlet]).collect();
            let name = format!("{}.{}", node.name, inner.name);
            let made = patch.wire_node(name, inner.op.clone(), &inputs)?;
            for (slot, outlet) in made.into_iter().enumerate() {
                known.insert(OutletId::new(id, slot), outlet);
            }
        }
        for (slot, outlet) in graph.output_outlets()?.iter().enumerate() {
            patch.shunt_outside(model, OutletId::new(node.id, slot), known[outlet])?;
        }
        Ok(Some(patch))
    }

    fn set_symbols(
        &self,
        _source: &TypedModel,
        node: &TypedNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
        substitutions: &HashMap<Symbol, TDim>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        let op = Choice {
            taken: self.taken.with(|body| body.set_symbols(substitutions))?,
            left: self.left.with(|body| body.set_symbols(substitutions))?,
            facts: with_symbols(&self.facts, substitutions)?,
        };
        target.wire_node(&node.name, op, &inputs)
    }

    fn codegen(
        &self,
        model: &TypedModel,
        node: &TypedNode,
    ) -> TractResult<Option<TypedModelPatch>> {
        let is_graph = |way: &Way| matches!(way.body, Ran::Typed(Body::Graph(_)));
        if !is_graph(&self.taken) && !is_graph(&self.left) {
            return Ok(None);
        }
        let planned = |body: &Body| body.plan().map(Body::Plan);
        let op = Choice {
            taken: self.taken.with(planned)?,
            left: self.left.with(planned)?,
            facts: self.facts.clone(),
        };
        Ok(Some(TypedModelPatch::replace_single_op(model, node, &node.inputs, op)?))
    }

    as_op!();
}
