//! When a record was: the device's clock where it agrees with ours, else its monotonic clock and our time.

use crate::fleet::Id;

/// How far the device's clock may be from ours without being corrected: an answer on its way, and what
/// NTP leaves; nobody reads a log to less.
const CLOCK_OFF_MS_MAX: i64 = 5_000;

/// What a request tells of a device's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Clocks {
    /// The start of the device.
    pub boot: Id,
    /// Milliseconds since that start.
    pub mono_ms: u64,
    /// When it came, by our clock: milliseconds since the epoch.
    pub center_ms: i64,
}

impl Clocks {
    /// When the device's monotonic clock was at 0, by our clock.
    pub(super) fn base_ms(&self) -> i64 {
        self.center_ms.saturating_sub_unsigned(self.mono_ms)
    }
}

/// A moment by both of a device's clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceTime {
    /// Since the epoch.
    pub wall_ms: u64,
    /// Since the start of the device.
    pub mono_ms: u64,
}

/// The times of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// Of its first record.
    pub first_ms: i64,
    /// Of its last.
    pub last_ms: i64,
    /// When the monotonic clock was at 0, where that is what the times are made from.
    pub base_ms: Option<i64>,
    /// What they are: see [`Times::of`].
    pub source: &'static str,
}

impl Times {
    /// The times from the first to the last record of a frame. With a base they are the device's own
    /// where these agree with it (`device`), else the monotonic ones from that base (`corrected`);
    /// without a base they are the device's, right or wrong (`unknown`).
    pub(super) fn of(first: DeviceTime, last: DeviceTime, base_ms: Option<i64>) -> Times {
        let wall = |time: DeviceTime| i64::try_from(time.wall_ms).unwrap_or(i64::MAX);
        let own = |source| Times {
            first_ms: wall(first).min(wall(last)),
            last_ms: wall(first).max(wall(last)),
            base_ms: None,
            source,
        };
        let Some(base) = base_ms else { return own("unknown") };
        let corrected = |time: DeviceTime| base.saturating_add_unsigned(time.mono_ms);
        let agrees = |time| wall(time).abs_diff(corrected(time)) <= CLOCK_OFF_MS_MAX.unsigned_abs();
        if agrees(first) && agrees(last) {
            return own("device");
        }
        let (a, b) = (corrected(first), corrected(last));
        Times { first_ms: a.min(b), last_ms: a.max(b), base_ms, source: "corrected" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_867_200_000;

    fn at(wall_ms: i64, mono_ms: u64) -> DeviceTime {
        DeviceTime { wall_ms: wall_ms.unsigned_abs(), mono_ms }
    }

    #[test]
    fn a_clock_that_agrees_is_left_alone() {
        let boot = "5b3a1c0e-7e7b-4d0c-9f63-0d3c4b1f0a11".parse().unwrap();
        let base = Clocks { boot, mono_ms: 90_000, center_ms: NOON }.base_ms();
        let times = Times::of(at(NOON - 30_000, 60_300), at(NOON - 1000, 89_000), Some(base));
        let found = (times.first_ms, times.last_ms, times.base_ms, times.source);
        assert_eq!(found, (NOON - 30_000, NOON - 1000, None, "device"));
    }

    #[test]
    fn a_device_in_1970_or_a_day_ahead_gets_the_time_that_was() {
        for wrong in [60_000, NOON + 86_400_000] {
            let times = Times::of(at(wrong, 60_000), at(wrong + 5, 60_005), Some(NOON - 90_000));
            let found = (times.first_ms, times.last_ms, times.source);
            assert_eq!(found, (NOON - 30_000, NOON - 29_995, "corrected"));
        }
    }

    #[test]
    fn a_clock_that_was_set_in_between_is_corrected_throughout() {
        let times = Times::of(at(60_000, 60_000), at(NOON, 90_000), Some(NOON - 90_000));
        assert_eq!((times.first_ms, times.last_ms), (NOON - 30_000, NOON));
    }

    #[test]
    fn without_a_contact_of_that_start_the_times_are_unknown() {
        let times = Times::of(at(60_000, 1), at(61_000, 2), None);
        assert_eq!((times.first_ms, times.last_ms, times.source), (60_000, 61_000, "unknown"));
    }
}
