//! The files beside models that hold weights of theirs, as records.

use super::{StoreError, Tx};
use rusqlite::{Row, params};

/// A file beside a model's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct SideRecord {
    /// What the model calls it.
    pub location: String,
    /// The sha256, 64 hexadecimal digits: its blob.
    pub sha: String,
    /// Bytes of the file.
    pub size_bytes: i64,
}

impl Tx<'_> {
    /// Records a file beside the one of a model version.
    pub(in crate::ops) fn add_side_file(
        &self,
        model_version: i64,
        file: &SideRecord,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO model_files (model_version_id, location, sha, size_bytes) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![model_version, file.location, file.sha, file.size_bytes])?;
        Ok(())
    }

    /// The files beside the one of a model version, by location.
    pub(in crate::ops) fn side_files(
        &self,
        model_version: i64,
    ) -> Result<Vec<SideRecord>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT location, sha, size_bytes FROM model_files WHERE model_version_id = ? ORDER BY location",
        )?;
        Ok(look.query_map([model_version], side_of)?.collect::<Result<_, _>>()?)
    }

    /// The same for the version of that UUID.
    pub(in crate::ops) fn side_files_by_uuid(
        &self,
        version: &str,
    ) -> Result<Vec<SideRecord>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT f.location, f.sha, f.size_bytes FROM model_files f
             JOIN model_versions v ON v.id = f.model_version_id WHERE v.version = ? ORDER BY f.location",
        )?;
        Ok(look.query_map([version], side_of)?.collect::<Result<_, _>>()?)
    }

    /// Records a file that came whole for an upload; what came for that location before is given up.
    pub(in crate::ops) fn set_upload_file(
        &self,
        upload: &str,
        file: &SideRecord,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO upload_files (upload_id, location, sha, size_bytes) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![upload, file.location, file.sha, file.size_bytes])?;
        self.0
            .prepare_cached("UPDATE uploads SET touched_ms = ? WHERE id = ?")?
            .execute(params![now_ms, upload])?;
        Ok(())
    }

    /// The files that came whole for an upload, by location.
    pub(in crate::ops) fn upload_files(&self, upload: &str) -> Result<Vec<SideRecord>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT location, sha, size_bytes FROM upload_files WHERE upload_id = ? ORDER BY location",
        )?;
        Ok(look.query_map([upload], side_of)?.collect::<Result<_, _>>()?)
    }

    /// Whether a record names the blob with that sha256.
    pub(in crate::ops) fn names_blob(&self, sha: &str) -> Result<bool, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM model_versions WHERE sha = ?1)
             OR EXISTS (SELECT 1 FROM model_files WHERE sha = ?1)
             OR EXISTS (SELECT 1 FROM upload_files WHERE sha = ?1)",
        )?;
        Ok(look.query_row([sha], |row| row.get(0))?)
    }

    /// The digests of the manifests that publishes name, of pipelines and of charts.
    pub(in crate::ops) fn named_manifests(&self) -> Result<Vec<String>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT digest FROM publishes WHERE digest IS NOT NULL
             UNION SELECT substr(chart_reference, instr(chart_reference, '@') + 1) FROM publishes
             WHERE instr(chart_reference, '@') > 0",
        )?;
        Ok(look.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// How many uploads of files beside this one's are under way.
    pub(in crate::ops) fn uploads_beside(&self, upload: &str) -> Result<i64, StoreError> {
        let mut look = self.0.prepare_cached("SELECT count(*) FROM uploads WHERE beside = ?")?;
        Ok(look.query_row([upload], |row| row.get(0))?)
    }
}

fn side_of(row: &Row<'_>) -> rusqlite::Result<SideRecord> {
    Ok(SideRecord { location: row.get(0)?, sha: row.get(1)?, size_bytes: row.get(2)? })
}
