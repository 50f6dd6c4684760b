//! A graph that cannot be typed before it runs: node by node, each typed for the values that reach it.

use super::super::super::super::check::sized;
use super::super::super::super::deadline::Deadline;
use super::super::super::correct;
use super::Branch;
use std::collections::HashMap;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::{InferenceFact, InferenceNode};

/// What the graph makes of these values.
///
/// By the specification the results of a node's branches may differ in their number of axes, and
/// all that follows differs with them; a typed graph has no word for that. Each node is typed by
/// itself here, with everything known, which costs some microseconds where a plan costs none.
pub(in crate::runtime) fn stepwise(
    graph: &InferenceModel,
    inputs: TVec<TValue>,
) -> TractResult<TVec<TValue>> {
    let given = graph.input_outlets()?;
    ensure!(given.len() == inputs.len(), "{} values for {} inputs", inputs.len(), given.len());
    let mut values: HashMap<OutletId, TValue> = given.iter().copied().zip(inputs).collect();
    let order = graph.eval_order()?;
    let mut uses: HashMap<OutletId, usize> = HashMap::new();
    let read = order.iter().flat_map(|id| &graph.node(*id).inputs);
    read.chain(graph.output_outlets()?).for_each(|outlet| *uses.entry(*outlet).or_default() += 1);
    for id in order {
        let node = graph.node(id);
        if values.contains_key(&OutletId::new(id, 0)) {
            continue; // given
        }
        ensure!(!Deadline::here().has_passed(), "a branch was not done when the time was over");
        let inputs: TractResult<TVec<TValue>> =
            node.inputs.iter().map(|outlet| taken(&mut values, &mut uses, *outlet)).collect();
        let made = if let Some(constant) = node.op_as::<Const>() {
            tvec!(constant.val().clone().into_tvalue())
        } else if let Some(branch) = node.op_as::<Branch>() {
            branch.run(&inputs?)?
        } else {
            alone(graph, node, inputs?)?
        };
        for (slot, value) in made.into_iter().enumerate() {
            values.insert(OutletId::new(id, slot), value);
        }
    }
    graph.output_outlets()?.iter().map(|outlet| taken(&mut values, &mut uses, *outlet)).collect()
}

/// The value of an outlet, which is let go with its last use.
fn taken(
    values: &mut HashMap<OutletId, TValue>,
    uses: &mut HashMap<OutletId, usize>,
    outlet: OutletId,
) -> TractResult<TValue> {
    let left = uses.entry(outlet).or_default();
    *left = left.saturating_sub(1);
    let value = if *left == 0 { values.remove(&outlet) } else { values.get(&outlet).cloned() };
    value.context("a node is given a value that none has made")
}

/// Runs one node, as a graph of its own whose inputs are all known.
fn alone(
    graph: &InferenceModel,
    node: &InferenceNode,
    inputs: TVec<TValue>,
) -> TractResult<TVec<TValue>> {
    let mut one = InferenceModel { symbols: graph.symbols.clone(), ..InferenceModel::default() };
    let mut outlets = Vec::new();
    for (place, input) in inputs.into_iter().enumerate() {
        outlets.push(one.add_const(format!("{}.{place}", node.name), input.into_arc_tensor())?);
    }
    let facts = node.outputs.iter().map(|_| InferenceFact::default()).collect();
    let id = one.add_node(node.name.clone(), node.op.clone(), facts)?;
    for (place, outlet) in outlets.into_iter().enumerate() {
        one.add_edge(outlet, InletId::new(id, place))?;
    }
    let made: Vec<OutletId> = (0..node.outputs.len()).map(|slot| OutletId::new(id, slot)).collect();
    one.select_output_outlets(&made)?;
    sized(&mut one)?;
    let mut typed = one.into_typed()?;
    correct(&mut typed)?;
    typed.into_runnable()?.run(tvec!())
}
