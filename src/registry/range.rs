//! The part of a blob that an answer with status 206 has, told by its header `Content-Range`.

/// The first byte that is sent, the last, and the size of the whole where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 5-9/10` or `bytes 5-9/*` (RFC 9110, 14.4); `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        let range = Self { first: number(first)?, last: number(last)?, total };
        let is_sound = range.first <= range.last && total.is_none_or(|total| range.last < total);
        (unit.eq_ignore_ascii_case("bytes") && is_sound).then_some(range)
    }

    /// Whether its bytes go on at `first` in something of `size` bytes.
    ///
    /// It may end early: the next answer goes on after it.
    pub(super) fn goes_on(&self, first: u64, size: u64) -> bool {
        self.first == first && self.last < size && self.total.is_none_or(|total| total == size)
    }
}

/// A number of digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::ContentRange;

    #[test]
    fn a_range_goes_on_where_it_was_asked_for_and_nowhere_else() {
        for (text, is_right) in [
            ("bytes 5-9/10", true),
            ("bytes 5-9/*", true),
            (" Bytes 5-7/10 ", true),
            ("bytes 4-9/10", false),
            ("bytes 6-9/10", false),
            ("bytes 5-9/11", false),
            ("bytes 5-10/*", false),
        ] {
            let range = ContentRange::parse(text).unwrap();
            assert_eq!(range.goes_on(5, 10), is_right, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_told() {
        for text in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "items 5-9/10",
            "bytes +5-9/10",
            "bytes 5-9/10, bytes 1-2/10",
            "bytes -5/10",
            "bytes 5-/10",
            "bytes 5-99999999999999999999/*",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
