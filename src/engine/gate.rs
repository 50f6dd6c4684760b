//! The gate in front of the compute threads: so many requests compute, so many wait, the rest hear 503.

use super::batch::{BATCH_REQUESTS_MAX, Companions, Fate, Waiting};
use crate::http::server::CONNECTIONS_MAX;
use crate::runtime::{Outcome, Turns};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Requests that wait at most. A burst from every client that the server has a place for is
/// nothing strange, so there is a place here for each of them; bodies have a budget of their own,
/// and the deadline ends what waits too long.
pub(super) const WAITING_REQUESTS_MAX: usize = CONNECTIONS_MAX;

/// How often a waiting request looks whether its client is still there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the first in line is overtaken by requests that come while a turn is free. It sleeps,
/// and on a busy machine takes some slices of the scheduler's to wake up: a turn of microseconds
/// that is kept for it all the while makes everyone wait. So much may be added to the longest
/// waits, which no person notices.
const OVERTAKEN_MAX: Duration = Duration::from_millis(4);

/// A row can be taken along by others if so many wait before it. To copy it for them and to wake
/// them all at one time costs more than it saves in a shorter line: `benches/serve` shows that
/// with 16 and 64 connections it loses, and with 250 it wins.
const BATCHED_LINE_MIN: usize = 64;

/// Lets a bounded number of requests compute at once, in the order in which they came.
#[derive(Debug)]
pub(super) struct Gate {
    running_max: usize,
    waiting_max: usize,
    /// How many wait at least before a row that others can compute.
    batched_line_min: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Turns that are taken: by requests, and by threads that help them.
    running: usize,
    /// Those who wait, the first to come first.
    waiting: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    since: Instant,
    thread: Thread,
    /// Its row, if another request's thread may compute it.
    row: Option<Arc<Waiting>>,
}

/// How a wait ended that could be for a batch.
#[derive(Debug)]
pub(super) enum Entered<'g> {
    /// With a turn, and rows of others that waited, which are to be computed with it.
    Turn(Pass<'g>, Companions),
    /// With what the request that had a turn computed for this one.
    Computed(Outcome),
}

/// The right to compute; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass<'g>(&'g Gate);

/// Why a request does not compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    /// As many wait as may.
    #[error("{waiting} requests wait already: ask again in a moment, or give the engine more CPUs")]
    Full { waiting: usize },
    /// Its turn did not come in time.
    #[error("no compute thread was free in time: ask again, or give the engine more CPUs")]
    Waited,
    /// The memory would hardly do.
    #[error(
        "the request takes some {} MiB of memory, and {} MiB are free: send fewer rows at once, ask again, \
         or give the engine more memory",
        wanted_bytes >> 20,
        free_bytes >> 20
    )]
    NoRoom { wanted_bytes: u64, free_bytes: u64 },
    /// Nobody is there to hear the answer.
    #[error("the client left while its request waited")]
    ClientLeft,
}

/// How full the gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Threads that compute.
    pub(super) running: usize,
    pub(super) waiting: usize,
}

impl Gate {
    /// A gate that lets `running_max` requests compute at once.
    pub(super) fn new(running_max: usize) -> Gate {
        let (waiting_max, batched_line_min) = (WAITING_REQUESTS_MAX, BATCHED_LINE_MIN);
        Gate { running_max, waiting_max, batched_line_min, state: Mutex::default() }
    }

    /// Waits for a turn, after which the caller may compute on its thread; `client_left` is asked
    /// now and then while it waits. If it has to wait in a long line, `row` is what those can take
    /// along who get a turn before.
    ///
    /// # Errors
    /// When the gate is full, the turn does not come by `deadline`, or the client has left.
    pub(super) fn enter_with(
        &self,
        deadline: Instant,
        client_left: &mut dyn FnMut() -> bool,
        row: impl FnOnce() -> Option<Arc<Waiting>>,
    ) -> Result<Entered<'_>, Busy> {
        let mut state = self.lock();
        if state.running < self.running_max && state.lets_overtake() {
            state.running += 1;
            return Ok(Entered::Turn(Pass(self), Companions::new(Vec::new())));
        }
        if self.waiting_max <= state.waiting.len() {
            return Err(Busy::Full { waiting: state.waiting.len() });
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let is_long = self.batched_line_min <= state.waiting.len();
        let row = if is_long { row() } else { None };
        let (since, thread) = (Instant::now(), thread::current());
        state.waiting.push_back(Waiter { ticket, since, thread, row: row.clone() });
        drop(state);
        let mut row = row;
        loop {
            if let Some(entered) =
                self.wait(ticket, since, deadline, client_left, row.as_deref())?
            {
                return Ok(entered);
            }
            // Together it failed: now it goes first, and alone.
            row = None;
            let thread = thread::current();
            self.lock().waiting.push_front(Waiter { ticket, since, thread, row: None });
        }
    }

