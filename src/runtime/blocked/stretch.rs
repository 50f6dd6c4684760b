//! Stretches of a graph that can be one operator: connected nodes with kernels, between which no other node stands.

use super::graph::{Graph, Name, Node};
use super::lower::lower;
use super::operator::Blocked;
use super::program::Program;
use super::programs::{Key, Programs};
use super::roles::{Draft, Role, image, role};
use super::spent;
use crate::runtime::kernels::Kind;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{OutletId, TypedModelPatch, TypedOp};

/// Nodes that become one operator.
pub(super) struct Stretch {
    rows: usize,
    /// Each after those whose values it takes.
    members: Vec<(usize, Role)>,
}

/// The stretches of a graph, each with a convolution at its beginning.
pub(super) fn stretches(kind: Kind, model: &TypedModel) -> TractResult<Vec<Stretch>> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut home: HashMap<usize, usize> = HashMap::new();
    // The stretches that reach a node over one of other nodes: it must not be of them, or the
    // operator would wait for itself.
    let mut reach: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); model.nodes().len()];
    for id in model.eval_order()? {
        let node = model.node(id);
        let mut outside = BTreeSet::new();
        for input in &node.inputs {
            outside.extend(&reach[input.node]);
        }
        let before: BTreeSet<usize> =
            node.inputs.iter().filter_map(|input| home.get(&input.node).copied()).collect();
        let role = role(kind, model, node);
        let joined = role.and_then(|role| {
            let rows = image(model, OutletId::new(id, 0))?[0];
            let open = |at: &&usize| !outside.contains(*at) && stretches[**at].rows == rows;
            let at = match before.iter().find(open) {
                Some(at) => *at,
                None => {
                    let (Draft::Convolution { .. } | Draft::Deconvolution { .. }) = role.operator
                    else {
                        return None;
                    };
                    stretches.push(Stretch { rows, members: Vec::new() });
                    stretches.len() - 1
                }
            };
            stretches[at].members.push((id, role));
            home.insert(id, at);
            Some(at)
        });
        outside.extend(before.into_iter().filter(|at| Some(*at) != joined));
        reach[id] = outside;
    }
    // Two may still wait for each other, by different nodes: the smaller ones give way.
    while !is_without_cycles(model, &home)? {
        let sizes = stretches.iter().enumerate().filter(|(_, it)| !it.members.is_empty());
        let Some((at, _)) = sizes.min_by_key(|(_, it)| it.members.len()) else { break };
        stretches[at].members.clear();
        home.retain(|_, stretch| *stretch != at);
    }
    stretches.retain(|it| !it.members.is_empty());
    Ok(stretches)
}

/// Whether the graph has an order still when each stretch is one node.
pub(super) fn is_without_cycles(
    model: &TypedModel,
    home: &HashMap<usize, usize>,
) -> TractResult<bool> {
    let joint = |node: usize| home.get(&node).map_or(node, |at| model.nodes().len() + at);
    let mut awaited: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut awaits: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    for id in model.eval_order()? {
        awaits.entry(joint(id)).or_default();
        for input in &model.node(id).inputs {
            let (from, to) = (joint(input.node), joint(id));
            if from != to {
                awaits.entry(to).or_default().insert(from);
                awaited.entry(from).or_default().insert(to);
            }
        }
    }
    let mut ready: Vec<usize> =
        awaits.iter().filter(|(_, awaits)| awaits.is_empty()).map(|(node, _)| *node).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        for next in awaited.get(&node).into_iter().flatten() {
            if let Some(awaits) = awaits.get_mut(next)
                && awaits.remove(&node)
                && awaits.is_empty()
            {
                ready.push(*next);
            }
        }
    }
    Ok(done == awaits.len())
}

/// What takes a stretch's place: the patch, what it computes, and the outlets that it gives anew.
type Patched = (TypedModelPatch, Arc<Program>, Vec<OutletId>);

impl Stretch {
    /// Puts an operator in the place of these nodes, unless one of them has no kernel after all.
    ///
    /// `moved` tells where values are that another stretch makes now, and is told of those of this.
    pub(super) fn replace(
        self,
        (kind, programs): (Kind, &Programs),
        model: &mut TypedModel,
        moved: &mut HashMap<OutletId, OutletId>,
    ) -> TractResult<bool> {
        let (first, nodes) = (self.members.first().map_or(0, |(id, _)| *id), self.members.len());
        let Some((patch, program, outputs)) = self.patch((kind, programs), model, moved)? else {
            let first = &model.node(first).name;
            log::debug!("{nodes} nodes of images from `{first}` on have no kernels of ours");
            return Ok(false);
        };
        patch.apply(model)?;
        let is_it = |node: &&TypedNode| {
            node.op_as::<Blocked>().is_some_and(|it| Arc::ptr_eq(&it.program, &program))
        };
        if let Some(node) = model.nodes().iter().find(is_it) {
            let made = outputs.into_iter().enumerate();
            moved.extend(made.map(|(slot, outlet)| (outlet, OutletId::new(node.id, slot))));
        }
        Ok(true)
    }

