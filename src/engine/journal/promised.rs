//! Inferences that are answered and on their way into the queue: who asks for all that was answered waits for them.

use super::lock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Counts those that are under way, by turns: who waits begins a turn, and need not see a moment at
/// which none at all is under way, which a busy device hardly has.
#[derive(Debug, Default)]
pub(super) struct Promised {
    /// The turn that is open; it changes under the lock below.
    turn: AtomicU64,
    /// How many are under way of the even turns, and of the odd ones; of two turns at most at a time.
    open: [AtomicUsize; 2],
    /// Whether somebody waits: what ends tells so only then.
    waiting: AtomicUsize,
    turning: Mutex<()>,
    ended: Condvar,
}

/// The turn in which one began, by its place in [`Promised::open`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn(usize);

impl Promised {
    /// One more is under way.
    pub(super) fn begin(&self) -> Turn {
        loop {
            let turn = self.now();
            self.open[turn].fetch_add(1, SeqCst);
            // Who began another turn in between may not have seen this one.
            if self.now() == turn {
                return Turn(turn);
            }
            self.end(Turn(turn));
        }
    }

    /// One is where it shall be, or lost.
    pub(super) fn end(&self, Turn(turn): Turn) {
        if self.open[turn].fetch_sub(1, SeqCst) == 1 && 0 < self.waiting.load(SeqCst) {
            drop(lock(&self.turning));
            self.ended.notify_all();
        }
    }

    /// Waits for all that began before; `false` when they take too long.
    pub(super) fn wait(&self, until: Instant) -> bool {
        self.waiting.fetch_add(1, SeqCst);
        let mut turning = lock(&self.turning);
        let first = self.turn.load(SeqCst);
        let is_empty = |turn: u64| self.open[place(turn)].load(SeqCst) == 0;
        let all_ended = loop {
            let turn = self.turn.load(SeqCst);
            if first + 1 < turn || (first < turn && is_empty(first)) {
                break true;
            }
            // The place of the next turn is that of the last: it has to be empty.
            if turn == first && is_empty(first + 1) {
                self.turn.store(first + 1, SeqCst);
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            let waited = self.ended.wait_timeout(turning, left);
            turning = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(turning);
        self.waiting.fetch_sub(1, SeqCst);
        all_ended
    }

    fn now(&self) -> usize {
        place(self.turn.load(SeqCst))
    }
}

fn place(turn: u64) -> usize {
    usize::from(!turn.is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn who_waits_sees_the_end_of_what_began_before_and_of_nothing_else() {
        let promised = Promised::default();
        let before = promised.begin();
        let (waits, is_over) = (AtomicU64::new(0), mpsc::channel());
        thread::scope(|scope| {
            scope.spawn(|| {
                waits.store(1, SeqCst);
                is_over.0.send(promised.wait(Instant::now() + PATIENCE)).unwrap();
            });
            // What begins until the waiter has begun its turn counts for it or not: it ends here.
            while promised.turn.load(SeqCst) == 0 {
                promised.end(promised.begin());
            }
            let after = promised.begin();
            assert!(is_over.1.try_recv().is_err(), "one that began before is under way");
            promised.end(before);
            assert!(is_over.1.recv_timeout(PATIENCE).unwrap(), "{after:?} began later");
            promised.end(after);
        });
        assert!(promised.wait(Instant::now()), "none is under way");
    }

    #[test]
    fn who_waits_for_one_that_does_not_end_is_told_so() {
        let promised = Promised::default();
        let _under_way = promised.begin();
        assert!(!promised.wait(Instant::now() + Duration::from_millis(1)));
    }

    #[test]
    fn many_that_wait_while_many_begin_miss_none() {
        let (promised, done) = (Promised::default(), [const { AtomicU64::new(0) }; 4]);
        thread::scope(|scope| {
            for done in &done {
                let promised = &promised;
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        let turn = promised.begin();
                        done.fetch_add(1, SeqCst);
                        promised.end(turn);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        assert!(promised.wait(Instant::now() + PATIENCE));
                    }
                });
            }
        });
        assert_eq!(done.map(AtomicU64::into_inner), [20_000; 4]);
        assert!(promised.wait(Instant::now()), "all ended, whatever turns were begun");
    }
}
