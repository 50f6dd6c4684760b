//! A moment as answers have it, in the original's form.

use crate::clock::rfc3339;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// A record's milliseconds since the epoch as text, `2023-10-31T20:37:25.516000+00:00`.
pub(super) fn moment(ms: i64) -> String {
    let mut text = rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    text.pop(); // the Z
    text.push_str("000+00:00");
    text
}

/// The same as a field of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Since the epoch.
    pub(super) ms: i64,
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&moment(self.ms))
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_moment_has_microseconds_and_an_offset() {
        assert_eq!(moment(1_698_784_645_516), "2023-10-31T20:37:25.516000+00:00");
    }
}
