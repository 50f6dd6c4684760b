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

/// The CPU time that the thread which asks has taken, in the kernel too.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
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
    let ms = u64::from(since_epoch.subsec_millis());
    // By hand: `format!` takes ten times as long, and a list of the ops center has 20,000 of these.
    let mut text = String::with_capacity("2023-10-31T20:37:25.516000+00:00".len());
    for (number, digits, after) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, '.'),
        (ms, 3, 'Z'),
    ] {
        push_number(&mut text, number, digits);
        text.push(after);
    }
    text
}

/// Appends a number with so many digits at least.
fn push_number(text: &mut String, number: u64, digits: u32) {
    if digits > 1 || number >= 10 {
        push_number(text, number / 10, digits.saturating_sub(1));
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// The milliseconds since the epoch of a time in RFC 3339, section 5.6: `2026-11-23T03:54:04.5+01:00`.
/// A leap second is the second after it; digits behind the thousandths are cut. `None` for a text that
/// is no such time.
pub fn from_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, digits: usize| -> Option<i64> {
        let digits = bytes.get(from..from + digits)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    };
    for (at, signs) in [(4, b"-".as_slice()), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")] {
        bytes.get(at).filter(|byte| signs.contains(byte))?;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = (1..=12).contains(&month) && (1..=month_days).contains(&day);
    (is_date && hour < 24 && minute < 60 && second < 61).then_some(())?;
    let (ms, zone) = thousandths(text.get(19..)?)?;
    let seconds =
        ((days_to(year, month, day) * 24 + hour) * 60 + minute - minutes_east(zone)?) * 60;
    Some((seconds + second) * 1000 + ms)
}

/// The thousandths of a second that a text may begin with, and what follows them.
fn thousandths(text: &str) -> Option<(i64, &str)> {
    let Some(fraction) = text.strip_prefix('.') else { return Some((0, text)) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (0 < digits).then_some(())?;
    let ms = format!("{:0<3}", &fraction[..digits.min(3)]).parse().ok()?;
    Some((ms, &fraction[digits..]))
}

/// How far a zone is from UTC: `Z`, `+01:00`.
fn minutes_east(zone: &str) -> Option<i64> {
    match zone.as_bytes() {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let two = |a: u8, b: u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let (hours, minutes) = (two(*h1, *h2), two(*m1, *m2));
            (hours < 24 && minutes < 60).then_some(())?;
            Some(if *sign == b'-' { -(hours * 60 + minutes) } else { hours * 60 + minutes })
        }
        _ => None,
    }
}

/// The days from 1970-01-01 to a Gregorian date: what [`civil`] turns round.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
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

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for ms in [0, 951_782_400_000, 1_694_205_578_428, 4_107_542_399_999] {
            assert_eq!(from_rfc3339(&rfc3339(Duration::from_millis(ms))), Some(ms as i64));
        }
        let cases = [
            ("1996-12-19T16:39:57-08:00", 851_042_397_000),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520),
            ("1937-01-01t12:00:27.8799+00:20", -1_041_337_172_121),
            ("2023-10-31 20:37:25.516000+00:00", 1_698_784_645_516),
        ];
        for (text, ms) in cases {
            assert_eq!(from_rfc3339(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let texts = [
            "",
            "2026",
            "2026-11-28",
            "2026-11-28T10:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00Zulu",
            "\u{e9}026-01-01T00:00:00Z",
            "2026-01-01T00:00:0\u{e9}Z",
            "+026-01-01T00:00:00Z",
        ];
        for text in texts {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }
}
