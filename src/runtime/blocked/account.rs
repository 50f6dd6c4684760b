//! What a step of a stretch is called, and what it has to do, for a profile of a run.

use super::program::{self, Program, Step};
use crate::runtime::profile::Work;

/// What brings an image into blocks of channels is called, and what takes it out again.
pub(super) const LAYOUT: &str = "layout change";

impl Program {
    /// The kind of a step, and its work.
    pub(super) fn told(&self, step: &Step) -> (String, Work) {
        let values = |value: &usize| self.values[*value].map.values();
        let through = step.inputs.iter().map(values).sum::<usize>() + values(&step.output);
        let (name, products) = match &step.work {
            program::Work::Convolution(convolution) => (convolution.form(), convolution.products()),
            program::Work::Depthwise(depthwise) => {
                ("depthwise convolution".to_owned(), depthwise.products())
            }
            program::Work::Activation(_) => ("function of each value".to_owned(), 0),
            program::Work::Scale(_, _, _) => ("scale".to_owned(), 0),
            program::Work::Sum(_) => ("sum".to_owned(), 0),
            program::Work::Product(_) => ("product of two images".to_owned(), 0),
            program::Work::Gate(_) => ("gate".to_owned(), 0),
            program::Work::Pool(_, _) => ("pool".to_owned(), 0),
            program::Work::Concat => ("concatenation".to_owned(), 0),
            program::Work::Slice(_) => ("slice".to_owned(), 0),
            program::Work::Enlarge(_) => ("enlargement".to_owned(), 0),
            program::Work::Spread(_) => ("spreading".to_owned(), 0),
        };
        let bytes = (through + step.floats()) * size_of::<f32>();
        (name, Work { floats: products, integers: 0, bytes })
    }

    /// The same of an image that is brought in or taken out.
    pub(super) fn told_of_layout(&self, value: usize) -> (String, Work) {
        let bytes = 2 * self.values[value].map.values() * size_of::<f32>();
        (LAYOUT.to_owned(), Work { bytes, ..Work::default() })
    }
}
