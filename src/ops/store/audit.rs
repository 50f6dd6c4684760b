//! The audit as records: every change, for good.

use super::{StoreError, Tx};
use rusqlite::params;

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

/// A change as it was written down.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Noted {
    /// Its number; a later change has a larger one.
    pub id: i64,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Who made it, by id and by email.
    pub user: Option<(String, String)>,
    /// In which workspace.
    pub workspace: Option<i64>,
    /// `edge.add`
    pub action: String,
    /// What was changed, by its name.
    pub subject: String,
    /// More about it, JSON.
    pub detail: String,
    /// From where.
    pub peer: String,
}

/// Which changes are wanted, the latest first.
#[derive(Debug)]
pub(in crate::ops) struct Wanted<'a> {
    /// Those before this number.
    pub before: i64,
    /// Those of this user, by id.
    pub user: Option<&'a str>,
    /// Those in this workspace.
    pub workspace: Option<i64>,
    /// Those of this action.
    pub action: Option<&'a str>,
    /// So many at most.
    pub limit: i64,
}

impl Tx<'_> {
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

    /// A page of the audit.
    pub(in crate::ops) fn noted(&self, wanted: &Wanted<'_>) -> Result<Vec<Noted>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT audit.id, at_ms, user_id, email, workspace_id, action, subject, detail, peer
             FROM audit LEFT JOIN users ON users.id = user_id
             WHERE audit.id < ?1 AND (?2 IS NULL OR user_id = ?2)
               AND (?3 IS NULL OR workspace_id = ?3) AND (?4 IS NULL OR action = ?4)
             ORDER BY audit.id DESC LIMIT ?5",
        )?;
        let Wanted { before, user, workspace, action, limit } = wanted;
        let found = look.query_map(params![before, user, workspace, action, limit], |row| {
            let (id, email): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
            Ok(Noted {
                id: row.get(0)?,
                at_ms: row.get(1)?,
                user: id.zip(email),
                workspace: row.get(4)?,
                action: row.get(5)?,
                subject: row.get(6)?,
                detail: row.get(7)?,
                peer: row.get(8)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}
