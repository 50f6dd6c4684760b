//! Passwords: how long they must be, how they are kept, and how many are hashed at once.

use super::secret::{NoRandomness, random};
use crate::registry::Secret;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::sync::{Condvar, Mutex, PoisonError};

/// Characters of a password, at least: length is the only rule, as NIST SP 800-63B-4 has it for a
/// password that is all there is.
pub(in crate::ops) const PASSWORD_CHARS_MIN: usize = 12;

/// Bytes of a password, at most: a sentence, and not a way to keep the hash busy.
pub(in crate::ops) const PASSWORD_BYTES_MAX: usize = 1024;

/// Memory of one hash, in KiB: what OWASP asks for at the least with two passes, some 30 ms here.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes: one thread hashes.
const LANES: u32 = 1;

/// Hashes at once: 38 MiB, on a machine that an ops center may share.
const AT_ONCE_MAX: usize = 2;

/// Who waits for a hash: a second of work, after that 503.
const WAITING_MAX: usize = 16;

/// Bytes of a salt and of a hash (RFC 9106, section 3.1 and 4).
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Why a password was neither made nor looked at.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum PasswordError {
    /// It is not of the length that is asked for.
    #[error(
        "a password has {PASSWORD_CHARS_MIN} characters or more, up to {PASSWORD_BYTES_MAX} bytes: \
         choose another one; length is the only rule"
    )]
    Length,
    /// Too many others are being looked at.
    #[error("too many people sign in at once: try again in a second")]
    Busy,
    /// No salt.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A password that may become someone's.
#[derive(Debug)]
pub(in crate::ops) struct NewPassword(Secret);

impl NewPassword {
    /// Takes a password of the right length.
    ///
    /// # Errors
    /// [`PasswordError::Length`].
    pub(in crate::ops) fn new(text: &str) -> Result<NewPassword, PasswordError> {
        let is_sound =
            text.chars().count() >= PASSWORD_CHARS_MIN && text.len() <= PASSWORD_BYTES_MAX;
        is_sound.then(|| NewPassword(Secret::new(text.to_owned()))).ok_or(PasswordError::Length)
    }
}

/// Where passwords are hashed, some at a time.
#[derive(Debug)]
pub(in crate::ops) struct Hasher {
    /// Who hashes and who waits.
    seats: Mutex<Seats>,
    freed: Condvar,
    /// Of no password: what is looked at for a user that is not there.
    nobody: String,
}

#[derive(Debug, Default)]
struct Seats {
    busy: usize,
    waiting: usize,
}

impl Hasher {
    /// A hasher that nobody uses yet.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(in crate::ops) fn new() -> Result<Hasher, NoRandomness> {
        let nobody = written(&random::<SALT_BYTES>()?, &random::<HASH_BYTES>()?);
        Ok(Hasher { seats: Mutex::default(), freed: Condvar::new(), nobody })
    }

    /// What is kept of a password: Argon2id in PHC form.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], [`PasswordError::NoRandomness`].
    pub(in crate::ops) fn hash(&self, password: &NewPassword) -> Result<String, PasswordError> {
        let salt = random::<SALT_BYTES>()?;
        let params = params(MEMORY_KIB, PASSES, LANES);
        let hash = self.seated(|| derived(password.0.reveal(), &salt, params))?;
        Ok(written(&salt, &hash))
    }

    /// Whether the password is the one that was kept; takes as long when nothing was.
    ///
    /// # Errors
    /// [`PasswordError::Busy`].
    pub(in crate::ops) fn is_right(
        &self,
        password: &str,
        kept: Option<&str>,
    ) -> Result<bool, PasswordError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let known = kept.and_then(read);
        let Some((params, salt, wanted)) = known.clone().or_else(|| read(&self.nobody)) else {
            return Ok(false);
        };
        let found = self.seated(|| derived(password, &salt, params))?;
        // Of two hashes nobody learns anything by the time; all bytes are looked at all the same.
        let difference = found.iter().zip(&wanted).fold(0, |all, (a, b)| all | (a ^ b));
        Ok(difference == 0 && known.is_some())
    }

    /// Works when there is a seat.
    fn seated<T>(&self, work: impl FnOnce() -> T) -> Result<T, PasswordError> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.busy >= AT_ONCE_MAX && seats.waiting >= WAITING_MAX {
            return Err(PasswordError::Busy);
        }
        seats.waiting += 1;
        while seats.busy >= AT_ONCE_MAX {
            seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner);
        }
        seats.waiting -= 1;
        seats.busy += 1;
        drop(seats);
        let _seat = Seat(self);
        Ok(work())
    }
}

