//! How often something is tried again, and how long is waited before.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::Error;
use crate::exit;
use crate::logging::AT_PULL;

/// When to try again and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After how many attempts in a row that brought nothing the last error counts; new bytes, a
    /// KiB of them, make them count anew.
    pub attempts_max: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub wait: Duration,
    /// The longest wait that doubling comes to.
    pub wait_max: Duration,
    /// The longest wait that a registry may ask for.
    pub asked_wait_max: Duration,
}

impl Retry {
    /// What suits an edge: a link that is away for about a minute is waited for.
    ///
    /// Half a second to half a minute, a minute in all: by then a mobile link that only changed
    /// its cell is back, and one that is not may stay away for hours. Ten minutes are the
    /// longest wait that a registry is granted, so that it cannot put an edge to sleep.
    pub const EDGE: Self = Self {
        attempts_max: 8,
        wait: Duration::from_millis(500),
        wait_max: Duration::from_secs(30),
        asked_wait_max: Duration::from_secs(600),
    };

    /// Nothing is tried again: the first error counts, whatever came before it.
    pub const NEVER: Self = Self { attempts_max: 0, ..Self::EDGE };

    /// Does something small, a manifest for instance, until it goes or it is time to give up.
    ///
    /// # Errors
    /// The first that is not [transient](Error::is_transient), or the last of those that are.
    pub fn run<T>(&self, mut what: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut failures = 0;
        loop {
            failures += 1;
            match what() {
                Err(error) if error.is_transient() && failures < self.attempts_max => {
                    let wait = self.wait_after(failures, error.retry_after());
                    let cause = exit::chain(&error);
                    let ms = wait.as_millis();
                    log::warn!(target: AT_PULL, "cause={cause:?} msg=\"tried again in {ms} ms\"");
                    std::thread::sleep(wait);
                }
                result => return result,
            }
        }
    }

    /// The wait after so many failures in a row, at least what the registry `asked` for.
    ///
    /// It is drawn from the upper half of its range: devices that lost one registry together
    /// must not come back to it together.
    #[must_use]
    pub fn wait_after(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.wait.saturating_mul(doubled).min(self.wait_max);
        let drawn = whole / 2 + (whole / 2).mul_f64(fraction());
        drawn.max(asked.unwrap_or_default().min(self.asked_wait_max))
    }
}

/// A random number from 0 to 1.
fn fraction() -> f64 {
    // Each `RandomState` has fresh random keys, so this is a random number without a crate.
    let number = RandomState::new().build_hasher().finish() >> 32;
    number as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Retry};

    #[test]
    fn waits_double_up_to_a_limit_and_are_drawn_from_their_upper_half() {
        let whole = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        for (failures, whole) in (1..).zip(whole.map(Duration::from_millis)) {
            let waits: Vec<_> = (0..200).map(|_| Retry::EDGE.wait_after(failures, None)).collect();
            assert!(waits.iter().all(|wait| (whole / 2..=whole).contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no two devices wait alike");
        }
        assert_eq!(
            Retry::EDGE.wait_after(u32::MAX, None).max(Retry::EDGE.wait_max),
            Retry::EDGE.wait_max
        );
    }

    #[test]
    fn what_a_registry_asks_for_is_granted_up_to_a_limit() {
        let asked = |seconds| Retry::EDGE.wait_after(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert!(asked(0) >= Duration::from_millis(250));
        assert_eq!(asked(86_400), Retry::EDGE.asked_wait_max);
    }
}
