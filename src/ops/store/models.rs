//! Models, their versions and their settings, as records.

use super::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// How far a model version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum ModelStatus {
    /// It is to be checked.
    Attempting,
    /// It loads and runs.
    Ready,
    /// It cannot be served.
    Error,
}

/// Each status with its name in records and in answers, which is the original's.
const STATUSES: [(ModelStatus, &str); 3] = [
    (ModelStatus::Attempting, "attempting_load_native"),
    (ModelStatus::Ready, "ready"),
    (ModelStatus::Error, "error"),
];

impl ModelStatus {
    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            ModelStatus::Attempting => "attempting_load_native",
            ModelStatus::Ready => "ready",
            ModelStatus::Error => "error",
        }
    }

    pub(super) fn of(name: &str) -> Option<ModelStatus> {
        STATUSES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }
}

/// A name with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Model {
    /// Its number.
    pub id: i64,
    /// Where it is.
    pub workspace: i64,
    /// Its name, the only one of that name there.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// When its last version came.
    pub updated_ms: i64,
    /// Who uploaded the first, by id.
    pub created_by: String,
}

/// One uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct ModelVersion {
    /// Its number.
    pub id: i64,
    /// The number of its model.
    pub model: i64,
    /// The name of its model.
    pub name: String,
    /// Where its model is.
    pub workspace: i64,
    /// A UUID.
    pub version: String,
    /// The sha256 of the file, 64 hexadecimal digits: its blob.
    pub sha: String,
    /// Bytes of the file.
    pub size_bytes: i64,
    /// What the file was called where it came from.
    pub file_name: String,
    /// How far it is.
    pub status: ModelStatus,
    /// Why it cannot be served.
    pub error: Option<String>,
    /// `private` or `public`.
    pub visibility: String,
    /// JSON: what the check found.
    pub facts: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Who uploaded it, by id.
    pub created_by: String,
}

/// A version to be recorded.
#[derive(Debug)]
pub(in crate::ops) struct NewModelVersion<'a> {
    /// The number of its model.
    pub model: i64,
    /// A UUID.
    pub version: &'a str,
    /// 64 hexadecimal digits.
    pub sha: &'a str,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// What the file was called.
    pub file_name: &'a str,
    /// `private` or `public`.
    pub visibility: &'a str,
    /// Who uploads it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// How a model version is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct ModelConfig {
    /// Its number.
    pub id: i64,
    /// The number of its model version.
    pub model_version: i64,
    /// `onnx`
    pub runtime: String,
    /// The columns for the inputs, by position.
    pub tensor_fields: Option<Vec<String>>,
    /// JSON: the original's further keys, as they were sent.
    pub settings: String,
}

/// Every column of a model, in the order of `model_of`.
const MODEL: &str =
    "SELECT id, workspace_id, name, created_ms, updated_ms, created_by FROM models ";

/// Every column of a version, in the order of `version_of`.
const VERSION: &str =
    "SELECT model_versions.id, model_id, models.name, models.workspace_id, version, sha,
            size_bytes, file_name, status, error, visibility, facts, model_versions.created_ms,
            model_versions.created_by
     FROM model_versions JOIN models ON models.id = model_versions.model_id ";

