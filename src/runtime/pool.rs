//! Where models compute: on the caller's own thread, and on threads of the pool for work that comes in parts.

use super::kernels::Gang;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that help with work in several parts, and make plans.
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

/// The compute threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{threads} compute threads could not be started")]
pub struct PoolError {
    threads: usize,
    #[source]
    source: rayon::ThreadPoolBuildError,
}

/// Turns to compute, of which there are as many as CPUs: whoever computes holds one.
///
/// The caller of a run holds one already. The run takes more for the threads that help it, so
/// that callers and helpers together are never more than there are turns.
pub trait Turns: Sync {
    /// Takes one more turn if one is free that nobody waits for.
    fn try_more(&self) -> bool;

    /// Gives back a turn that [`try_more`](Self::try_more) took.
    fn give_back(&self);

    /// Whether somebody waits for a turn: a helper then ends after its part.
    fn are_wanted(&self) -> bool;
}

/// The turns of a caller that has the pool for itself.
#[derive(Debug)]
pub(super) struct AllTurns(AtomicUsize);

impl Turns for AllTurns {
    fn try_more(&self) -> bool {
        self.0.fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1)).is_ok()
    }

    fn give_back(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    fn are_wanted(&self) -> bool {
        false
    }
}

impl Pool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// When the system refuses a thread: fewer would be a silent second best.
    pub fn start(threads: usize) -> Result<Pool, PoolError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map(Pool)
            .map_err(|source| PoolError { threads, source })
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// As many turns as threads, one of them the caller's.
    pub(super) fn all_turns(&self) -> AllTurns {
        AllTurns(AtomicUsize::new(self.0.current_num_threads() - 1))
    }

    /// Calls `task` on a thread of the pool, whose stack is the usual one of the system's
    /// language, and not the small one of a connection.
    pub(super) fn on_large_stack<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        self.0.install(task)
    }

    /// Calls `task` on a thread of the pool, of which there are few: the memory that a large run
    /// takes and gives back stays with its thread, warm for the next. The way there and back takes
    /// longer than a row of a table computes, and a small part of what an image does.
    pub(super) fn on_warm_memory<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        self.0.install(task)
    }

    /// Calls `work` on this thread with helpers on threads of the pool, one for each turn that is to be
    /// had now: they share the kernels of one run among them, and make way for those who wait.
    pub(super) fn with_gang<T>(&self, turns: &dyn Turns, work: impl FnOnce() -> T) -> T {
        let (gang, helpers) = (Arc::new(Gang::default()), AtomicUsize::new(0));
        self.0.in_place_scope(|scope| {
            while helpers.load(SeqCst) + 1 < self.threads() && turns.try_more() {
                let (helper, gang) = (Helper::new(turns, &helpers), gang.clone());
                scope.spawn(move |_| {
                    let helper = helper;
                    gang.help(|| helper.turns.are_wanted());
                });
            }
            gang.during(work)
        })
    }

    /// Calls `work` for each number below `parts`: on this thread, and on a thread of the pool
    /// for each turn that is to be had meanwhile. After an error no further part begins.
    ///
    /// # Errors
    /// That of the first part, in their order, which has one.
    pub(super) fn each<T: Send, E: Send>(
        &self,
        turns: &dyn Turns,
        parts: usize,
        work: impl Fn(usize) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        if parts == 1 {
            return Ok(vec![work(0)?]);
        }
        let shared = Shared {
            parts,
            next: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            done: Mutex::new(Vec::with_capacity(parts)),
            work,
        };
        self.0.in_place_scope(|scope| {
            loop {
                // Turns come free while this goes on, so they are looked for before each part.
                while shared.wants_help() && turns.try_more() {
                    let helper = Helper::new(turns, &shared.helpers);
                    scope.spawn(|_| {
                        let helper = helper;
                        while !helper.turns.are_wanted() && shared.step() {}
                    });
                }
                if !shared.step() {
                    break;
                }
            }
        });
        let mut done = shared.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(part, _)| *part);
        // Parts begin in their order, so the first error among those that ran is the first of all.
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// What the threads of one piece of work have in common.
struct Shared<T, E, W> {
    parts: usize,
    next: AtomicUsize,
    helpers: AtomicUsize,
    failed: AtomicBool,
    done: Mutex<Vec<(usize, Result<T, E>)>>,
    work: W,
}

impl<T, E, W: Fn(usize) -> Result<T, E>> Shared<T, E, W> {
    /// Whether there is a part for one more helper, after one for the caller and each there is.
    fn wants_help(&self) -> bool {
        let left = self.parts.saturating_sub(self.next.load(SeqCst));
        !self.failed.load(SeqCst) && left > 1 + self.helpers.load(SeqCst)
    }

