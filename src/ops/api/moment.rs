//! A moment as answers have it: RFC 3339 with microseconds and an offset, as the original writes it.

use crate::clock::rfc3339;
use std::time::Duration;

/// A record's milliseconds since the epoch: `2023-10-31T20:37:25.516000+00:00`.
pub(super) fn moment(ms: i64) -> String {
    let text = rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    format!("{}000+00:00", text.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_microseconds_and_an_offset() {
        assert_eq!(moment(1_698_784_645_516), "2023-10-31T20:37:25.516000+00:00");
    }
}
