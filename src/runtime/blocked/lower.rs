//! From a stretch of a net to kernels: what can be is computed where a convolution stores its values.

use super::graph::{Extents, Filters, Graph, Name, Node, Operator};
use super::places;
use super::program::{self, Program};
use super::steps::Work;
use crate::runtime::kernels::{
    Activation, Convolution, Depthwise, Frame, Kind, Map, Parts, Pooling, Window,
};
use crate::runtime::packing;
use std::collections::HashMap;
use std::sync::Mutex;

type Step = program::Step<Work>;
type Value = program::Value<Work>;

/// A convolution whose values were not stored yet: what comes behind may still be joined to it.
struct Open {
    filters: Filters,
    input: Name,
    before: Activation,
    residual: Option<Name>,
    after: Activation,
}

/// A step before its kernel is made, when the frames of its values are not known yet.
enum Plan {
    Convolution(Open),
    Scale(Vec<f32>, Vec<f32>),
    Activation(Activation),
    Sum,
    Product,
    Gate,
    Pool(Window, Pooling),
    Concat,
    Slice(usize),
    Enlarge([usize; 2]),
    Spread([usize; 2]),
}

struct Planned {
    plan: Plan,
    inputs: Vec<Name>,
    output: Name,
    /// What becomes of the values of all but a convolution.
    after: Activation,
}

/// A program whose weights are still to be packed, each of whose steps has a kernel.
pub(super) struct Lowered {
    kind: Kind,
    planned: Vec<Planned>,
    maps: Vec<Map>,
    values: Vec<Value>,
    inputs: usize,
    outputs: Vec<Name>,
    buffers: Vec<usize>,
}

/// Lowers a graph to such vectors; none when a part of it has no kernel.
pub(super) fn lower(kind: Kind, mut graph: Graph) -> Option<Lowered> {
    graph.join_steps();
    graph.join_swishes();
    graph.join_steps();
    let uses = graph.uses();
    let (inputs, outputs) = (graph.inputs.len(), graph.outputs.clone());
    let extents = graph.values();
    let mut planned = plan(graph, &uses);
    draw_gates_in(&mut planned, &uses, |name| extents[name][1] * extents[name][2]);
    let maps = maps(kind, &planned, &extents, inputs);
    let value = |map: &Map| Value { map: *map, codes: (), buffer: 0 };
    let mut values: Vec<Value> = maps.iter().map(value).collect();
    let taken: Vec<_> = planned.iter().map(|it| (it.inputs.as_slice(), it.output)).collect();
    let buffers = places::place(&taken, &mut values, inputs, &outputs);
    let has_kernels = planned.iter().all(|planned| planned.has_kernel(kind, &maps));
    has_kernels.then_some(Lowered { kind, planned, maps, values, inputs, outputs, buffers })
}

impl Lowered {
    /// Packs the weights, each of which is dropped once it is packed; none never, since all steps have kernels.
    pub(super) fn pack(self) -> Option<Program<Work>> {
        let Lowered { kind, planned, maps, values, inputs, outputs, buffers } = self;
        let steps = packing::each(planned, |planned| step(kind, planned, &maps));
        let (steps, idle) = (steps?, Mutex::new(Vec::new()));
        Some(Program { kind, steps, inputs, values, outputs, buffers, idle })
    }
}

/// The steps, in an order in which each finds what it takes.
fn plan(graph: Graph, uses: &[usize]) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut open: HashMap<Name, Open> = HashMap::new();
    let first = graph.inputs.len();
    for (at, node) in graph.nodes.into_iter().enumerate() {
        let output = first + at;
        if uses[output] == 0 {
            continue;
        }
        let Node { operator, inputs, .. } = node;
        // Only a value that nobody else takes need not be stored.
        let host = inputs.iter().copied().find(|name| {
            uses[*name] == 1
                && open.get(name).is_some_and(|open| open.can_join(&operator, *name, &inputs))
        });
        if let Some(host) = host
            && let Some(mut joined) = open.remove(&host)
        {
            let others = inputs.iter().copied().filter(|name| *name != host);
            for other in others {
                store(other, &mut open, &mut planned);
                joined.residual = Some(other);
            }
            joined.join(operator);
            open.insert(output, joined);
            continue;
        }
        for input in &inputs {
            store(*input, &mut open, &mut planned);
        }
        if let Operator::Activation(activation) = operator
            && uses[inputs[0]] == 1
            && let Some(before) = planned.iter_mut().find(|one| one.output == inputs[0])
            && before.can_end_in(activation)
        {
            before.after = activation;
            before.output = output;
            continue;
        }
        let plan = match operator {
            Operator::Convolution(filters) => {
                let (before, after) = (Activation::NONE, Activation::NONE);
                let one = Open { filters, input: inputs[0], before, residual: None, after };
                open.insert(output, one);
                continue;
            }
            Operator::Scale(factors, terms) => Plan::Scale(factors, terms),
            Operator::Activation(activation) => Plan::Activation(activation),
            Operator::Sum => Plan::Sum,
            Operator::Product => Plan::Product,
            Operator::Gate => Plan::Gate,
            Operator::Pool(window, pooling) => Plan::Pool(window, pooling),
            Operator::Concat => Plan::Concat,
            Operator::Slice(first) => Plan::Slice(first),
            Operator::Enlarge(times) => Plan::Enlarge(times),
            Operator::Spread(times) => Plan::Spread(times),
        };
        planned.push(Planned { plan, inputs, output, after: Activation::NONE });
    }
    let mut left: Vec<Name> = open.keys().copied().collect();
    left.sort_unstable();
    for name in left {
        store(name, &mut open, &mut planned);
    }
    planned
}