    /// Does the next part; false when there is none to do.
    fn step(&self) -> bool {
        if self.failed.load(SeqCst) {
            return false;
        }
        let part = self.next.fetch_add(1, SeqCst);
        if part >= self.parts {
            return false;
        }
        let result = (self.work)(part);
        if result.is_err() {
            self.failed.store(true, SeqCst);
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((part, result));
        true
    }
}

/// A thread of the pool that helps; gives its turn back however it ends.
struct Helper<'h> {
    turns: &'h dyn Turns,
    helpers: &'h AtomicUsize,
}

impl<'h> Helper<'h> {
    fn new(turns: &'h dyn Turns, helpers: &'h AtomicUsize) -> Helper<'h> {
        helpers.fetch_add(1, SeqCst);
        Helper { turns, helpers }
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.helpers.fetch_sub(1, SeqCst);
        self.turns.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::Crew;
    use super::*;

    /// Counts how many compute at once, and the most that ever did.
    #[derive(Default)]
    struct Crowd(AtomicUsize, AtomicUsize);

    impl Crowd {
        fn counted<T>(&self, work: impl FnOnce() -> T) -> T {
            let now = self.0.fetch_add(1, SeqCst) + 1;
            self.1.fetch_max(now, SeqCst);
            let result = work();
            self.0.fetch_sub(1, SeqCst);
            result
        }
    }

    #[test]
    fn parts_come_back_in_their_order() {
        let pool = Pool::start(3).unwrap();
        let squares = pool.each(&pool.all_turns(), 100, |part| Ok::<_, ()>(part * part));
        assert_eq!(squares, Ok((0..100).map(|part| part * part).collect()));
    }

    #[test]
    fn caller_and_helpers_are_never_more_than_turns() {
        let pool = Pool::start(4).unwrap();
        let (turns, crowd) = (AllTurns(AtomicUsize::new(1)), Crowd::default());
        let parts = pool.each(&turns, 500, |_| {
            crowd.counted(std::thread::yield_now);
            Ok::<_, ()>(())
        });
        assert_eq!(parts.unwrap().len(), 500);
        assert!(crowd.1.load(SeqCst) <= 2, "{} at once", crowd.1.load(SeqCst));
        assert_eq!(turns.0.load(SeqCst), 1, "every turn was given back");
    }

    /// One turn, which somebody waits for as soon as it is taken.
    #[derive(Default)]
    struct Wanted {
        taken: AtomicUsize,
        given: AtomicUsize,
    }

    impl Turns for Wanted {
        fn try_more(&self) -> bool {
            self.taken.fetch_update(SeqCst, SeqCst, |taken| (taken == 0).then_some(1)).is_ok()
        }

        fn give_back(&self) {
            self.given.fetch_add(1, SeqCst);
        }

        fn are_wanted(&self) -> bool {
            self.taken.load(SeqCst) == 1
        }
    }

    #[test]
    fn a_helper_makes_way_for_those_who_wait() {
        let (pool, turns) = (Pool::start(2).unwrap(), Wanted::default());
        let caller = std::thread::current().id();
        let threads = pool.each(&turns, 50, |_| Ok::<_, ()>(std::thread::current().id())).unwrap();
        assert!(threads.iter().all(|thread| *thread == caller));
        assert_eq!(turns.given.load(SeqCst), 1);
    }

    #[test]
    fn a_gang_shares_kernels_and_gives_every_turn_back() {
        let (pool, turns) = (Pool::start(3).unwrap(), AllTurns(AtomicUsize::new(2)));
        let threads = Mutex::new(std::collections::HashSet::new());
        pool.with_gang(&turns, || {
            let gang = Gang::here().unwrap();
            while threads.lock().unwrap().len() < 3 {
                gang.together(&|| {
                    threads.lock().unwrap().insert(std::thread::current().id());
                });
                std::thread::yield_now();
            }
        });
        assert_eq!(turns.0.load(SeqCst), 2);
        assert!(Gang::here().is_none());
    }

    #[test]
    fn the_error_is_that_of_the_first_part_that_has_one() {
        let pool = Pool::start(3).unwrap();
        let failed = pool.each(&pool.all_turns(), 100, |part| match part {
            40.. => Err(part),
            _ => Ok(part),
        });
        assert_eq!(failed, Err(40));
    }

    #[test]
    fn a_panic_in_a_part_gives_every_turn_back() {
        let (pool, turns) = (Pool::start(2).unwrap(), AllTurns(AtomicUsize::new(1)));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.each(&turns, 10, |_| -> Result<(), ()> { panic!("a part breaks") })
        }));
        assert!(panicked.is_err());
        assert_eq!(turns.0.load(SeqCst), 1);
    }
}
