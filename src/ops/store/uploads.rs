//! Uploads that go on after a cut, as records.

use super::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// An upload under way, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Upload {
    /// A UUID, and the name of the file with the bytes so far.
    pub id: String,
    /// Whose it is, by id.
    pub user: String,
    /// Where the model is to be.
    pub workspace: i64,
    /// The model's name.
    pub name: String,
    /// What the file is called where it comes from.
    pub file_name: String,
    /// `private` or `public`.
    pub visibility: String,
    /// Bytes of the whole, once told.
    pub size_bytes: Option<u64>,
    /// As many are on the disk for good.
    pub received_bytes: u64,
    /// The number of the model version that it became.
    pub model_version: Option<i64>,
    /// The upload of the model that this file lies beside, under its name as the location.
    pub beside: Option<String>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

const UPLOAD: &str = "SELECT id, user_id, workspace_id, name, file_name, visibility, size_bytes,
            received_bytes, model_version_id, created_ms, beside FROM uploads ";

impl Tx<'_> {
    /// Records an upload that begins.
    pub(in crate::ops) fn add_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO uploads
                 (id, user_id, workspace_id, name, file_name, visibility, size_bytes, created_ms, touched_ms,
                 beside)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?8, ?8, ?9)",
            )?
            .execute(params![
                upload.id,
                upload.user,
                upload.workspace,
                upload.name,
                upload.file_name,
                upload.visibility,
                upload.size_bytes.map(signed),
                upload.created_ms,
                upload.beside
            ])?;
        Ok(())
    }

    /// The upload of that id.
    pub(in crate::ops) fn upload(&self, id: &str) -> Result<Option<Upload>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{UPLOAD} WHERE id = ?"))?;
        Ok(look.query_row([id], upload_of).optional()?)
    }

    /// How many uploads of a user are under way.
    pub(in crate::ops) fn uploads_of(&self, user: &str) -> Result<i64, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT count(*) FROM uploads WHERE user_id = ? AND model_version_id IS NULL",
        )?;
        Ok(look.query_row([user], |row| row.get(0))?)
    }

    /// Records how far an upload is.
    pub(in crate::ops) fn set_received(
        &self,
        id: &str,
        size_bytes: Option<u64>,
        received_bytes: u64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE uploads SET size_bytes = ?, received_bytes = ?, touched_ms = ? WHERE id = ?",
            )?
            .execute(params![size_bytes.map(signed), signed(received_bytes), now_ms, id])?;
        Ok(())
    }

    /// Records what became of an upload; the files that came for it are the version's from now on.
    pub(in crate::ops) fn set_uploaded(
        &self,
        id: &str,
        model_version: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE uploads SET model_version_id = ?, touched_ms = ? WHERE id = ?")?
            .execute(params![model_version, now_ms, id])?;
        self.0.prepare_cached("DELETE FROM upload_files WHERE upload_id = ?")?.execute([id])?;
        Ok(())
    }

    /// Forgets an upload, and what was to lie beside its file.
    pub(in crate::ops) fn remove_upload(&self, id: &str) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM upload_files WHERE upload_id = ?")?.execute([id])?;
        self.0.prepare_cached("DELETE FROM uploads WHERE id = ?1 OR beside = ?1")?.execute([id])?;
        Ok(())
    }

    /// The uploads that nobody has touched since.
    pub(in crate::ops) fn uploads_untouched_since(
        &self,
        ms: i64,
    ) -> Result<Vec<Upload>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{UPLOAD} WHERE touched_ms < ?"))?;
        Ok(look.query_map([ms], upload_of)?.collect::<Result<_, _>>()?)
    }
}

/// SQLite has no unsigned numbers; no file has this many bytes.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn upload_of(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let unsigned = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    Ok(Upload {
        id: row.get(0)?,
        user: row.get(1)?,
        workspace: row.get(2)?,
        name: row.get(3)?,
        file_name: row.get(4)?,
        visibility: row.get(5)?,
        size_bytes: row.get::<_, Option<i64>>(6)?.map(unsigned),
        received_bytes: unsigned(row.get(7)?),
        model_version: row.get(8)?,
        created_ms: row.get(9)?,
        beside: row.get(10)?,
    })
}
