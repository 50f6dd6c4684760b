//! Which parts of an answer a client asks for: the query parameters whose names begin with
//! `dataset`.

use super::tree::{Member, Value};
use crate::codec::wanted::listed;
use crate::http::percent;
use std::borrow::Cow;

/// Bytes of a query: half of what a request's head may have.
pub const DATASET_QUERY_BYTES_MAX: usize = 8 << 10;

/// Paths in one query, those to exclude among them: an answer seldom has a hundred.
pub const DATASET_PATHS_MAX: usize = 256;

/// Bytes between the names of a flattened key; a separator is most often one character.
const SEPARATOR_BYTES_MAX: usize = 16;
const _: () = assert!(SEPARATOR_BYTES_MAX == 16, "the error's sentence says 1 to 16 bytes");

/// Characters of a client's text that an error repeats: enough to recognise it by.
const ECHO_CHARS_MAX: usize = 100;

/// All top-level keys.
const EVERYTHING: &str = "*";

/// What joins the names of a path where the client does not say.
const SEPARATOR: &str = ".";

/// The parts of an answer that a client asks for; by default all of them, nested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Paths; none asks for everything.
    included: Vec<String>,
    excluded: Vec<String>,
    /// What joins the names of a path.
    separator: Option<String>,
    /// Whether to put all values at the top level; by default where there is a separator.
    flatten: Option<bool>,
}

/// Query parameters that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// The query, or the list of paths, is too long.
    #[error("the query has more than {limit} {unit}; ask for fewer parts of the answer")]
    OverLimit {
        /// The most there may be.
        limit: usize,
        /// Of what: `bytes`, `paths`.
        unit: &'static str,
    },
    /// A `%` without two hexadecimal digits, or bytes that are no text.
    #[error("the query's `{part}` is not percent-encoded UTF-8")]
    Encoding {
        /// The part of the query.
        part: String,
    },
    /// A parameter that begins like ours and is none.
    #[error(
        "the query parameter `{key}` is not known; known are `dataset[]`, `dataset.exclude[]`, \
         `dataset.separator` and `dataset.flatten`"
    )]
    UnknownKey {
        /// The parameter.
        key: String,
    },
    /// A parameter whose value is none of those it may have.
    #[error("the query parameter `{key}` is `{found}`; expected {expected}")]
    Value {
        /// The parameter.
        key: &'static str,
        /// The value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A path that leads nowhere.
    #[error("the answer has no `{path}`; it has {present}")]
    Missing {
        /// The path as the client wrote it.
        path: String,
        /// The paths there are.
        present: String,
    },
    /// All that was asked for is also excluded.
    #[error("the query excludes everything that it asks for")]
    Nothing,
}

impl Dataset {
    /// All parts, at the top level under their names joined by dots.
    pub fn flat() -> Dataset {
        Dataset { separator: Some(SEPARATOR.to_owned()), ..Dataset::default() }
    }

