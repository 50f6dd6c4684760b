//! Whether inferences are kept, and how many: `LOCAL_INFERENCE_STORAGE` and what goes with it.

use super::super::journal::Settings;
use super::environment::{Environment, malformed};
use std::time::Duration;

/// What a journal may take where nothing else is said: some hours to months of a sensor, and a
/// small part of the smallest SD cards that are sold.
const CAP_BYTES_DEFAULT: u64 = 256 << 20;

/// Smaller caps than this hold no single batch, larger ones are a slip of the pen.
const CAP_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 40;

/// How long inferences wait for the disk where nothing else is said: a card is written at most
/// every five seconds then, and a power cut takes five seconds at most.
const SYNC_DEFAULT: Duration = Duration::from_secs(5);

/// The longest value that is kept where nothing else is said: rows of tables are, images are not,
/// which would wear a card out in weeks.
const VALUE_BYTES_DEFAULT: u64 = 64 << 10;

/// A value must fit into a frame with its row's other values.
const VALUE_BYTES: std::ops::RangeInclusive<u64> = 8..=2 << 20;

/// Rows in a page of the log where nothing else is said, and the most: the original's.
const PAGE_ROWS_DEFAULT: usize = 1000;
const PAGE_ROWS_MAX: usize = 10_000;

impl Environment {
    /// What is kept; nothing where neither an ops center nor a person wants it.
    pub(super) fn journal(&mut self, has_bundle: bool) -> Option<Settings> {
        let cap = self.size("LOCAL_INFERENCE_STORAGE", CAP_BYTES, "`1Mi` to `16Ti`, as `512Mi`");
        let value = self.size("POTOROO_LOG_VALUE", VALUE_BYTES, "`8` to `2Mi` bytes, as `64Ki`");
        let sync_every = self.seconds("POTOROO_LOG_SECONDS", 1, SYNC_DEFAULT);
        let expected = "a number of rows from 1 to 10000";
        let page_rows = self.parsed::<usize>("PLATEAU_PAGE_SIZE", expected);
        if page_rows.is_some_and(|rows| !(1..=PAGE_ROWS_MAX).contains(&rows)) {
            self.problems.push(malformed("PLATEAU_PAGE_SIZE", expected));
        }
        if self.text("LOCAL_INFERENCE_STORAGE").is_none() && !has_bundle {
            return None;
        }
        Some(Settings {
            cap_bytes: cap.unwrap_or(CAP_BYTES_DEFAULT),
            sync_every,
            value_bytes_max: usize::try_from(value.unwrap_or(VALUE_BYTES_DEFAULT))
                .unwrap_or(usize::MAX),
            page_rows: page_rows.unwrap_or(PAGE_ROWS_DEFAULT),
        })
    }

    fn size(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        expected: &str,
    ) -> Option<u64> {
        let found = bytes(self.text(name)?).filter(|bytes| range.contains(bytes));
        if found.is_none() {
            self.problems.push(malformed(name, expected));
        }
        found
    }
}

/// A number of bytes with or without a unit, in whichever case: `512Mi`, `1.5 GiB`, `100m`, `4096`.
///
/// `m` is a million here, though Kubernetes, where no amount of bytes is that small, would take it
/// for a thousandth: so the original's tutorials write it.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1_000,
        "ki" => 1 << 10,
        "m" => 1_000_000,
        "mi" => 1 << 20,
        "g" => 1_000_000_000,
        "gi" => 1 << 30,
        "t" => 1_000_000_000_000,
        "ti" => 1 << 40,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let bytes = number * factor as f64;
    (bytes.is_finite() && bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn amounts_are_read_in_every_spelling_of_the_original() {
        for (text, expected) in [
            ("512Mi", Some(512 << 20)),
            ("100m", Some(100_000_000)),
            ("1Gi", Some(1 << 30)),
            ("1.5 GiB", Some(3 << 29)),
            ("10MB", Some(10_000_000)),
            ("64ki", Some(64 << 10)),
            ("4096", Some(4096)),
            ("2T", Some(2_000_000_000_000)),
            ("", None),
            ("Mi", None),
            ("-1Mi", None),
            ("1e9", None),
            ("512 Mibibytes", None),
            ("1.2.3", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
