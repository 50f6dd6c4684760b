//! Those who compute together, and a buffer that each of them writes its own part of.

use std::marker::PhantomData;
use std::ops::Range;
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

/// A buffer of which several threads write different values.
pub(super) struct Output<'b, T = f32> {
    first: *mut T,
    values: usize,
    buffer: PhantomData<&'b mut [T]>,
}

// SAFETY: it gives pointers alone, and who writes through one promises that nobody else does there.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'b, T: Send> Output<'b, T> {
    pub(super) fn new(buffer: &'b mut [T]) -> Output<'b, T> {
        Output { first: buffer.as_mut_ptr(), values: buffer.len(), buffer: PhantomData }
    }

    /// So many values, all of which `fill` writes.
    ///
    /// # Safety
    /// It does: they are whatever was in the memory before.
    pub(super) unsafe fn filled(values: usize, fill: impl FnOnce(&Output<'_, T>)) -> Vec<T> {
        let mut made = Vec::with_capacity(values);
        fill(&Output { first: made.as_mut_ptr(), values, buffer: PhantomData });
        // SAFETY: there is room for so many, and the caller promises that all were written.
        unsafe { made.set_len(values) };
        made
    }

    /// Where so many values are, from `first` on.
    ///
    /// # Safety
    /// They are inside of the buffer.
    pub(super) unsafe fn at(&self, first: usize, values: usize) -> *mut T {
        debug_assert!(first + values <= self.values, "{first} {values} {}", self.values);
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
        part: impl Fn(usize, &Output<'b, T>) + Sync,
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

    /// Calls `part` for ranges of values that are all of the buffer's, as many as have `least` each and as
    /// long as each other, on the threads of the crew.
    pub(super) fn in_ranges(
        &self,
        crew: &dyn Crew,
        least: usize,
        part: impl Fn(Range<usize>, &Output<'b, T>) + Sync,
    ) {
        let (values, parts) = (self.values, (self.values / least).max(1));
        self.in_parts(crew, parts, |number, output| {
            part(number * values / parts..(number + 1) * values / parts, output);
        });
    }
}