/// Lets a convolution store its values, if it did not yet.
fn store(name: Name, open: &mut HashMap<Name, Open>, planned: &mut Vec<Planned>) {
    let Some(one) = open.remove(&name) else { return };
    let inputs = std::iter::once(one.input).chain(one.residual).collect();
    let plan = Plan::Convolution(one);
    planned.push(Planned { plan, inputs, output: name, after: Activation::NONE });
}

/// Lets a convolution multiply its weights by a gate, where they are fewer than the pixels that the
/// gate would be multiplied with, and where nobody else takes those.
fn draw_gates_in(planned: &mut Vec<Planned>, uses: &[usize], pixels: impl Fn(Name) -> usize) {
    let mut drawn = Vec::new();
    for at in 0..planned.len() {
        let Planned { plan: Plan::Convolution(open), inputs, .. } = &planned[at] else { continue };
        let made = open.filters.bias.len() * open.filters.window.taps();
        let input = inputs[0];
        if open.filters.is_depthwise || uses[input] != 1 || pixels(input) <= made {
            continue;
        }
        let is_it = |it: &&Planned| {
            it.output == input && matches!(it.plan, Plan::Gate) && it.after == Activation::NONE
        };
        let Some(gated) = planned.iter().find(is_it) else { continue };
        // A map that somebody else looks at may have a frame, which a gate must not.
        let [image, gate] = *gated.inputs.as_slice() else { continue };
        if uses[gate] != 1 || image == gate {
            continue;
        }
        let inputs = &mut planned[at].inputs;
        inputs[0] = image;
        inputs.push(gate);
        drawn.push(input);
    }
    planned.retain(|it| !drawn.contains(&it.output));
}

impl Planned {
    /// Whether there is a kernel for the step, with what it takes and makes in these maps.
    fn has_kernel(&self, kind: Kind, maps: &[Map]) -> bool {
        let Plan::Convolution(Open { filters, residual, .. }) = &self.plan else { return true };
        let Filters { window, is_depthwise, weights, bias } = filters;
        let maps_of = [maps[self.inputs[0]], maps[self.output]];
        let counts = [weights.len(), bias.len()];
        match is_depthwise {
            true => Depthwise::fits(kind, maps_of, window, counts),
            false => {
                Convolution::fits(kind, maps_of, residual.map(|name| maps[name]), window, counts)
            }
        }
    }

    /// Whether this activation can be computed along with the step.
    fn can_end_in(&self, activation: Activation) -> bool {
        match self.plan {
            Plan::Scale(_, _) | Plan::Sum | Plan::Product | Plan::Gate => {
                self.after == Activation::NONE && activation != Activation::NONE
            }
            Plan::Convolution(_)
            | Plan::Activation(_)
            | Plan::Pool(_, _)
            | Plan::Concat
            | Plan::Slice(_)
            | Plan::Enlarge(_)
            | Plan::Spread(_) => false,
        }
    }
}

impl Open {
    fn is_bare(&self) -> bool {
        (self.before, self.after) == (Activation::NONE, Activation::NONE) && self.residual.is_none()
    }

    /// Whether the operator that takes the value of this can be computed along with it.
    fn can_join(&self, operator: &Operator, name: Name, inputs: &[Name]) -> bool {
        match operator {
            Operator::Scale(_, _) => self.is_bare(),
            Operator::Activation(activation) => self.joined(*activation).is_some(),
            Operator::Sum => {
                let is_twice = inputs.iter().all(|input| *input == name);
                self.residual.is_none() && !self.filters.is_depthwise && !is_twice
            }
            Operator::Convolution(_)
            | Operator::Product
            | Operator::Gate
            | Operator::Pool(_, _)
            | Operator::Concat
            | Operator::Slice(_)
            | Operator::Enlarge(_)
            | Operator::Spread(_) => false,
        }
    }

