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
use super::stretch;
use crate::runtime::kernels::integers::Kind;
use crate::runtime::spent;
use graph::Graph;
pub(super) use steps::Work;
use tract_onnx::prelude::*;

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
        let (nodes, constants) = (stretch.nodes().collect::<Vec<_>>(), stretch.constants(model));
        let make = |graph: Graph, model: &mut TypedModel| {
            let names = nodes.iter().map(|id| model.node(*id).name.clone()).collect();
            known.or_make(Key::new(names, &graph, |value| value.extents), || {
                let lowered = lower::lower(kind, graph)?;
                // From here on nobody goes back to the nodes: each weight goes when it is packed.
                let are_of_it = |node| nodes.contains(&node);
                constants.iter().for_each(|it| spent::drop_value(model, *it, are_of_it));
                lowered.pack()
            })
        };
        taken += usize::from(stretch.replace(model, &mut moved, make)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
