//! Nets of images in blocks of channels: whole stretches of a graph become one operator, with kernels of our own.
//!
//! ```text
//! typed graph, shapes known ──roles──▶ stretches ──▶ Graph ──lower──▶ Program ──▶ one operator each
//! ```
//! This comes before tract declutters a graph: convolutions are convolutions then, and not products
//! of matrices on turned axes. What no kernel is for stays tract's, and so does a graph without
//! convolutions.

mod account;
mod across;
mod graph;
mod integers;
mod joins;
mod lower;
mod operator;
mod places;
mod program;
mod programs;
mod roles;
mod steps;
mod stretch;
mod turned;
mod weights;

use crate::runtime::kernels::{self, Families, Family, Kind};
use crate::runtime::operators;
use crate::runtime::products;
use crate::runtime::spent;
use across::SoftmaxAcross;
use graph::Graph;
use lower::lower;
use operator::Blocked;
use programs::Key;
pub(super) use programs::Programs;
use roles::constant;
use std::collections::HashMap;
use stretch::Draft;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::einsum::EinSum;

/// Whether this graph has something to take, as far as can be seen before its shapes are known.
pub(super) fn is_of_images(model: &TypedModel) -> bool {
    let is_taken = |node: &TypedNode| {
        let op = node.op_as::<Conv>();
        // Of floats, or counts of integers.
        let is_ours = [DatumType::F32, DatumType::I32].contains(&node.outputs[0].fact.datum_type);
        is_ours && op.is_some_and(|conv| conv.pool_spec.rank() == 2)
    };
    Kind::best().is_quick() && model.nodes().iter().any(is_taken)
}

/// Puts our operators in the place of stretches of this graph, whose shapes are known and which was
/// not decluttered. Their weights go from the graph while they are packed: where this fails, the graph is
/// of no use any more, and all of it can be computed without from another copy.
pub(super) fn rewrite(model: &mut TypedModel, programs: &Programs) -> TractResult<()> {
    let kind = kernels::integers::Kind::best();
    if Family::QuantisedImages.is_on() && kind.is_quick() {
        integers::rewrite_for(kind, model, &programs.integers)?;
    }
    // What is left of convolutions is one of floats; products are looked at later.
    operators::spread_stored(model, products::may_count)?;
    if Family::Images.is_on() {
        settle_resizes(model)?;
        rewrite_with(Kind::best(), model, programs)?;
    }
    if [Family::Products, Family::Norms, Family::Attention].into_iter().any(Family::is_on) {
        turned::keep(model);
    }
    model.compact() // with what is not needed any more
}

/// Puts our operators in the place of those of any graph that tract computes slowly, shapes known.
pub(super) fn take_over(model: &mut TypedModel) {
    if Family::Softmax.is_on() {
        SoftmaxAcross::take(Kind::best(), model);
    }
}

/// Lets tract say what a `Resize` comes to with the extents that are known now: a repetition of
/// pixels has an operator of its own.
fn settle_resizes(model: &mut TypedModel) -> TractResult<()> {
    let mut at = 0;
    while at < model.nodes().len() {
        let node = model.node(at);
        let is_resize = node.op.name() == "Resize";
        let patch = if is_resize { node.op.declutter(model, node)? } else { None };
        // What comes of it is behind all nodes, and is met later.
        if let Some(patch) = patch {
            patch.apply(model)?;
        }
        at += 1;
    }
    Ok(())
}

/// Lets models that are made ready from now on have these kernels alone: for who wants to know whether an
/// answer, or a time, is theirs.
pub fn use_kernels(families: Families) {
    kernels::switch(families);
}

/// Those that models are made ready with, where the processor has vectors for them.
#[must_use]
pub fn families_in_use() -> Families {
    kernels::in_use()
}

/// The vectors that nets of images are computed with; none when they are computed the slower way.
#[must_use]
pub fn kernels_in_use() -> Option<&'static str> {
    let kind = Kind::best();
    (kind.is_quick() && kernels::in_use() != Families::NONE).then(|| kind.name())
}

