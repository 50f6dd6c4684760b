//! What the ops center had this device run: which publish instead of its own, how that stands, and the way back.

use super::state::{Kept, State};
use crate::engine::watch::Rates;
use crate::fleet::{Assignment, AssignmentReport, AssignmentState};
use serde::{Deserialize, Serialize};

/// How often an assignment may end the engine, while it is loaded or while it is watched: once and
/// twice may be a power cut, three times is the pipeline.
const TRIES_MAX: u32 = 3;

/// The longest reason that is kept, in characters; it goes into every report.
const REASON_CHARS_MAX: usize = 500;

/// A publish that runs here instead of the one that a person on the device asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Followed {
    /// Where it is.
    pub(in crate::engine) url: String,
    /// `PIPELINE_URL` when it was assigned: another one is a person's word, and wins.
    pub(in crate::engine) instead_of: String,
}

/// The newest assignment, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::engine) struct Assigned {
    pub(in crate::engine) assignment: Assignment,
    state: AssignmentState,
    /// Why it ended so, where it did not end well.
    reason: Option<String>,
    /// `PIPELINE_URL` meanwhile.
    instead_of: String,
    /// How often its loading was begun, then how often the engine was started while it is watched.
    tries: u32,
    /// The way back, while it is watched.
    before: Option<Before>,
    /// What the pipeline before it came to, which is held against this one.
    pub(in crate::engine) usual: Rates,
}

/// What answered before an assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Before {
    /// The pipeline; `None` where its files are not in the store.
    pub(in crate::engine) kept: Option<Kept>,
    /// Where it was from, if not from `PIPELINE_URL`.
    pub(in crate::engine) followed: Option<Followed>,
}

impl State {
    /// An assignment is about to be loaded. It fails here when that ended the engine too often.
    pub(super) fn attempt(&mut self, assignment: &Assignment, home: &str) {
        let tries = match &self.assigned {
            Some(it) if it.assignment.id == assignment.id => it.tries.saturating_add(1),
            Some(_) | None => 1,
        };
        let assigned = Assigned::new(assignment, AssignmentState::Proving, home, tries);
        let assigned = Assigned { before: self.way_back(), ..assigned };
        self.assigned = Some(match tries {
            ..=TRIES_MAX => assigned,
            _ => assigned.failed(&format!("the engine ended {TRIES_MAX} times while it loaded it")),
        });
    }

    /// The pipeline of an assignment answers from now on; `live` did until now. The way back leads to
    /// what was not on trial itself.
    pub(super) fn switch(
        &mut self,
        kept: Kept,
        live: Option<Kept>,
        assignment: &Assignment,
        home: &str,
        usual: Rates,
    ) {
        let live = Before { kept: live, followed: self.followed.take() };
        let before = self.way_back().unwrap_or(live);
        self.follow(&kept.url, home);
        self.adopt(kept);
        let before = Some(before);
        let assigned = Assigned::new(assignment, AssignmentState::Watching, home, 0);
        self.assigned = Some(Assigned { before, usual, ..assigned });
    }

    /// An assignment is of the pipeline that answers already.
    pub(super) fn unchanged(&mut self, kept: Kept, assignment: &Assignment, home: &str) {
        self.follow(&kept.url, home);
        self.adopt(kept);
        self.assigned = Some(Assigned::new(assignment, AssignmentState::Settled, home, 0));
    }

    /// An assignment came to nothing.
    pub(super) fn fail(&mut self, assignment: &Assignment, home: &str, reason: &str) {
        let assigned = Assigned::new(assignment, AssignmentState::Failed, home, 0).failed(reason);
        self.assigned = Some(Assigned { before: self.way_back(), ..assigned });
    }

    /// What is watched has shown that it works.
    pub(super) fn settle(&mut self) {
        if let Some(assigned) = &mut self.assigned {
            assigned.state = AssignmentState::Settled;
            assigned.before = None;
        }
    }

    /// What was before an assignment answers again.
    pub(super) fn revert(&mut self, reason: &str) {
        let Some(assigned) = &mut self.assigned else { return };
        let Some(Before { kept, followed }) = assigned.before.take() else { return };
        assigned.state = AssignmentState::Reverted;
        assigned.reason = Some(shortened(reason));
        self.followed = followed;
        match kept {
            Some(kept) => self.adopt(kept),
            None => self.current = None,
        }
    }

    /// An engine starts with this `PIPELINE_URL`: a person's word since ends what was assigned
    /// before, and what is watched may not end the engine again and again.
    pub(super) fn started(&mut self, home: &str) {
        if self.followed.as_ref().is_some_and(|it| it.instead_of != home) {
            self.followed = None;
        }
        let Some(assigned) = self.assigned.as_mut().filter(|it| it.before.is_some()) else {
            return;
        };
        if assigned.state.is_ended() {
            assigned.before = None;
            return;
        }
        if assigned.instead_of != home {
            assigned.before = None;
            assigned.state = AssignmentState::Reverted;
            assigned.reason =
                Some("PIPELINE_URL was set to another pipeline on the device".to_owned());
            return;
        }
        assigned.tries = assigned.tries.saturating_add(1);
        if assigned.tries > TRIES_MAX {
            self.revert(&format!("the engine ended {TRIES_MAX} times while it was watched"));
        }
    }

    fn way_back(&self) -> Option<Before> {
        self.assigned.as_ref()?.before.clone()
    }

