//! The pipeline that answers now, and the moment in which another takes its place.

use super::infer::Inferences;
use super::page::Page;
use super::slot::Slot;
use std::sync::{Arc, Mutex, PoisonError};

/// One loaded pipeline and what is made of it once.
pub(super) struct Serving {
    pub(super) inferences: Inferences,
    pub(super) page: Page,
}

/// Where each request finds the pipeline that answers it.
///
/// A request that has begun keeps the one it found; it goes when its last request is answered.
pub(super) struct Live {
    now: Mutex<Arc<Serving>>,
    scheme: &'static str,
}

impl Live {
    /// The pipeline of `inferences` answers, asked by `scheme`.
    pub(super) fn new(inferences: Inferences, scheme: &'static str) -> Live {
        Live { now: Mutex::new(serving(inferences, scheme)), scheme }
    }

    /// What answers a request that begins now.
    pub(super) fn now(&self) -> Arc<Serving> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `slot` answer every request that begins from now on, and gives back what did so far.
    pub(super) fn switch(&self, slot: Slot) -> Arc<Serving> {
        let next = serving(self.now().inferences.beside(slot), self.scheme);
        // Only the pointer changes under the lock.
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *now, next)
    }
}

fn serving(inferences: Inferences, scheme: &'static str) -> Arc<Serving> {
    let page = Page::new(&inferences.slot, scheme);
    Arc::new(Serving { inferences, page })
}
