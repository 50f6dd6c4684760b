//! The body of an `If` or a `Loop` in a typed graph: a graph that is rewritten with the one around it, then a plan.

use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// As it is rewritten with the graph around it.
    Graph(Arc<TypedModel>),
    /// As it runs.
    Plan(Arc<TypedSimplePlan>),
}

impl Body {
    pub(super) fn plan(&self) -> TractResult<Arc<TypedSimplePlan>> {
        match self {
            Body::Plan(plan) => Ok(plan.clone()),
            Body::Graph(graph) => TypedSimplePlan::new(TypedModel::clone(graph).into_optimized()?),
        }
    }

    /// Itself with these extents for names.
    pub(super) fn set_symbols(&self, values: &HashMap<Symbol, TDim>) -> TractResult<Body> {
        Ok(match self {
            Body::Graph(graph) => Body::Graph(Arc::new(graph.set_symbols(values)?)),
            Body::Plan(_) => self.clone(),
        })
    }
}

/// What a body makes, with these extents for names.
pub(super) fn with_symbols(
    facts: &[TypedFact],
    values: &HashMap<Symbol, TDim>,
) -> TractResult<Vec<TypedFact>> {
    let known = facts.iter().map(|fact| {
        let shape: TractResult<TVec<TDim>> =
            fact.shape.iter().map(|dim| dim.substitute_all(values)).collect();
        Ok(fact.datum_type.fact(&*shape?))
    });
    known.collect()
}
