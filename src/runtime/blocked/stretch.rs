//! Stretches of a graph that can be one operator: connected nodes with kernels, between which no other node stands.

use super::graph::{Graph, Name};
use super::operator::Blocked;
use super::program::{Program, Work};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{OutletId, TypedModelPatch, TypedOp};

/// What a node is in a stretch.
pub(super) struct Role<D> {
    pub(super) draft: D,
    /// Which outlets its images are.
    pub(super) images: Vec<OutletId>,
    /// Nodes between the images and this one, which nobody else needs.
    pub(super) inside: Vec<usize>,
}

/// What a node does with images, of floats or of integers, before its stretch is known.
pub(super) trait Draft: Sized {
    /// What it is in the words of a stretch.
    type Operator;
    /// What is known of one row of a value.
    type Value: Copy;

    /// Rows, and what one of them is, of an outlet that is a batch of such images.
    fn image(model: &TypedModel, outlet: OutletId) -> Option<(usize, Self::Value)>;
    /// Whether a stretch begins with it.
    fn is_convolution(&self) -> bool;
    /// How many operators it comes to, of which the last one makes what it makes.
    fn operators(&self) -> usize;
    /// Writes these down behind all others; none when there are no kernels for them after all.
    fn write(
        self,
        graph: &mut Graph<Self::Operator, Self::Value>,
        inputs: Vec<Name>,
        output: Self::Value,
    ) -> Option<()>;
}

/// Nodes that become one operator.
pub(super) struct Stretch<D> {
    rows: usize,
    /// Each after those whose values it takes.
    pub(super) members: Vec<(usize, Role<D>)>,
}

