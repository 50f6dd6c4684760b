//! Glances: lists of pipelines, versions and models with what a person wants to see beside each.

use super::models::model_of;
use super::pipelines::{pipeline_of, version_of};
use super::{Model, ModelStatus, Pipeline, PipelineVersion, PublishStatus, StoreError, Tx};
use rusqlite::params;

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct PipelineGlance {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its versions.
    pub versions: i64,
    /// The last publish of any of them.
    pub publish: Option<LastPublish>,
    /// Edges that run one of them.
    pub edges: i64,
    /// Inferences of theirs since a time that was asked for; a frame counts where it begins.
    pub inferences: i64,
}

/// The last publish of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct LastPublish {
    /// Its number.
    pub id: i64,
    /// How far it has come.
    pub status: PublishStatus,
    /// Since when, milliseconds since the epoch.
    pub updated_ms: i64,
}

/// A pipeline version in its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct VersionGlance {
    /// The version.
    pub version: PipelineVersion,
    /// Who saved it, by email.
    pub by: String,
    /// Its last publish.
    pub publish: Option<LastPublish>,
    /// Edges that run it.
    pub edges: i64,
}

/// A model in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct ModelGlance {
    /// The model.
    pub model: Model,
    /// Its versions.
    pub versions: i64,
    /// How far the newest is.
    pub status: ModelStatus,
    /// Bytes of the newest.
    pub size_bytes: i64,
}

