//! Quantised nets of images: stretches whose values are integers of 8 bits become one operator, and stay integers in it.
//!
//! ```text
//! whole-number operators ──roles──▶ stretches ──lower──▶ Program of bytes ──▶ one operator each
//! ```
//! What comes out is what the operators give, bit for bit: the same sums, rounded the same way.

mod graph;
mod lower;
mod roles;
mod steps;
mod weights;

use super::programs::{Key, Known};
use super::roles::constant;
use super::stretch;
use crate::runtime::kernels::integers::Kind;
use crate::runtime::operators::Integers;
use crate::runtime::spent;
use graph::Graph;
pub(super) use steps::Work;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;

/// Puts operators of ours in the place of stretches of integers; gives how many. Programs that are `known` are
/// shared.
pub(super) fn rewrite_for(
    kind: Kind,
    model: &mut TypedModel,
    known: &Known<Work>,
) -> TractResult<usize> {
    let mut taken = 0;
    let mut moved = std::collections::HashMap::new();
    for stretch in stretch::stretches(model, |node| roles::role(model, node))? {
        let nodes: Vec<usize> = stretch.nodes().collect();
        let make = |graph: Graph, model: &mut TypedModel| {
            let names = nodes.iter().map(|id| model.node(*id).name.clone()).collect();
            known.or_make(Key::new(names, &graph, |value| value.extents), || {
                let lowered = lower::lower(kind, graph)?;
                // From here on nobody goes back to the nodes: each weight goes when it is packed.
                drop_known(model, &nodes);
                lowered.pack()
            })
        };
        taken += usize::from(stretch.replace(model, &mut moved, make)?);
    }
    Ok(taken)
}

/// Takes what these nodes are known to be given from a graph.
fn drop_known(model: &mut TypedModel, nodes: &[usize]) {
    let inputs = nodes.iter().flat_map(|id| &model.node(*id).inputs).copied();
    let is_known = |input: &OutletId| {
        constant(model, *input).is_some() || Integers::spread(model, *input).is_some()
    };
    let known: Vec<OutletId> = inputs.filter(is_known).collect();
    for input in known {
        spent::drop_value(model, input, |node| nodes.contains(&node));
    }
}

#[cfg(test)]
mod tests;
