//! Infers the shapes of a graph node by node, and stops before a tensor becomes too large.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{OutletId, TractErrorContext, bail};
use tract_onnx::tract_hir::infer::Factoid;

/// The largest tensor that a model may hold or make, in bytes: more than any layer of a model
/// that such boards run, and less than what makes the system look for a process to end. More than
/// a `usize` counts on a processor of 32 bits.
pub const TENSOR_BYTES_MAX: u64 = 4 << 30;

/// Infers in the order of evaluation, so that values written down are known where they are used.
///
/// tract computes a node whose inputs are all known while it infers; before it does, this asks
/// for the shape alone.
pub(in super::super) fn sized(graph: &mut InferenceModel) -> TractResult<()> {
    sized_if(graph, &|_, _| Ok(()))
}

/// As [`sized`], and asks `sound` before each node, with what is known of its inputs by then: some
/// rules of tract loop for ever where an axis is none of the tensor's.
pub(in super::super) fn sized_if(
    graph: &mut InferenceModel,
    sound: &dyn Fn(&InferenceModel, usize) -> TractResult<()>,
) -> TractResult<()> {
    for id in graph.eval_order()? {
        sound(graph, id)?;
        let observed = graph.node(id).op.observe_outlets(graph, graph.node(id))?;
        let facts = |outlets: &[OutletId]| -> TractResult<Vec<InferenceFact>> {
            outlets.iter().map(|outlet| graph.outlet_fact(*outlet).cloned()).collect()
        };
        let inputs = facts(&graph.node(id).inputs)?;
        let seen = facts(&observed)?;
        let outputs: Vec<InferenceFact> =
            graph.node(id).outputs.iter().map(|output| output.fact.clone()).collect();
        let all = || (inputs.iter().collect(), outputs.iter().collect(), seen.iter().collect());
        let name = graph.node(id).name.clone();
        let mut op = graph.node(id).op.clone();
        told_extents(&name, &op.name(), &inputs)?;
        if !inputs.is_empty() && inputs.iter().all(|fact| fact.value.is_concrete()) {
            let (inputs, outputs, seen) = all();
            let (_, told, _) = op.infer_facts(inputs, outputs, seen)?;
            told.iter().try_for_each(|fact| bounded(&name, fact))?;
        }
        let (given, wanted, seen) = all();
        let told = op.infer(given, wanted, seen);
        let (given, told, _) = told.with_context(|| format!("at node `{name}`"))?;
        let outlets = graph.node(id).inputs.clone();
        let made = (0..graph.node(id).outputs.len()).map(|slot| OutletId::new(id, slot));
        let news: Vec<_> = outlets.into_iter().zip(given).chain(made.zip(told)).collect();
        for (outlet, fact) in news {
            let known = graph.outlet_fact(outlet)?.unify(&fact);
            let known = known.with_context(|| format!("at node `{name}`"))?;
            bounded(&name, &known)?;
            graph.set_outlet_fact(outlet, known)?;
        }
        graph.node_mut(id).op = op;
    }
    Ok(())
}

/// Extents that are written down or computed, before tract reads them as numbers of 32 bits.
fn told_extents(node: &str, operator: &str, inputs: &[InferenceFact]) -> TractResult<()> {
    let place = match operator {
        "ConstantOfShape" => 0,
        "MultiBroadcastTo" | "Reshape" | "Tile" => 1,
        _ => return Ok(()),
    };
    let Some(shape) = inputs.get(place).and_then(|fact| fact.value.concretize()) else {
        return Ok(());
    };
    if shape.datum_type() != DatumType::I64 {
        return Ok(());
    }
    let extents = shape.try_as_plain_ram()?;
    match extents.as_slice::<i64>()?.iter().find(|extent| **extent > i64::from(i32::MAX)) {
        Some(extent) => {
            bail!("node `{node}` makes a tensor with an extent of {extent}, more than {}", i32::MAX)
        }
        None => Ok(()),
    }
}

fn bounded(node: &str, fact: &InferenceFact) -> TractResult<()> {
    let Some(shape) = fact.shape.concretize() else { return Ok(()) };
    let size = fact.datum_type.concretize().map_or(1, |datum| datum.size_of().max(1));
    let mut bytes = size as u64;
    for dim in &shape {
        let Ok(extent) = dim.to_i64() else { continue };
        let Ok(extent) = u64::try_from(extent) else {
            bail!("node `{node}` makes a tensor with an extent of {extent}");
        };
        bytes = bytes.saturating_mul(extent);
    }
    // An extent of 0 makes it empty, whatever the others are.
    if bytes > TENSOR_BYTES_MAX && !shape.iter().any(|dim| dim.to_i64().is_ok_and(|one| one == 0)) {
        let limit = TENSOR_BYTES_MAX >> 20;
        bail!(
            "node `{node}` makes a tensor of {} MiB, more than the {limit} that are allowed",
            bytes >> 20
        );
    }
    Ok(())
}
