//! Credentials: a user name, and a password that no log, error or debug print shows.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::client::Authorization;

/// A password or token. It has no `Display`, and its `Debug` says `Secret(…)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text, as it is.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, to be sent and not to be shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The user name that stands for "the password is an identity token", as docker has it.
pub(super) const IDENTITY_TOKEN: &str = "<token>";

/// Who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name; cloud registries have fixed ones, `_json_key_base64` or `AWS`.
    pub username: String,
    /// The password, token or key file.
    pub password: Secret,
}

impl Credentials {
    /// Whether the password is a token that a token service exchanges for others.
    pub(super) fn is_identity_token(&self) -> bool {
        self.username == IDENTITY_TOKEN
    }

    /// The header that shows them (RFC 7617, in UTF-8).
    pub(super) fn basic(&self) -> Option<Authorization> {
        Authorization::new(&format!("Basic {}", self.encoded()))
    }

    /// The text with what is secret of these credentials left out of it.
    pub(super) fn struck_from(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in [self.encoded().as_str(), self.password.reveal()] {
            if !secret.is_empty() {
                text = text.replace(secret, "…");
            }
        }
        text
    }

    fn encoded(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.username, self.password.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Secret};

    fn credentials() -> Credentials {
        Credentials { username: "edge".to_owned(), password: Secret::new("hunter2".to_owned()) }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let shown = format!("{:?} {:?}", credentials(), credentials().basic());
        assert!(!shown.contains("hunter2") && !shown.contains("ZWRnZTpodW50ZXIy"), "{shown}");
    }

    #[test]
    fn an_echo_of_the_password_is_struck_out() {
        let echo = "no hunter2 (Basic ZWRnZTpodW50ZXIy)";
        assert_eq!(credentials().struck_from(echo), "no … (Basic …)");
    }
}