    /// Waits for the end of the wait; `None` when its row was taken along and has to go alone.
    fn wait(
        &self,
        ticket: u64,
        since: Instant,
        deadline: Instant,
        client_left: &mut dyn FnMut() -> bool,
        row: Option<&Waiting>,
    ) -> Result<Option<Entered<'_>>, Busy> {
        let mut look_at = since + LOOK_EVERY;
        loop {
            match row.map(Waiting::take_fate) {
                Some(Fate::Computed(outcome)) => return Ok(Some(Entered::Computed(outcome))),
                Some(Fate::Alone) => return Ok(None),
                Some(Fate::Open) | None => {}
            }
            let now = Instant::now();
            let refused = if deadline <= now {
                Some(Busy::Waited)
            } else if look_at <= now {
                look_at = now + LOOK_EVERY;
                client_left().then_some(Busy::ClientLeft)
            } else {
                None
            };
            let mut state = self.lock();
            let is_first = state.waiting.front().is_some_and(|first| first.ticket == ticket);
            let has_turn = is_first && state.running < self.running_max && refused.is_none();
            let mut companions = Vec::new();
            if has_turn {
                state.waiting.pop_front();
                state.running += 1;
                companions = row.map(|row| state.companions(row)).unwrap_or_default();
            } else if refused.is_some() {
                state.waiting.retain(|waiter| waiter.ticket != ticket);
            }
            match refused {
                // The next in line may find a turn too, and the wake-up may have been meant for it.
                None if has_turn => {
                    self.wake_first(state);
                    let companions = Companions::new(companions);
                    return Ok(Some(Entered::Turn(Pass(self), companions)));
                }
                None => drop(state),
                Some(busy) => {
                    self.wake_first(state);
                    return Err(busy);
                }
            }
            thread::park_timeout(deadline.min(look_at).saturating_duration_since(now));
        }
    }

    /// How full it is now.
    pub(super) fn load(&self) -> Load {
        let state = self.lock();
        Load { running: state.running, waiting: state.waiting.len() }
    }

    /// Wakes the first in line if there is a turn for it.
    fn wake_first(&self, state: MutexGuard<'_, State>) {
        let free = state.running < self.running_max;
        let first = state.waiting.front().filter(|_| free).map(|waiter| waiter.thread.clone());
        drop(state); // what is woken wants the lock
        if let Some(thread) = first {
            thread.unpark();
        }
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.running -= 1;
        self.wake_first(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and counts stay right if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes those out of the line whose rows can be computed with this one.
    fn companions(&mut self, row: &Waiting) -> Vec<Arc<Waiting>> {
        let mut companions = Vec::new();
        self.waiting.retain(|waiter| {
            let fits = waiter.row.as_ref().filter(|other| other.fits(row));
            let joins = companions.len() + 1 < BATCH_REQUESTS_MAX;
            let joining = fits.filter(|_| joins);
            companions.extend(joining.cloned());
            joining.is_none()
        });
        companions
    }

    /// Whether nobody waits, or nobody for so long that it would be wronged.
    fn lets_overtake(&self) -> bool {
        self.waiting.front().is_none_or(|first| first.since.elapsed() < OVERTAKEN_MAX)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The turns of those who help the request that has the pass: they count like passes.
impl Turns for Pass<'_> {
    fn try_more(&self) -> bool {
        let mut state = self.0.lock();
        let may = state.running < self.0.running_max && state.waiting.is_empty();
        state.running += usize::from(may);
        may
    }

    fn give_back(&self) {
        self.0.leave();
    }

    fn are_wanted(&self) -> bool {
        !self.0.lock().waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Gate {
        /// A gate with one turn, where rows compute together that come when so many wait.
        pub(in crate::engine) fn batching_from(batched_line_min: usize) -> Gate {
            Gate { batched_line_min, ..Gate::new(1) }
        }

        /// For those who compute nothing, or bring nothing that others could compute.
        pub(in crate::engine) fn enter(
            &self,
            deadline: Instant,
            client_left: &mut dyn FnMut() -> bool,
        ) -> Result<Pass<'_>, Busy> {
            match self.enter_with(deadline, client_left, || None)? {
                Entered::Turn(pass, _nobody) => Ok(pass),
                Entered::Computed(outcome) => panic!("computed by another: {outcome:?}"),
            }
        }
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn stays() -> bool {
        false
    }

    #[test]
    fn a_full_gate_refuses_at_once() {
        let gate = Gate { running_max: 1, waiting_max: 0, ..Gate::new(1) };
        let _pass = gate.enter(far(), &mut stays).unwrap();
        assert_eq!(gate.enter(far(), &mut stays).unwrap_err(), Busy::Full { waiting: 0 });
    }

    #[test]
    fn a_pass_that_is_dropped_lets_the_next_in() {
        let gate = Gate::new(1);
        let pass = gate.enter(far(), &mut stays).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(far(), &mut stays).map(drop));
            while gate.load().waiting == 0 {
                thread::yield_now();
            }
            drop(pass);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }

    #[test]
    fn a_turn_that_does_not_come_in_time_is_given_up() {
        let gate = Gate::new(1);
        let _pass = gate.enter(far(), &mut stays).unwrap();
        assert_eq!(gate.enter(Instant::now(), &mut stays).unwrap_err(), Busy::Waited);
        assert_eq!(gate.load().waiting, 0);
    }

    #[test]
    fn a_client_that_left_frees_its_place() {
        let gate = Gate::new(1);
        let _pass = gate.enter(far(), &mut stays).unwrap();
        assert_eq!(gate.enter(far(), &mut || true).unwrap_err(), Busy::ClientLeft);
        assert_eq!(gate.load().waiting, 0);
    }

    #[test]
    fn turns_come_in_the_order_of_arrival() {
        let gate = Gate::new(1);
        let order = Mutex::new(Vec::new());
        let pass = gate.enter(far(), &mut stays).unwrap();
        thread::scope(|scope| {
            for number in 0..8 {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _pass = gate.enter(far(), &mut stays).unwrap();
                    order.lock().unwrap().push(number);
                });
                while gate.load().waiting <= number {
                    thread::yield_now();
                }
            }
            drop(pass);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn helpers_count_like_passes_and_come_after_those_who_wait() {
        let gate = Gate::new(2);
        let pass = gate.enter(far(), &mut stays).unwrap();
        assert!(pass.try_more());
        assert!(!pass.try_more(), "both turns are taken");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(far(), &mut stays).map(drop));
            while gate.load().waiting == 0 {
                thread::yield_now();
            }
            assert!(pass.are_wanted());
            pass.give_back();
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        drop(pass);
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }

    #[test]
    fn one_who_has_waited_is_not_overtaken() {
        let gate = Gate::new(1);
        let long_ago = Instant::now().checked_sub(OVERTAKEN_MAX).unwrap();
        let waiter =
            |since| Waiter { ticket: u64::MAX, since, thread: thread::current(), row: None };
        gate.lock().waiting.push_back(waiter(long_ago));
        assert_eq!(gate.enter(Instant::now(), &mut stays).unwrap_err(), Busy::Waited);
        gate.lock().waiting[0].since = far();
        assert!(gate.enter(Instant::now(), &mut stays).is_ok());
    }

    /// However it is done, no more than `running_max` compute, and all come to their turn.
    #[test]
    fn a_crowd_never_computes_in_more_turns_than_there_are() {
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        let gate = Gate::new(2);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _pass = gate.enter(far(), &mut stays).unwrap();
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 2);
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }
}
