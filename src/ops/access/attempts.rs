//! Attempts: how often a sign-in may go wrong, for one address and for one account.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures of one address in a row, before it waits: a person who tries all passwords they have.
const ADDRESS: Allowance = Allowance { burst: 10, each: Duration::from_secs(30) };

/// Failures with one account in a row, whoever tries: one address alone cannot lock it.
const ACCOUNT: Allowance = Allowance { burst: 50, each: Duration::from_secs(10) };

const _: () = assert!(
    ADDRESS.burst < ACCOUNT.burst && ADDRESS.each.as_millis() > ACCOUNT.each.as_millis(),
    "one address never uses up an account"
);

/// Buckets of each kind: addresses and accounts are told apart by a keyed hash, so that memory is
/// bounded and nobody can choose to share a bucket with somebody. 256 KiB.
const BUCKETS: usize = 16 * 1024;

/// So many failures, and one more for each such time that passes.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    burst: u32,
    each: Duration,
}

/// What failed lately.
#[derive(Debug)]
pub(in crate::ops) struct Attempts {
    keys: RandomState,
    addresses: Mutex<Box<[Bucket]>>,
    accounts: Mutex<Box<[Bucket]>>,
}

/// When the failures counted here are forgotten, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    clear_ms: i64,
}

/// An attempt that was admitted: it counts as a failure until it is told otherwise.
#[derive(Debug)]
pub(in crate::ops) struct Attempt {
    address: usize,
    account: usize,
}

/// The attempt has to wait so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct TooMany {
    /// At least a second.
    pub retry_after_s: u64,
}

impl Attempts {
    pub(in crate::ops) fn new() -> Attempts {
        let buckets = || Mutex::new(vec![Bucket::default(); BUCKETS].into_boxed_slice());
        Attempts { keys: RandomState::new(), addresses: buckets(), accounts: buckets() }
    }

    /// Counts an attempt to sign in.
    ///
    /// # Errors
    /// [`TooMany`], and then nothing is counted.
    pub(in crate::ops) fn admit(
        &self,
        peer: IpAddr,
        account: &str,
        now_ms: i64,
    ) -> Result<Attempt, TooMany> {
        let at = |hash: u64| usize::try_from(hash % BUCKETS as u64).unwrap_or_default();
        let address = at(self.keys.hash_one(network(peer)));
        let account = at(self.keys.hash_one(account.trim().to_lowercase()));
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = [
            addresses[address].wait_ms(ADDRESS, now_ms),
            accounts[account].wait_ms(ACCOUNT, now_ms),
        ];
        match waits.into_iter().max() {
            Some(wait_ms) if wait_ms > 0 => {
                Err(TooMany { retry_after_s: u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000) })
            }
            Some(_) | None => {
                addresses[address].count(ADDRESS, now_ms);
                accounts[account].count(ACCOUNT, now_ms);
                Ok(Attempt { address, account })
            }
        }
    }

    /// It was the right password after all.
    pub(in crate::ops) fn forgive(&self, attempt: &Attempt) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses[attempt.address].clear_ms -= ms(ADDRESS.each);
        drop(addresses);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts[attempt.account].clear_ms -= ms(ACCOUNT.each);
    }
}

impl Bucket {
    /// How long until another failure fits; zero or less when it does now.
    fn wait_ms(self, allowance: Allowance, now_ms: i64) -> i64 {
        self.clear_ms - now_ms - ms(allowance.each) * i64::from(allowance.burst - 1)
    }

    fn count(&mut self, allowance: Allowance, now_ms: i64) {
        self.clear_ms = self.clear_ms.max(now_ms) + ms(allowance.each);
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What one customer of a provider has: an address of version 4, or 64 bits of version 6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    fn tried(attempts: &Attempts, peer: &str, account: &str, now_ms: i64) -> Result<(), TooMany> {
        attempts.admit(peer.parse().unwrap(), account, now_ms).map(|_| ())
    }

    #[test]
    fn an_address_has_its_failures_and_then_one_each_half_minute() {
        let attempts = Attempts::new();
        for nth in 0..10 {
            assert!(tried(&attempts, HERE, &format!("a{nth}"), 0).is_ok(), "{nth}");
        }
        assert_eq!(tried(&attempts, HERE, "b", 0), Err(TooMany { retry_after_s: 30 }));
        assert!(tried(&attempts, "192.0.2.2", "b", 0).is_ok());
        assert!(tried(&attempts, HERE, "b", 30_000).is_ok());
        assert!(tried(&attempts, HERE, "b", 30_000).is_err());
    }

    #[test]
    fn an_account_is_shut_by_many_addresses_and_never_by_one() {
        let attempts = Attempts::new();
        let mut failures = 0;
        // An hour of one address that never stops: another may still try.
        for second in 0..3600 {
            failures += i32::from(tried(&attempts, HERE, "a@example.com", second * 1000).is_ok());
        }
        assert!((100..150).contains(&failures), "{failures}");
        assert!(tried(&attempts, "2001:db8::1", "A@example.com ", 3_600_000).is_ok());
        for nth in 0..60 {
            let _ = tried(&attempts, &format!("198.51.100.{nth}"), "a@example.com", 3_600_000);
        }
        let shut = tried(&attempts, "203.0.113.1", "a@example.com", 3_600_000);
        assert_eq!(shut, Err(TooMany { retry_after_s: 10 }));
    }

    #[test]
    fn what_was_right_does_not_count() {
        let attempts = Attempts::new();
        for _ in 0..200 {
            let attempt = attempts.admit(HERE.parse().unwrap(), "a", 0).unwrap();
            attempts.forgive(&attempt);
        }
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
