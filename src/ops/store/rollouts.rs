//! Rollouts as records: one publish to many edges, wave by wave, with each edge's place in it.

use super::assignments::{watch_of, watch_text};
use super::{StoreError, Tx};
use crate::fleet::Watch;
use rusqlite::{OptionalExtension, Row, params};

/// How a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum RolloutState {
    /// Its waves begin one after another.
    Running,
    /// No further wave begins before a person says so.
    Paused,
    /// Too many edges failed, and it ended itself.
    Halted,
    /// A person ended it.
    Aborted,
    /// Its last wave is over.
    Done,
}

const STATES: [(RolloutState, &str); 5] = [
    (RolloutState::Running, "running"),
    (RolloutState::Paused, "paused"),
    (RolloutState::Halted, "halted"),
    (RolloutState::Aborted, "aborted"),
    (RolloutState::Done, "done"),
];

impl RolloutState {
    /// The state of that name.
    pub(in crate::ops) fn of_name(name: &str) -> Option<RolloutState> {
        STATES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            RolloutState::Running => "running",
            RolloutState::Paused => "paused",
            RolloutState::Halted => "halted",
            RolloutState::Aborted => "aborted",
            RolloutState::Done => "done",
        }
    }

    /// Whether something may still come of it.
    pub(in crate::ops) fn is_open(self) -> bool {
        match self {
            RolloutState::Running | RolloutState::Paused => true,
            RolloutState::Halted | RolloutState::Aborted | RolloutState::Done => false,
        }
    }
}

/// One publish to many edges.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Rollout {
    /// Its number.
    pub id: i64,
    /// The workspace's number.
    pub workspace_id: i64,
    /// The publish.
    pub publish_id: i64,
    /// How it is.
    pub state: RolloutState,
    /// Why it was halted or aborted.
    pub reason: Option<String>,
    /// The wave under way, from 1; 0 before the first.
    pub wave: i64,
    /// How many there are.
    pub waves: i64,
    /// When the wave began, milliseconds since the epoch.
    pub wave_began_ms: Option<i64>,
    /// How long a wave waits for edges that are not heard of, milliseconds.
    pub wave_ms_max: i64,
    /// So many edges may fail.
    pub failures_max: i64,
    /// Whether a halt sends those back that have settled.
    pub sends_back: bool,
    /// How each edge is watched.
    pub watch: Watch,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Who started it, by id.
    pub created_by: String,
    /// Milliseconds since the epoch.
    pub ended_ms: Option<i64>,
}

/// A rollout that is started; its first wave has not begun.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct NewRollout<'a> {
    /// The workspace's number.
    pub workspace: i64,
    /// The publish.
    pub publish: i64,
    /// How many waves there are.
    pub waves: i64,
    /// How long a wave waits for edges that are not heard of, milliseconds.
    pub wave_ms_max: i64,
    /// So many edges may fail.
    pub failures_max: i64,
    /// Whether a halt sends those back that have settled.
    pub sends_back: bool,
    /// How each edge is watched.
    pub watch: Watch,
    /// Who starts it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// An edge's place in a rollout, and how it fares there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct RolloutEdge {
    /// The edge, by id.
    pub edge_id: String,
    /// The edge's name.
    pub name: String,
    /// Its wave, from 1.
    pub wave: i64,
    /// The publish that it ran before.
    pub from_publish: i64,
    /// Whether the next wave did not wait for it.
    pub is_late: bool,
    /// Whether the edge was removed since.
    pub is_removed: bool,
    /// How its assignment is, once its wave has begun.
    pub forth: Option<Leg>,
    /// How the assignment is that sends it back.
    pub back: Option<Leg>,
}

/// How an assignment is, of those that a rollout makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Leg {
    /// As the assignment has it.
    pub state: String,
    /// Why it did not end well.
    pub reason: Option<String>,
    /// Whether it is at its end.
    pub is_ended: bool,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
}

