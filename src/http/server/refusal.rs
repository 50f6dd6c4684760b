//! What the server refuses by itself, before or instead of asking the service.

use std::time::Duration;

/// Why the server itself gives the answer; the sentence is meant for the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The head breaks RFC 9112; `what` says where, and what to send instead.
    #[error("the request is not HTTP/1.1 as RFC 9112 has it: {what}")]
    Malformed {
        /// What was found, what was expected.
        what: &'static str,
    },
    /// The request line alone is over the limit for the head.
    #[error(
        "the request line is over {limit_bytes} bytes: move what it carries to the request body"
    )]
    TargetTooLong {
        /// The limit for request line and header fields together.
        limit_bytes: usize,
    },
    /// The head as a whole is over its limit.
    #[error("the request head is over {limit_bytes} bytes: send fewer or shorter header fields")]
    HeadTooLarge {
        /// The limit for request line and header fields together.
        limit_bytes: usize,
    },
    /// There are more header fields than the server keeps.
    #[error("the request has over {limit} header fields: send fewer")]
    TooManyHeaders {
        /// How many are taken.
        limit: usize,
    },
    /// The head was begun and not ended in time.
    #[error("the request head was not complete after {} ms: send it at once", limit.as_millis())]
    HeadTooSlow {
        /// The time from the first byte to the last.
        limit: Duration,
    },
    /// The declared length of the body is over the limit.
    #[error(
        "the body is announced with {declared_bytes} bytes, at most {limit_bytes} are taken: split it"
    )]
    BodyTooLarge {
        /// The value of `Content-Length`.
        declared_bytes: u64,
        /// The limit for one body.
        limit_bytes: u64,
    },
    /// A transfer coding other than `chunked`.
    #[error("the transfer coding is not known here: send the body with Content-Length or chunked")]
    TransferCoding,
    /// An expectation other than `100-continue`.
    #[error("the expectation is not known here: only 100-continue is, so leave Expect out")]
    Expectation,
    /// A version of HTTP other than 1.0 and 1.1.
    #[error("this version of HTTP is not spoken here: use HTTP/1.1 without upgrade")]
    Version,
    /// The server speaks TLS alone, and the client does not.
    #[error("this port speaks TLS alone: ask it with https")]
    NotTls,
    /// All connections are busy with requests.
    #[error("all {limit} connections are busy: try again in a second")]
    AtCapacity {
        /// Connections that are served at the same time.
        limit: usize,
    },
    /// The system gave no thread for the connection.
    #[error("the system has no thread left for this connection: try again in a second")]
    NoThread,
    /// The service panicked; the log has the reason.
    #[error("the request met a fault of ours, which is in the log: report it")]
    Panicked,
}

impl Refusal {
    /// The status code of the answer (RFC 9110 section 15).
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed { .. } | Refusal::NotTls => 400,
            Refusal::TargetTooLong { .. } => 414,
            Refusal::HeadTooLarge { .. } | Refusal::TooManyHeaders { .. } => 431,
            Refusal::HeadTooSlow { .. } => 408,
            Refusal::BodyTooLarge { .. } => 413,
            Refusal::TransferCoding => 501,
            Refusal::Expectation => 417,
            Refusal::Version => 505,
            Refusal::AtCapacity { .. } | Refusal::NoThread => 503,
            Refusal::Panicked => 500,
        }
    }

    /// When the same request may be answered; `None` when it must change first.
    ///
    /// The server writes it as `Retry-After` unless the service's answer has one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::AtCapacity { .. } | Refusal::NoThread => Some(Duration::from_secs(1)),
            Refusal::Malformed { .. }
            | Refusal::TargetTooLong { .. }
            | Refusal::HeadTooLarge { .. }
            | Refusal::TooManyHeaders { .. }
            | Refusal::HeadTooSlow { .. }
            | Refusal::BodyTooLarge { .. }
            | Refusal::TransferCoding
            | Refusal::Expectation
            | Refusal::Version
            | Refusal::NotTls
            | Refusal::Panicked => None,
        }
    }
}
