//! What a step of a stretch is called, and what it has to do, for a profile of a run.

use super::program::{self, Program, Step, Value};
use crate::runtime::profile::Work;

/// What brings an image into blocks of channels is called, and what takes it out again.
pub(super) const LAYOUT: &str = "layout change";

impl<W: program::Work> Program<W> {
    /// The kind of a step, and its work.
    pub(super) fn told(&self, step: &Step<W>) -> (String, Work) {
        let values = |value: &usize| self.values[*value].map.values();
        let through = step.inputs.iter().map(values).sum::<usize>() + values(&step.output);
        let (name, work) = step.work.told();
        (name, Work { bytes: through * size_of::<W::Element>() + step.work.bytes(), ..work })
    }
}

impl<W: program::Work> Value<W> {
    /// The same of an image that is brought in or taken out.
    pub(super) fn told_of_layout(&self) -> (String, Work) {
        let bytes = 2 * self.map.values() * size_of::<W::Element>();
        (LAYOUT.to_owned(), Work { bytes, ..Work::default() })
    }
}
