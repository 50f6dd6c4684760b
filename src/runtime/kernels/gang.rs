//! Threads that help one run: each of its kernels in parts, with no way to the scheduler between two kernels.

use super::crew::{Alone, Crew};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How often a helper looks for the next kernel before it sleeps, and the one who runs for the last
/// helper to be done: some 20 microseconds, which is longer than the way from one kernel to the next,
/// and shorter than waking up.
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
    /// Whether the one who runs sleeps until nobody is inside.
    is_awaited: AtomicBool,
    out: Condvar,
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    work: Option<Work>,
    is_over: bool,
    /// Helpers that sleep: without any, nobody need be woken, which is a call to the system.
    asleep: usize,
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

    /// Does this with those who help the run on this thread, or alone.
    pub(in crate::runtime) fn with<T>(work: impl FnOnce(&dyn Crew) -> T) -> T {
        match Gang::here() {
            Some(gang) => work(&*gang),
            None => work(&Alone),
        }
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
                shared.asleep += 1;
                shared = self.awake.wait(shared).unwrap_or_else(PoisonError::into_inner);
                shared.asleep -= 1;
            }
            seen = self.begun.load(SeqCst);
            if shared.is_over {
                return;
            }
            let Some(Work(work)) = shared.work else { continue };
            // Counted while the lock is held: `together` takes the work away under it.
            self.inside.fetch_add(1, SeqCst);
            drop(shared);
            let _inside = Inside(self);
            // SAFETY: `together` does not return, and what it borrows lives, while this is inside.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { (*work)() }));
            if done.is_err() {
                self.broken.store(true, SeqCst);
            }
        }
    }

    /// Waits until no helper is inside of a kernel: each is at its last part. One that another program
    /// has put off its processor takes long, and may need the one that this thread is on.
    fn wait_for_those_inside(&self) {
        for _ in 0..LOOKS {
            if self.inside.load(SeqCst) == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let mut shared = self.lock();
        self.is_awaited.store(true, SeqCst);
        while self.inside.load(SeqCst) > 0 {
            shared = self.out.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        self.is_awaited.store(false, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Held for a look and a change that cannot fail.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A helper inside of a kernel, who tells when it is out, after a panic too.
struct Inside<'g>(&'g Gang);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let Inside(gang) = self;
        let before = gang.inside.fetch_sub(1, SeqCst);
        // Who waits says so before the last look at the number, so one of both sees the other.
        if before == 1 && gang.is_awaited.load(SeqCst) {
            drop(gang.lock()); // it is between that look and its sleep, else
            gang.out.notify_all();
        }
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
                self.0.wait_for_those_inside();
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
        let are_asleep = shared.asleep > 0;
        drop(shared);
        if are_asleep {
            self.awake.notify_all();
        }
        work();
        drop(ended);
        assert!(!self.broken.load(SeqCst), "a kernel broke on a thread that helped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_who_runs_sleeps_until_a_helper_that_takes_long_is_out() {
        let gang = Arc::new(Gang::default());
        let caller = std::thread::current().id();
        let (is_inside, is_done) = (AtomicBool::new(false), AtomicBool::new(false));
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        std::thread::scope(|scope| {
            scope.spawn(|| gang.help(|| false));
            scope.spawn(|| {
                while !gang.is_awaited.load(SeqCst) {
                    std::thread::yield_now();
                }
                go.send(()).unwrap();
            });
            gang.during(|| {
                gang.together(&|| {
                    if std::thread::current().id() == caller {
                        while !is_inside.load(SeqCst) {
                            std::thread::yield_now();
                        }
                        return;
                    }
                    is_inside.store(true, SeqCst);
                    wait.lock().unwrap().recv().unwrap();
                    is_done.store(true, SeqCst);
                });
                assert!(is_done.load(SeqCst), "it went on while a helper was inside");
            });
        });
    }
}