/// Freed when dropped, after a panic too.
struct Seat<'a>(&'a Hasher);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner).busy -= 1;
        self.0.freed.notify_one();
    }
}

#[expect(clippy::expect_used, reason = "our own parameters, and those that we wrote and read")]
fn derived(password: &str, salt: &[u8], params: Params) -> [u8; HASH_BYTES] {
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .expect("parameters and lengths are within Argon2's");
    hash
}

#[expect(clippy::expect_used, reason = "constants, or numbers that were compared with them")]
fn params(memory_kib: u32, passes: u32, lanes: u32) -> Params {
    Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).expect("within Argon2's limits")
}

/// The PHC form, as other programs read it.
fn written(salt: &[u8], hash: &[u8]) -> String {
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
}

/// Parameters, salt and hash of what was kept; `None` for anything that we do not write.
fn read(kept: &str) -> Option<(Params, Vec<u8>, Vec<u8>)> {
    let parts: Vec<&str> = kept.split('$').collect();
    let ["", "argon2id", "v=19", costs, salt, hash] = parts[..] else { return None };
    let mut numbers = costs
        .split(',')
        .zip(["m=", "t=", "p="])
        .map(|(cost, name)| cost.strip_prefix(name).and_then(|number| number.parse::<u32>().ok()));
    let (memory, passes, lanes) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // Never more memory for a hash than is set aside for it, whatever stands in the records.
    let is_ours = (1024..=MEMORY_KIB).contains(&memory)
        && (1..=PASSES).contains(&passes)
        && (1..=LANES).contains(&lanes);
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    (is_ours && salt.len() == SALT_BYTES && hash.len() == HASH_BYTES)
        .then(|| (params(memory, passes, lanes), salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_is_right_and_it_is_kept_in_phc_form() {
        let hasher = Hasher::new().unwrap();
        let kept = hasher.hash(&NewPassword::new("correct horse battery").unwrap()).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(hasher.is_right("correct horse battery", Some(&kept)).unwrap());
        assert!(!hasher.is_right("correct horse batterz", Some(&kept)).unwrap());
        assert!(!hasher.is_right("correct horse battery", None).unwrap());
        assert!(!hasher.is_right("correct horse battery", Some("$2b$12$abc")).unwrap());
    }

    #[test]
    fn a_password_has_a_least_and_a_largest_length() {
        for text in ["", "elevenchars", &"x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert!(matches!(NewPassword::new(text), Err(PasswordError::Length)), "{text}");
        }
        assert!(NewPassword::new("zwölf Zeichen").is_ok());
    }

    #[test]
    fn as_many_hash_at_once_as_there_are_seats_and_who_finds_no_room_to_wait_is_told() {
        let hasher = Hasher::new().unwrap();
        let full = Seats { busy: AT_ONCE_MAX, waiting: WAITING_MAX };
        *hasher.seats.lock().unwrap() = full;
        assert!(matches!(hasher.is_right("a", None), Err(PasswordError::Busy)));
        *hasher.seats.lock().unwrap() = Seats::default();
        let (inside, most) = (Mutex::new(0), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    hasher.seated(|| {
                        *inside.lock().unwrap() += 1;
                        let now = *inside.lock().unwrap();
                        let mut most = most.lock().unwrap();
                        *most = now.max(*most);
                        drop(most);
                        derived("a", &[0; 16], params(MEMORY_KIB, 1, 1));
                        *inside.lock().unwrap() -= 1;
                    })
                });
            }
        });
        let most = *most.lock().unwrap();
        assert!((1..=AT_ONCE_MAX).contains(&most), "{most}");
    }
}
