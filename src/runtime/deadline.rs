//! When a run is to be given up: a client does not wait for ever, and a thread is not lent for ever.

use std::time::Instant;

/// The moment after which a run is given up, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A run may take as long as it takes.
    pub const NONE: Deadline = Deadline(None);

    /// A run is given up after this moment.
    pub fn at(moment: Instant) -> Deadline {
        Deadline(Some(moment))
    }

    /// The moment that halves the time left, for work that must not take all of it.
    pub(super) fn halfway(self) -> Deadline {
        let now = Instant::now();
        Deadline(self.0.map(|moment| now + moment.saturating_duration_since(now) / 2))
    }

    /// Whether it is later now.
    pub(super) fn has_passed(self) -> bool {
        self.0.is_some_and(|moment| moment < Instant::now())
    }
}
