//! Stretches of integers that can be one operator, with the nodes inside that count for them.

use super::super::stretch::is_without_cycles;
use super::graph::{Graph, Name, Node, Operator};
use super::lower::lower;
use super::operator::Integers;
use super::program::Program;
use super::roles::{Role, image, role};
use crate::runtime::kernels::integers::Kind;
use std::collections::{BTreeSet, HashMap, HashSet};
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
pub(super) fn stretches(model: &TypedModel) -> TractResult<Vec<Stretch>> {
    let mut roles: HashMap<usize, Role> = HashMap::new();
    for node in model.nodes() {
        roles.extend(role(model, node).map(|role| (node.id, role)));
    }
    let inside: HashSet<usize> = roles.values().flat_map(|role| role.inside.clone()).collect();
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut home: HashMap<usize, usize> = HashMap::new();
    // The stretches that reach a node over one of other nodes: it must not be of them, or the
    // operator would wait for itself.
    let mut reach: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); model.nodes().len()];
    for id in model.eval_order()? {
        if inside.contains(&id) {
            continue; // the node that it counts for tells what is before both
        }
        let node = model.node(id);
        let role = roles.remove(&id);
        let images = role.as_ref().map_or(&*node.inputs, |role| &role.images);
        let mut outside = BTreeSet::new();
        for input in images {
            outside.extend(&reach[input.node]);
        }
        let before: BTreeSet<usize> =
            images.iter().filter_map(|input| home.get(&input.node).copied()).collect();
        let joined = role.and_then(|role| {
            let (rows, _) = image(model, OutletId::new(id, 0))?;
            let open = |at: &&usize| !outside.contains(*at) && stretches[**at].rows == rows;
            let at = match before.iter().find(open) {
                Some(at) => *at,
                None => {
                    let Operator::Convolution(_) = role.operator else { return None };
                    stretches.push(Stretch { rows, members: Vec::new() });
                    stretches.len() - 1
                }
            };
            home.insert(id, at);
            home.extend(role.inside.iter().map(|inside| (*inside, at)));
            stretches[at].members.push((id, role));
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

/// What takes a stretch's place: the patch, what it computes, and the outlets that it gives anew.
type Patched = (TypedModelPatch, Arc<Program>, Vec<OutletId>);

impl Stretch {
    /// Puts an operator in the place of these nodes, unless one of them has no kernel after all.
    ///
    /// `moved` tells where values are that another stretch makes now, and is told of those of this.
    pub(super) fn replace(
        self,
        kind: Kind,
        model: &mut TypedModel,
        moved: &mut HashMap<OutletId, OutletId>,
    ) -> TractResult<bool> {
        let first = self.members.first().map_or(0, |(id, _)| *id);
        let count = self.members.len();
        let Some((patch, program, outputs)) = self.patch(kind, model, moved)? else {
            let first = &model.node(first).name;
            log::debug!("{count} nodes of integers from `{first}` on have no kernels of ours");
            return Ok(false);
        };
        patch.apply(model)?;
        let is_it = |node: &&TypedNode| {
            node.op_as::<Integers>().is_some_and(|it| Arc::ptr_eq(&it.program, &program))
        };
        if let Some(node) = model.nodes().iter().find(is_it) {
            let made = outputs.into_iter().enumerate();
            moved.extend(made.map(|(slot, outlet)| (outlet, OutletId::new(node.id, slot))));
        }
        Ok(true)
    }

    fn patch(
        self,
        kind: Kind,
        model: &TypedModel,
        moved: &HashMap<OutletId, OutletId>,
    ) -> TractResult<Option<Patched>> {
        let places: HashMap<usize, usize> =
            self.members.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let inside: HashSet<usize> =
            self.members.iter().flat_map(|(_, role)| role.inside.clone()).collect();
        let mut inputs: Vec<OutletId> = Vec::new();
        for outlet in self.members.iter().flat_map(|(_, role)| &role.images) {
            if !places.contains_key(&outlet.node) && !inputs.contains(outlet) {
                inputs.push(*outlet);
            }
        }
        let outlets = self.members.iter().map(|(id, _)| OutletId::new(*id, 0));
        let outputs: Vec<OutletId> = outlets
            .filter(|outlet| {
                let mut successors = model.nodes()[outlet.node].outputs[0].successors.iter();
                let is_of_it = |node| places.contains_key(node) || inside.contains(node);
                model.outputs.contains(outlet) || successors.any(|inlet| !is_of_it(&inlet.node))
            })
            .collect();
        let first = inputs.len();
        let name = |outlet: &OutletId| -> Option<Name> {
            match places.get(&outlet.node) {
                Some(at) => Some(first + at),
                None => inputs.iter().position(|input| input == outlet),
            }
        };
        let value = |outlet: OutletId| {
            let (rows, value) = image(model, outlet)?;
            (rows == self.rows).then_some(value)
        };
        let mut graph = Graph::default();
        for input in &inputs {
            let Some(value) = value(*input) else { return Ok(None) };
            graph.inputs.push(value);
        }
        let last = outputs.last().map(|outlet| model.node(outlet.node).name.clone());
        let Some(last) = last else { return Ok(None) };
        for (id, role) in self.members {
            let names: Option<Vec<Name>> = role.images.iter().map(name).collect();
            let (Some(inputs), Some(output)) = (names, value(OutletId::new(id, 0))) else {
                return Ok(None);
            };
            graph.nodes.push(Node { operator: role.operator, inputs, output });
        }
        graph.outputs = outputs.iter().filter_map(name).collect();
        let Some(program) = lower(kind, graph) else { return Ok(None) };
        let facts = outputs.iter().map(|outlet| Ok(model.outlet_fact(*outlet)?.without_value()));
        let program = Arc::new(program);
        let operator = Integers {
            program: program.clone(),
            facts: facts.collect::<TractResult<_>>()?,
            rows: self.rows,
        };
        let mut patch = TypedModelPatch::default();
        let now: Vec<OutletId> =
            inputs.iter().map(|input| moved.get(input).copied().unwrap_or(*input)).collect();
        let taps = patch.taps(model, &now)?;
        let operator: Box<dyn TypedOp> = Box::new(operator);
        let wires = patch.wire_node(format!("{last}.integers"), operator, &taps)?;
        for (outlet, wire) in outputs.iter().zip(&wires) {
            patch.shunt_outside(model, *outlet, *wire)?;
        }
        Ok(Some((patch, program, outputs)))
    }
}
