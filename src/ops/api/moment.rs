//! A moment as answers have it: RFC 3339 in UTC.

use crate::clock::rfc3339;
use std::time::Duration;

/// A record's milliseconds since the epoch, as text.
pub(super) fn moment(ms: i64) -> String {
    rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