impl Tx<'_> {
    /// The number of the model of that name, which is made where there is none.
    pub(in crate::ops) fn model_named(
        &self,
        workspace: i64,
        name: &str,
        by: &str,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        named(self, "models", (workspace, name), by, now_ms)
    }

    /// The model of that number.
    pub(in crate::ops) fn model(&self, id: i64) -> Result<Option<Model>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{MODEL} WHERE id = ?"))?;
        Ok(look.query_row([id], model_of).optional()?)
    }

    /// All models of a workspace, by name.
    pub(in crate::ops) fn models(&self, workspace: i64) -> Result<Vec<Model>, StoreError> {
        let sql = format!("{MODEL} WHERE workspace_id = ? ORDER BY name");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_map([workspace], model_of)?.collect::<Result<_, _>>()?)
    }

    /// Records a version that is to be checked, with the settings that it has unless told others.
    pub(in crate::ops) fn add_model_version(
        &self,
        new: &NewModelVersion<'_>,
    ) -> Result<i64, StoreError> {
        let size_bytes = i64::try_from(new.size_bytes).unwrap_or(i64::MAX);
        let status = ModelStatus::Attempting.name();
        self.0
            .prepare_cached(
                "INSERT INTO model_versions
                 (model_id, version, sha, size_bytes, file_name, status, visibility, created_ms, created_by)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.model,
                new.version,
                new.sha,
                size_bytes,
                new.file_name,
                status,
                new.visibility,
                new.now_ms,
                new.by
            ])?;
        let id = self.0.last_insert_rowid();
        self.add_model_config(id, None, "{}", new.now_ms)?;
        Ok(id)
    }

    /// The version of that number.
    pub(in crate::ops) fn model_version(
        &self,
        id: i64,
    ) -> Result<Option<ModelVersion>, StoreError> {
        self.one_version("WHERE model_versions.id = ?", params![id])
    }

    /// The version of that UUID.
    pub(in crate::ops) fn model_version_by_uuid(
        &self,
        version: &str,
    ) -> Result<Option<ModelVersion>, StoreError> {
        self.one_version("WHERE version = ?", params![version])
    }

    /// The version of that name and UUID in a workspace; the newest without a UUID.
    pub(in crate::ops) fn model_version_named(
        &self,
        workspace: i64,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<ModelVersion>, StoreError> {
        self.one_version(
            "WHERE models.workspace_id = ? AND models.name = ? AND (?3 IS NULL OR version = ?3)
             ORDER BY model_versions.id DESC LIMIT 1",
            params![workspace, name, version],
        )
    }

    /// The newest version of that name in a workspace with that file, and with the same files beside
    /// it as the version `like`, a UUID.
    pub(in crate::ops) fn model_version_of_file(
        &self,
        workspace: i64,
        name: &str,
        sha: &str,
        like: &str,
    ) -> Result<Option<ModelVersion>, StoreError> {
        let wanted = self.side_files_by_uuid(like)?;
        let sql = format!(
            "{VERSION} WHERE models.workspace_id = ? AND models.name = ? AND sha = ?
             ORDER BY model_versions.id DESC"
        );
        let mut look = self.0.prepare_cached(&sql)?;
        for found in look.query_and_then(params![workspace, name, sha], version_of)? {
            let found = found?;
            if self.side_files(found.id)? == wanted {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first version that is to be checked.
    pub(in crate::ops) fn model_version_to_check(
        &self,
    ) -> Result<Option<ModelVersion>, StoreError> {
        self.one_version(
            "WHERE status = 'attempting_load_native' ORDER BY model_versions.id LIMIT 1",
            params![],
        )
    }

    /// All versions of a model, the newest first.
    pub(in crate::ops) fn model_versions(
        &self,
        model: i64,
    ) -> Result<Vec<ModelVersion>, StoreError> {
        let sql = format!("{VERSION} WHERE model_id = ? ORDER BY model_versions.id DESC");
        let mut look = self.0.prepare_cached(&sql)?;
        look.query_and_then([model], version_of)?.collect()
    }

    /// Records what the check found.
    pub(in crate::ops) fn set_checked(
        &self,
        id: i64,
        error: Option<&str>,
        facts: &str,
    ) -> Result<(), StoreError> {
        let status = if error.is_some() { ModelStatus::Error } else { ModelStatus::Ready };
        self.0
            .prepare_cached(
                "UPDATE model_versions SET status = ?, error = ?, facts = ? WHERE id = ?",
            )?
            .execute(params![status.name(), error, facts, id])?;
        Ok(())
    }

    /// Records how a version is to be run from now on.
    pub(in crate::ops) fn add_model_config(
        &self,
        model_version: i64,
        tensor_fields: Option<&[String]>,
        settings: &str,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        let fields = tensor_fields.map(|fields| serde_json::Value::from(fields).to_string());
        self.0
            .prepare_cached(
                "INSERT INTO model_configs (model_version_id, tensor_fields, settings, created_ms)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![model_version, fields, settings, now_ms])?;
        Ok(self.0.last_insert_rowid())
    }

    /// How a version is to be run: what was told last.
    pub(in crate::ops) fn model_config(
        &self,
        model_version: i64,
    ) -> Result<Option<ModelConfig>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, model_version_id, runtime, tensor_fields, settings FROM model_configs
             WHERE model_version_id = ? ORDER BY id DESC LIMIT 1",
        )?;
        let mut found = look.query_and_then([model_version], config_of)?;
        found.next().transpose()
    }

    fn one_version(
        &self,
        condition: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Option<ModelVersion>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{VERSION} {condition}"))?;
        let mut found = look.query_and_then(parameters, version_of)?;
        found.next().transpose()
    }
}

/// The number of what has that name in a table of such, where it is made if it is not there.
pub(super) fn named(
    tx: &Tx<'_>,
    table: &'static str,
    (workspace, name): (i64, &str),
    by: &str,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let sql = format!(
        "INSERT INTO {table} (workspace_id, name, created_ms, updated_ms, created_by)
         VALUES (?, ?, ?3, ?3, ?4)
         ON CONFLICT (workspace_id, name) DO UPDATE SET updated_ms = excluded.updated_ms
         RETURNING id"
    );
    let mut add = tx.0.prepare_cached(&sql)?;
    Ok(add.query_row(params![workspace, name, now_ms, by], |row| row.get(0))?)
}

pub(super) fn model_of(row: &Row<'_>) -> rusqlite::Result<Model> {
    Ok(Model {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        created_ms: row.get(3)?,
        updated_ms: row.get(4)?,
        created_by: row.get(5)?,
    })
}

fn version_of(row: &Row<'_>) -> Result<ModelVersion, StoreError> {
    let status: String = row.get(8)?;
    let malformed = StoreError::Malformed { what: "a model version" };
    Ok(ModelVersion {
        id: row.get(0)?,
        model: row.get(1)?,
        name: row.get(2)?,
        workspace: row.get(3)?,
        version: row.get(4)?,
        sha: row.get(5)?,
        size_bytes: row.get(6)?,
        file_name: row.get(7)?,
        status: ModelStatus::of(&status).ok_or(malformed)?,
        error: row.get(9)?,
        visibility: row.get(10)?,
        facts: row.get(11)?,
        created_ms: row.get(12)?,
        created_by: row.get(13)?,
    })
}

fn config_of(row: &Row<'_>) -> Result<ModelConfig, StoreError> {
    let fields: Option<String> = row.get(3)?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|_| StoreError::Malformed { what: "a model's settings" })
    };
    Ok(ModelConfig {
        id: row.get(0)?,
        model_version: row.get(1)?,
        runtime: row.get(2)?,
        tensor_fields: fields.map(read).transpose()?,
        settings: row.get(4)?,
    })
}
