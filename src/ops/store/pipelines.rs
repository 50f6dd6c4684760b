//! Pipelines and their immutable versions, as records.

use super::models::named;
use super::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// A name with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Pipeline {
    /// Its number.
    pub id: i64,
    /// Where it is.
    pub workspace: i64,
    /// Its name, the only one of that name there.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When its last version was saved.
    pub updated_ms: i64,
    /// Who made it, by id.
    pub created_by: String,
}

/// A saved version, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct PipelineVersion {
    /// Its number.
    pub id: i64,
    /// The number of its pipeline.
    pub pipeline: i64,
    /// A UUID: the tag of its publishes.
    pub version: String,
    /// JSON, as it was sent.
    pub definition: String,
    /// JSON: the config blob that every publish of it carries.
    pub config: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Who saved it, by id.
    pub created_by: String,
}

/// A version to be recorded.
#[derive(Debug)]
pub(in crate::ops) struct NewPipelineVersion<'a> {
    /// The number of its pipeline.
    pub pipeline: i64,
    /// A UUID.
    pub version: &'a str,
    /// JSON, as it was sent.
    pub definition: &'a str,
    /// JSON, as it is published.
    pub config: &'a str,
    /// Who saves it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A publish, as the history of its version shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct PublishGlance {
    /// Its number.
    pub id: i64,
    /// `Published`
    pub status: String,
    /// What `PIPELINE_URL` is, once it is there.
    pub pipeline_url: Option<String>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

const PIPELINE: &str =
    "SELECT id, workspace_id, name, created_ms, updated_ms, created_by FROM pipelines ";

const VERSION: &str = "SELECT id, pipeline_id, version, definition, config, created_ms, created_by
     FROM pipeline_versions ";

impl Tx<'_> {
    /// The number of the pipeline of that name, which is made where there is none.
    pub(in crate::ops) fn pipeline_named(
        &self,
        workspace: i64,
        name: &str,
        by: &str,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        named(self, "pipelines", (workspace, name), by, now_ms)
    }

    /// The pipeline of that number.
    pub(in crate::ops) fn pipeline(&self, id: i64) -> Result<Option<Pipeline>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{PIPELINE} WHERE id = ?"))?;
        Ok(look.query_row([id], pipeline_of).optional()?)
    }

    /// The pipeline of that name.
    pub(in crate::ops) fn pipeline_by_name(
        &self,
        workspace: i64,
        name: &str,
    ) -> Result<Option<Pipeline>, StoreError> {
        let sql = format!("{PIPELINE} WHERE workspace_id = ? AND name = ?");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_row(params![workspace, name], pipeline_of).optional()?)
    }

    /// All pipelines of a workspace, by name.
    pub(in crate::ops) fn pipelines(&self, workspace: i64) -> Result<Vec<Pipeline>, StoreError> {
        let sql = format!("{PIPELINE} WHERE workspace_id = ? ORDER BY name");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_map([workspace], pipeline_of)?.collect::<Result<_, _>>()?)
    }

    /// All pipelines of the workspaces that a user sees, by workspace and name.
    pub(in crate::ops) fn pipelines_seen_by(
        &self,
        user: &str,
        is_admin: bool,
    ) -> Result<Vec<Pipeline>, StoreError> {
        let sql = format!(
            "{PIPELINE} WHERE ? OR workspace_id IN (SELECT workspace_id FROM members WHERE user_id = ?)
             ORDER BY workspace_id, name"
        );
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_map(params![is_admin, user], pipeline_of)?.collect::<Result<_, _>>()?)
    }

    /// The number of the workspace of that name.
    pub(in crate::ops) fn workspace_id_of(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let mut look = self.0.prepare_cached("SELECT id FROM workspaces WHERE name = ?")?;
        Ok(look.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Records a version.
    pub(in crate::ops) fn add_pipeline_version(
        &self,
        new: &NewPipelineVersion<'_>,
    ) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO pipeline_versions
                 (pipeline_id, version, definition, config, created_ms, created_by)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.pipeline,
                new.version,
                new.definition,
                new.config,
                new.now_ms,
                new.by
            ])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The version of that UUID.
    pub(in crate::ops) fn pipeline_version_by_uuid(
        &self,
        version: &str,
    ) -> Result<Option<PipelineVersion>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{VERSION} WHERE version = ?"))?;
        Ok(look.query_row([version], version_of).optional()?)
    }

    /// All versions of a pipeline, the newest first.
    pub(in crate::ops) fn pipeline_versions(
        &self,
        pipeline: i64,
    ) -> Result<Vec<PipelineVersion>, StoreError> {
        let sql = format!("{VERSION} WHERE pipeline_id = ? ORDER BY id DESC");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_map([pipeline], version_of)?.collect::<Result<_, _>>()?)
    }

    /// The newest version of a pipeline.
    pub(in crate::ops) fn newest_pipeline_version(
        &self,
        pipeline: i64,
    ) -> Result<Option<PipelineVersion>, StoreError> {
        let sql = format!("{VERSION} WHERE pipeline_id = ? ORDER BY id DESC LIMIT 1");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_row([pipeline], version_of).optional()?)
    }

    /// What was published of a version, the newest first.
    pub(in crate::ops) fn publishes_at_a_glance(
        &self,
        pipeline_version: i64,
    ) -> Result<Vec<PublishGlance>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, status, pipeline_url, created_ms FROM publishes
             WHERE pipeline_version_id = ? ORDER BY id DESC",
        )?;
        let glance = |row: &Row<'_>| {
            Ok(PublishGlance {
                id: row.get(0)?,
                status: row.get(1)?,
                pipeline_url: row.get(2)?,
                created_ms: row.get(3)?,
            })
        };
        Ok(look.query_map([pipeline_version], glance)?.collect::<Result<_, _>>()?)
    }
}

pub(super) fn pipeline_of(row: &Row<'_>) -> rusqlite::Result<Pipeline> {
    Ok(Pipeline {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        created_ms: row.get(3)?,
        updated_ms: row.get(4)?,
        created_by: row.get(5)?,
    })
}

pub(super) fn version_of(row: &Row<'_>) -> rusqlite::Result<PipelineVersion> {
    Ok(PipelineVersion {
        id: row.get(0)?,
        pipeline: row.get(1)?,
        version: row.get(2)?,
        definition: row.get(3)?,
        config: row.get(4)?,
        created_ms: row.get(5)?,
        created_by: row.get(6)?,
    })
}