const COLUMNS: &str = "r.id, r.workspace_id, r.publish_id, r.state, r.reason, r.wave, r.waves, r.wave_began_ms,
    r.wave_ms_max, r.failures_max, r.sends_back, r.watch, r.created_ms, r.created_by, r.ended_ms FROM rollouts r";

/// What tells whether an open rollout is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Pulse {
    /// Edges that failed.
    pub failures: i64,
    /// Whether the wave under way has an edge that has not come to its end and is not late.
    pub is_waited_for: bool,
}

impl Tx<'_> {
    /// Records a rollout, and gives its number.
    pub(in crate::ops) fn add_rollout(&self, new: &NewRollout<'_>) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO rollouts (workspace_id, publish_id, state, waves, wave_ms_max, failures_max,
                 sends_back, watch, created_ms, created_by) VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.workspace,
                new.publish,
                new.waves,
                new.wave_ms_max,
                new.failures_max,
                new.sends_back,
                watch_text(&new.watch),
                new.now_ms,
                new.by
            ])?;
        Ok(self.0.last_insert_rowid())
    }

    /// Gives an edge its place in a rollout.
    pub(in crate::ops) fn add_rollout_edge(
        &self,
        rollout: i64,
        edge: &str,
        wave: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO rollout_edges (rollout_id, edge_id, wave, from_publish)
                 SELECT ?1, id, ?3, publish_id FROM edges WHERE id = ?2",
            )?
            .execute(params![rollout, edge, wave])?;
        Ok(())
    }

    /// The rollout of that number.
    pub(in crate::ops) fn rollout(&self, id: i64) -> Result<Option<Rollout>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("SELECT {COLUMNS} WHERE r.id = ?"))?;
        look.query_row([id], |row| Ok(rollout_of(row))).optional()?.transpose()
    }

    /// Rollouts, the newest first: those of a user's workspaces, or of one, older than `before`.
    pub(in crate::ops) fn rollouts(
        &self,
        member: Option<&str>,
        workspace: Option<i64>,
        before: Option<i64>,
        count_max: i64,
    ) -> Result<Vec<Rollout>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS}
             WHERE (?1 IS NULL OR r.workspace_id IN (SELECT workspace_id FROM members WHERE user_id = ?1))
             AND (?2 IS NULL OR r.workspace_id = ?2) AND (?3 IS NULL OR r.id < ?3)
             ORDER BY r.id DESC LIMIT ?4"
        ))?;
        let rows = look
            .query_map(params![member, workspace, before, count_max], |row| Ok(rollout_of(row)))?;
        rows.map(|row| row?).collect()
    }

    /// The rollouts that an edge is in and that something may still come of.
    pub(in crate::ops) fn open_rollouts_of(&self, edge: &str) -> Result<Vec<i64>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT r.id FROM rollout_edges e JOIN rollouts r ON r.id = e.rollout_id
             WHERE e.edge_id = ? AND r.state IN ('running', 'paused') ORDER BY r.id",
        )?;
        let found = look.query_map([edge], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The edges of a rollout, by wave and name.
    pub(in crate::ops) fn rollout_edges(&self, id: i64) -> Result<Vec<RolloutEdge>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT e.edge_id, d.name, e.wave, e.from_publish, e.is_late, d.removed_ms IS NOT NULL,
             a.state, a.reason, a.ended_ms IS NOT NULL, a.updated_ms,
             b.state, b.reason, b.ended_ms IS NOT NULL, b.updated_ms
             FROM rollout_edges e JOIN edges d ON d.id = e.edge_id
             LEFT JOIN assignments a ON a.id = e.assignment_id LEFT JOIN assignments b ON b.id = e.back_id
             WHERE e.rollout_id = ? ORDER BY e.wave, d.name",
        )?;
        let found = look.query_map([id], |row| {
            Ok(RolloutEdge {
                edge_id: row.get(0)?,
                name: row.get(1)?,
                wave: row.get(2)?,
                from_publish: row.get(3)?,
                is_late: row.get(4)?,
                is_removed: row.get(5)?,
                forth: leg_of(row, 6)?,
                back: leg_of(row, 10)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// What tells whether an open rollout is to move: looked up, not counted over all its edges.
    pub(in crate::ops) fn rollout_pulse(&self, id: i64, wave: i64) -> Result<Pulse, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT (SELECT count(*) FROM assignments
                 WHERE rollout_id = ?1 AND state IN ('failed', 'reverted')),
             EXISTS (SELECT 1 FROM assignments a
                 JOIN rollout_edges e ON e.rollout_id = a.rollout_id AND e.edge_id = a.edge_id
                 JOIN edges d ON d.id = a.edge_id
                 WHERE a.rollout_id = ?1 AND a.ended_ms IS NULL AND e.wave = ?2 AND e.is_late = 0
                 AND d.removed_ms IS NULL)",
        )?;
        let pulse = |row: &Row<'_>| Ok(Pulse { failures: row.get(0)?, is_waited_for: row.get(1)? });
        Ok(look.query_row(params![id, wave], pulse)?)
    }

    /// A rollout comes to another state; one that ends keeps when.
    pub(in crate::ops) fn set_rollout_state(
        &self,
        id: i64,
        state: RolloutState,
        reason: Option<&str>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let ended_ms = (!state.is_open()).then_some(now_ms);
        self.0
            .prepare_cached("UPDATE rollouts SET state = ?, reason = ?, ended_ms = ? WHERE id = ?")?
            .execute(params![state.name(), reason, ended_ms, id])?;
        Ok(())
    }

    /// The next wave of a rollout begins.
    pub(in crate::ops) fn begin_wave(
        &self,
        id: i64,
        wave: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE rollouts SET wave = ?, wave_began_ms = ? WHERE id = ?")?
            .execute(params![wave, now_ms, id])?;
        Ok(())
    }

    /// An edge of a rollout was assigned its publish.
    pub(in crate::ops) fn went_forth(
        &self,
        rollout: i64,
        edge: &str,
        assignment: &str,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE rollout_edges SET assignment_id = ?3 WHERE rollout_id = ?1 AND edge_id = ?2",
            )?
            .execute(params![rollout, edge, assignment])?;
        Ok(())
    }

    /// An edge of a rollout was assigned what it ran before.
    pub(in crate::ops) fn went_back(
        &self,
        rollout: i64,
        edge: &str,
        assignment: &str,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE rollout_edges SET back_id = ?3 WHERE rollout_id = ?1 AND edge_id = ?2",
            )?
            .execute(params![rollout, edge, assignment])?;
        Ok(())
    }

    /// The next wave does not wait for an edge.
    pub(in crate::ops) fn set_late(&self, rollout: i64, edge: &str) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE rollout_edges SET is_late = 1 WHERE rollout_id = ? AND edge_id = ?",
            )?
            .execute(params![rollout, edge])?;
        Ok(())
    }
}

fn leg_of(row: &Row<'_>, from: usize) -> rusqlite::Result<Option<Leg>> {
    let Some(state) = row.get::<_, Option<String>>(from)? else { return Ok(None) };
    Ok(Some(Leg {
        state,
        reason: row.get(from + 1)?,
        is_ended: row.get(from + 2)?,
        updated_ms: row.get(from + 3)?,
    }))
}

fn rollout_of(row: &Row<'_>) -> Result<Rollout, StoreError> {
    let (state, watch): (String, String) = (row.get(3)?, row.get(11)?);
    Ok(Rollout {
        id: row.get(0)?,
        workspace_id: row.get(1)?,
        publish_id: row.get(2)?,
        state: RolloutState::of_name(&state)
            .ok_or(StoreError::Malformed { what: "a rollout's state" })?,
        reason: row.get(4)?,
        wave: row.get(5)?,
        waves: row.get(6)?,
        wave_began_ms: row.get(7)?,
        wave_ms_max: row.get(8)?,
        failures_max: row.get(9)?,
        sends_back: row.get(10)?,
        watch: watch_of(&watch)?,
        created_ms: row.get(12)?,
        created_by: row.get(13)?,
        ended_ms: row.get(14)?,
    })
}