    fn patch(
        self,
        (kind, programs): (Kind, &Programs),
        model: &mut TypedModel,
        moved: &HashMap<OutletId, OutletId>,
    ) -> TractResult<Option<Patched>> {
        let members: HashMap<usize, usize> =
            self.members.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let mut inputs: Vec<OutletId> = Vec::new();
        for outlet in self.members.iter().flat_map(|(_, role)| &role.images) {
            if !members.contains_key(&outlet.node) && !inputs.contains(outlet) {
                inputs.push(*outlet);
            }
        }
        let outputs: Vec<OutletId> = self
            .members
            .iter()
            .map(|(id, _)| OutletId::new(*id, 0))
            .filter(|outlet| {
                let mut successors = model.nodes()[outlet.node].outputs[0].successors.iter();
                model.outputs.contains(outlet)
                    || successors.any(|inlet| !members.contains_key(&inlet.node))
            })
            .collect();
        // A member may come to more than one operator; the last one makes what it makes.
        let mut next = inputs.len();
        let mut last_of = |(_, role): &(usize, Role)| {
            next += role.operator.operators();
            next - 1
        };
        let names: Vec<Name> = self.members.iter().map(&mut last_of).collect();
        let name = |outlet: &OutletId| -> Option<Name> {
            match members.get(&outlet.node) {
                Some(at) => Some(names[*at]),
                None => inputs.iter().position(|input| input == outlet),
            }
        };
        let extents = |outlet: OutletId| {
            let [_, channels, height, width] = image(model, outlet)?;
            Some([channels, height, width])
        };
        let rows_fit =
            inputs.iter().all(|input| image(model, *input).is_some_and(|it| it[0] == self.rows));
        let mut graph = Graph::default();
        for input in &inputs {
            let Some(extents) = extents(*input).filter(|_| rows_fit) else { return Ok(None) };
            graph.inputs.push(extents);
        }
        let nodes = self.members.iter().map(|(id, _)| model.node(*id).name.clone()).collect();
        let mut weights = Vec::new();
        for (id, role) in self.members {
            let names: Option<Vec<Name>> = role.images.iter().map(name).collect();
            if role.operator.has_weights() {
                weights.extend(model.node(id).inputs.get(1));
            }
            let (Some(mut inputs), Some(output), Some((before, operator))) =
                (names, extents(OutletId::new(id, 0)), role.operator.operator(kind))
            else {
                return Ok(None);
            };
            if let Some((operator, channels)) = before {
                let [_, height, width] = graph.extents(inputs[0]);
                let made = graph.inputs.len() + graph.nodes.len();
                let inputs = std::mem::replace(&mut inputs, vec![made]);
                graph.nodes.push(Node { operator, inputs, output: [channels, height, width] });
            }
            graph.nodes.push(Node { operator, inputs, output });
        }
        graph.outputs = outputs.iter().filter_map(name).collect();
        let program = programs.or_make(Key::new(nodes, &graph), || {
            let lowered = lower(kind, graph)?;
            // From here on nobody goes back to the nodes: each weight goes when it is packed.
            let are_of_it = |node| members.contains_key(&node);
            weights.iter().for_each(|weights| spent::drop_value(model, *weights, are_of_it));
            lowered.pack()
        });
        let Some(program) = program else { return Ok(None) };
        let facts = outputs.iter().map(|outlet| Ok(model.outlet_fact(*outlet)?.without_value()));
        let operator = Blocked {
            program: program.clone(),
            facts: facts.collect::<TractResult<_>>()?,
            rows: self.rows,
        };
        let mut patch = TypedModelPatch::default();
        let now: Vec<OutletId> =
            inputs.iter().map(|input| moved.get(input).copied().unwrap_or(*input)).collect();
        let taps = patch.taps(model, &now)?;
        let last = &model.node(outputs[outputs.len() - 1].node).name;
        let operator: Box<dyn TypedOp> = Box::new(operator);
        let wires = patch.wire_node(format!("{last}.blocked"), operator, &taps)?;
        for (outlet, wire) in outputs.iter().zip(&wires) {
            patch.shunt_outside(model, *outlet, *wire)?;
        }
        Ok(Some((patch, program, outputs)))
    }
}
