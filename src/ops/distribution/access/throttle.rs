//! Failed logins: so many an address and a user name, then no faster than they are forgotten.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who is counted, at most: 8192 of them take half a megabyte.
const COUNTED_MAX: usize = 8192;

/// What one may fail at once, and how long it takes until one failure is forgotten.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    at_once: u32,
    each: Duration,
}

/// Of one user name from one address: a person who tries the passwords that come to mind.
const LOGIN: Allowance = Allowance { at_once: 5, each: Duration::from_secs(12) };

/// Of an address with any user names: behind it may be a fleet, of which some were withdrawn and
/// go on asking, and a guesser gets one guess a second.
const ADDRESS: Allowance = Allowance { at_once: 60, each: Duration::from_secs(1) };

/// Counts failures by when the last of them will be forgotten, with no timer and one instant each.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    names: RandomState,
    forgotten: Mutex<HashMap<Key, Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    /// With the user name's hash, which nobody outside can aim at.
    Login(IpAddr, u64),
}

impl Key {
    const fn allowance(self) -> Allowance {
        match self {
            Key::Address(_) => ADDRESS,
            Key::Login(..) => LOGIN,
        }
    }
}

/// One login that is being looked at, counted as failed until it is forgiven.
#[derive(Debug)]
pub(super) struct Turn([Key; 2]);

impl Throttle {
    /// Counts a failure ahead, so that logins at the same time count too.
    ///
    /// # Errors
    /// How long to wait, when as many have failed as may.
    pub(super) fn begin(
        &self,
        address: IpAddr,
        username: &str,
        now: Instant,
    ) -> Result<Turn, Duration> {
        let address = network(address);
        let keys = [Key::Login(address, self.names.hash_one(username)), Key::Address(address)];
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = [now; 2];
        for (next, key) in next.iter_mut().zip(keys) {
            let Allowance { at_once, each } = key.allowance();
            let from = forgotten.get(&key).map_or(now, |until| (*until).max(now));
            *next = from + each;
            let over = next.duration_since(now).saturating_sub(each * at_once);
            if !over.is_zero() {
                return Err(over);
            }
        }
        for (key, next) in keys.into_iter().zip(next) {
            if forgotten.len() >= COUNTED_MAX && !forgotten.contains_key(&key) {
                make_room(&mut forgotten, now);
            }
            forgotten.insert(key, next);
        }
        Ok(Turn(keys))
    }

    /// The login did not fail.
    pub(super) fn forgive(&self, turn: Turn) {
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        for key in turn.0 {
            if let Some(until) = forgotten.get_mut(&key) {
                *until = until.checked_sub(key.allowance().each).unwrap_or(*until);
            }
        }
    }
}

/// Takes away who has nothing left to be forgotten, else who is nearest to that.
fn make_room(forgotten: &mut HashMap<Key, Instant>, now: Instant) {
    forgotten.retain(|_, until| *until > now);
    if forgotten.len() >= COUNTED_MAX {
        let nearest = forgotten.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
        nearest.map(|key| forgotten.remove(&key));
    }
}

/// The address, or the network that one household or server is given of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{ADDRESS, COUNTED_MAX, LOGIN, Throttle};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn failures_of_one_login_are_counted_and_forgotten_one_by_one() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let fail = |at: Duration| throttle.begin(HERE, "edge", now + at).map(drop);
        for _ in 0..LOGIN.at_once {
            fail(Duration::ZERO).unwrap();
        }
        assert_eq!(fail(Duration::ZERO), Err(LOGIN.each));
        assert_eq!(fail(LOGIN.each / 2), Err(LOGIN.each / 2));
        fail(LOGIN.each).unwrap();
        fail(LOGIN.each).unwrap_err();
        throttle.begin(HERE, "other", now).unwrap();
        throttle.begin("192.0.2.2".parse().unwrap(), "edge", now).unwrap();
    }

    #[test]
    fn an_address_is_counted_under_all_user_names() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for name in 0..ADDRESS.at_once {
            throttle.begin(HERE, &name.to_string(), now).unwrap();
        }
        assert_eq!(throttle.begin(HERE, "one more", now).unwrap_err(), ADDRESS.each);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        throttle.begin(mapped, "one more", now).unwrap_err();
        let [first, second]: [IpAddr; 2] =
            ["2001:db8::1", "2001:db8::2"].map(|it| it.parse().unwrap());
        for _ in 0..LOGIN.at_once {
            throttle.begin(first, "edge", now).unwrap();
        }
        throttle.begin(second, "edge", now).unwrap_err();
    }

    #[test]
    fn logins_that_do_not_fail_are_never_held_up() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..10_000 {
            let turn = throttle.begin(HERE, "edge", now).unwrap();
            throttle.forgive(turn);
        }
    }

    #[test]
    fn no_crowd_of_addresses_takes_more_memory_and_the_worst_stay_counted() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..LOGIN.at_once {
            throttle.begin(HERE, "edge", now).unwrap();
        }
        for address in 0..COUNTED_MAX as u32 {
            throttle.begin(Ipv4Addr::from(address).into(), "edge", now).unwrap();
        }
        assert!(throttle.forgotten.lock().unwrap().len() <= COUNTED_MAX);
        throttle.begin(HERE, "edge", now).unwrap_err();
    }
}
