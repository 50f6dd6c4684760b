//! Dates as HTTP heads have them (RFC 9110, section 5.6.7).

use std::time::Duration;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time since the Unix epoch that `Sun, 06 Nov 1994 08:49:37 GMT` means.
///
/// `None` for anything else: the two older forms were given up before there were registries.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (_weekday, rest) = text.trim().split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|it| *it == month)? as u64 + 1;
    let (day, year) = (number(day, 2)?, number(year, 4)?);
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    let is_sound = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !is_sound || year < 1970 {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    Some(Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_sound.then(|| text.parse().ok())?
}

/// Days since 1970-01-01, counted in years that begin in March so that the leap day is the last.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_TO_1970: u64 = 719_468; // from 0000-03-01
    let year = year - u64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn dates_have_their_seconds() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Fri, 31 Dec 9999 23:59:60 GMT", 253_402_300_800),
        ] {
            assert_eq!(parse(text).map(|it| it.as_secs()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "7",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
