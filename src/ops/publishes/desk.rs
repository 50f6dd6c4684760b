//! The desk of the publish worker: where it is told of work, how far it is, and when to stop.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// What the worker and those who ask for publishes share.
#[derive(Debug, Default)]
pub(in crate::ops) struct Desk {
    state: Mutex<State>,
    bell: Condvar,
    /// Held while a publish is pushed: what it has stored is not named before its end.
    pushing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    is_rung: bool,
    is_stopping: bool,
    work: Option<Progress>,
}

/// How far the publish is that is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Progress {
    /// The publish.
    pub id: i64,
    /// Bytes that are where they belong.
    pub bytes_done: i64,
    /// Bytes in all.
    pub bytes_total: i64,
}

impl Desk {
    /// Tells the worker that there is something to do.
    pub(in crate::ops) fn ring(&self) {
        self.state().is_rung = true;
        self.bell.notify_all();
    }

    /// Tells the worker to stop after the bytes that are on their way.
    pub(in crate::ops) fn stop(&self) {
        self.state().is_stopping = true;
        self.bell.notify_all();
    }

    /// How far the publish is, if it is the one that is worked on.
    pub(in crate::ops) fn progress(&self, id: i64) -> Option<Progress> {
        self.state().work.filter(|work| work.id == id)
    }

    /// Keeps the worker from pushing; nothing while it does.
    pub(in crate::ops) fn idle(&self) -> Option<MutexGuard<'_, ()>> {
        match self.pushing.try_lock() {
            Ok(idle) => Some(idle),
            Err(TryLockError::Poisoned(idle)) => Some(idle.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until the worker may push.
    pub(super) fn pushing(&self) -> MutexGuard<'_, ()> {
        self.pushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state().is_stopping
    }

    /// Waits until the bell rings, the worker is to stop, or that much time is over.
    pub(super) fn wait(&self, time: Duration) {
        let quiet = |state: &mut State| !state.is_rung && !state.is_stopping;
        let waited = self.bell.wait_timeout_while(self.state(), time, quiet);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_rung = false;
    }

    pub(super) fn begin(&self, id: i64, bytes_total: u64) {
        let bytes_total = i64::try_from(bytes_total).unwrap_or(i64::MAX);
        self.state().work = Some(Progress { id, bytes_done: 0, bytes_total });
    }

    pub(super) fn end(&self) {
        self.state().work = None;
    }

    /// Counts bytes; refuses to go on when the worker is to stop.
    pub(super) fn moved(&self, bytes: i64) -> io::Result<()> {
        let mut state = self.state();
        if state.is_stopping {
            return Err(io::Error::other("the ops center stops"));
        }
        if let Some(work) = &mut state.work {
            work.bytes_done = work.bytes_done.saturating_add(bytes).clamp(0, work.bytes_total);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let desk = Desk::default();
        desk.ring();
        desk.wait(Duration::MAX);
    }

    #[test]
    fn a_worker_that_waits_is_stopped() {
        let desk = Arc::new(Desk::default());
        let waiting = std::thread::spawn({
            let desk = Arc::clone(&desk);
            move || {
                while !desk.is_stopping() {
                    desk.wait(Duration::MAX);
                }
            }
        });
        desk.stop();
        waiting.join().unwrap();
        assert!(desk.moved(1).is_err(), "what is on its way ends");
    }

    #[test]
    fn progress_is_that_of_the_publish_that_is_worked_on() {
        let desk = Desk::default();
        desk.begin(7, 100);
        desk.moved(60).unwrap();
        desk.moved(-10).unwrap();
        assert_eq!(desk.progress(7), Some(Progress { id: 7, bytes_done: 50, bytes_total: 100 }));
        assert_eq!(desk.progress(8), None);
        desk.end();
        assert_eq!(desk.progress(7), None);
    }
}
