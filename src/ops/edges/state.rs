//! How an edge fares, and why: told from its bundle, its session, and when it was last heard of.

use crate::fleet::SESSION_LIFE_MS;
use crate::ops::store::{Between, Edge, Fares};

/// How long after a copy has spoken an edge is shown as copied: a day, so that it is seen.
const COPY_SHOWN_MS: i64 = 24 * 3600 * 1000;

/// How an edge fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum State {
    /// It has a bundle that was not used yet.
    Waiting,
    /// Its bundle was not used in time: it has to be removed and added again.
    Expired,
    /// It joined, and it reports.
    Joined,
    /// It reports, and a copy of its persistent directory spoke lately or is what reports.
    Copied,
    /// Its engine was stopped in good order.
    Stopped,
    /// It does not report, and nobody has stopped it as far as is known.
    Vanished,
    /// It joined and was not heard of for longer than a session holds.
    Lost,
}

/// Each state with its name in requests and answers, and what it means.
const NAMES: [(State, &str, &str); 7] = [
    (State::Waiting, "waiting", "its bundle was not used yet"),
    (
        State::Expired,
        "expired",
        "its bundle was not used within 24 hours: remove the edge and add it again",
    ),
    (State::Joined, "joined", "it reports"),
    (
        State::Copied,
        "copied",
        "another device spoke with a copy of its persistent directory, or goes on with it: the one that joined \
         goes on whenever it reports; to keep the other, remove the edge and add it again",
    ),
    (State::Stopped, "stopped", "its engine was stopped in good order"),
    (
        State::Vanished,
        "vanished",
        "it does not report any more: it lost its power or its network, or it crashed",
    ),
    (
        State::Lost,
        "lost",
        "it was not heard of for more than 7 days and its session has ended: remove the edge and add it \
         again",
    ),
];

impl State {
    /// The state of that name.
    pub(in crate::ops) fn of_name(name: &str) -> Option<State> {
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(state, ..)| *state)
    }

    /// All names, for a sentence.
    pub(in crate::ops) fn names() -> String {
        NAMES.map(|(_, name, _)| name).join(", ")
    }

    fn told(self) -> (&'static str, &'static str) {
        let found = NAMES.iter().find(|(state, ..)| *state == self);
        found.map_or(("waiting", ""), |(_, name, reason)| (name, reason))
    }

    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        self.told().0
    }

    /// What it means, a sentence for people.
    pub(in crate::ops) fn reason(self) -> &'static str {
        self.told().1
    }

    /// How an edge fares at that time, where one that is silent for so long counts as gone.
    pub(in crate::ops) fn of<T>(edge: &Edge<T>, now_ms: i64, gone_after_ms: i64) -> State {
        let Some(faring) = &edge.faring else {
            return match edge.token_expires_ms {
                Some(expires) if expires > now_ms => State::Waiting,
                Some(_) | None => State::Expired,
            };
        };
        let silent_ms = now_ms.saturating_sub(faring.seen_ms);
        let is_copied =
            faring.copied_ms.is_some_and(|at| now_ms.saturating_sub(at) < COPY_SHOWN_MS)
                || faring.is_elsewhere;
        if silent_ms.unsigned_abs() >= SESSION_LIFE_MS && silent_ms > 0 {
            State::Lost
        } else if faring.has_left {
            State::Stopped
        } else if silent_ms >= gone_after_ms {
            State::Vanished
        } else if is_copied {
            State::Copied
        } else {
            State::Joined
        }
    }

    /// The same as bounds by which the records are searched.
    pub(in crate::ops) fn fares(self, now_ms: i64, gone_after_ms: i64) -> Fares {
        let lost_ms = now_ms.saturating_sub_unsigned(SESSION_LIFE_MS);
        let gone_ms = now_ms.saturating_sub(gone_after_ms);
        let later = |after_ms| Between { after_ms, ..Between::ANY };
        let until = |until_ms| Between { until_ms, ..Between::ANY };
        let reports = later(lost_ms.max(gone_ms));
        let shown_ms = now_ms.saturating_sub(COPY_SHOWN_MS);
        let (seen, has_left, copied) = match self {
            State::Waiting => return Fares::Unjoined { expires: later(now_ms) },
            State::Expired => return Fares::Unjoined { expires: until(now_ms) },
            State::Lost => (until(lost_ms), None, Between::ANY),
            State::Stopped => (later(lost_ms), Some(true), Between::ANY),
            State::Vanished => {
                let silent = Between { after_ms: lost_ms, until_ms: gone_ms };
                (silent, Some(false), Between::ANY)
            }
            State::Copied => (reports, Some(false), later(shown_ms)),
            State::Joined => (reports, Some(false), until(shown_ms)),
        };
        Fares::Joined { seen, has_left, copied }
    }
}
