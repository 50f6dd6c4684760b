//! Work of a request that need not be done before its answer is sent.

use crate::logging::AT_SERVE;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Work that is done when this is dropped, once, however the answer fared.
pub(super) struct Afterwards(Option<Box<dyn FnOnce() + Send>>);

impl Afterwards {
    pub(super) fn new(work: impl FnOnce() + Send + 'static) -> Afterwards {
        Afterwards(Some(Box::new(work)))
    }
}

impl fmt::Debug for Afterwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Afterwards").finish_non_exhaustive()
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        let Some(work) = self.0.take() else { return };
        // Its request has been answered: what a panic here leaves behind is the work alone.
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            log::error!(target: AT_SERVE, "msg=\"panicked after an answer\"");
        }
    }
}
