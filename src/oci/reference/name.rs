//! The names inside a registry: repositories and tags, by the grammar of the distribution spec.

use std::fmt;
use std::str::FromStr;

use super::{NAME_BYTES_MAX, ReferenceError};
use crate::oci::excerpt;

/// The longest tag, in bytes (distribution specification, "Pulling manifests").
const TAG_BYTES_MAX: usize = 128;

/// The name of a repository: lower-case parts joined by `/`, as `pipelines/edge-cv`.
///
/// The grammar is that of the [distribution specification]; it has no `..` and no empty part,
/// so a repository is safe in a URL.
///
/// [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    #[must_use]
    pub fn last_part(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why| Err(ReferenceError::Repository { found: excerpt(text), why });
        if text.is_empty() {
            return Err(ReferenceError::NoRepository);
        }
        if text.len() > NAME_BYTES_MAX {
            return refuse("it has more than 255 bytes");
        }
        for part in text.split('/') {
            if part.is_empty() {
                return refuse("something must stand between, before and after each `/`");
            }
            if let Err(why) = check_part(part) {
                return refuse(why);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// Checks `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, the grammar of one part.
fn check_part(part: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut separator = String::new();
    let bytes = part.as_bytes();
    if bytes.iter().any(u8::is_ascii_uppercase) {
        return Err("it is written in lower case");
    }
    if !bytes.iter().all(|&b| plain(b) || matches!(b, b'.' | b'_' | b'-')) {
        return Err("it has lower-case letters, digits, `.`, `_` and `-` only");
    }
    if !bytes.first().copied().is_some_and(plain) || !bytes.last().copied().is_some_and(plain) {
        return Err("each part begins and ends with a letter or digit");
    }
    for c in part.chars().chain(['a']) {
        if matches!(c, '.' | '_' | '-') {
            separator.push(c);
            continue;
        }
        let dashes = !separator.is_empty() && separator.bytes().all(|b| b == b'-');
        if !dashes && !matches!(separator.as_str(), "" | "." | "_" | "__") {
            return Err("between letters stand one `.`, one or two `_`, or any number of `-`");
        }
        separator.clear();
    }
    Ok(())
}

/// A tag: up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why| Err(ReferenceError::Tag { found: excerpt(text), why });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > TAG_BYTES_MAX {
            return refuse("it has more than 128 bytes");
        }
        if text.starts_with(['.', '-']) {
            return refuse("it begins with a letter, a digit or `_`");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
            return refuse("it has letters, digits, `_`, `.` and `-` only");
        }
        Ok(Self(text.to_owned()))
    }
}
