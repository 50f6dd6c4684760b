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

use super::stretch;
use crate::runtime::kernels::integers::Kind;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// Puts operators of ours in the place of stretches of integers; gives how many.
pub(super) fn rewrite_for(kind: Kind, model: &mut TypedModel) -> TractResult<usize> {
    let mut taken = 0;
    let mut moved = std::collections::HashMap::new();
    for stretch in stretch::stretches(model, |node| roles::role(model, node))? {
        let make = |graph, _: &mut TypedModel| lower::lower(kind, graph).map(Arc::new);
        taken += usize::from(stretch.replace(model, &mut moved, make)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