impl Tx<'_> {
    /// Pipelines of a workspace whose names come after this one, by name, with their inferences
    /// since that time, milliseconds since the epoch.
    pub(in crate::ops) fn pipeline_glances(
        &self,
        workspace: i64,
        after: &str,
        count_max: i64,
        since_ms: i64,
    ) -> Result<Vec<PipelineGlance>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT l.id, l.workspace_id, l.name, l.created_ms, l.updated_ms, l.created_by,
                (SELECT count(*) FROM pipeline_versions v WHERE v.pipeline_id = l.id),
                (SELECT count(*) FROM edges e JOIN publishes q ON q.id = e.publish_id
                 JOIN pipeline_versions v ON v.id = q.pipeline_version_id
                 WHERE v.pipeline_id = l.id AND e.removed_ms IS NULL),
                p.id, p.status, p.updated_ms,
                (SELECT coalesce(sum(f.count), 0) FROM log_frames f
                 WHERE f.pipeline_id = l.id AND f.first_ms >= ?4)
             FROM pipelines l LEFT JOIN publishes p ON p.id =
                (SELECT max(q.id) FROM publishes q JOIN pipeline_versions v
                 ON v.id = q.pipeline_version_id WHERE v.pipeline_id = l.id)
             WHERE l.workspace_id = ?1 AND l.name > ?2 ORDER BY l.name LIMIT ?3",
        )?;
        let found = look.query_and_then(params![workspace, after, count_max, since_ms], |row| {
            Ok::<_, StoreError>(PipelineGlance {
                pipeline: pipeline_of(row)?,
                versions: row.get(6)?,
                edges: row.get(7)?,
                publish: last_publish(row, 8)?,
                inferences: row.get(11)?,
            })
        })?;
        found.collect()
    }

    /// Versions of a pipeline with numbers below this one, the newest first.
    pub(in crate::ops) fn version_glances(
        &self,
        pipeline: i64,
        before: i64,
        count_max: i64,
    ) -> Result<Vec<VersionGlance>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT v.id, v.pipeline_id, v.version, v.definition, v.config, v.created_ms, v.created_by,
                u.email,
                (SELECT count(*) FROM edges e JOIN publishes q ON q.id = e.publish_id
                 WHERE q.pipeline_version_id = v.id AND e.removed_ms IS NULL),
                p.id, p.status, p.updated_ms
             FROM pipeline_versions v JOIN users u ON u.id = v.created_by LEFT JOIN publishes p ON p.id =
                (SELECT max(q.id) FROM publishes q WHERE q.pipeline_version_id = v.id)
             WHERE v.pipeline_id = ? AND v.id < ? ORDER BY v.id DESC LIMIT ?",
        )?;
        let found = look.query_and_then(params![pipeline, before, count_max], |row| {
            Ok::<_, StoreError>(VersionGlance {
                version: version_of(row)?,
                by: row.get(7)?,
                edges: row.get(8)?,
                publish: last_publish(row, 9)?,
            })
        })?;
        found.collect()
    }

    /// Models of a workspace whose names come after this one, by name.
    pub(in crate::ops) fn model_glances(
        &self,
        workspace: i64,
        after: &str,
        count_max: i64,
    ) -> Result<Vec<ModelGlance>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT m.id, m.workspace_id, m.name, m.created_ms, m.updated_ms, m.created_by,
                (SELECT count(*) FROM model_versions o WHERE o.model_id = m.id), v.status, v.size_bytes
             FROM models m JOIN model_versions v ON v.id =
                (SELECT max(o.id) FROM model_versions o WHERE o.model_id = m.id)
             WHERE m.workspace_id = ? AND m.name > ? ORDER BY m.name LIMIT ?",
        )?;
        let found = look.query_and_then(params![workspace, after, count_max], |row| {
            let status: String = row.get(7)?;
            let malformed = StoreError::Malformed { what: "a model version" };
            Ok(ModelGlance {
                model: model_of(row)?,
                versions: row.get(6)?,
                status: ModelStatus::of(&status).ok_or(malformed)?,
                size_bytes: row.get(8)?,
            })
        })?;
        found.collect()
    }

    /// Inferences of an edge, by id, from that time on, in parts of so many milliseconds; parts with none
    /// are left out. A frame counts where it begins.
    pub(in crate::ops) fn log_tallies(
        &self,
        edge: &str,
        from_ms: i64,
        part_ms: i64,
    ) -> Result<Vec<LogTally>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT (f.first_ms - ?2) / ?3 AS place, sum(f.count), sum(f.failures)
             FROM log_journals j CROSS JOIN log_frames f INDEXED BY log_frames_by_edge
             ON f.journal_id = j.id WHERE j.edge_id = ?1 AND f.first_ms >= ?2
             GROUP BY place ORDER BY place",
        )?;
        let found = look.query_map(params![edge, from_ms, part_ms], |row| {
            Ok(LogTally { place: row.get(0)?, records: row.get(1)?, failures: row.get(2)? })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How many edges a workspace has.
    pub(in crate::ops) fn edge_count(&self, workspace: i64) -> Result<i64, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT count(*) FROM edges e JOIN publishes p ON p.id = e.publish_id
             JOIN pipeline_versions v ON v.id = p.pipeline_version_id
             JOIN pipelines l ON l.id = v.pipeline_id
             WHERE l.workspace_id = ? AND e.removed_ms IS NULL",
        )?;
        Ok(look.query_row([workspace], |row| row.get(0))?)
    }

    /// What changes when edges of a workspace come, join or go: how many there are, how many joined,
    /// and when the newest was added.
    pub(in crate::ops) fn edge_tally(&self, workspace: i64) -> Result<[i64; 3], StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT count(*), count(e.seen_ms), coalesce(max(e.created_ms), 0)
             FROM edges e JOIN publishes p ON p.id = e.publish_id
             JOIN pipeline_versions v ON v.id = p.pipeline_version_id
             JOIN pipelines l ON l.id = v.pipeline_id
             WHERE l.workspace_id = ? AND e.removed_ms IS NULL",
        )?;
        Ok(look.query_row([workspace], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?)
    }

    /// The publishes of a workspace that are there, the newest first.
    pub(in crate::ops) fn deployable(
        &self,
        workspace: i64,
        count_max: i64,
    ) -> Result<Vec<Deployable>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT p.id, l.name, v.version, p.updated_ms
             FROM publishes p JOIN pipeline_versions v ON v.id = p.pipeline_version_id
             JOIN pipelines l ON l.id = v.pipeline_id
             WHERE l.workspace_id = ? AND p.status = 'Published' ORDER BY p.id DESC LIMIT ?",
        )?;
        let found = look.query_map(params![workspace, count_max], |row| {
            Ok(Deployable {
                publish: row.get(0)?,
                pipeline: row.get(1)?,
                version: row.get(2)?,
                updated_ms: row.get(3)?,
            })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

/// How many inferences there were in a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct LogTally {
    /// The first part is 0.
    pub place: i64,
    /// Inferences.
    pub records: i64,
    /// Those with a failed check.
    pub failures: i64,
}

/// A publish that edges can be added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Deployable {
    /// Its number.
    pub publish: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The version's UUID.
    pub version: String,
    /// Since when it is there, milliseconds since the epoch.
    pub updated_ms: i64,
}

/// Number, status and time from the columns that begin there; nothing where there is no publish.
fn last_publish(row: &rusqlite::Row<'_>, first: usize) -> Result<Option<LastPublish>, StoreError> {
    let Some(id) = row.get::<_, Option<i64>>(first)? else { return Ok(None) };
    let status: String = row.get(first + 1)?;
    let malformed = StoreError::Malformed { what: "a publish's status" };
    let status = PublishStatus::of(&status).ok_or(malformed)?;
    Ok(Some(LastPublish { id, status, updated_ms: row.get(first + 2)? }))
}
