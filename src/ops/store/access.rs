//! Users, workspaces and members, as records.

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

    /// The user of that email, whatever the case of its letters.
    pub(in crate::ops) fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, email, is_admin, is_enabled, created_ms FROM users WHERE email = ?",
        )?;
        Ok(look.query_row([email], user_of).optional()?)
    }

    /// Every user, in the order in which they came.
    pub(in crate::ops) fn users(&self) -> Result<Vec<User>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, email, is_admin, is_enabled, created_ms FROM users ORDER BY created_ms, id",
        )?;
        Ok(look.query_map([], user_of)?.collect::<Result<_, _>>()?)
    }

    /// First and last name of a user.
    pub(in crate::ops) fn names(&self, user: &str) -> Result<(String, String), StoreError> {
        let mut look =
            self.0.prepare_cached("SELECT first_name, last_name FROM users WHERE id = ?")?;
        let found = look.query_row([user], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps first and last name of a user.
    pub(in crate::ops) fn set_names(
        &self,
        user: &str,
        first: &str,
        last: &str,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE users SET first_name = ?, last_name = ? WHERE id = ?")?
            .execute(params![first, last, user])?;
        Ok(())
    }

    /// Whether there is anyone.
    pub(in crate::ops) fn has_users(&self) -> Result<bool, StoreError> {
        let mut look = self.0.prepare_cached("SELECT EXISTS (SELECT 1 FROM users)")?;
        Ok(look.query_row([], |row| row.get(0))?)
    }

    /// How many administrators of the ops center may sign in.
    pub(in crate::ops) fn admins(&self) -> Result<i64, StoreError> {
        let mut look =
            self.0.prepare_cached("SELECT COUNT(*) FROM users WHERE is_admin AND is_enabled")?;
        Ok(look.query_row([], |row| row.get(0))?)
    }

    /// What is kept of a user's password.
    pub(in crate::ops) fn password(&self, user: &str) -> Result<Option<String>, StoreError> {
        let mut look = self.0.prepare_cached("SELECT password FROM users WHERE id = ?")?;
        Ok(look.query_row([user], |row| row.get(0)).optional()?.flatten())
    }

    /// Keeps another password.
    pub(in crate::ops) fn set_password(&self, user: &str, kept: &str) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE users SET password = ? WHERE id = ?")?
            .execute(params![kept, user])?;
        Ok(())
    }

    /// Lets a user sign in, or not.
    pub(in crate::ops) fn set_enabled(&self, user: &str, is: bool) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE users SET is_enabled = ? WHERE id = ?")?
            .execute(params![is, user])?;
        Ok(())
    }

    /// Makes a user an administrator of the ops center, or takes that away.
    pub(in crate::ops) fn set_admin(&self, user: &str, is: bool) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE users SET is_admin = ? WHERE id = ?")?
            .execute(params![is, user])?;
        Ok(())
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

    /// Every member of a workspace, in the order of their emails.
    pub(in crate::ops) fn members(&self, workspace: i64) -> Result<Vec<(User, Role)>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT users.id, email, is_admin, is_enabled, created_ms, role
             FROM members JOIN users ON users.id = user_id WHERE workspace_id = ? ORDER BY email",
        )?;
        let found = look.query_map([workspace], |row| Ok((user_of(row)?, row.get(5)?)))?;
        let found: Vec<(User, String)> = found.collect::<Result<_, _>>()?;
        let role = |name: String| Role::of(&name).ok_or(StoreError::Malformed { what: "a member" });
        found.into_iter().map(|(user, name)| Ok((user, role(name)?))).collect()
    }

    /// Takes a member out of a workspace; whether they were one.
    pub(in crate::ops) fn remove_member(
        &self,
        workspace: i64,
        user: &str,
    ) -> Result<bool, StoreError> {
        let changed = self
            .0
            .prepare_cached("DELETE FROM members WHERE workspace_id = ? AND user_id = ?")?
            .execute(params![workspace, user])?;
        Ok(changed > 0)
    }

    /// The workspaces that a user is a member of, or all of them.
    pub(in crate::ops) fn workspaces(
        &self,
        member: Option<&str>,
    ) -> Result<Vec<Workspace>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, name, is_archived, created_ms, created_by FROM workspaces
             WHERE ?1 IS NULL OR id IN (SELECT workspace_id FROM members WHERE user_id = ?1)
             ORDER BY id",
        )?;
        Ok(look.query_map([member], workspace_of)?.collect::<Result<_, _>>()?)
    }

    /// The numbers of a workspace's models, and those of its pipelines.
    pub(in crate::ops) fn contents(
        &self,
        workspace: i64,
    ) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
        let ids = |of: &str| -> Result<Vec<i64>, StoreError> {
            let mut look = self.0.prepare_cached(of)?;
            Ok(look.query_map([workspace], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        Ok((
            ids("SELECT id FROM models WHERE workspace_id = ? ORDER BY id")?,
            ids("SELECT id FROM pipelines WHERE workspace_id = ? ORDER BY id")?,
        ))
    }
}

/// A user from the first five columns.
pub(super) fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
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
