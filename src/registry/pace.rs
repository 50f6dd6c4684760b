//! The pace that a registry must keep: a blob that drips is a blob that stalls.

use std::time::{Duration, Instant};

/// How much of a blob must come in each [`WINDOW`], in bytes: 4 KiB.
///
/// The slowest mobile link there is (GPRS) brings ten times that, so who sends less is broken or
/// holds us on purpose. The stall time-out alone would not tell: it is content with one byte.
const WINDOW_BYTES_MIN: u64 = 4 << 10;

/// How long the pace is measured before it is judged: a link may pause for half of it.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// How many new bytes make an attempt one that brought something: 1 KiB.
///
/// Less than the handshake before them takes. A registry that sends a byte for each connection
/// would otherwise be asked for ever.
pub(super) const PROGRESS_BYTES_MIN: u64 = 1 << 10;

/// The bytes of one answer, window by window.
pub(super) struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// Takes note of bytes that came, and tells whether they come fast enough.
    pub(super) fn keeps_up(&mut self, now: Instant, bytes: u64) -> bool {
        self.bytes += bytes;
        if now.saturating_duration_since(self.since) < WINDOW {
            return true;
        }
        let keeps_up = self.bytes >= WINDOW_BYTES_MIN;
        *self = Self::new(now);
        keeps_up
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Pace, WINDOW_BYTES_MIN};

    #[test]
    fn who_drips_is_told_from_who_is_slow() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut slow = Pace::new(start);
        assert!((1..600).all(|second| slow.keeps_up(after(second), WINDOW_BYTES_MIN / 30)));
        let mut drip = Pace::new(start);
        assert!((1..60).all(|second| drip.keeps_up(after(second), 1)));
        assert!(!drip.keeps_up(after(60), 1));
        // What came in one window is not saved up for the next.
        let mut late = Pace::new(start);
        assert!(late.keeps_up(after(60), 1 << 30));
        assert!(!late.keeps_up(after(120), 1));
    }
}
