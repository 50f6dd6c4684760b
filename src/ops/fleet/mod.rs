//! Edges as they speak: joining, sessions that renew themselves, reports, and copies told apart.

mod accept;
mod faring;
mod join;
mod turn;
mod verify;

pub(in crate::ops) use accept::{Accepted, Heard, accept};
pub(in crate::ops) use faring::{FleetView, gone_after_ms};
pub(in crate::ops) use join::join;

use crate::exit;
use crate::fleet::{Code, Refusal};
use crate::ops::access::NoRandomness;
use crate::ops::logs::{RETRY_AFTER_S, TakeError};
use crate::ops::store::StoreError;

/// How often an edge reports where nothing else is said, seconds: what a person who looks at a
/// dashboard takes for now, and 2 MB a day of a metered link.
pub(in crate::ops) const REPORT_SECONDS_DEFAULT: u64 = 60;

/// How long an edge waits that is to say something again, seconds.
const AGAIN_SECONDS: u64 = 1;

/// The same where more comes in than can be taken; the writer needs less for all of it.
const BUSY_SECONDS: u64 = RETRY_AFTER_S;

/// Why an edge is not answered as it asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum LinkError {
    /// The edge has to do something about it.
    #[error("{}", .0.sentence())]
    Refused(Code),
    /// What it sent cannot be read.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// The records cannot be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it inferred cannot be taken in.
    #[error(transparent)]
    Logs(#[from] TakeError),
    /// There are no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl LinkError {
    /// The code of the answer.
    pub(in crate::ops) fn code(&self) -> Code {
        match self {
            LinkError::Refused(code) => *code,
            LinkError::Malformed(_) => Code::Malformed,
            LinkError::Logs(error) => match error {
                TakeError::Busy | TakeError::Share { .. } | TakeError::Stopping => Code::Busy,
                TakeError::Empty | TakeError::Frame { .. } | TakeError::Mixed => Code::Malformed,
                TakeError::NoEdge => Code::EdgeRemoved,
                TakeError::Disk(_) | TakeError::Store(_) => Code::Unavailable,
            },
            LinkError::Store(_) | LinkError::Randomness(_) => Code::Unavailable,
        }
    }

    /// When the edge is to ask again, seconds.
    pub(in crate::ops) fn again_s(&self) -> u64 {
        match self {
            LinkError::Logs(TakeError::Share { wait_s }) => *wait_s,
            LinkError::Logs(TakeError::Busy) => BUSY_SECONDS,
            LinkError::Logs(_)
            | LinkError::Refused(_)
            | LinkError::Malformed(_)
            | LinkError::Store(_)
            | LinkError::Randomness(_) => AGAIN_SECONDS,
        }
    }

    /// The answer.
    pub(in crate::ops) fn refusal(&self, now_ms: i64) -> Refusal {
        let mut refusal = Refusal::new(self.code(), u64::try_from(now_ms).unwrap_or_default());
        let why = match self {
            LinkError::Malformed(why) => Some(why.clone()),
            LinkError::Logs(error) if self.code() == Code::Malformed => Some(exit::chain(error)),
            LinkError::Refused(_)
            | LinkError::Logs(_)
            | LinkError::Store(_)
            | LinkError::Randomness(_) => None,
        };
        if let Some(why) = why {
            refusal.msg = format!("{}: {why}", Code::Malformed.sentence());
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