    /// Reads the `dataset` parameters of a URL's query (WHATWG URL, section 5.1); parameters of
    /// other names are passed over. A list may be written with or without `[]`.
    ///
    /// # Errors
    /// When a parameter that begins with `dataset` is not known or has no possible value, or a
    /// limit is passed.
    pub fn parse(query: Option<&str>) -> Result<Dataset, DatasetError> {
        let query = query.unwrap_or_default();
        if DATASET_QUERY_BYTES_MAX < query.len() {
            return Err(DatasetError::OverLimit { limit: DATASET_QUERY_BYTES_MAX, unit: "bytes" });
        }
        let mut dataset = Dataset::default();
        for part in query.split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            // Of another's parameters not even the spelling is ours to judge.
            let Ok(key) = decoded(key) else { continue };
            if key.starts_with("dataset") {
                dataset.set(&key, decoded(value)?)?;
            }
        }
        if DATASET_PATHS_MAX < dataset.included.len() + dataset.excluded.len() {
            return Err(DatasetError::OverLimit { limit: DATASET_PATHS_MAX, unit: "paths" });
        }
        Ok(dataset)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), DatasetError> {
        match key {
            "dataset" | "dataset[]" => self.included.push(value),
            "dataset.exclude" | "dataset.exclude[]" => self.excluded.push(value),
            "dataset.separator" if (1..=SEPARATOR_BYTES_MAX).contains(&value.len()) => {
                self.separator = Some(value);
            }
            "dataset.separator" => {
                let expected = "1 to 16 bytes, as `.`";
                let key = "dataset.separator";
                return Err(DatasetError::Value { key, found: shown(&value), expected });
            }
            "dataset.flatten" => match value.as_str() {
                "true" => self.flatten = Some(true),
                "false" => self.flatten = Some(false),
                _ => {
                    let (key, expected) = ("dataset.flatten", "`true` or `false`");
                    return Err(DatasetError::Value { key, found: shown(&value), expected });
                }
            },
            _ => return Err(DatasetError::UnknownKey { key: shown(key) }),
        }
        Ok(())
    }

    /// The members asked for, in their own order.
    ///
    /// Of two paths that lead to or above a value the longer decides; a path both asked for and
    /// excluded is excluded. An excluded path that is not there changes nothing. When one group
    /// is all that is left, its members take its place.
    ///
    /// # Errors
    /// When a path asked for is not there, or nothing is left.
    pub(in crate::codec) fn select<'a>(
        &self,
        members: Vec<Member<'a>>,
    ) -> Result<Vec<Member<'a>>, DatasetError> {
        if *self == Dataset::default() {
            return Ok(members);
        }
        let mut present = Vec::new();
        self.list_paths(&members, "", &mut present);
        let missing = |path: &&String| *path != EVERYTHING && !present.contains(&self.plain(path));
        if let Some(path) = self.included.iter().find(missing) {
            let present = listed(present.iter().map(String::as_str));
            return Err(DatasetError::Missing { path: shown(path), present });
        }
        let everything = self.included.is_empty() || self.included.iter().any(|p| p == EVERYTHING);
        let kept = self.keep(members, "", everything);
        if kept.is_empty() {
            return Err(DatasetError::Nothing);
        }
        if self.flatten.unwrap_or(self.separator.is_some()) {
            let mut flat = Vec::new();
            self.flatten(kept, "", &mut flat);
            return Ok(flat);
        }
        Ok(un_nested(kept))
    }

    /// A path as the client wrote it, with a dot between its names.
    fn plain(&self, path: &str) -> String {
        match &self.separator {
            Some(separator) => path.replace(separator.as_str(), SEPARATOR),
            None => path.to_owned(),
        }
    }

    fn list_paths(&self, members: &[Member<'_>], above: &str, paths: &mut Vec<String>) {
        for member in members {
            let path = self.plain(&joined(above, SEPARATOR, &member.name));
            if let Value::Group(members) = &member.value {
                paths.push(path.clone());
                self.list_paths(members, &path, paths);
            } else {
                paths.push(path);
            }
        }
    }

    /// What is left of members that are kept or not unless a path of their own says otherwise.
    fn keep<'a>(&self, members: Vec<Member<'a>>, above: &str, kept: bool) -> Vec<Member<'a>> {
        let mut left = Vec::new();
        for Member { name, value } in members {
            let path = self.plain(&joined(above, SEPARATOR, &name));
            let names_it = |paths: &[String]| paths.iter().any(|named| self.plain(named) == path);
            let kept = !names_it(&self.excluded) && (kept || names_it(&self.included));
            if let Value::Group(members) = value {
                let was_empty = members.is_empty();
                let members = self.keep(members, &path, kept);
                if !members.is_empty() || (was_empty && kept) {
                    left.push(Member { name, value: Value::Group(members) });
                }
            } else if kept {
                left.push(Member { name, value });
            }
        }
        left
    }

    fn flatten<'a>(&self, members: Vec<Member<'a>>, above: &str, flat: &mut Vec<Member<'a>>) {
        let separator = self.separator.as_deref().unwrap_or(SEPARATOR);
        for Member { name, value } in members {
            let name = match above {
                "" => name,
                above => Cow::Owned(joined(above, separator, &name)),
            };
            if let Value::Group(members) = value {
                self.flatten(members, &name, flat);
            } else {
                flat.push(Member { name, value });
            }
        }
    }
}

/// A client's text, cut to a length for a sentence.
fn shown(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

fn joined(above: &str, separator: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}{separator}{name}") }
}

fn un_nested(mut members: Vec<Member<'_>>) -> Vec<Member<'_>> {
    if let [Member { value: Value::Group(inner), .. }] = members.as_mut_slice() {
        return std::mem::take(inner);
    }
    members
}

/// A part of a query with its `+` and `%` resolved.
fn decoded(part: &str) -> Result<String, DatasetError> {
    let bytes = percent::form_decoded(part);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| DatasetError::Encoding { part: shown(part) })
}
