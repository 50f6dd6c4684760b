//! What an edge may be called, and the words that it is found by.

use crate::ops::api::Problem;
use crate::ops::name::{NAME_CHARS_MAX, is_name};

/// Tags of one edge: site, floor, machine, customer and their like.
const TAGS_MAX: usize = 32;

/// Characters of a tag, as of Kubernetes' labels.
const TAG_CHARS_MAX: usize = 63;

/// The name of an edge: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`.
///
/// # Errors
/// A problem of status 400 that says what is wrong with it.
pub(in crate::ops) fn checked_name(name: &str) -> Result<&str, Problem> {
    if is_name(name) {
        return Ok(name);
    }
    let found = crate::oci::excerpt(name);
    Err(Problem::bad(
        "name",
        format!(
            "`{found}` is no name of an edge: it takes 1 to {NAME_CHARS_MAX} of a-z, 0-9 and -, with a \
             letter or digit at both ends"
        ),
    ))
}

/// Tags of an edge, none of them twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Tags(Vec<String>);

impl Tags {
    /// The tags of a request; spaces around them do not count.
    ///
    /// # Errors
    /// A problem of status 400 for one that is empty or too long, and for too many.
    pub(in crate::ops) fn checked(tags: &[String]) -> Result<Tags, Problem> {
        let mut kept: Vec<String> = Vec::new();
        for tag in tags.iter().map(|tag| tag.trim()) {
            let chars = tag.chars().count();
            if chars == 0 || chars > TAG_CHARS_MAX || tag.chars().any(char::is_control) {
                let found = crate::oci::excerpt(tag);
                let sentence = format!(
                    "`{found}` is no tag: it takes 1 to {TAG_CHARS_MAX} characters in one line"
                );
                return Err(Problem::bad("tags", sentence));
            }
            if !kept.iter().any(|known| known == tag) {
                kept.push(tag.to_owned());
            }
        }
        if kept.len() > TAGS_MAX {
            let sentence = format!("an edge has {} tags: it takes up to {TAGS_MAX}", kept.len());
            return Err(Problem::bad("tags", sentence));
        }
        Ok(Tags(kept))
    }

    /// The tags themselves.
    pub(in crate::ops) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_label_of_dns_is_refused() {
        assert_eq!(checked_name("edge-1").unwrap(), "edge-1");
        for name in ["", "A", "a b", "a\nb"] {
            assert_eq!(checked_name(name).unwrap_err().code(), 400, "{name}");
        }
    }

    #[test]
    fn tags_lose_spaces_and_doubles() {
        let tags = [" site a ", "x", "site a"].map(str::to_owned);
        assert_eq!(Tags::checked(&tags).unwrap().as_slice(), ["site a", "x"]);
        for wrong in ["", "  ", "a\nb", &"a".repeat(64)] {
            assert!(Tags::checked(&[wrong.to_owned()]).is_err(), "{wrong:?}");
        }
        let many: Vec<String> = (0..33).map(|it| it.to_string()).collect();
        assert!(Tags::checked(&many).is_err());
    }
}
