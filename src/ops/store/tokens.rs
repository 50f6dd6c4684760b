//! Tokens as records: by their hashes, each with its kind, its end, and when it was last shown.

use super::access::user_of;
use super::{StoreError, Tx, User};
use crate::ops::access::TokenKind;
use rusqlite::{OptionalExtension, params};

/// How long an ended token of a sign-in is kept, so that the audit can be followed: a week.
const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;

/// How many ended tokens one sweep takes away: a bound on what a sign-in waits for.
const SWEPT_MAX: i64 = 500;

/// A token to be recorded: never itself.
#[derive(Debug)]
pub(in crate::ops) struct TokenRecord<'a> {
    /// What it is for.
    pub kind: TokenKind,
    /// Its SHA-256.
    pub hash: &'a [u8],
    /// Whose it is.
    pub user: Option<&'a str>,
    /// What it is called.
    pub name: &'a str,
    /// The sign-in that it comes from, for those that end together.
    pub family: Option<&'a str>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When it ends, if it does.
    pub expires_ms: Option<i64>,
}

/// A token that holds, with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct TokenHolder {
    /// The token's number.
    pub token: i64,
    /// Whose it is.
    pub user: User,
    /// When it was last shown, to the minute.
    pub used_ms: Option<i64>,
    /// When it was made.
    pub created_ms: i64,
}

/// A token as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct TokenFacts {
    /// Its number.
    pub id: i64,
    /// Whose it is, by id.
    pub user: String,
    /// What it is called.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When it ends, if it does.
    pub expires_ms: Option<i64>,
    /// When it was last shown, to the minute.
    pub used_ms: Option<i64>,
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Refresh {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub user: User,
    /// The sign-in that it comes from.
    pub family: String,
    /// Whether it was exchanged or taken back.
    pub is_revoked: bool,
}

