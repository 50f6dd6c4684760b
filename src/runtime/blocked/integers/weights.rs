//! The weights of a convolution of integers on their way into a kernel: as a graph has them, until they are packed.

use crate::runtime::operators::Integers;

/// Integers of 8 bits with a sign, output channel by output channel.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    /// The graph's own, which go with the last who has them.
    integers: Integers,
    /// Columns of a matrix whose columns are the output channels.
    columns: Option<usize>,
}

impl Weights {
    /// Those of a tensor, in its order; none when one of them takes more than 8 bits.
    pub(super) fn of(integers: Integers) -> Option<Weights> {
        let fits = integers.values().all(|value| i8::try_from(value).is_ok());
        fits.then_some(Weights { integers, columns: None })
    }

    /// Those of a matrix of so many columns, each of which is an output channel.
    pub(super) fn by_columns(self, columns: usize) -> Weights {
        Weights { columns: Some(columns), ..self }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.integers.values().len()
    }

    /// The extents of what they are known as.
    pub(super) fn shape(&self) -> &[usize] {
        self.integers.shape()
    }

    /// All of them.
    pub(super) fn taken(&self) -> Vec<i8> {
        let values = self.integers.values().map(|value| value as i8); // `of` saw that they fit
        let Some(columns) = self.columns else { return values.collect() };
        let column = |at: usize| values.clone().skip(at).step_by(columns);
        (0..columns).flat_map(column).collect()
    }
}
