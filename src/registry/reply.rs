//! The words of a registry that refused, short enough and clean enough to be repeated.

use std::fmt;

use serde::Deserialize;

use super::Credentials;
use crate::http::client::Answer;
use crate::oci::excerpt;

/// The most bytes of a refusal that are read: an error body is a few hundred.
const REPLY_BYTES_MAX: u64 = 64 << 10;

/// What a registry said when it refused: code and message of its first error.
///
/// Shown after the sentence it belongs to: ` (DENIED: requested access is denied)`, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The code of the distribution specification, as `NAME_UNKNOWN`; may be empty.
    pub code: String,
    /// The message, shortened; may be empty.
    pub message: String,
}

#[derive(Deserialize)]
struct Wire {
    errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    code: Option<String>,
    message: Option<String>,
}

impl Reply {
    /// Reads the body of a refusal; what is no error of the specification says nothing.
    pub(super) fn read(answer: Answer, credentials: Option<&Credentials>) -> Self {
        // A refusal counts also when its words do not come through.
        let body = answer.read(REPLY_BYTES_MAX).ok().flatten().unwrap_or_default();
        Self::parse(&body, credentials)
    }

    fn parse(body: &[u8], credentials: Option<&Credentials>) -> Self {
        let Ok(Wire { errors }) = serde_json::from_slice(body) else { return Self::default() };
        let Some(first) = errors.into_iter().next() else { return Self::default() };
        // A registry that repeats what it was sent must not bring a password into a log. It is
        // struck out before the text is cut, since half a password is no longer found.
        let clean = |text: Option<String>| {
            let text = text.unwrap_or_default();
            excerpt(&credentials.map_or_else(|| text.clone(), |it| it.struck_from(&text)))
        };
        Self { code: clean(first.code), message: clean(first.message) }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => Ok(()),
            ("", one) | (one, "") => write!(f, " ({one})"),
            (code, message) => write!(f, " ({code}: {message})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reply;
    use crate::registry::{Credentials, Secret};

    #[test]
    fn code_and_message_of_the_first_error_are_shown() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J","detail":{}},{}]}"#;
        assert_eq!(Reply::parse(body, None).to_string(), " (DENIED: no [2J)");
    }

    #[test]
    fn anything_else_says_nothing() {
        for body in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":[{}]}"#, "[1"] {
            assert_eq!(Reply::parse(body.as_bytes(), None).to_string(), "", "{body}");
        }
    }

    #[test]
    fn a_repeated_password_is_struck_out() {
        let secret = Secret::new("hunter2".to_owned());
        let credentials = Credentials { username: "u".to_owned(), password: secret };
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"bad password hunter2"}]}"#;
        let reply = Reply::parse(body, Some(&credentials));
        assert_eq!(reply.to_string(), " (UNAUTHORIZED: bad password …)");
    }
}
