//! The wall clock, behind a trait because devices have wrong ones, and the time since the boot, which is right.

use crate::fleet::Id;
use rustix::time::{ClockId, clock_gettime};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// The time since the Unix epoch by this clock; zero for a clock before it.
    fn since_epoch(&self) -> Duration;
}

/// The device's clock, right or wrong.
#[derive(Debug, Clone, Copy)]
pub struct DeviceClock;

impl Clock for DeviceClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the device's clock")]
    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// When this version was made, at the latest: a device's clock that is before it is wrong.
///
/// A constant and not the time of the build, so that the same sources give the same program.
pub const RELEASED: Duration = Duration::from_secs(1_793_491_200); // 2026-11-01

/// Milliseconds since the epoch, as records carry them.
pub fn unix_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since the device was booted, asleep or awake: no wrong wall clock moves it.
pub fn since_boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let ms = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or_default();
    seconds.saturating_mul(1000).saturating_add(ms)
}

/// The kernel's id of this boot (random(4)): times since two boots do not compare. None where
/// `/proc` is not mounted.
pub fn boot_id() -> Option<Id> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    text.trim().parse().ok()
}

/// RFC 3339 in UTC with milliseconds: `2026-11-23T03:54:04.123Z`.
pub fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The Gregorian date so many days after 1970-01-01: years of 400-year eras that begin in March,
/// so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468; // from 0000-03-01
    const ERA_DAYS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_the_boot_goes_on_and_the_boot_stays_the_same() {
        let (before, boot) = (since_boot_ms(), boot_id());
        assert!(before > 0 && boot.is_some());
        assert!(since_boot_ms() >= before);
        assert_eq!(boot_id(), boot);
    }

    #[test]
    fn instants_have_their_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_694_205_578_428, "2023-09-08T20:39:38.428Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(rfc3339(Duration::from_millis(ms)), text);
        }
    }
}
