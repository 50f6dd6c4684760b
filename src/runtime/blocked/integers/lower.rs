//! From a stretch of integers to kernels: a sum is computed where a convolution stores its values.

use super::super::graph::{Name, Node};
use super::super::places;
use super::super::program::{self, Program};
use super::graph::{Filters, Graph, Operator, Value as Extents};
use super::steps::{Codes, Work};
use crate::runtime::kernels::integers::{
    Convolution, Depthwise, Kind, LANES, Parts, Residual, Sum,
};
use crate::runtime::kernels::{Frame, Map};
use crate::runtime::packing;
use std::sync::Mutex;

type Step = program::Step<Work>;
type Value = program::Value<Work>;

/// Channels of an image that come four side by side: a colour image has no more.
const CHANNELS_FEW: usize = 4;

/// A node with what was joined to it.
struct Planned {
    operator: Operator,
    /// The value that is added to a convolution's comes second.
    inputs: Vec<Name>,
    residual: Option<(Sum, bool)>,
    output: Name,
}

/// A stretch whose kernels are chosen, and whose weights are not packed yet.
pub(super) struct Lowered {
    kind: Kind,
    planned: Vec<Planned>,
    values: Vec<Value>,
    inputs: usize,
    outputs: Vec<Name>,
    buffers: Vec<usize>,
}

/// Chooses the kernels of a graph; none when a part of it has none.
pub(super) fn lower(kind: Kind, graph: Graph) -> Option<Lowered> {
    let uses = graph.uses();
    let (inputs, outputs) = (graph.inputs.len(), graph.outputs.clone());
    let extents = graph.values();
    let planned = plan(graph, &uses);
    let mut values = values(&planned, &extents, inputs)?;
    let taken: Vec<_> = planned.iter().map(|it| (it.inputs.as_slice(), it.output)).collect();
    let buffers = places::place(&taken, &mut values, inputs, &outputs);
    let have_kernels = planned.iter().all(|planned| has_kernel(planned, &values));
    have_kernels.then_some(Lowered { kind, planned, values, inputs, outputs, buffers })
}

impl Lowered {
    /// Packs the weights, each of which is dropped once it is packed; none never, since all steps have kernels.
    pub(super) fn pack(self) -> Option<Program<Work>> {
        let Lowered { kind, planned, values, inputs, outputs, buffers } = self;
        let steps = packing::each(planned, |planned| step(kind, planned, &values));
        let (steps, idle) = (steps?, Mutex::new(Vec::new()));
        Some(Program { kind, values, inputs, steps, outputs, buffers, idle })
    }
}

/// The steps, in an order in which each finds what it takes.
fn plan(graph: Graph, uses: &[usize]) -> Vec<Planned> {
    let first = graph.inputs.len();
    let mut planned: Vec<Planned> = Vec::new();
    for (at, Node { operator, inputs, .. }) in graph.nodes.into_iter().enumerate() {
        let output = first + at;
        // A sum becomes a part of the last convolution before it, whose value nobody else takes: all
        // that it adds is there by then.
        if let (Operator::Sum(sum), [one, other]) = (&operator, inputs.as_slice()) {
            let host = planned.iter().rposition(|it| [*one, *other].contains(&it.output));
            let can_join = |host: &Planned| {
                let Operator::Convolution(filters) = &host.operator else { return false };
                !filters.is_depthwise && host.residual.is_none() && uses[host.output] == 1
            };
            if let Some(host) = host.filter(|at| can_join(&planned[*at])) {
                let mut host = planned.remove(host);
                let is_first = host.output == *other;
                host.inputs.push(if is_first { *one } else { *other });
                host.residual = Some((*sum, is_first));
                host.output = output;
                planned.push(host);
                continue;
            }
        }
        planned.push(Planned { operator, inputs, residual: None, output });
    }
    planned
}

/// Where the values lie: with a frame of zero points where a convolution looks beyond them. None when
/// two convolutions take different codes for zero in one value.
fn values(planned: &[Planned], extents: &[Extents], inputs: usize) -> Option<Vec<Value>> {
    let mut frames = vec![Frame::default(); extents.len()];
    let mut zeros: Vec<Option<u8>> = vec![None; extents.len()];
    let mut is_few: Vec<bool> = extents
        .iter()
        .enumerate()
        .map(|(name, value)| name < inputs && value.extents[0] <= CHANNELS_FEW)
        .collect();
    for Planned { operator, inputs, output, .. } in planned {
        for (place, input) in inputs.iter().enumerate() {
            let Operator::Convolution(filters) = operator else {
                is_few[*input] = false;
                continue;
            };
            if place > 0 {
                is_few[*input] = false;
                continue;
            }
            is_few[*input] &= !filters.is_depthwise;
            let [_, height, width] = extents[*input].extents;
            let [_, rows, columns] = extents[*output].extents;
            let needed = filters.window.frame([height, width], [rows, columns]);
            frames[*input] = frames[*input].with(needed);
            if *zeros[*input].get_or_insert(filters.zero) != filters.zero {
                return None;
            }
        }
    }
    let all = extents.iter().zip(frames).zip(zeros).zip(is_few);
    let value = |(((value, frame), zero), is_few): (((&Extents, Frame), Option<u8>), bool)| {
        let [channels, height, width] = value.extents;
        let lanes = if is_few { CHANNELS_FEW } else { LANES };
        let map = Map { channels, height, width, lanes, frame };
        Value { map, codes: Codes { zero: zero.unwrap_or(0), moved: value.moved }, buffer: 0 }
    };
    Some(all.map(value).collect())
}

/// Whether there is a kernel for this node between its values.
fn has_kernel(planned: &Planned, values: &[Value]) -> bool {
    let Operator::Convolution(filters) = &planned.operator else { return true };
    let Filters { window, is_depthwise, weights, bias, steps, .. } = filters;
    let (input, made) = (&values[planned.inputs[0]].map, &values[planned.output].map);
    let counts = [weights.len(), bias.len(), steps.len()];
    if *is_depthwise {
        return Depthwise::fits([input, made], window, counts);
    }
    let residual = planned.residual.map(|_| &values[planned.inputs[1]].map);
    Convolution::fits([input, made], residual, window, counts)
}

fn step(kind: Kind, planned: Planned, values: &[Value]) -> Option<Step> {
    let Planned { operator, inputs, residual, output } = planned;
    let (input, made) = (values[inputs[0]].map, values[output].map);
    let mut size = made.floats();
    let work = match operator {
        Operator::Convolution(filters) => {
            let Filters { window, is_depthwise, zero, weights, bias, steps, code } = filters;
            let input = (input, zero);
            let pixels = made.height * made.width;
            let weights = weights.taken();
            size = weights.len() * pixels;
            if is_depthwise {
                size *= LANES; // what has no window over channels is short of products, not of work
                let counts = (&*bias, &*steps);
                Work::Depthwise(Depthwise::new(kind, input, made, window, &weights, counts, code)?)
            } else {
                let residual = residual.map(|(sum, is_first)| Residual {
                    map: values[inputs[1]].map,
                    sum,
                    is_first,
                });
                Work::Convolution(Convolution::new(
                    kind,
                    &Parts {
                        input,
                        output: made,
                        residual,
                        window,
                        weights: &weights,
                        bias: &bias,
                        steps: &steps,
                        code,
                    },
                )?)
            }
        }
        Operator::Sum(sum) => Work::Sum(sum),
        Operator::Mean(zero, step, code) => Work::Mean(zero, step, code),
        Operator::Largest(window) => Work::Largest(window),
        Operator::Same => Work::Same,
    };
    Some(Step { work, inputs, output, size })
}
