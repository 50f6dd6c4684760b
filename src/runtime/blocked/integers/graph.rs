//! A stretch of a quantised net in few words: convolutions, sums, means, the largest under a window.

use crate::runtime::kernels::Window;
use crate::runtime::kernels::integers::{Code, Sum};

/// What a value is called in its stretch: inputs first, then what each node makes, in their order.
pub(super) type Name = usize;

/// The extents of an image: channels, rows, columns.
pub(super) type Extents = [usize; 3];

/// A net of images of one shape each; rows of a batch go through it one by one.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Value>,
    /// Each after those whose values it takes.
    pub(super) nodes: Vec<Node>,
    pub(super) outputs: Vec<Name>,
}

/// A value: its extents, and what its codes are beyond the integers: 0, or 128 for those with a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) extents: Extents,
    pub(super) moved: u8,
}

/// One operator and what it is given.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) operator: Operator,
    pub(super) inputs: Vec<Name>,
    pub(super) output: Value,
}

/// What a node does with codes.
#[derive(Debug, Clone)]
pub(super) enum Operator {
    Convolution(Filters),
    Sum(Sum),
    /// With the zero point of what it takes, and what one count is in steps.
    Mean(u8, f32, Code),
    Largest(Window),
    /// The same values in another shape that is one pixel, too.
    Same,
}

/// The weights of a convolution, over all channels or of each channel by itself.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    pub(super) window: Window,
    pub(super) is_depthwise: bool,
    /// The code that stands for zero in what it takes.
    pub(super) zero: u8,
    /// Output channel by output channel, each by input channel, row and column.
    pub(super) weights: Vec<i8>,
    /// One for each output channel.
    pub(super) bias: Vec<i32>,
    /// What one count of each output channel is in steps.
    pub(super) steps: Vec<f32>,
    pub(super) code: Code,
}

impl Graph {
    /// A value's extents and sign.
    pub(super) fn value(&self, name: Name) -> Value {
        match self.inputs.get(name) {
            Some(value) => *value,
            None => self.nodes[name - self.inputs.len()].output,
        }
    }

    /// How often each value is taken, by nodes and as an output.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.inputs.len() + self.nodes.len()];
        let taken = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        taken.for_each(|name| uses[*name] += 1);
        uses
    }
}
