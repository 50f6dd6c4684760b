//! Shares: how much one edge may send at a time, so that its backlog leaves room for the others'.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far ahead of its share an edge may be: what it wrote since its last delivery goes at once.
const AHEAD: Duration = Duration::from_secs(4);

/// Edges that are remembered before those that owe nothing are forgotten; each takes 100 bytes.
const REMEMBERED: usize = 4096;

/// What each edge has sent, as the time by which its share would have grown so large.
#[derive(Debug)]
pub(super) struct Shares {
    bytes_per_s: u64,
    due: Mutex<HashMap<String, Instant>>,
}

impl Shares {
    pub(super) fn of(bytes_per_s: u64) -> Shares {
        Shares { bytes_per_s: bytes_per_s.max(1), due: Mutex::default() }
    }

    /// Counts a delivery. One that is larger than what an edge may be ahead passes all the same, and
    /// is paid for before the next.
    ///
    /// # Errors
    /// How many seconds the edge is to wait, when it is too far ahead.
    pub(super) fn take(&self, edge: &str, bytes: u64, now: Instant) -> Result<(), u64> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = due.get(edge).map_or(now, |due| now.max(*due));
        let over = at.duration_since(now).saturating_sub(AHEAD);
        if !over.is_zero() {
            return Err(over.as_secs() + 1);
        }
        if due.len() >= REMEMBERED && !due.contains_key(edge) {
            due.retain(|_, due| *due > now);
        }
        let costs = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        due.insert(edge.to_owned(), at + costs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_sends_more_than_its_share_waits_and_the_others_do_not() {
        let (shares, now) = (Shares::of(1000), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        shares.take("till-1", 10_000, now).unwrap();
        assert_eq!(shares.take("till-1", 1, now), Err(7));
        shares.take("till-2", 10_000, now).unwrap();
        assert_eq!(shares.take("till-1", 1, later(5)), Err(2));
        shares.take("till-1", 1, later(6)).unwrap();
    }

    #[test]
    fn who_keeps_to_the_share_never_waits() {
        let (shares, now) = (Shares::of(1000), Instant::now());
        for second in 0..100 {
            shares.take("till-1", 1000, now + Duration::from_secs(second)).unwrap();
        }
    }

    #[test]
    fn those_that_owe_nothing_are_forgotten() {
        let (shares, now) = (Shares::of(1000), Instant::now());
        for edge in 0..REMEMBERED {
            shares.take(&edge.to_string(), 1, now).unwrap();
        }
        shares.take("one more", 1, now + Duration::from_secs(1)).unwrap();
        assert_eq!(shares.due.lock().unwrap().len(), 1);
    }
}