    fn follow(&mut self, url: &str, home: &str) {
        self.followed =
            (url != home).then(|| Followed { url: url.to_owned(), instead_of: home.to_owned() });
    }
}

impl Assigned {
    fn new(assignment: &Assignment, state: AssignmentState, home: &str, tries: u32) -> Assigned {
        Assigned {
            assignment: assignment.clone(),
            state,
            reason: None,
            instead_of: home.to_owned(),
            tries,
            before: None,
            usual: Rates::default(),
        }
    }

    fn failed(self, reason: &str) -> Assigned {
        let reason = Some(shortened(reason));
        Assigned { state: AssignmentState::Failed, reason, ..self }
    }

    /// As the ops center is told.
    pub(in crate::engine) fn report(&self) -> AssignmentReport {
        let (id, reason) = (self.assignment.id.clone(), self.reason.clone());
        AssignmentReport { id, state: self.state, reason }
    }

    /// Whether it answers and is watched.
    pub(in crate::engine) fn is_watched(&self) -> bool {
        self.state == AssignmentState::Watching
    }

    /// What answered before, while this is watched.
    pub(in crate::engine) fn before(&self) -> Option<&Before> {
        self.before.as_ref()
    }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Watch;
    use crate::oci::Digest;

    const HOME: &str = "registry/home:1";

    fn kept(text: &str) -> Kept {
        let url = format!("registry/{text}:1");
        Kept { digest: Digest::of(text.as_bytes()), url, since: "then".to_owned() }
    }

    fn assignment(id: &str) -> Assignment {
        let (id, pipeline_url) = (id.to_owned(), "registry/new:1".to_owned());
        let watch = Watch {
            requests: 9,
            seconds_max: 9,
            failed_share_max: 0.0,
            nan_share_max: 0.0,
            check_share_max: None,
        };
        Assignment { id, pipeline_url, publish_id: 2, replaces: Some(1), watch }
    }

    fn switched() -> State {
        let mut state = State::default();
        state.adopt(kept("home"));
        let live = state.current.clone();
        state.attempt(&assignment("a"), HOME);
        state.switch(kept("new"), live, &assignment("a"), HOME, Rates::default());
        state
    }

    /// How the assignment of a state stands.
    fn standing(state: &State) -> AssignmentState {
        state.assigned.as_ref().unwrap().state
    }

    #[test]
    fn what_is_watched_is_followed_and_knows_the_way_back() {
        let mut state = switched();
        assert_eq!(state.current, Some(kept("new")));
        assert_eq!(state.previous, Some(kept("home")));
        let followed = state.followed.clone().unwrap();
        assert_eq!((followed.url.as_str(), followed.instead_of.as_str()), ("registry/new:1", HOME));
        state.revert("it is not well");
        assert_eq!(state.current, Some(kept("home")));
        assert_eq!(state.followed, None);
        let report = state.assigned.as_ref().unwrap().report();
        assert_eq!(report.state, AssignmentState::Reverted);
        assert_eq!(report.reason.as_deref(), Some("it is not well"));
        let reverted = state.clone();
        state.revert("once more");
        assert_eq!(state, reverted, "there is one way back");
    }

    #[test]
    fn what_settled_has_no_way_back() {
        let mut state = switched();
        state.settle();
        state.revert("too late");
        assert_eq!(state.current, Some(kept("new")));
        assert_eq!(standing(&state), AssignmentState::Settled);
    }

    #[test]
    fn an_assignment_that_ends_the_engine_while_it_is_loaded_fails() {
        let mut state = State::default();
        for _ in 0..TRIES_MAX {
            state.attempt(&assignment("a"), HOME);
            assert_eq!(standing(&state), AssignmentState::Proving);
        }
        state.attempt(&assignment("a"), HOME);
        let report = state.assigned.as_ref().unwrap().report();
        assert_eq!(report.state, AssignmentState::Failed);
        assert!(report.reason.unwrap().contains("ended 3 times"));
        state.attempt(&assignment("b"), HOME);
        assert_eq!(standing(&state), AssignmentState::Proving, "another one begins anew");
    }

    #[test]
    fn what_ends_the_engine_while_it_is_watched_is_taken_back() {
        let mut state = switched();
        for _ in 0..TRIES_MAX {
            state.started(HOME);
            assert_eq!(standing(&state), AssignmentState::Watching);
        }
        state.started(HOME);
        assert_eq!(state.current, Some(kept("home")));
        assert_eq!(standing(&state), AssignmentState::Reverted);
    }

    #[test]
    fn another_url_of_a_person_wins() {
        let mut state = switched();
        state.settle();
        state.started(HOME);
        assert!(state.followed.is_some(), "the same one changes nothing");
        state.started("registry/another:1");
        assert_eq!(state.followed, None);

        let mut state = switched();
        state.started("registry/another:1");
        assert_eq!(state.followed, None);
        assert_eq!(standing(&state), AssignmentState::Reverted);
    }

    #[test]
    fn an_assignment_of_what_a_person_asked_for_leads_home() {
        let mut state = switched();
        state.settle();
        let home = Assignment { pipeline_url: HOME.to_owned(), ..assignment("b") };
        let live = state.current.clone();
        state.switch(kept("home"), live, &home, HOME, Rates::default());
        assert_eq!(state.followed, None);
        state.revert("no");
        assert_eq!(state.followed.unwrap().url, "registry/new:1");
    }
}