    /// What the last activation and one more come to, if that is one.
    fn joined(&self, more: Activation) -> Option<Activation> {
        let last = if self.residual.is_some() { self.after } else { self.before };
        match (last, more) {
            (Activation::NONE, more) => Some(more),
            (Activation::Clip(low, high), Activation::Clip(least, most)) => {
                Some(Activation::Clip(low.max(least).min(most), high.max(least).min(most)))
            }
            (_, _) => None,
        }
    }

    fn join(&mut self, operator: Operator) {
        match operator {
            Operator::Scale(factors, terms) => self.filters.scale(&factors, &terms),
            Operator::Activation(more) => {
                let joined = self.joined(more).unwrap_or(more);
                match self.residual {
                    Some(_) => self.after = joined,
                    None => self.before = joined,
                }
            }
            // The residual is all that a sum brings.
            Operator::Sum
            | Operator::Convolution(_)
            | Operator::Product
            | Operator::Gate
            | Operator::Pool(_, _)
            | Operator::Concat
            | Operator::Slice(_)
            | Operator::Enlarge(_)
            | Operator::Spread(_) => {}
        }
    }
}

/// Where the values lie: with a frame where a convolution looks beyond them.
fn maps(kind: Kind, planned: &[Planned], extents: &[Extents], inputs: usize) -> Vec<Map> {
    let mut frames = vec![Frame::default(); extents.len()];
    let mut is_planar: Vec<bool> =
        (0..extents.len()).map(|name| name < inputs && extents[name][0] < kind.lanes()).collect();
    for Planned { plan, inputs, output, .. } in planned {
        for (place, input) in inputs.iter().enumerate() {
            let filters = match plan {
                Plan::Convolution(open) if place == 0 => Some(&open.filters),
                Plan::Convolution(_)
                | Plan::Scale(_, _)
                | Plan::Activation(_)
                | Plan::Sum
                | Plan::Product
                | Plan::Gate
                | Plan::Pool(_, _)
                | Plan::Concat
                | Plan::Slice(_)
                | Plan::Enlarge(_)
                | Plan::Spread(_) => None,
            };
            is_planar[*input] &= filters.is_some_and(|filters| !filters.is_depthwise);
            if let Some(filters) = filters {
                let [_, height, width] = extents[*input];
                let [_, rows, columns] = extents[*output];
                let needed = filters.window.frame([height, width], [rows, columns]);
                frames[*input] = frames[*input].with(needed);
            }
        }
    }
    let maps = extents.iter().zip(frames).zip(is_planar);
    maps.map(|((extents, frame), is_planar)| {
        let [channels, height, width] = *extents;
        let lanes = if is_planar { 1 } else { kind.lanes() };
        Map { channels, height, width, lanes, frame }
    })
    .collect()
}

fn step(kind: Kind, planned: Planned, maps: &[Map]) -> Option<Step> {
    let Planned { plan, inputs, output, after } = planned;
    let (input, made) = (maps[inputs[0]], maps[output]);
    let work = match plan {
        Plan::Convolution(Open { filters, residual, before, after, .. }) => {
            let Filters { window, is_depthwise, weights, bias } = filters;
            let weights = weights.taken();
            // Without a residual between them, only one of both is there.
            if is_depthwise {
                let depthwise =
                    Depthwise::new(kind, [input, made], window, &weights, &bias, before)?;
                Work::Depthwise(depthwise)
            } else {
                let (before, after) = match residual {
                    Some(_) => (before, after),
                    None => (Activation::NONE, before),
                };
                Work::Convolution(Convolution::new(
                    kind,
                    &Parts {
                        input,
                        output: made,
                        residual: residual.map(|name| maps[name]),
                        window,
                        weights: &weights,
                        bias: &bias,
                        before,
                        after,
                    },
                )?)
            }
        }
        Plan::Scale(mut factors, mut terms) => {
            let padded = made.blocks() * made.lanes;
            factors.resize(padded, 1.0);
            terms.resize(padded, 0.0);
            Work::Scale(factors, terms, after)
        }
        Plan::Activation(activation) => Work::Activation(activation),
        Plan::Sum => Work::Sum(after),
        Plan::Product => Work::Product(after),
        Plan::Gate => Work::Gate(after),
        Plan::Pool(window, pooling) => Work::Pool(window, pooling),
        Plan::Concat => Work::Concat,
        Plan::Slice(first) => Work::Slice(first),
        Plan::Enlarge(times) => Work::Enlarge(times),
        Plan::Spread(times) => Work::Spread(times),
    };
    Some(Step { work, inputs, output, size: made.floats() })
}
