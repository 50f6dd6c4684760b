//! Why an ops center refuses an edge: a code that programs act on, and a sentence with the next step.

use serde::{Deserialize, Serialize};

/// Why a request of an edge is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// No bundle has that token.
    TokenUnknown,
    /// Another device has joined with it.
    TokenUsed,
    /// It was not used in time.
    TokenExpired,
    /// Its edge was removed, or another bundle was made for it.
    TokenRevoked,
    /// There is no such session.
    SessionUnknown,
    /// The edge was not heard of for too long.
    SessionExpired,
    /// Another device goes on with the same session.
    SessionCopied,
    /// The edge was removed.
    EdgeRemoved,
    /// The request is not signed by the edge's key.
    Signature,
    /// Another process has taken over the session: whoever lives says it again.
    SayAgain,
    /// A process that has not reported yet sends something else.
    ReportFirst,
    /// The request cannot be read.
    Malformed,
    /// The ops center has too much to do.
    Busy,
    /// The ops center cannot do it now, its disk is full for instance.
    Unavailable,
}

/// Each code with its name in JSON.
const NAMES: [(Code, &str); 14] = [
    (Code::TokenUnknown, "token_unknown"),
    (Code::TokenUsed, "token_used"),
    (Code::TokenExpired, "token_expired"),
    (Code::TokenRevoked, "token_revoked"),
    (Code::SessionUnknown, "session_unknown"),
    (Code::SessionExpired, "session_expired"),
    (Code::SessionCopied, "session_copied"),
    (Code::EdgeRemoved, "edge_removed"),
    (Code::Signature, "signature"),
    (Code::SayAgain, "say_again"),
    (Code::ReportFirst, "report_first"),
    (Code::Malformed, "malformed"),
    (Code::Busy, "busy"),
    (Code::Unavailable, "unavailable"),
];

impl Code {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Code> {
        NAMES.iter().map(|(code, _)| *code)
    }

    /// The code of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Code> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code)
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(code, _)| *code == self).map_or("unavailable", |(_, name)| name)
    }

    /// The status of the answer that carries it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Code::TokenUnknown | Code::SessionUnknown | Code::Signature => 401,
            Code::TokenUsed | Code::SessionCopied | Code::SayAgain | Code::ReportFirst => 409,
            Code::TokenExpired | Code::TokenRevoked | Code::SessionExpired | Code::EdgeRemoved => {
                410
            }
            Code::Malformed => 400,
            Code::Busy => 429,
            Code::Unavailable => 503,
        }
    }

    /// What is the matter and what to do, a sentence that stands in answers, logs and pages.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Code::TokenUnknown => {
                "the ops center knows no such join token: copy the bundle again, or add the edge \
                 to a publish of this ops center"
            }
            Code::TokenUsed => {
                "another device has joined with this bundle: keep the persistent directory of the \
                 device that did, or remove the edge and add it again for a new bundle"
            }
            Code::TokenExpired => {
                "the join token was not used within 24 hours: remove the edge and add it again \
                 for a new bundle"
            }
            Code::TokenRevoked => {
                "the join token was revoked when its edge was removed: add the edge again and use \
                 the new bundle"
            }
            Code::SessionUnknown => {
                "the ops center knows no such session: remove the edge and add it again for a new \
                 bundle"
            }
            Code::SessionExpired => {
                "the edge was not heard of for more than 7 days and its session has ended: remove \
                 the edge and add it again for a new bundle"
            }
            Code::SessionCopied => {
                "another device goes on with this edge's session: this persistent directory is a \
                 copy; empty it and add an edge of another name for this device"
            }
            Code::EdgeRemoved => {
                "the edge was removed in the ops center: add it again and use the new bundle"
            }
            Code::Signature => {
                "the request is not signed by the key that the edge joined with: restore the \
                 persistent directory, or remove the edge and add it again for a new bundle"
            }
            Code::SayAgain => {
                "another process has taken over the session: whoever lives asks again"
            }
            Code::ReportFirst => "this process of the engine has not reported yet: report first",
            Code::Malformed => {
                "the request cannot be read: use an engine and an ops center of the same version"
            }
            Code::Busy => "the ops center has too much to do: ask again after the time it tells",
            Code::Unavailable => {
                "the ops center cannot do this now: look at its log; the edge asks again"
            }
        }
    }

    /// Whether nothing but a person can help: a new bundle, most often.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Code::TokenUnknown
            | Code::TokenUsed
            | Code::TokenExpired
            | Code::TokenRevoked
            | Code::SessionUnknown
            | Code::SessionExpired
            | Code::SessionCopied
            | Code::EdgeRemoved
            | Code::Signature => true,
            Code::SayAgain
            | Code::ReportFirst
            | Code::Malformed
            | Code::Busy
            | Code::Unavailable => false,
        }
    }
}

/// A refusal as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The name of a [`Code`]; one of a later version is possible.
    pub code: String,
    /// The sentence.
    pub msg: String,
    /// The ops center's clock, milliseconds since 1970; none where it did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

impl Refusal {
    /// The refusal of that code.
    #[must_use]
    pub fn new(code: Code, time_ms: u64) -> Refusal {
        let (name, msg) = (code.name().to_owned(), code.sentence().to_owned());
        Refusal { code: name, msg, time_ms: Some(time_ms) }
    }
}
