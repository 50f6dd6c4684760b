//! A stretch of a quantised net in few words: convolutions, sums, means, the largest under a window.

use super::super::graph::{self, Extents};
use super::weights::Weights;
use crate::runtime::kernels::Window;
use crate::runtime::kernels::integers::{Code, Sum};

/// A net of such images.
pub(super) type Graph = graph::Graph<Operator, Value>;

/// A value: its extents, and what its codes are beyond the integers: 0, or 128 for those with a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) extents: Extents,
    pub(super) moved: u8,
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
    pub(super) weights: Weights,
    /// One for each output channel.
    pub(super) bias: Vec<i32>,
    /// What one count of each output channel is in steps.
    pub(super) steps: Vec<f32>,
    pub(super) code: Code,
}
