//! The pace a client must keep: an allowance of waiting time that moved bytes earn back.

use std::time::Duration;

use super::limits::Limits;

/// How much longer we wait for a client that sends a body or takes an answer.
///
/// It starts with the grace, waiting spends it, and each byte earns its share of a second, never
/// above the grace. So a stalled client is given up after one grace, however much it moved before,
/// and a dribbling one too: credit cannot be saved up. Only time spent waiting on the socket
/// counts, so a service that reads slowly is not held against its client.
#[derive(Debug)]
pub(super) struct Pace {
    left: Duration,
    grace: Duration,
    bytes_per_second: u64,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Pace {
        Pace { left: limits.grace, grace: limits.grace, bytes_per_second: limits.body_rate_min }
    }

    /// Waiting time that is left; zero when the client is too slow.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// Books one wait and the bytes it brought.
    pub(super) fn book(&mut self, waited: Duration, bytes: usize) {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let spent = self.left.saturating_sub(waited);
        self.left = spent.saturating_add(earned).min(self.grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let limits =
            Limits { grace: Duration::from_secs(2), body_rate_min: 10, ..Limits::default() };
        Pace::new(&limits)
    }

    #[test]
    fn a_client_at_the_rate_is_never_given_up() {
        let mut pace = pace();
        for _ in 0..1_000 {
            pace.book(Duration::from_secs(1), 10);
        }
        assert_eq!(pace.left(), Duration::from_secs(2));
    }

    #[test]
    fn a_client_below_the_rate_is_given_up() {
        let mut pace = pace();
        for _ in 0..3 {
            pace.book(Duration::from_secs(1), 1);
        }
        assert_eq!(pace.left(), Duration::from_millis(100));
        pace.book(Duration::from_secs(1), 0);
        assert_eq!(pace.left(), Duration::ZERO);
    }

    #[test]
    fn a_fast_start_earns_no_credit_for_a_later_stall() {
        let mut pace = pace();
        pace.book(Duration::ZERO, usize::MAX);
        pace.book(Duration::from_secs(2), 0);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
