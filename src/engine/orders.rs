//! Orders: what the ops center wants to run here, from the link to the thread that does it, and back how it goes.

use super::updates::Wish;
use crate::fleet::{Assignment, AssignmentReport, AssignmentState};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What the link and the thread of updates share.
pub(super) struct Orders {
    desk: Mutex<Desk>,
    bell: Sender<Wish>,
    /// Told whenever it goes on.
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Debug)]
struct Desk {
    /// The newest one that is not at its end.
    wanted: Option<Assignment>,
    /// How the newest one goes or went.
    report: Option<AssignmentReport>,
}

impl Orders {
    /// Nothing is wanted yet; `last` is how the newest one stood when the engine ended.
    pub(super) fn new(bell: Sender<Wish>, last: Option<AssignmentReport>) -> Orders {
        // One that was not yet switched to is begun anew when it is wanted again.
        let report = last.filter(|it| it.state.is_ended() || it.state == AssignmentState::Watching);
        let desk = Mutex::new(Desk { wanted: None, report });
        Orders { desk, bell, listener: OnceLock::new() }
    }

    /// From now on `listener` is told whenever an assignment goes on; the first one stays.
    pub(super) fn listen(&self, listener: Box<dyn Fn() + Send + Sync>) {
        let _ = self.listener.set(listener);
    }

    /// The ops center wants this. The newest counts, and what goes on or has ended is not begun again.
    pub(super) fn want(&self, assignment: Assignment) {
        let mut desk = self.desk();
        if desk.report.as_ref().is_some_and(|it| it.id == assignment.id) {
            return;
        }
        let (id, state) = (assignment.id.clone(), AssignmentState::Received);
        desk.report = Some(AssignmentReport { id, state, reason: None });
        desk.wanted = Some(assignment);
        drop(desk);
        // Without that thread nothing is switched any more, which it has said in the log.
        let _ = self.bell.send(Wish::Assigned);
    }

    /// How the newest one goes or went.
    pub(super) fn report(&self) -> Option<AssignmentReport> {
        self.desk().report.clone()
    }

    /// What is wanted now.
    pub(super) fn wanted(&self) -> Option<Assignment> {
        self.desk().wanted.clone()
    }

    /// Whether nothing newer is wanted.
    pub(super) fn is_newest(&self, id: &str) -> bool {
        self.desk().report.as_ref().is_some_and(|it| it.id == id)
    }

    /// The assignment of that id is so far; one that is not the newest any more is told nothing of.
    pub(super) fn tell(&self, id: &str, state: AssignmentState, reason: Option<&str>) {
        let mut desk = self.desk();
        if let Some(report) = desk.report.as_mut().filter(|it| it.id == id) {
            report.state = state;
            report.reason = reason.map(str::to_owned);
        }
        let is_done = state.is_ended() || state == AssignmentState::Watching;
        if is_done && desk.wanted.as_ref().is_some_and(|it| it.id == id) {
            desk.wanted = None;
        }
        drop(desk);
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Watch;
    use std::sync::mpsc::channel;

    fn assignment(id: &str) -> Assignment {
        let watch = Watch {
            requests: 1,
            seconds_max: 1,
            failed_share_max: 0.0,
            nan_share_max: 0.0,
            check_share_max: None,
        };
        let (id, pipeline_url) = (id.to_owned(), "registry/new:1".to_owned());
        Assignment { id, pipeline_url, publish_id: 2, replaces: None, watch }
    }

    #[test]
    fn an_assignment_is_begun_once_and_the_newest_counts() {
        let (bell, rings) = channel();
        let orders = Orders::new(bell, None);
        orders.want(assignment("a"));
        orders.want(assignment("a"));
        assert_eq!(rings.try_iter().count(), 1);
        orders.want(assignment("b"));
        assert_eq!(orders.wanted().unwrap().id, "b");
        orders.tell("a", AssignmentState::Settled, None);
        assert_eq!(orders.report().unwrap().state, AssignmentState::Received);
        orders.tell("b", AssignmentState::Failed, Some("no"));
        assert_eq!(orders.wanted(), None);
        orders.want(assignment("b"));
        assert_eq!(orders.report().unwrap().reason.as_deref(), Some("no"));
    }

    #[test]
    fn what_a_kill_cut_off_is_begun_again_and_what_ended_is_not() {
        for (state, is_begun) in [
            (AssignmentState::Proving, true),
            (AssignmentState::Watching, false),
            (AssignmentState::Failed, false),
        ] {
            let (bell, _rings) = channel();
            let last = AssignmentReport { id: "a".to_owned(), state, reason: None };
            let orders = Orders::new(bell, Some(last));
            orders.want(assignment("a"));
            assert_eq!(orders.wanted().is_some(), is_begun, "{state:?}");
        }
    }
}
