//! When a run is to be given up: a client does not wait for ever, and a thread is not lent for ever.

use std::cell::Cell;
use std::time::Instant;

thread_local! {
    /// That of the run on this thread, for operators that go on by themselves.
    static HERE: Cell<Deadline> = const { Cell::new(Deadline::NONE) };
}

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

    /// That of the run on this thread.
    pub(super) fn here() -> Deadline {
        HERE.get()
    }

    /// Does this with the deadline as that of its thread.
    pub(super) fn during<T>(self, work: impl FnOnce() -> T) -> T {
        struct Restored(Deadline);
        impl Drop for Restored {
            fn drop(&mut self) {
                HERE.set(self.0); // after a panic, too
            }
        }
        let _restored = Restored(HERE.replace(self));
        work()
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
