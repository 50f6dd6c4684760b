//! The part of a blob that a client asks for: a header `Range`, read by RFC 9110 section 14.

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// From the first byte to the last, both within it.
    Part { first: u64, last: u64 },
    /// Bytes that it has not got.
    Outside,
}

impl Wanted {
    /// Reads the header about something of `bytes` bytes.
    ///
    /// What is not understood is ignored, as the RFC has it, and so are several ranges at once:
    /// the whole holds them all, and no client of registries asks for them.
    pub(super) fn of(range: Option<&str>, bytes: u64) -> Wanted {
        let Some((unit, set)) = range.and_then(|range| range.split_once('=')) else {
            return Wanted::Whole;
        };
        let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Wanted::Whole;
        }
        let (first, last) = match (first, last) {
            ("", suffix) => match number(suffix) {
                Some(count) => (bytes.saturating_sub(count), u64::MAX),
                None => return Wanted::Whole,
            },
            (first, "") => match number(first) {
                Some(first) => (first, u64::MAX),
                None => return Wanted::Whole,
            },
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => (first, last),
                _ => return Wanted::Whole,
            },
        };
        if first >= bytes {
            return Wanted::Outside;
        }
        Wanted::Part { first, last: last.min(bytes - 1) }
    }
}

/// Digits alone, since `parse` would take a sign; what is past 64 bits is past every end.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn a_range_is_the_part_the_whole_or_outside() {
        let part = |first, last| Wanted::Part { first, last };
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-5", part(2, 5)),
            ("Bytes = 2-5", part(2, 5)),
            ("bytes=2-", part(2, 9)),
            ("bytes=2-99999999999999999999999", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=9-", part(9, 9)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=10-20", Wanted::Outside),
            ("bytes=99999999999999999999999-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(Wanted::of(Some(range), 10), expected, "{range}");
        }
        assert_eq!(Wanted::of(None, 10), Wanted::Whole);
        assert_eq!(Wanted::of(Some("bytes=0-"), 0), Wanted::Outside);
    }
}
