//! How the link to the ops center stands, as log, page, doctor and metrics tell it.

use super::line::LineError;
use crate::clock::rfc3339;
use crate::engine::metrics::{self, label};
use crate::fleet::Code;
use std::time::Duration;

/// How the link stands. None of it keeps the engine from answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Phase {
    /// It has not joined yet.
    Joining,
    /// It is in touch.
    Joined,
    /// It has a session, or a token, and does not reach the ops center.
    Unreached,
    /// The certificate of the ops center does not hold by the device's clock.
    Clock,
    /// The ops center refuses it, and a person has to do something.
    Refused(Code),
    /// Its keys or its session cannot be read or written.
    Disk,
    /// The bundle keeps the identity of a device, and there is none here.
    NoIdentity,
}

impl Phase {
    /// All that metrics count.
    pub(in crate::engine) fn all() -> impl Iterator<Item = Phase> {
        let finals = Code::all().filter(|code| code.is_final()).map(Phase::Refused);
        [
            Phase::Joining,
            Phase::Joined,
            Phase::Unreached,
            Phase::Clock,
            Phase::Disk,
            Phase::NoIdentity,
        ]
        .into_iter()
        .chain(finals)
    }

    /// Its name, as metrics have it.
    pub(in crate::engine) fn name(self) -> &'static str {
        match self {
            Phase::Joining => "joining",
            Phase::Joined => "joined",
            Phase::Unreached => "unreached",
            Phase::Clock => "clock",
            Phase::Refused(code) => code.name(),
            Phase::Disk => "disk",
            Phase::NoIdentity => "no_identity",
        }
    }

    pub(super) fn of(error: &LineError) -> Phase {
        match error {
            LineError::Refused { code: Some(code), .. } if code.is_final() => Phase::Refused(*code),
            LineError::Clock(_) => Phase::Clock,
            LineError::Refused { .. } | LineError::Unreached(_) | LineError::Strange(_) => {
                Phase::Unreached
            }
        }
    }
}

/// The same with what a person wants to know beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Status {
    /// How it stands.
    pub(in crate::engine) phase: Phase,
    /// The edge's name.
    pub(in crate::engine) edge: String,
    /// The ops center's host.
    pub(in crate::engine) host: String,
    /// What is the matter and what to do; empty while all is well.
    pub(in crate::engine) sentence: String,
    /// The last contact by the ops center's clock, milliseconds since 1970.
    pub(in crate::engine) contact_ms: Option<u64>,
    /// Until when the session holds, by the same clock.
    pub(in crate::engine) expires_ms: Option<u64>,
    /// Contacts that went well since the engine began.
    pub(in crate::engine) contacts: u64,
    /// Attempts that did not.
    pub(in crate::engine) failures: u64,
}

impl Status {
    pub(super) fn new(edge: &str, host: &str) -> Status {
        Status {
            phase: Phase::Joining,
            edge: edge.to_owned(),
            host: host.to_owned(),
            sentence: String::new(),
            contact_ms: None,
            expires_ms: None,
            contacts: 0,
            failures: 0,
        }
    }

    /// The same as metrics have it.
    pub(in crate::engine) fn write(&self, page: &mut metrics::Page) {
        const STATE: &str = "potoroo_link_state";
        page.head(
            STATE,
            "gauge",
            "How the link to the ops center stands: 1 for the state that it is in.",
        );
        for phase in Phase::all() {
            page.line(STATE, &label("state", phase.name()), u64::from(phase == self.phase));
        }
        page.counter(
            "potoroo_link_contacts_total",
            "Contacts with the ops center that went well.",
            "",
            self.contacts,
        );
        page.counter(
            "potoroo_link_failures_total",
            "Attempts to reach the ops center that did not.",
            "",
            self.failures,
        );
    }

    /// The same in one sentence for a person.
    pub(in crate::engine) fn told(&self) -> String {
        let Status { edge, host, sentence, .. } = self;
        let date = |ms: u64| rfc3339(Duration::from_millis(ms));
        match (self.phase, self.contact_ms) {
            (Phase::Joined, Some(at)) => {
                format!("{edge} is in touch with {host}, last at {}", date(at))
            }
            (_, Some(at)) => {
                format!("{edge} and {host}, last in touch at {}: {sentence}", date(at))
            }
            (_, None) if sentence.is_empty() => format!("{edge} is about to join {host}"),
            (_, None) => format!("{edge} and {host}: {sentence}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_next_step_and_counted_by_its_code() {
        let mut status = Status::new("press-4", "ops.example");
        assert_eq!(status.told(), "press-4 is about to join ops.example");
        status.phase = Phase::Refused(Code::EdgeRemoved);
        status.sentence = Code::EdgeRemoved.sentence().to_owned();
        assert!(
            status.told().ends_with("add it again and use the new bundle"),
            "{}",
            status.told()
        );
        let names: Vec<&str> = Phase::all().map(Phase::name).collect();
        assert!(names.contains(&"edge_removed") && !names.contains(&"busy"), "{names:?}");
    }
}
