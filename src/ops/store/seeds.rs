//! Records for tests of other rooms: a user with a workspace, and pipeline versions in it.

use super::{StoreError, Tx, User};
use rusqlite::params;

impl Tx<'_> {
    /// A user and a workspace of theirs; its number.
    pub(in crate::ops) fn seed_workspace(&self, user: &str) -> Result<i64, StoreError> {
        let email = format!("{user}@example.com");
        let user = User {
            id: user.to_owned(),
            email: email.clone(),
            is_admin: false,
            is_enabled: true,
            created_ms: 1,
        };
        self.add_user(&user, None)?;
        self.add_workspace(&email, &user.id, 1)
    }

    /// A pipeline with one version; the version's number.
    pub(in crate::ops) fn seed_version(
        &self,
        workspace: i64,
        by: &str,
        pipeline: &str,
        version: &str,
        config: &str,
    ) -> Result<i64, StoreError> {
        self.0.execute(
            "INSERT INTO pipelines (workspace_id, name, created_ms, updated_ms, created_by)
             VALUES (?, ?, 1, 1, ?)",
            params![workspace, pipeline, by],
        )?;
        let pipeline = self.0.last_insert_rowid();
        self.0.execute(
            "INSERT INTO pipeline_versions (pipeline_id, version, definition, config, created_ms, created_by)
             VALUES (?, ?, '{}', ?, 1, ?)",
            params![pipeline, version, config, by],
        )?;
        Ok(self.0.last_insert_rowid())
    }
}
