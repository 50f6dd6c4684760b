//! The name that someone signs in with: an address of mail, of which only the form is looked at.

use std::fmt;
use std::str::FromStr;

/// Characters of an address (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const EMAIL_CHARS_MAX: usize = 254;

/// An address in one line, with one `@` that has something on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Email(String);

/// The text is no address.
#[derive(Debug, thiserror::Error)]
#[error(
    "an email has the form name@example.com and at most {EMAIL_CHARS_MAX} characters, without blanks"
)]
pub(in crate::ops) struct NoEmail;

impl FromStr for Email {
    type Err = NoEmail;

    fn from_str(text: &str) -> Result<Email, NoEmail> {
        let text = text.trim();
        let is_sound = text.chars().count() <= EMAIL_CHARS_MAX
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
            && matches!(text.split('@').collect::<Vec<_>>()[..], [name, host] if !name.is_empty() && !host.is_empty());
        is_sound.then(|| Email(text.to_owned())).ok_or(NoEmail)
    }
}

impl Email {
    /// The address.
    pub(in crate::ops) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_one_at_sign_with_something_on_both_sides() {
        assert_eq!(" a@b ".parse::<Email>().unwrap().as_str(), "a@b");
        let long = format!("{}@b", "a".repeat(EMAIL_CHARS_MAX));
        for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n@c", &long] {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
    }
}
