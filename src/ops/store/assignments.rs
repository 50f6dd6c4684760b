//! Assignments as records: what an edge is to run instead of what it ran, and how that went.

use super::{StoreError, Tx};
use crate::fleet::Watch;
use rusqlite::{OptionalExtension, Row, params};

/// The state of one that the edge has not spoken of yet.
const ASSIGNED: &str = "assigned";

/// The state of one that another took the place of before it came to its end.
const REPLACED: &str = "replaced";

/// What an edge is to run.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct AssignmentRecord {
    /// A UUID.
    pub id: String,
    /// The edge, by id.
    pub edge_id: String,
    /// The publish that it is to run.
    pub publish_id: i64,
    /// The publish that it ran.
    pub replaces: i64,
    /// The rollout that it is of.
    pub rollout_id: Option<i64>,
    /// `assigned`, `replaced`, or what the edge said last.
    pub state: String,
    /// Why it did not end well.
    pub reason: Option<String>,
    /// How it is watched.
    pub watch: Watch,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
    /// When it came to its end, milliseconds since the epoch.
    pub ended_ms: Option<i64>,
    /// Where the publish is.
    pub pipeline_url: Option<String>,
}

/// An assignment that is made.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct NewAssignment<'a> {
    /// The edge, by id.
    pub edge: &'a str,
    /// The publish that it is to run.
    pub publish: i64,
    /// The rollout that it is of.
    pub rollout: Option<i64>,
    /// How it is watched.
    pub watch: Watch,
    /// Who wants it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

const COLUMNS: &str =
    "a.id, a.edge_id, a.publish_id, a.replaces, a.rollout_id, a.state, a.reason, a.watch,
    a.created_ms, a.updated_ms, a.ended_ms, p.pipeline_url
    FROM assignments a JOIN publishes p ON p.id = a.publish_id";

/// A UUID of version 4 (RFC 9562, section 5.4). It is no secret: an edge is told its own alone.
const NEW_ID: &str = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
    || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

impl Tx<'_> {
    /// Assigns a publish to an edge, in the place of what it was to run until now; gives the
    /// assignment's id.
    pub(in crate::ops) fn assign(&self, new: &NewAssignment<'_>) -> Result<String, StoreError> {
        self.0
            .prepare_cached(
                "UPDATE assignments SET state = ?1, updated_ms = ?2, ended_ms = ?2
                 WHERE edge_id = ?3 AND ended_ms IS NULL",
            )?
            .execute(params![REPLACED, new.now_ms, new.edge])?;
        let id = self
            .0
            .prepare_cached(&format!(
                "INSERT INTO assignments (id, edge_id, publish_id, replaces, rollout_id, state, watch, created_ms,
                 created_by, updated_ms)
                 SELECT {NEW_ID}, id, ?2, publish_id, ?3, ?4, ?5, ?6, ?7, ?6 FROM edges WHERE id = ?1
                 RETURNING id"
            ))?
            .query_row(
                params![
                    new.edge,
                    new.publish,
                    new.rollout,
                    ASSIGNED,
                    watch_text(&new.watch),
                    new.now_ms,
                    new.by
                ],
                |row| row.get(0),
            )?;
        // What it ran stays its to pull: it may have to go back.
        self.0
            .prepare_cached(
                "UPDATE edges SET came_from = publish_id, publish_id = ?1 WHERE id = ?2 AND publish_id <> ?1",
            )?
            .execute(params![new.publish, new.edge])?;
        Ok(id)
    }

    /// The assignment of that id.
    pub(in crate::ops) fn assignment(
        &self,
        id: &str,
    ) -> Result<Option<AssignmentRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("SELECT {COLUMNS} WHERE a.id = ?"))?;
        look.query_row([id], |row| Ok(assignment_of(row))).optional()?.transpose()
    }

    /// The one of an edge that is not at its end.
    pub(in crate::ops) fn open_assignment(
        &self,
        edge: &str,
    ) -> Result<Option<AssignmentRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE a.edge_id = ? AND a.ended_ms IS NULL"
        ))?;
        look.query_row([edge], |row| Ok(assignment_of(row))).optional()?.transpose()
    }

    /// The newest of an edge, the last first.
    pub(in crate::ops) fn assignments_of(
        &self,
        edge: &str,
        count_max: i64,
    ) -> Result<Vec<AssignmentRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE a.edge_id = ? ORDER BY a.created_ms DESC, a.rowid DESC LIMIT ?"
        ))?;
        let found = look.query_map(params![edge, count_max], |row| Ok(assignment_of(row)))?;
        found.map(|row| row?).collect()
    }

    /// What an edge says of an assignment.
    pub(in crate::ops) fn tell_assignment(
        &self,
        id: &str,
        state: &str,
        reason: Option<&str>,
        is_ended: bool,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE assignments SET state = ?2, reason = ?3, updated_ms = ?4,
                 ended_ms = CASE WHEN ?5 THEN ?4 END WHERE id = ?1 AND ended_ms IS NULL",
            )?
            .execute(params![id, state, reason, now_ms, is_ended])?;
        Ok(())
    }

    /// An edge did not take what it was assigned: it is to run what it ran.
    pub(in crate::ops) fn put_back(&self, assignment: &AssignmentRecord) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE edges SET publish_id = ?1, came_from = NULL WHERE id = ?2 AND publish_id = ?3",
            )?
            .execute(params![assignment.replaces, assignment.edge_id, assignment.publish_id])?;
        Ok(())
    }
}

/// How an edge is watched, as the records have it.
pub(super) fn watch_text(watch: &Watch) -> String {
    serde_json::json!(watch).to_string()
}

/// The same, read.
pub(super) fn watch_of(text: &str) -> Result<Watch, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Malformed { what: "an assignment's watch" })
}

fn assignment_of(row: &Row<'_>) -> Result<AssignmentRecord, StoreError> {
    let watch: String = row.get(7)?;
    Ok(AssignmentRecord {
        id: row.get(0)?,
        edge_id: row.get(1)?,
        publish_id: row.get(2)?,
        replaces: row.get(3)?,
        rollout_id: row.get(4)?,
        state: row.get(5)?,
        reason: row.get(6)?,
        watch: watch_of(&watch)?,
        created_ms: row.get(8)?,
        updated_ms: row.get(9)?,
        ended_ms: row.get(10)?,
        pipeline_url: row.get(11)?,
    })
}
