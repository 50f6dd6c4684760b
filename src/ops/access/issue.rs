//! Issuing: tokens as they are made, shown once and kept as hashes.

use super::secret::{NoRandomness, fresh_secret, hashed};
use super::{TokenKind, fresh_uuid};
use crate::ops::store::{StoreError, TokenRecord, Tx};
use crate::registry::Secret;

/// How long a bearer token lives that was got for a password: as long as the original's.
pub(in crate::ops) const BEARER_MS: i64 = 60 * 60 * 1000;

/// How long it may be exchanged for the next: a night's work goes on, a forgotten one does not.
pub(in crate::ops) const REFRESH_MS: i64 = 12 * 3600 * 1000;

const _: () = assert!(BEARER_MS < REFRESH_MS, "else there is nothing to refresh");

/// What a sign-in of a program gives.
#[derive(Debug)]
pub(in crate::ops) struct Pair {
    /// Shown with each request.
    pub bearer: Secret,
    /// Exchanged for the next pair.
    pub refresh: Secret,
}

/// Records a token of that hash; `name_of` is its name and its sign-in.
pub(super) fn issue(
    tx: &Tx<'_>,
    kind: TokenKind,
    hash: &[u8],
    user: &str,
    (name, family): (&str, Option<&str>),
    now_ms: i64,
    life_ms: i64,
) -> Result<i64, StoreError> {
    let expires_ms = Some(now_ms + life_ms);
    tx.add_token(&TokenRecord {
        kind,
        hash,
        user: Some(user),
        name,
        family,
        created_ms: now_ms,
        expires_ms,
    })
}

/// A token for a program, with its number.
pub(in crate::ops) fn issue_api<E>(
    tx: &Tx<'_>,
    user: &str,
    name: &str,
    now_ms: i64,
    life_ms: i64,
) -> Result<(i64, Secret), E>
where
    E: From<StoreError> + From<NoRandomness>,
{
    let secret = fresh_secret(TokenKind::Api.prefix())?;
    let hash = hashed(secret.reveal());
    let id = issue(tx, TokenKind::Api, &hash, user, (name, None), now_ms, life_ms)?;
    Ok((id, secret))
}

/// A bearer token and the one for the next; of an earlier sign-in, or of a new one.
pub(in crate::ops) fn issue_pair<E>(
    tx: &Tx<'_>,
    user: &str,
    family: Option<String>,
    now_ms: i64,
) -> Result<Pair, E>
where
    E: From<StoreError> + From<NoRandomness>,
{
    let family = family.map_or_else(fresh_uuid, Ok)?;
    tx.sweep_tokens(now_ms)?;
    let of = |kind: TokenKind, life_ms: i64| -> Result<Secret, E> {
        let secret = fresh_secret(kind.prefix())?;
        let hash = hashed(secret.reveal());
        issue(tx, kind, &hash, user, ("", Some(&family)), now_ms, life_ms)?;
        Ok(secret)
    };
    Ok(Pair {
        bearer: of(TokenKind::Bearer, BEARER_MS)?,
        refresh: of(TokenKind::Refresh, REFRESH_MS)?,
    })
}
