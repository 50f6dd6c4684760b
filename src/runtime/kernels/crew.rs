//! Those who compute together, and a buffer that each of them writes its own part of.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Threads that help with one kernel at a time.
pub(in crate::runtime) trait Crew {
    /// How many compute at most, the caller among them.
    fn size(&self) -> usize;

    /// Calls `work` on this thread, and on those that help meanwhile; returns when all have.
    fn together(&self, work: &(dyn Fn() + Sync));
}

/// The caller alone.
#[derive(Debug)]
pub(in crate::runtime) struct Alone;

impl Crew for Alone {
    fn size(&self) -> usize {
        1
    }

    fn together(&self, work: &(dyn Fn() + Sync)) {
        work();
    }
}

/// A buffer of which several threads write different floats.
pub(super) struct Output<'b> {
    first: *mut f32,
    floats: usize,
    buffer: PhantomData<&'b mut [f32]>,
}

// SAFETY: it gives pointers alone, and who writes through one promises that nobody else does there.
unsafe impl Sync for Output<'_> {}

impl<'b> Output<'b> {
    pub(super) fn new(buffer: &'b mut [f32]) -> Output<'b> {
        Output { first: buffer.as_mut_ptr(), floats: buffer.len(), buffer: PhantomData }
    }

    /// Where so many floats are, from `first` on.
    ///
    /// # Safety
    /// They are inside of the buffer.
    pub(super) unsafe fn at(&self, first: usize, floats: usize) -> *mut f32 {
        debug_assert!(first + floats <= self.floats, "{first} {floats} {}", self.floats);
        // SAFETY: the caller's promise.
        unsafe { self.first.add(first) }
    }

    /// Calls `part` once for each number below `parts`, on the threads of the crew.
    ///
    /// That each is called once does not depend on the crew: the numbers are given out here.
    pub(super) fn in_parts(
        &self,
        crew: &dyn Crew,
        parts: usize,
        part: impl Fn(usize, &Output<'b>) + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if parts <= number {
                    break;
                }
                part(number, self);
            }
        };
        if parts == 1 || crew.size() == 1 { work() } else { crew.together(&work) }
    }
}