/// The stretches of a graph whose nodes have these roles, each with a convolution at its beginning.
pub(super) fn stretches<D: Draft>(
    model: &TypedModel,
    role: impl Fn(&TypedNode) -> Option<Role<D>>,
) -> TractResult<Vec<Stretch<D>>> {
    let mut roles: HashMap<usize, Role<D>> = HashMap::new();
    for node in model.nodes() {
        roles.extend(role(node).map(|role| (node.id, role)));
    }
    let inside: HashSet<usize> = roles.values().flat_map(|role| role.inside.clone()).collect();
    let mut stretches: Vec<Stretch<D>> = Vec::new();
    let mut home: HashMap<usize, usize> = HashMap::new();
    // The stretches that reach a node over one of other nodes: it must not be of them, or the
    // operator would wait for itself.
    let mut reach: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); model.nodes().len()];
    for id in model.eval_order()? {
        if inside.contains(&id) {
            continue; // the node that it counts for tells what is before both
        }
        let role = roles.remove(&id);
        let images = role.as_ref().map_or(&*model.node(id).inputs, |role| &role.images);
        let mut outside = BTreeSet::new();
        for input in images {
            outside.extend(&reach[input.node]);
        }
        let before: BTreeSet<usize> =
            images.iter().filter_map(|input| home.get(&input.node).copied()).collect();
        let joined = role.and_then(|role| {
            let (rows, _) = D::image(model, OutletId::new(id, 0))?;
            let open = |at: &&usize| !outside.contains(*at) && stretches[**at].rows == rows;
            let at = match before.iter().find(open) {
                Some(at) => *at,
                None if role.draft.is_convolution() => {
                    stretches.push(Stretch { rows, members: Vec::new() });
                    stretches.len() - 1
                }
                None => return None,
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

/// Whether the graph has an order still when each stretch is one node.
fn is_without_cycles(model: &TypedModel, home: &HashMap<usize, usize>) -> TractResult<bool> {
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

impl<D: Draft> Stretch<D> {
    /// Puts an operator in the place of these nodes, unless one of them has no kernel after all.
    ///
    /// `make` makes the program of the stretch. `moved` tells where values are that another stretch
    /// makes now, and is told of those of this.
    pub(super) fn replace<W: Work>(
        self,
        model: &mut TypedModel,
        moved: &mut HashMap<OutletId, OutletId>,
        make: impl FnOnce(Graph<D::Operator, D::Value>, &mut TypedModel) -> Option<Arc<Program<W>>>,
    ) -> TractResult<bool> {
        let (first, nodes) = (self.members.first().map_or(0, |(id, _)| *id), self.members.len());
        let (rows, [inputs, outputs]) = (self.rows, self.ends(model));
        let graph = self.graph(model, &inputs, &outputs);
        let (Some(program), Some(last)) =
            (graph.and_then(|graph| make(graph, model)), outputs.last())
        else {
            let first = &model.node(first).name;
            log::debug!("{nodes} nodes of images from `{first}` on have no kernels of ours");
            return Ok(false);
        };
        let facts = outputs.iter().map(|outlet| Ok(model.outlet_fact(*outlet)?.without_value()));
        let facts = facts.collect::<TractResult<_>>()?;
        let operator: Box<dyn TypedOp> =
            Box::new(Blocked { program: program.clone(), facts, rows });
        let mut patch = TypedModelPatch::default();
        let now: Vec<OutletId> =
            inputs.iter().map(|input| moved.get(input).copied().unwrap_or(*input)).collect();
        let taps = patch.taps(model, &now)?;
        let name = format!("{}.{}", model.node(last.node).name, W::NAME.to_lowercase());
        let wires = patch.wire_node(name, operator, &taps)?;
        for (outlet, wire) in outputs.iter().zip(&wires) {
            patch.shunt_outside(model, *outlet, *wire)?;
        }
        patch.apply(model)?;
        let is_it = |node: &&TypedNode| {
            node.op_as::<Blocked<W>>().is_some_and(|it| Arc::ptr_eq(&it.program, &program))
        };
        if let Some(node) = model.nodes().iter().find(is_it) {
            let made = outputs.into_iter().enumerate();
            moved.extend(made.map(|(slot, outlet)| (outlet, OutletId::new(node.id, slot))));
        }
        Ok(true)
    }

    /// Its nodes, and those that count for them.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        let nodes = |(id, role): &(usize, Role<D>)| [&[*id], &*role.inside].concat();
        self.members.iter().flat_map(nodes)
    }

    /// What its nodes take beside images: weights, biases, zero points, which its operator has in itself.
    pub(super) fn constants(&self, model: &TypedModel) -> Vec<OutletId> {
        let within: HashSet<usize> = self.nodes().collect();
        let images: HashSet<&OutletId> =
            self.members.iter().flat_map(|(_, role)| &role.images).collect();
        let taken = self.nodes().flat_map(|id| &model.node(id).inputs);
        let is_constant =
            |outlet: &&OutletId| !within.contains(&outlet.node) && !images.contains(outlet);
        taken.filter(is_constant).copied().collect()
    }

    /// The values that it takes from other nodes, and those that others take from it.
    fn ends(&self, model: &TypedModel) -> [Vec<OutletId>; 2] {
        let within: HashSet<usize> = self.nodes().collect();
        let mut inputs: Vec<OutletId> = Vec::new();
        for outlet in self.members.iter().flat_map(|(_, role)| &role.images) {
            if !within.contains(&outlet.node) && !inputs.contains(outlet) {
                inputs.push(*outlet);
            }
        }
        let is_taken = |outlet: &OutletId| {
            let mut successors = model.nodes()[outlet.node].outputs[0].successors.iter();
            model.outputs.contains(outlet) || successors.any(|inlet| !within.contains(&inlet.node))
        };
        let outlets = self.members.iter().map(|(id, _)| OutletId::new(*id, 0));
        [inputs, outlets.filter(is_taken).collect()]
    }

    /// The stretch in words; none when one of its nodes has no kernel.
    fn graph(
        self,
        model: &TypedModel,
        inputs: &[OutletId],
        outputs: &[OutletId],
    ) -> Option<Graph<D::Operator, D::Value>> {
        let mut names: HashMap<OutletId, Name> = inputs.iter().copied().zip(0..).collect();
        let mut next = inputs.len();
        for (id, role) in &self.members {
            next += role.draft.operators();
            names.insert(OutletId::new(*id, 0), next - 1);
        }
        let named = |outlets: &[OutletId]| -> Option<Vec<Name>> {
            outlets.iter().map(|outlet| names.get(outlet).copied()).collect()
        };
        let value = |outlet: &OutletId| {
            let (rows, value) = D::image(model, *outlet)?;
            (rows == self.rows).then_some(value)
        };
        let inputs = inputs.iter().map(value).collect::<Option<_>>()?;
        let mut graph = Graph { inputs, nodes: Vec::new(), outputs: named(outputs)? };
        for (id, Role { draft, images, .. }) in self.members {
            draft.write(&mut graph, named(&images)?, value(&OutletId::new(id, 0))?)?;
        }
        Some(graph)
    }
}
