//! The weights of a convolution on their way into a kernel: where they are known, and by what they are multiplied when they are packed.

use std::borrow::Cow;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// Output channel by output channel, as a graph has them; factors of channels are put off until they are
/// taken, so that scaled weights are there for one layer at a time.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    known: Known,
    /// Each for all output channels, in the order in which they come.
    factors: Vec<Vec<f32>>,
}

#[derive(Debug, Clone)]
enum Known {
    /// The graph's own floats, which go with the last who has them.
    Shared(Arc<Tensor>),
    Made(Vec<f32>),
}

impl Weights {
    /// Those of a tensor of floats; none when it is no such tensor.
    pub(super) fn of(tensor: Arc<Tensor>) -> Option<Weights> {
        tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
        Some(Weights { known: Known::Shared(tensor), factors: Vec::new() })
    }

    /// Those that were made here.
    pub(super) fn made(values: Vec<f32>) -> Weights {
        Weights { known: Known::Made(values), factors: Vec::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.unscaled().len()
    }

    /// Multiplies those of each output channel by its factor.
    pub(super) fn scale(&mut self, factors: &[f32]) {
        self.factors.push(factors.to_vec());
    }

    /// All of them, multiplied.
    pub(super) fn taken(&self) -> Cow<'_, [f32]> {
        let mut values = Cow::Borrowed(self.unscaled());
        for factors in &self.factors {
            let each = values.len() / factors.len().max(1);
            for (weights, factor) in values.to_mut().chunks_exact_mut(each.max(1)).zip(factors) {
                weights.iter_mut().for_each(|weight| *weight *= factor);
            }
        }
        values
    }

    fn unscaled(&self) -> &[f32] {
        match &self.known {
            Known::Made(values) => values,
            // `of` saw that it is one of floats.
            Known::Shared(tensor) => tensor
                .try_as_plain_ram()
                .and_then(|plain| plain.as_slice::<f32>())
                .unwrap_or_default(),
        }
    }
}
