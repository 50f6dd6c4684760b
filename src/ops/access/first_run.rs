//! The first run: an ops center without users prints a link, and who follows it administers it.

use super::secret::{NoRandomness, fresh_secret, fresh_uuid, hashed};
use super::{Email, Role, TokenKind};
use crate::ops::store::{Change, Store, StoreError, TokenRecord, Tx, User};
use crate::registry::Secret;

/// The workspace that there is from the beginning.
pub(in crate::ops) const DEFAULT_WORKSPACE: &str = "default";

/// The first administrator, as they are to be.
#[derive(Debug)]
pub(in crate::ops) struct Founder<'a> {
    /// Their email.
    pub email: &'a Email,
    /// What is kept of their password.
    pub password: &'a str,
    /// From where it was asked.
    pub peer: &'a str,
}

/// A link's token that makes the first administrator, or `None` when there is one.
///
/// An earlier token does not hold any more: only hashes are kept, so it cannot be shown again.
pub(in crate::ops) fn link<E>(store: &Store, now_ms: i64) -> Result<Option<Secret>, E>
where
    E: From<StoreError> + From<NoRandomness>,
{
    let secret = fresh_secret(TokenKind::FirstRun.prefix())?;
    store.write(|tx| {
        tx.revoke_first_runs(now_ms)?;
        if tx.has_users()? {
            return Ok(None);
        }
        tx.add_token(&TokenRecord {
            kind: TokenKind::FirstRun,
            hash: &hashed(secret.reveal()),
            user: None,
            name: "",
            family: None,
            created_ms: now_ms,
            expires_ms: None,
        })?;
        Ok(Some(secret))
    })
}

/// Makes the first administrator and the first workspace, and gives its number; `None`, and nothing
/// is changed, when there is a user already.
pub(in crate::ops) fn found<E>(
    tx: &Tx<'_>,
    founder: &Founder<'_>,
    now_ms: i64,
) -> Result<Option<(User, i64)>, E>
where
    E: From<StoreError> + From<NoRandomness>,
{
    if tx.has_users()? {
        return Ok(None);
    }
    let email = founder.email.as_str().to_owned();
    let (is_admin, is_enabled, created_ms) = (true, true, now_ms);
    let user = User { id: fresh_uuid()?, email, is_admin, is_enabled, created_ms };
    tx.add_user(&user, Some(founder.password))?;
    let workspace = tx.add_workspace(DEFAULT_WORKSPACE, &user.id, now_ms)?;
    tx.set_member(workspace, &user.id, Role::Admin)?;
    tx.revoke_first_runs(now_ms)?;
    tx.note(&Change {
        at_ms: now_ms,
        user: Some(&user.id),
        workspace: Some(workspace),
        action: "first_run",
        subject: &user.email,
        detail: serde_json::json!({}),
        peer: founder.peer,
    })?;
    Ok(Some((user, workspace)))
}
