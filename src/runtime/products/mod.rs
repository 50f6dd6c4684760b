//! Products of matrices, norms and attention: what nets of words and of patches are made of, as operators with kernels of our own.
//!
//! This comes after tract has decluttered a graph whose shapes are known: it has found the norms and
//! the functions that exporters write as many operators, and has drawn axes into products.

mod attention;
mod chain;
mod integers;
mod norm;
mod operator;
mod packed;
mod product;
mod view;

use crate::runtime::kernels::{self, Family, Kind};
use crate::runtime::operators;
use operator::Ours;
pub(super) use packed::Packed;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{AxisOp, OutletId};
use tract_onnx::tract_core::ops::einsum::EinSum;

/// What operators are made with.
#[derive(Debug, Clone, Copy)]
struct Means<'p> {
    kind: Kind,
    packed: &'p Packed,
    on_all_threads: bool,
}

/// Puts ours in the place of a node, if it is one that it can be.
type Replace = fn(Means<'_>, &mut TypedModel, usize) -> TractResult<bool>;

/// Puts our operators in the place of those of this graph, which is decluttered and whose shapes are
/// known; weights that are `packed` are shared, and all threads of the pool that this is called on may pack others. These go from the graph when they
/// are packed: where this fails, the graph is of no use any more, and all of it can be computed without from
/// another copy.
pub(super) fn take_over(
    model: &mut TypedModel,
    packed: &Packed,
    on_all_threads: bool,
) -> TractResult<()> {
    if Kind::best().is_quick() {
        take(Means { kind: Kind::best(), packed, on_all_threads }, model)?;
    }
    Ok(())
}

/// Whether the floats at this outlet go to products alone, which may be ours to count in integers.
pub(super) fn may_count(model: &TypedModel, outlet: OutletId) -> bool {
    let Some(output) = model.node(outlet.node).outputs.get(outlet.slot) else { return false };
    let are_products = output.successors.iter().all(|inlet| {
        let node = model.node(inlet.node);
        node.op_is::<EinSum>()
            || node.op_is::<AxisOp>() && may_count(model, OutletId::new(inlet.node, 0))
    });
    are_products && !model.outputs.contains(&outlet)
}

/// Whether an operator of this graph takes so long that threads may share it.
pub(super) fn are_shared(model: &TypedModel) -> bool {
    model.nodes().iter().filter_map(|node| node.op_as::<Ours>()).any(Ours::is_shared)
}

/// Floats of weights that an operator keeps, if it is a product of ours.
pub(super) fn weights(node: &TypedNode) -> usize {
    node.op_as::<Ours>().map_or(0, Ours::weights)
}

/// How many operators were put in the place of others.
fn take(means: Means<'_>, model: &mut TypedModel) -> TractResult<usize> {
    let mut taken = 0;
    // The last first: what comes before it is then no longer asked for.
    let are_counted = Family::QuantisedProducts.is_on();
    let last = if are_counted { model.nodes().len() } else { 0 };
    for id in (0..last).rev() {
        taken += usize::from(integers::table::replace(model, id)?);
    }
    if 0 < taken {
        model.compact()?;
    }
    let kind = kernels::integers::Kind::best();
    if are_counted && kind.is_quick() {
        for id in 0..model.nodes().len() {
            taken += usize::from(integers::replace((kind, means.packed), model, id)?);
        }
        if 0 < taken {
            model.compact()?;
        }
    }
    operators::spread_stored(model, |_, _| false)?; // what is left of them are weights of floats
    let all = [
        (Family::Attention, attention::replace as Replace),
        (Family::Norms, norm::replace),
        (Family::QuantisedProducts, integers::rows::replace),
        (Family::Products, product::replace),
        (Family::Products, chain::replace),
    ];
    for (_, replace) in all.into_iter().filter(|(family, _)| family.is_on()) {
        let before = taken;
        for id in 0..model.nodes().len() {
            taken += usize::from(replace(means, model, id)?);
        }
        if before < taken {
            model.compact()?; // what nobody uses now would look like a use
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
