//! How an edge fares, told from when it joined and was last seen.

use crate::ops::store::Edge;

/// An edge that is not heard of for so long has lost its session, as the contract says: 7 days.
const SESSION_LIFE_MS: i64 = 7 * 24 * 3600 * 1000;

/// How an edge fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum State {
    /// It has a bundle that was not used yet.
    Waiting,
    /// Its bundle was not used in time: it has to be removed and added again.
    Expired,
    /// It joined, and its session holds.
    Joined,
    /// It joined and was not heard of for longer than a session holds.
    Lost,
}

/// Each state with its name in requests and answers.
const NAMES: [(State, &str); 4] = [
    (State::Waiting, "waiting"),
    (State::Expired, "expired"),
    (State::Joined, "joined"),
    (State::Lost, "lost"),
];

impl State {
    /// The state of that name.
    pub(in crate::ops) fn of_name(name: &str) -> Option<State> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// All names, for a sentence.
    pub(in crate::ops) fn names() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }

    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Expired => "expired",
            State::Joined => "joined",
            State::Lost => "lost",
        }
    }

    /// How an edge fares at that time.
    pub(in crate::ops) fn of(edge: &Edge, now_ms: i64) -> State {
        let heard = edge.seen_ms.max(edge.joined_ms);
        match (heard, edge.token_expires_ms) {
            (Some(heard), _) if heard.saturating_add(SESSION_LIFE_MS) > now_ms => State::Joined,
            (Some(_), _) => State::Lost,
            (None, Some(expires)) if expires > now_ms => State::Waiting,
            (None, _) => State::Expired,
        }
    }
}
