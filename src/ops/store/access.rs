//! Users, workspaces, members, tokens and the audit, as records.

use super::{StoreError, Tx};
use crate::ops::access::Role;
use rusqlite::{OptionalExtension, Row, params};

/// Someone who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct User {
    /// A UUID.
    pub id: String,
    /// The name to sign in with.
    pub email: String,
    /// Whether the whole ops center is theirs.
    pub is_admin: bool,
    /// Whether they may sign in.
    pub is_enabled: bool,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

/// A named group of people's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Workspace {
    /// Its number.
    pub id: i64,
    /// Its name, the only one of that name.
    pub name: String,
    /// Whether it is out of the way.
    pub is_archived: bool,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// The user who made it, by id.
    pub created_by: String,
}

impl Tx<'_> {
    /// Records a user; [`StoreError::Taken`] when the email is another's.
    pub(in crate::ops) fn add_user(
        &self,
        user: &User,
        password: Option<&str>,
    ) -> Result<(), StoreError> {
        self.0.prepare_cached(
            "INSERT INTO users (id, email, password, is_admin, is_enabled, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![user.id, user.email, password, user.is_admin, user.is_enabled, user.created_ms])?;
        Ok(())
    }

    /// The user of that id.
    pub(in crate::ops) fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, email, is_admin, is_enabled, created_ms FROM users WHERE id = ?",
        )?;
        Ok(look.query_row([id], user_of).optional()?)
    }

    /// Records a workspace and gives its number; [`StoreError::Taken`] when the name is another's.
    pub(in crate::ops) fn add_workspace(
        &self,
        name: &str,
        by: &str,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO workspaces (name, created_by, created_ms) VALUES (?, ?, ?)",
            )?
            .execute(params![name, by, now_ms])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The workspace of that number.
    pub(in crate::ops) fn workspace(&self, id: i64) -> Result<Option<Workspace>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, name, is_archived, created_ms, created_by FROM workspaces WHERE id = ?",
        )?;
        Ok(look.query_row([id], workspace_of).optional()?)
    }

    /// Makes a user a member with this role, whatever they were before.
    pub(in crate::ops) fn set_member(
        &self,
        workspace: i64,
        user: &str,
        role: Role,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO members (workspace_id, user_id, role) VALUES (?, ?, ?)
                 ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role",
            )?
            .execute(params![workspace, user, role.name()])?;
        Ok(())
    }

    /// What a user is in a workspace.
    pub(in crate::ops) fn role(
        &self,
        workspace: i64,
        user: &str,
    ) -> Result<Option<Role>, StoreError> {
        let mut look = self
            .0
            .prepare_cached("SELECT role FROM members WHERE workspace_id = ? AND user_id = ?")?;
        let name: Option<String> =
            look.query_row(params![workspace, user], |row| row.get(0)).optional()?;
        match name {
            None => Ok(None),
            Some(name) => {
                Role::of(&name).map(Some).ok_or(StoreError::Malformed { what: "a member" })
            }
        }
    }

    /// Records a token by its hash.
    pub(in crate::ops) fn add_token(&self, token: &TokenRecord<'_>) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO tokens (kind, hash, user_id, name, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![token.kind, token.hash, token.user, token.name, token.created_ms, token.expires_ms])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The enabled user whose token of one of these kinds this is, if it holds at that time.
    pub(in crate::ops) fn user_by_token(
        &self,
        hash: &[u8],
        kinds: &[&str],
        now_ms: i64,
    ) -> Result<Option<User>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT users.id, email, is_admin, is_enabled, users.created_ms, kind
             FROM tokens JOIN users ON users.id = tokens.user_id
             WHERE hash = ? AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?) AND is_enabled",
        )?;
        let found = look
            .query_row(params![hash, now_ms], |row| Ok((user_of(row)?, row.get::<_, String>(5)?)))
            .optional()?;
        Ok(found.filter(|(_, kind)| kinds.contains(&kind.as_str())).map(|(user, _)| user))
    }

    /// Writes down a change.
    pub(in crate::ops) fn note(&self, change: &Change<'_>) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO audit (at_ms, user_id, workspace_id, action, subject, detail, peer)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                change.at_ms,
                change.user,
                change.workspace,
                change.action,
                change.subject,
                change.detail.to_string(),
                change.peer
            ])?;
        Ok(())
    }
}

/// A token to be recorded: never itself.
#[derive(Debug)]
pub(in crate::ops) struct TokenRecord<'a> {
    /// `api`, `bearer`, `session`, `first_run` or `invitation`.
    pub kind: &'a str,
    /// Its SHA-256.
    pub hash: &'a [u8],
    /// Whose it is.
    pub user: Option<&'a str>,
    /// What it is called.
    pub name: &'a str,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When it ends, if it does.
    pub expires_ms: Option<i64>,
}

/// A change, for the audit.
#[derive(Debug)]
pub(in crate::ops) struct Change<'a> {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Who made it, by id.
    pub user: Option<&'a str>,
    /// In which workspace.
    pub workspace: Option<i64>,
    /// `edge.add`
    pub action: &'a str,
    /// What was changed, by its name.
    pub subject: &'a str,
    /// More about it; never a secret.
    pub detail: serde_json::Value,
    /// From where.
    pub peer: &'a str,
}

fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        email: row.get(1)?,
        is_admin: row.get(2)?,
        is_enabled: row.get(3)?,
        created_ms: row.get(4)?,
    })
}

fn workspace_of(row: &Row<'_>) -> rusqlite::Result<Workspace> {
    Ok(Workspace {
        id: row.get(0)?,
        name: row.get(1)?,
        is_archived: row.get(2)?,
        created_ms: row.get(3)?,
        created_by: row.get(4)?,
    })
}
