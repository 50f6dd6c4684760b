//! What a failed attempt means: to be tried again, or to be told to a person.

use crate::exit::{self, Failure};
use crate::registry::Error;
use std::time::Duration;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may pass by itself.
    Passing {
        /// What happened, and what to do when it stays.
        sentence: String,
        /// How long the registry asks to wait.
        asked: Option<Duration>,
    },
    /// Somebody has to do something.
    Lasting {
        /// What happened, and what to do.
        sentence: String,
    },
}

impl Fault {
    pub(super) fn of(failure: &Failure) -> Fault {
        let mut sentence = exit::chain(&*failure.error);
        if let Some(hint) = &failure.hint {
            sentence.push_str("; next: ");
            sentence.push_str(hint);
        }
        match failure.error.downcast_ref::<Error>() {
            // Of a device this may pass, when its clock is set; a server's clock is right.
            Some(Error::Untrusted { .. }) => Fault::Lasting { sentence },
            Some(error) if error.is_transient() => {
                Fault::Passing { sentence, asked: error.retry_after() }
            }
            Some(_) | None => Fault::Lasting { sentence },
        }
    }
}
