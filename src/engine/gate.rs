//! The gate in front of the compute threads: so many requests compute, so many wait, the rest hear 503.

use crate::http::server::CONNECTIONS_MAX;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that wait at most. A burst from every client that the server has a place for is
/// nothing strange, so there is a place here for each of them; bodies have a budget of their own,
/// and the deadline ends what waits too long.
pub(super) const WAITING_REQUESTS_MAX: usize = CONNECTIONS_MAX;

/// How often a waiting request looks whether its client is still there.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Lets a bounded number of requests compute at once, in the order in which they came.
#[derive(Debug)]
pub(super) struct Gate {
    running_max: usize,
    waiting_max: usize,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Tickets of those who wait, the first to come first.
    waiting: VecDeque<u64>,
    next_ticket: u64,
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
    /// Nobody is there to hear the answer.
    #[error("the client left while its request waited")]
    ClientLeft,
}

/// How full the gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) running: usize,
    pub(super) waiting: usize,
}

impl Gate {
    /// A gate that lets `running_max` requests compute at once.
    pub(super) fn new(running_max: usize) -> Gate {
        let waiting_max = WAITING_REQUESTS_MAX;
        Gate { running_max, waiting_max, state: Mutex::default(), turn: Condvar::new() }
    }

    /// Waits for a turn; `client_left` is asked now and then while it does.
    ///
    /// # Errors
    /// When the gate is full, the turn does not come by `deadline`, or the client has left.
    pub(super) fn enter(
        &self,
        deadline: Instant,
        client_left: &mut dyn FnMut() -> bool,
    ) -> Result<Pass<'_>, Busy> {
        let mut state = self.lock();
        if state.running < self.running_max && state.waiting.is_empty() {
            state.running += 1;
            return Ok(Pass(self));
        }
        if self.waiting_max <= state.waiting.len() {
            return Err(Busy::Full { waiting: state.waiting.len() });
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            if state.running < self.running_max && state.waiting.front() == Some(&ticket) {
                state.waiting.pop_front();
                state.running += 1;
                // The next in line may find a place too, and its wake-up may have been ours.
                self.turn.notify_all();
                return Ok(Pass(self));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let refused = if left.is_zero() {
                Some(Busy::Waited)
            } else {
                client_left().then_some(Busy::ClientLeft)
            };
            if let Some(busy) = refused {
                state.waiting.retain(|other| *other != ticket);
                self.turn.notify_all();
                return Err(busy);
            }
            let waited = self.turn.wait_timeout(state, left.min(LOOK_EVERY));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How full it is now.
    pub(super) fn load(&self) -> Load {
        let state = self.lock();
        Load { running: state.running, waiting: state.waiting.len() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and counts stay right if something did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.turn.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(far(), &mut stays).map(drop));
            while gate.load().waiting == 0 {
                std::thread::yield_now();
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
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _pass = gate.enter(far(), &mut stays).unwrap();
                    order.lock().unwrap().push(number);
                });
                while gate.load().waiting <= number {
                    std::thread::yield_now();
                }
            }
            drop(pass);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
