//! A stretch of a net in the few words that images need: convolutions, activations, sums, gates, pools.

use super::weights::Weights;
use crate::runtime::kernels::{Activation, Pooling, Window};

/// What a value is called in its stretch: inputs first, then what each node makes, in their order.
pub(super) type Name = usize;

/// The extents of an image: channels, rows, columns.
pub(super) type Extents = [usize; 3];

/// A net of images of one shape each; rows of a batch go through it one by one.
#[derive(Debug, Clone)]
pub(super) struct Graph<O = Operator, V = Extents> {
    pub(super) inputs: Vec<V>,
    /// Each after those whose values it takes.
    pub(super) nodes: Vec<Node<O, V>>,
    pub(super) outputs: Vec<Name>,
}

/// One operator and what it is given.
#[derive(Debug, Clone)]
pub(super) struct Node<O = Operator, V = Extents> {
    pub(super) operator: O,
    pub(super) inputs: Vec<Name>,
    pub(super) output: V,
}

/// What a node does.
#[derive(Debug, Clone)]
pub(super) enum Operator {
    Convolution(Filters),
    /// Each channel times its factor, and its term.
    Scale(Vec<f32>, Vec<f32>),
    Activation(Activation),
    Sum,
    Product,
    /// The first input, each of whose channels is multiplied by the second's one pixel.
    Gate,
    Pool(Window, Pooling),
    /// Channels of all inputs, one after the other.
    Concat,
    /// Channels from this one on, which begins a block, to the end of a block or the last one.
    Slice(usize),
    /// Each pixel so many times down and to the right.
    Enlarge([usize; 2]),
    /// So many pixels down and to the right of each, whose channels follow each other in whole blocks.
    Spread([usize; 2]),
}

/// The weights of a convolution, over all channels or of each channel by itself.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    pub(super) window: Window,
    pub(super) is_depthwise: bool,
    /// Output channel by output channel, each by input channel, row and column.
    pub(super) weights: Weights,
    /// One for each output channel.
    pub(super) bias: Vec<f32>,
}

impl Filters {
    /// What comes out is multiplied and moved besides, channel by channel.
    pub(super) fn scale(&mut self, factors: &[f32], terms: &[f32]) {
        self.weights.scale(factors);
        for ((bias, factor), term) in self.bias.iter_mut().zip(factors).zip(terms) {
            *bias = *bias * factor + term;
        }
    }
}

impl<O, V: Copy> Graph<O, V> {
    /// What is known of a value: its extents, and of integers their sign.
    pub(super) fn value(&self, name: Name) -> V {
        match self.inputs.get(name) {
            Some(value) => *value,
            None => self.nodes[name - self.inputs.len()].output,
        }
    }

    /// The same of all values, by their names.
    pub(super) fn values(&self) -> Vec<V> {
        self.inputs.iter().copied().chain(self.nodes.iter().map(|node| node.output)).collect()
    }

    /// How often each value is taken, by nodes and as an output.
    pub(super) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.inputs.len() + self.nodes.len()];
        let taken = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        taken.for_each(|name| uses[*name] += 1);
        uses
    }
}

impl Graph {
    /// Joins the products that exporters write for `Swish` and `HardSwish`; what is left without use
    /// stays, and is not computed.
    pub(super) fn join_swishes(&mut self) {
        for at in 0..self.nodes.len() {
            let Operator::Product = self.nodes[at].operator else { continue };
            let [one, other] = *self.nodes[at].inputs.as_slice() else { continue };
            let joined = self.swish(one, other).or_else(|| self.swish(other, one));
            if let Some((value, activation)) = joined {
                self.nodes[at].operator = Operator::Activation(activation);
                self.nodes[at].inputs = vec![value];
            }
        }
        self.drop_unused();
    }

    /// The swish that the product of a value and something made of it comes to.
    fn swish(&self, value: Name, made: Name) -> Option<(Name, Activation)> {
        let (operator, from) = self.maker(made)?;
        if let Operator::Activation(Activation::Sigmoid) = operator {
            return (from == value).then_some((value, Activation::Silu));
        }
        // HardSigmoid: a slope through a point, and two bounds in either order.
        let mut bounds = (f32::NEG_INFINITY, f32::INFINITY);
        let (mut operator, mut from) = (operator, from);
        while let Operator::Activation(Activation::Clip(low, high)) = operator {
            bounds = (bounds.0.max(*low), bounds.1.min(*high));
            (operator, from) = self.maker(from)?;
        }
        let (mut factor, mut term) = (1.0, 0.0);
        while let Operator::Scale(factors, terms) = operator {
            let is_even = |values: &[f32]| values.iter().all(|value| *value == values[0]);
            if factors.is_empty() || !is_even(factors) || !is_even(terms) {
                return None;
            }
            // The one nearer to the value is computed before.
            term += factor * terms[0];
            factor *= factors[0];
            if from == value {
                let near = |one: f32, other: f32| (one - other).abs() < 1e-6;
                let (low, most) = bounds;
                let is_it = low == 0.0
                    && 0.0 < most
                    && most.is_finite()
                    && near(factor / most, 1.0 / 6.0)
                    && near(term / most, 0.5);
                return is_it.then_some((value, Activation::HardSwish(most, 0.0)));
            }
            (operator, from) = self.maker(from)?;
        }
        None
    }

    /// The operator of one input that makes a value, with that input.
    fn maker(&self, name: Name) -> Option<(&Operator, Name)> {
        let node = &self.nodes[name.checked_sub(self.inputs.len())?];
        match node.inputs.as_slice() {
            [input] => Some((&node.operator, *input)),
            _ => None,
        }
    }

    /// Takes the inputs from nodes that nobody needs; they are no more than a name then.
    fn drop_unused(&mut self) {
        let mut uses = self.uses();
        for at in (0..self.nodes.len()).rev() {
            if uses[self.inputs.len() + at] == 0 {
                for input in std::mem::take(&mut self.nodes[at].inputs) {
                    uses[input] -= 1;
                }
            }
        }
    }
}
