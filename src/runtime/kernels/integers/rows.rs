//! Rows of codes that become others by way of floats: norms and softmax, of which no more than a row is floats at a time.

use super::super::crew::{Crew, Output};
use super::super::kind::Kind as Floats;
use super::super::rows::{Normal, SoftmaxJob};
use super::kind::Kind;
use super::lanes::Code;
use super::rounding::{Job, Spreading, Step};

/// Values that a thread takes at a time, and fewer than twice as many are not shared: some ten
/// microseconds of work.
const PART_VALUES: usize = 16 << 10;

/// What becomes of the values of a row.
#[derive(Debug)]
pub(in crate::runtime) enum By {
    Normal(Normal),
    /// The softmax of so many values.
    Softmax(Floats, usize),
}

/// Rows of integers of 8 bits as tensors have them, and what they become.
#[derive(Debug)]
pub(in crate::runtime) struct Coded {
    pub(in crate::runtime) kind: Kind,
    pub(in crate::runtime) by: By,
    pub(in crate::runtime) from: Step,
    pub(in crate::runtime) to: Step,
}

impl Coded {
    /// Of each of the rows.
    ///
    /// # Panics
    /// When the input is not whole rows.
    pub(in crate::runtime) fn run(&self, input: &[u8], crew: &dyn Crew) -> Vec<u8> {
        let (values, padded) = match &self.by {
            By::Normal(normal) => (normal.values(), normal.values()),
            By::Softmax(kind, values) => (*values, values.next_multiple_of(kind.lanes())),
        };
        assert!(values > 0 && input.len().is_multiple_of(values), "values of a row are missing");
        let rows = input.len() / values;
        let parts = (input.len() / PART_VALUES).clamp(1, rows.max(1));
        let fill = |output: &Output<'_, u8>| {
            output.in_parts(crew, parts, |number, output| {
                let mut floats = vec![f32::NEG_INFINITY; padded];
                for row in number * rows / parts..(number + 1) * rows / parts {
                    let at = row * values;
                    // SAFETY: no other part has this row.
                    let to = unsafe { output.at(at, values) };
                    // SAFETY: there is room for the values of a row, in whole vectors for a softmax, and
                    // `input` and `to` have them too.
                    unsafe { self.row(input.as_ptr().add(at), &mut floats, to, values) };
                }
            });
        };
        // SAFETY: the parts are all of the rows.
        unsafe { Output::filled(input.len(), fill) }
    }

    /// # Safety
    /// So many values are at both, and there is room for as many floats; for a softmax, for whole vectors
    /// of them.
    unsafe fn row(&self, from: *const u8, floats: &mut [f32], to: *mut u8, values: usize) {
        let (padded, between) = (floats.len(), floats.as_mut_ptr());
        // SAFETY: the caller's promise.
        unsafe {
            self.kind.spread()(&Spreading { from, to: between, values, step: self.from });
            match &self.by {
                By::Normal(normal) => normal.row(between, between),
                By::Softmax(kind, _) => {
                    // The row before left zeros.
                    (values..padded).for_each(|at| between.add(at).write(f32::NEG_INFINITY));
                    let vectors = padded / kind.lanes();
                    kind.softmax_row()(&SoftmaxJob { values: between, vectors });
                }
            }
            let Step { scale, zero, moved } = self.to;
            let code = Code::of(zero);
            self.kind.rounded()(&Job { from: between, to, values, scale, code, moved });
        }
    }
}
