//! Threads that help one run: each of its kernels in parts, with no way to the scheduler between two kernels.

use super::crew::Crew;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How often a helper looks for the next kernel before it sleeps: some 20 microseconds, which is
/// longer than the way from one kernel to the next, and shorter than waking up.
const LOOKS: usize = 2_000;

thread_local! {
    /// The gang that helps the run on this thread.
    static HERE: RefCell<Option<Arc<Gang>>> = const { RefCell::new(None) };
}

/// One who runs, and those who help.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Gang {
    shared: Mutex<Shared>,
    awake: Condvar,
    /// Kernels that were begun, for helpers that look without the lock.
    begun: AtomicUsize,
    helpers: AtomicUsize,
    /// Helpers inside of a kernel.
    inside: AtomicUsize,
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    work: Option<Work>,
    is_over: bool,
}

/// A kernel's work, of which the run says how long it is there.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn() + Sync));

// SAFETY: what it points to can be called by several threads (`Sync`), and `together` keeps it until
// the last of them is out.
unsafe impl Send for Work {}

impl std::fmt::Debug for Work {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Work")
    }
}

impl Gang {
    /// The gang that helps the run on this thread, if one does.
    pub(in crate::runtime) fn here() -> Option<Arc<Gang>> {
        HERE.with_borrow(Clone::clone)
    }

    /// Does this with the gang at hand, and lets the helpers go after it.
    pub(in crate::runtime) fn during<T>(self: &Arc<Gang>, work: impl FnOnce() -> T) -> T {
        struct Over<'g>(&'g Gang, Option<Arc<Gang>>);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                HERE.set(self.1.take()); // after a panic, too
                let mut shared = self.0.lock();
                shared.is_over = true;
                self.0.begun.fetch_add(1, SeqCst);
                drop(shared);
                self.0.awake.notify_all();
            }
        }
        let _over = Over(self, HERE.replace(Some(self.clone())));
        work()
    }

    /// Helps with the kernels of the run until it is over, or until this says that somebody else needs
    /// the thread, which is asked between two kernels.
    pub(in crate::runtime) fn help(&self, is_wanted: impl Fn() -> bool) {
        struct Counted<'g>(&'g AtomicUsize);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        self.helpers.fetch_add(1, SeqCst);
        let _counted = Counted(&self.helpers);
        let mut seen = 0;
        while !is_wanted() {
            let mut looks = 0;
            while self.begun.load(SeqCst) == seen && looks < LOOKS {
                std::hint::spin_loop();
                looks += 1;
            }
            let mut shared = self.lock();
            while !shared.is_over && self.begun.load(SeqCst) == seen {
                shared = self.awake.wait(shared).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.begun.load(SeqCst);
            if shared.is_over {
                return;
            }
            let Some(Work(work)) = shared.work else { continue };
            // Counted while the lock is held: `together` takes the work away under it.
            self.inside.fetch_add(1, SeqCst);
            drop(shared);
            let _inside = Counted(&self.inside);
            // SAFETY: `together` does not return, and what it borrows lives, while this is inside.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { (*work)() }));
            if done.is_err() {
                self.broken.store(true, SeqCst);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Held for a look and a change that cannot fail.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew for Gang {
    fn size(&self) -> usize {
        1 + self.helpers.load(SeqCst)
    }

    fn together(&self, work: &(dyn Fn() + Sync)) {
        /// Takes the work away and waits for those inside of it, after a panic too.
        struct Ended<'g>(&'g Gang);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                self.0.lock().work = None;
                while self.0.inside.load(SeqCst) > 0 {
                    std::hint::spin_loop(); // each is at its last part
                }
            }
        }
        // SAFETY: the lifetime is forgotten, and kept all the same: `Ended` is dropped before this
        // returns, and nobody calls the work after that.
        let forgotten: *const (dyn Fn() + Sync + 'static) =
            unsafe { std::mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(work) };
        let ended = Ended(self);
        let mut shared = self.lock();
        shared.work = Some(Work(forgotten));
        self.begun.fetch_add(1, SeqCst); // under the lock, or one who goes to sleep would miss it
        drop(shared);
        self.awake.notify_all();
        work();
        drop(ended);
        assert!(!self.broken.load(SeqCst), "a kernel broke on a thread that helped");
    }
}