impl Tx<'_> {
    /// Records a token by its hash.
    pub(in crate::ops) fn add_token(&self, token: &TokenRecord<'_>) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO tokens (kind, hash, user_id, name, family, created_ms, expires_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                token.kind.name(),
                token.hash,
                token.user,
                token.name,
                token.family,
                token.created_ms,
                token.expires_ms
            ])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The enabled user whose token of one of these kinds this is, if it holds at that time.
    pub(in crate::ops) fn token_holder(
        &self,
        hash: &[u8],
        kinds: &[TokenKind],
        now_ms: i64,
    ) -> Result<Option<TokenHolder>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT users.id, email, is_admin, is_enabled, users.created_ms,
                    kind, tokens.id, used_ms, tokens.created_ms
             FROM tokens JOIN users ON users.id = tokens.user_id
             WHERE hash = ? AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?) AND is_enabled",
        )?;
        let found = look
            .query_row(params![hash, now_ms], |row| {
                let holder = TokenHolder {
                    user: user_of(row)?,
                    token: row.get(6)?,
                    used_ms: row.get(7)?,
                    created_ms: row.get(8)?,
                };
                Ok((holder, row.get::<_, String>(5)?))
            })
            .optional()?;
        let is_wanted = |name: &str| kinds.iter().any(|kind| kind.name() == name);
        Ok(found.filter(|(_, kind)| is_wanted(kind)).map(|(holder, _)| holder))
    }

    /// The enabled user whose token of one of these kinds, by name, this is, if it holds at that time.
    pub(in crate::ops) fn user_by_token(
        &self,
        hash: &[u8],
        kinds: &[&str],
        now_ms: i64,
    ) -> Result<Option<User>, StoreError> {
        let all = [TokenKind::Api, TokenKind::Bearer];
        let wanted: Vec<TokenKind> =
            all.into_iter().filter(|kind| kinds.contains(&kind.name())).collect();
        Ok(self.token_holder(hash, &wanted, now_ms)?.map(|holder| holder.user))
    }

    /// Writes down that a token was shown.
    pub(in crate::ops) fn touch_token(&self, id: i64, now_ms: i64) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE tokens SET used_ms = ? WHERE id = ?")?
            .execute(params![now_ms, id])?;
        Ok(())
    }

    /// The refresh token of that hash that has not ended, taken back or not.
    pub(in crate::ops) fn refresh(
        &self,
        hash: &[u8],
        now_ms: i64,
    ) -> Result<Option<Refresh>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT users.id, email, is_admin, is_enabled, users.created_ms,
                    tokens.id, family, revoked_ms IS NOT NULL
             FROM tokens JOIN users ON users.id = tokens.user_id
             WHERE hash = ? AND kind = 'refresh' AND expires_ms > ? AND is_enabled AND family IS NOT NULL",
        )?;
        let found = look.query_row(params![hash, now_ms], |row| {
            Ok(Refresh {
                user: user_of(row)?,
                id: row.get(5)?,
                family: row.get(6)?,
                is_revoked: row.get(7)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Takes a token back; whether it held until then.
    pub(in crate::ops) fn revoke_token(&self, id: i64, now_ms: i64) -> Result<bool, StoreError> {
        let changed = self
            .0
            .prepare_cached("UPDATE tokens SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL")?
            .execute(params![now_ms, id])?;
        Ok(changed > 0)
    }

    /// Takes back all that a sign-in gave.
    pub(in crate::ops) fn revoke_family(
        &self,
        family: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE tokens SET revoked_ms = ? WHERE family = ? AND revoked_ms IS NULL",
            )?
            .execute(params![now_ms, family])?;
        Ok(())
    }

    /// Takes back a user's tokens of these kinds, but for one.
    pub(in crate::ops) fn revoke_tokens_of(
        &self,
        user: &str,
        kinds: &[TokenKind],
        but: Option<i64>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut revoke = self.0.prepare_cached(
            "UPDATE tokens SET revoked_ms = ?
             WHERE user_id = ? AND kind = ? AND revoked_ms IS NULL AND id IS NOT ?",
        )?;
        for kind in kinds {
            revoke.execute(params![now_ms, user, kind.name(), but])?;
        }
        Ok(())
    }

    /// A token for a program that was not taken back, ended or not.
    pub(in crate::ops) fn api_token(&self, id: i64) -> Result<Option<TokenFacts>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, user_id, name, created_ms, expires_ms, used_ms FROM tokens
             WHERE id = ? AND kind = 'api' AND revoked_ms IS NULL",
        )?;
        Ok(look.query_row([id], facts_of).optional()?)
    }

    /// A user's tokens for programs that were not taken back, the newest first.
    pub(in crate::ops) fn api_tokens_of(&self, user: &str) -> Result<Vec<TokenFacts>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, user_id, name, created_ms, expires_ms, used_ms FROM tokens
             WHERE user_id = ? AND kind = 'api' AND revoked_ms IS NULL ORDER BY id DESC",
        )?;
        Ok(look.query_map([user], facts_of)?.collect::<Result<_, _>>()?)
    }

    /// The number of the first-run token of that hash, if nobody used it.
    pub(in crate::ops) fn first_run(&self, hash: &[u8]) -> Result<Option<i64>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id FROM tokens WHERE hash = ? AND kind = 'first_run' AND revoked_ms IS NULL",
        )?;
        Ok(look.query_row([hash], |row| row.get(0)).optional()?)
    }

    /// Takes back every first-run token.
    pub(in crate::ops) fn revoke_first_runs(&self, now_ms: i64) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE tokens SET revoked_ms = ? WHERE kind = 'first_run' AND revoked_ms IS NULL",
            )?
            .execute([now_ms])?;
        Ok(())
    }

    /// Takes away some of the tokens of sign-ins that ended long ago.
    pub(in crate::ops) fn sweep_tokens(&self, now_ms: i64) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "DELETE FROM tokens WHERE id IN (
                     SELECT id FROM tokens
                     WHERE expires_ms IS NOT NULL AND expires_ms < ? AND kind <> 'api'
                     ORDER BY expires_ms LIMIT ?)",
            )?
            .execute(params![now_ms - KEPT_MS, SWEPT_MAX])?;
        Ok(())
    }
}

fn facts_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<TokenFacts> {
    Ok(TokenFacts {
        id: row.get(0)?,
        user: row.get(1)?,
        name: row.get(2)?,
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
        used_ms: row.get(5)?,
    })
}
