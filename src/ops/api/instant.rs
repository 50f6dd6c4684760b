//! Times in answers, in the original's form.

use crate::clock::rfc3339;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// A time of the records, `2023-10-31T20:37:25.516000+00:00` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Instant {
    /// Since the epoch.
    pub ms: i64,
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = rfc3339(Duration::from_millis(u64::try_from(self.ms).unwrap_or_default()));
        serializer.collect_str(&format_args!("{}000+00:00", text.trim_end_matches('Z')))
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn a_time_has_microseconds_and_an_offset() {
        let json = serde_json::to_string(&Instant { ms: 1_698_784_645_516 }).unwrap();
        assert_eq!(json, "\"2023-10-31T20:37:25.516000+00:00\"");
    }
}