/// The vectors that quantised nets of images are counted with; none when tract does that.
#[must_use]
pub fn integer_kernels_in_use() -> Option<&'static str> {
    let kind = kernels::integers::Kind::best();
    (kind.is_quick() && kernels::in_use() != Families::NONE).then(|| kind.name())
}

/// Multiplications of a run by stretches that are worth waking threads for, which share one kernel after the other: some
/// 200 microseconds of one.
const SHARED_MIN: usize = 32 << 20;

/// Whether the stretches of this graph take so long that threads may share them.
pub(super) fn are_shared(model: &TypedModel) -> bool {
    let stretches = model.nodes().iter().filter_map(|node| node.op_as::<Blocked<steps::Work>>());
    let work = stretches.map(|it| it.program.work().saturating_mul(it.rows));
    SHARED_MIN <= work.fold(0, usize::saturating_add)
}

/// Multiplications of a row up to which rows gain from each other: what reads the weights of its last
/// products as long as it computes a hundredth of this. Those who wait for a turn wait for a part.
const TOGETHER_MAX: usize = 512 << 20;

/// Weights of a product of one row from which on several rows gain from reading them once.
const WEIGHTS_MIN: usize = 256 << 10;

/// Values of a row at most that what is not ours may make: tract computes large ones slower in a batch.
const BESIDE_MAX: usize = 8 << 10;

/// Whether rows of images gain from a plan for several of them: of this graph, which was decluttered
/// and is for one row, nearly all is ours, and what is left multiplies with many weights.
pub(super) fn gain_from_each_other(model: &TypedModel) -> bool {
    let (mut work, mut has_weights) = (0, false);
    for node in model.nodes() {
        if let Some(blocked) = node.op_as::<Blocked<steps::Work>>() {
            work += blocked.program.work();
            continue;
        }
        let elements = |outlet: &OutletId| {
            let fact = model.outlet_fact(*outlet).ok();
            fact.and_then(|fact| fact.shape.as_concrete()).map(|shape| shape.iter().product())
        };
        if node.inputs.is_empty() || constant(model, OutletId::new(node.id, 0)).is_some() {
            continue;
        }
        let weights = node.inputs.iter().filter(|input| constant(model, **input).is_some());
        has_weights |= WEIGHTS_MIN <= products::weights(node)
            || node.op_is::<EinSum>()
                && weights.filter_map(elements).any(|weights: usize| WEIGHTS_MIN <= weights);
        if node.outputs.len() != 1
            || elements(&OutletId::new(node.id, 0)).is_none_or(|made| BESIDE_MAX < made)
        {
            return false;
        }
    }
    0 < work && work <= TOGETHER_MAX && has_weights
}

#[cfg(test)]
fn rewrite_for(kind: Kind, model: &mut TypedModel) -> TractResult<usize> {
    rewrite_with(kind, model, &Programs::default())
}

fn rewrite_with(kind: Kind, model: &mut TypedModel, programs: &Programs) -> TractResult<usize> {
    let (mut taken, mut moved) = (0, HashMap::new());
    for stretch in stretch::stretches(model, |node| roles::role(kind, model, node))? {
        let nodes: Vec<usize> = stretch.members.iter().map(|(id, _)| *id).collect();
        let convolutions = stretch.members.iter().filter(|(_, role)| role.draft.is_convolution());
        let weights = convolutions.filter_map(|(id, _)| model.node(*id).inputs.get(1).copied());
        let weights: Vec<OutletId> = weights.collect();
        let make = |graph: Graph, model: &mut TypedModel| {
            let names = nodes.iter().map(|id| model.node(*id).name.clone()).collect();
            programs.floats.or_make(Key::new(names, &graph, |extents| extents), || {
                let lowered = lower(kind, graph)?;
                // From here on nobody goes back to the nodes: each weight goes when it is packed.
                let are_of_it = |node| nodes.contains(&node);
                weights.iter().for_each(|weights| spent::drop_value(model, *weights, are_of_it));
                lowered.pack()
            })
        };
        taken += usize::from(stretch.replace(model, &mut moved, make)?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
