//! Quantised nets of images: stretches whose values are integers of 8 bits become one operator, and stay integers in it.
//!
//! ```text
//! whole-number operators ──roles──▶ stretches ──lower──▶ Program of bytes ──▶ one operator each
//! ```
//! What comes out is what the operators give, bit for bit: the same sums, rounded the same way.

mod account;
mod graph;
mod lower;
mod operator;
mod program;
mod roles;
mod stretch;

use crate::runtime::kernels::integers::Kind;
use tract_onnx::prelude::*;

/// Puts operators of ours in the place of stretches of integers; gives how many.
pub(super) fn rewrite_for(kind: Kind, model: &mut TypedModel) -> TractResult<usize> {
    let mut taken = 0;
    let mut moved = std::collections::HashMap::new();
    for stretch in stretch::stretches(model)? {
        taken += usize::from(stretch.replace(kind, model, &mut moved)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
