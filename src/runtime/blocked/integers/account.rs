//! What a step of a stretch of integers is called, and what it has to do, for a profile of a run.

use super::super::account::LAYOUT;
use super::program::{self, Program, Step};
use crate::runtime::profile::Work;

impl Program {
    /// The kind of a step, and its work.
    pub(super) fn told(&self, step: &Step) -> (String, Work) {
        let values = |value: &usize| self.values[*value].map.values();
        let through = step.inputs.iter().map(values).sum::<usize>() + values(&step.output);
        let (name, products) = match &step.work {
            program::Work::Convolution(convolution) => (convolution.form(), convolution.products()),
            program::Work::Depthwise(depthwise) => {
                ("depthwise convolution in integers".to_owned(), depthwise.products())
            }
            program::Work::Sum(_) => ("sum of integers".to_owned(), 0),
            program::Work::Mean(_, _, _) => ("mean of integers".to_owned(), 0),
            program::Work::Largest(_) => ("largest of integers".to_owned(), 0),
            program::Work::Same => (LAYOUT.to_owned(), 0),
        };
        (name, Work { floats: 0, integers: products, bytes: through + step.bytes() })
    }

    /// The same of an image that is brought in or taken out.
    pub(super) fn told_of_layout(&self, value: usize) -> (String, Work) {
        let bytes = 2 * self.values[value].map.values();
        (LAYOUT.to_owned(), Work { bytes, ..Work::default() })
    }
}
