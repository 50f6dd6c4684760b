//! What every request of an edge carries in headers, and the lines that its signature is over.

use super::{Id, KeyTextError, Signature};
use crate::oci::Digest;
use std::fmt::Write as _;

/// The first line of what is signed: a signature for this is one for nothing else.
const PURPOSE: &str = "potoroo-edge-v1";

/// What stands for the session while there is none: in a request to join.
const NO_SESSION: &str = "-";

/// The names of the headers.
pub mod header {
    /// The session, a UUID, or `-` in a request to join.
    pub const SESSION: &str = "Potoroo-Session";
    /// The serial that the session has come to; 0 in a request to join.
    pub const SERIAL: &str = "Potoroo-Serial";
    /// A random UUID of each start of the engine's process.
    pub const INSTANCE: &str = "Potoroo-Instance";
    /// The kernel's id of this boot.
    pub const BOOT: &str = "Potoroo-Boot";
    /// Milliseconds since that boot, asleep or awake.
    pub const MONOTONIC: &str = "Potoroo-Monotonic-Ms";
    /// The device's wall clock, milliseconds since 1970, right or wrong.
    pub const TIME: &str = "Potoroo-Time-Ms";
    /// The signature, 64 bytes in base64.
    pub const SIGNATURE: &str = "Potoroo-Signature";
}

/// Who speaks, and when by its clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// The session; none in a request to join.
    pub session: Option<Id>,
    /// What the session has come to: it grows at each start and each half day, so that a device's
    /// copy falls behind.
    pub serial: u64,
    /// This run of the engine's process.
    pub instance: Id,
    /// This boot of the device.
    pub boot: Id,
    /// Milliseconds since that boot.
    pub monotonic_ms: u64,
    /// The device's wall clock, milliseconds since 1970, right or wrong.
    pub time_ms: u64,
}

/// Why the headers of a request do not say who speaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// A header is missing.
    #[error("the request has no header {0}: it takes an engine of this or a later version")]
    Missing(&'static str),
    /// A header cannot be read.
    #[error("the header {name} cannot be read: expected {expected}")]
    Malformed {
        /// The header.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The signature is none.
    #[error("the header {} cannot be read", header::SIGNATURE)]
    Signature(#[source] KeyTextError),
}

impl Contact {
    /// What the key signs: lines of purpose, method, path, the body's sha256 in hexadecimal digits,
    /// session, serial, instance, boot, monotonic time and wall clock, without one at the end.
    #[must_use]
    pub fn message(&self, method: &str, path: &str, body: &[u8]) -> String {
        let mut text = format!("{PURPOSE}\n{method}\n{path}\n{}", Digest::of(body).hex());
        for (_, value) in self.headers() {
            // Writing to a text never fails.
            let _ = write!(text, "\n{value}");
        }
        text
    }

    /// The headers but for the signature, in the order in which they are signed.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, String); 6] {
        let session = self.session.map_or_else(|| NO_SESSION.to_owned(), |id| id.to_string());
        [
            (header::SESSION, session),
            (header::SERIAL, self.serial.to_string()),
            (header::INSTANCE, self.instance.to_string()),
            (header::BOOT, self.boot.to_string()),
            (header::MONOTONIC, self.monotonic_ms.to_string()),
            (header::TIME, self.time_ms.to_string()),
        ]
    }

    /// Reads the headers of a request; the signature is yet to be verified.
    ///
    /// # Errors
    /// When one is missing or is not what it takes.
    pub fn read<'a>(
        value: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<(Contact, Signature), ContactError> {
        let text = |name| value(name).ok_or(ContactError::Missing(name));
        let id = |name| -> Result<Id, ContactError> {
            let expected = "a UUID";
            text(name)?.parse().map_err(|_| ContactError::Malformed { name, expected })
        };
        let number = |name| -> Result<u64, ContactError> {
            let expected = "a whole number of decimal digits";
            let text = text(name)?;
            let parsed = text.parse().ok();
            // One number has one form: `+7` and `007` would be signed as another text.
            let parsed = parsed.filter(|number: &u64| number.to_string() == text);
            parsed.ok_or(ContactError::Malformed { name, expected })
        };
        let session = match text(header::SESSION)? {
            NO_SESSION => None,
            _ => Some(id(header::SESSION)?),
        };
        let contact = Contact {
            session,
            serial: number(header::SERIAL)?,
            instance: id(header::INSTANCE)?,
            boot: id(header::BOOT)?,
            monotonic_ms: number(header::MONOTONIC)?,
            time_ms: number(header::TIME)?,
        };
        let signature = text(header::SIGNATURE)?.parse().map_err(ContactError::Signature)?;
        Ok((contact, signature))
    }
}
