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

use super::roles::constant;
use super::stretch;
use crate::runtime::kernels::integers::Kind;
use crate::runtime::operators::Integers;
use crate::runtime::spent;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;

/// Puts operators of ours in the place of stretches of integers; gives how many.
pub(super) fn rewrite_for(kind: Kind, model: &mut TypedModel) -> TractResult<usize> {
    let mut taken = 0;
    let mut moved = std::collections::HashMap::new();
    for stretch in stretch::stretches(model, |node| roles::role(model, node))? {
        let nodes: Vec<usize> = stretch.nodes().collect();
        let make = |graph, model: &mut TypedModel| {
            let lowered = lower::lower(kind, graph)?;
            // From here on nobody goes back to the nodes: each weight goes when it is packed.
            let inputs = nodes.iter().flat_map(|id| &model.node(*id).inputs).copied();
            let are_known = |input: &OutletId| {
                constant(model, *input).is_some() || Integers::spread(model, *input).is_some()
            };
            let known: Vec<OutletId> = inputs.filter(are_known).collect();
            let are_of_it = |node| nodes.contains(&node);
            known.into_iter().for_each(|known| spent::drop_value(model, known, are_of_it));
            lowered.pack().map(Arc::new)
        };
        taken += usize::from(stretch.replace(model, &mut moved, make)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
