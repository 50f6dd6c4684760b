//! Signing in with a password: the same answer and the same time, whoever it is that cannot.

use super::attempts::{Attempts, TooMany};
use super::password::{Hasher, PasswordError};
use super::{NewPassword, NoRandomness};
use crate::ops::store::{Change, Store, StoreError, User};
use std::net::IpAddr;

/// Characters of what was given as an email, in the audit: an address, and not what a stranger sends.
const SUBJECT_CHARS_MAX: usize = 100;

/// What stands between a stranger and the passwords: hashes some at a time, and failures counted.
#[derive(Debug)]
pub(in crate::ops) struct Guard {
    hasher: Hasher,
    attempts: Attempts,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum Refused {
    /// There is no such user, or not with this password, or they may not.
    #[error("email or password is wrong, or the user may not sign in: ask an administrator")]
    Wrong,
    /// It went wrong too often.
    #[error("too many sign-ins have failed: try again in {retry_after_s} s")]
    TooMany {
        /// At least a second.
        retry_after_s: u64,
    },
    /// Too many others sign in.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The records cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TooMany> for Refused {
    fn from(TooMany { retry_after_s }: TooMany) -> Refused {
        Refused::TooMany { retry_after_s }
    }
}

impl Guard {
    /// A guard that has seen nobody yet.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(in crate::ops) fn new() -> Result<Guard, NoRandomness> {
        Ok(Guard { hasher: Hasher::new()?, attempts: Attempts::new() })
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// [`PasswordError::Busy`], [`PasswordError::NoRandomness`].
    pub(in crate::ops) fn hash(&self, password: &NewPassword) -> Result<String, PasswordError> {
        self.hasher.hash(password)
    }
}

/// The user of that email, if this is their password.
///
/// # Errors
/// [`Refused`]; a wrong password is in the audit then.
pub(in crate::ops) fn sign_in(
    store: &Store,
    guard: &Guard,
    (email, password): (&str, &str),
    peer: IpAddr,
    now_ms: i64,
) -> Result<User, Refused> {
    let attempt = guard.attempts.admit(peer, email, now_ms)?;
    let found = store.read(|tx| -> Result<_, StoreError> {
        let Some(user) = tx.user_by_email(email.trim())? else { return Ok(None) };
        let kept = tx.password(&user.id)?;
        Ok(Some((user, kept)))
    })?;
    let (user, kept) = found.unzip();
    // Looked at in any case, so that the time does not tell who is there.
    let is_right = guard.hasher.is_right(password, kept.flatten().as_deref());
    let is_right = match is_right {
        Err(busy) => {
            guard.attempts.forgive(&attempt);
            return Err(busy.into());
        }
        Ok(is_right) => is_right,
    };
    if let Some(user) = user.as_ref().filter(|user| user.is_enabled && is_right) {
        guard.attempts.forgive(&attempt);
        return Ok(user.clone());
    }
    let subject: String =
        email.trim().chars().filter(|c| !c.is_control()).take(SUBJECT_CHARS_MAX).collect();
    store.write(|tx| -> Result<(), StoreError> {
        tx.note(&Change {
            at_ms: now_ms,
            user: user.as_ref().map(|user| user.id.as_str()),
            workspace: None,
            action: "sign_in.failed",
            subject: &subject,
            detail: serde_json::json!({}),
            peer: &peer.to_string(),
        })
    })?;
    Err(Refused::Wrong)
}

/// Whether this is the password of a user who is signed in; a wrong one counts like a failed sign-in.
///
/// # Errors
/// [`Refused::TooMany`], [`Refused::Password`], [`Refused::Store`].
pub(in crate::ops) fn is_password_of(
    store: &Store,
    guard: &Guard,
    (user, password): (&User, &str),
    peer: IpAddr,
    now_ms: i64,
) -> Result<bool, Refused> {
    match sign_in(store, guard, (&user.email, password), peer, now_ms) {
        Ok(found) => Ok(found.id == user.id),
        Err(Refused::Wrong) => Ok(false),
        Err(other) => Err(other),
    }
}
