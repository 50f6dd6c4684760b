//! Edges as records, with the tokens they join by and the credentials they pull with.

use super::{Faring, StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// A named place where a publish runs.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Edge {
    /// A UUID.
    pub id: String,
    /// Its name, the only one of that name in the ops center.
    pub name: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// CPUs that its engine is to have.
    pub cpus: f64,
    /// Memory that its engine is to have, `3Gi`.
    pub memory: String,
    /// The publish that it runs.
    pub publish_id: i64,
    /// The publish that it ran before another replaced that for it.
    pub came_from: Option<i64>,
    /// The number of the pipeline version.
    pub version_id: i64,
    /// The number of the workspace.
    pub workspace_id: i64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// The last contact, milliseconds since the epoch.
    pub seen_ms: Option<i64>,
    /// When its newest join token was used.
    pub joined_ms: Option<i64>,
    /// Until when its newest join token holds.
    pub token_expires_ms: Option<i64>,
    /// What is known of it since it has joined.
    pub faring: Option<Faring>,
}

/// An edge that is added.
#[derive(Debug)]
pub(in crate::ops) struct NewEdge<'a> {
    /// A UUID.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The publish that it runs.
    pub publish_id: i64,
    /// Words to find it by.
    pub tags: &'a [String],
    /// CPUs that its engine is to have.
    pub cpus: f64,
    /// Memory that its engine is to have.
    pub memory: &'a str,
    /// Who adds it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Which edges are listed, by name.
#[derive(Debug, Clone, Default)]
pub(in crate::ops) struct EdgesAsked<'a> {
    /// Those of the workspaces that this user is a member of; all without one.
    pub member: Option<&'a str>,
    /// Those of one publish.
    pub publish: Option<i64>,
    /// Those of one pipeline.
    pub pipeline: Option<i64>,
    /// Those of one workspace.
    pub workspace: Option<i64>,
    /// Those with this tag.
    pub tag: Option<&'a str>,
    /// Those whose names come after this one.
    pub after: Option<&'a str>,
    /// As many at most.
    pub count_max: i64,
}

/// What an edge may pull, and the hash of what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct PullGrant {
    /// SHA-256 of the password.
    pub hash: Vec<u8>,
    /// Pipelines that it may pull, each with its workspace's number: what it runs, and what it ran
    /// before that.
    pub pipelines: Vec<(i64, String)>,
}

const COLUMNS: &str = "e.id, e.name, e.tags, e.cpus, e.memory, e.publish_id, e.came_from,
    p.pipeline_version_id, l.workspace_id, e.created_ms, e.seen_ms, t.used_ms, t.expires_ms,
    s.joined_ms, s.seen_ms, s.copied_ms, coalesce(i.has_left, 0), r.clock_ms, r.report,
    coalesce(i.fingerprint <> s.fingerprint, 0), s.host
    FROM edges e LEFT JOIN edge_sessions s ON s.edge_id = e.id
    LEFT JOIN edge_instances i ON i.session_id = s.id AND i.instance = s.instance
    LEFT JOIN edge_reports r ON r.edge_id = e.id JOIN publishes p ON p.id = e.publish_id
    JOIN pipeline_versions v ON v.id = p.pipeline_version_id JOIN pipelines l ON l.id = v.pipeline_id
    LEFT JOIN join_tokens t ON t.hash = (SELECT hash FROM join_tokens
        WHERE edge_id = e.id AND revoked_ms IS NULL ORDER BY created_ms DESC LIMIT 1)";

impl Tx<'_> {
    /// Records an edge; [`StoreError::Taken`] when there is one of that name.
    pub(in crate::ops) fn add_edge(&self, new: &NewEdge<'_>) -> Result<(), StoreError> {
        let tags = serde_json::json!(new.tags).to_string();
        self.0
            .prepare_cached(
                "INSERT INTO edges (id, name, publish_id, tags, cpus, memory, created_ms, created_by)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.id,
                new.name,
                new.publish_id,
                tags,
                new.cpus,
                new.memory,
                new.now_ms,
                new.by
            ])?;
        Ok(())
    }

    /// The edge of that name, unless it was removed.
    pub(in crate::ops) fn edge_by_name(&self, name: &str) -> Result<Option<Edge>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE e.name = ? AND e.removed_ms IS NULL"
        ))?;
        look.query_row([name], |row| Ok(edge_of(row))).optional()?.transpose()
    }

    /// Edges that were not removed, by name.
    pub(in crate::ops) fn edges(&self, asked: &EdgesAsked<'_>) -> Result<Vec<Edge>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE e.removed_ms IS NULL
             AND (?1 IS NULL OR l.workspace_id IN (SELECT workspace_id FROM members WHERE user_id = ?1))
             AND (?2 IS NULL OR e.publish_id = ?2) AND (?3 IS NULL OR l.id = ?3)
             AND (?4 IS NULL OR l.workspace_id = ?4)
             AND (?5 IS NULL OR EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?5))
             AND (?6 IS NULL OR e.name > ?6)
             ORDER BY e.name LIMIT ?7"
        ))?;
        let rows = look.query_map(
            params![
                asked.member,
                asked.publish,
                asked.pipeline,
                asked.workspace,
                asked.tag,
                asked.after,
                asked.count_max
            ],
            |row| Ok(edge_of(row)),
        )?;
        rows.map(|row| row?).collect()
    }

    /// Takes an edge away, with every token and credential of it.
    pub(in crate::ops) fn remove_edge(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        for change in [
            "UPDATE edges SET removed_ms = ?1 WHERE id = ?2",
            "UPDATE join_tokens SET revoked_ms = ?1 WHERE edge_id = ?2 AND revoked_ms IS NULL",
            "UPDATE pull_credentials SET revoked_ms = ?1 WHERE edge_id = ?2 AND revoked_ms IS NULL",
        ] {
            self.0.prepare_cached(change)?.execute(params![now_ms, id])?;
        }
        Ok(())
    }

    /// Records a join token by its hash.
    pub(in crate::ops) fn add_join_token(
        &self,
        hash: &[u8],
        edge: &str,
        now_ms: i64,
        expires_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO join_tokens (hash, edge_id, created_ms, expires_ms) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![hash, edge, now_ms, expires_ms])?;
        Ok(())
    }

    /// Records what an edge pulls with, by its hash.
    pub(in crate::ops) fn add_pull_credential(
        &self,
        username: &str,
        hash: &[u8],
        edge: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO pull_credentials (username, hash, edge_id, created_ms) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![username, hash, edge, now_ms])?;
        Ok(())
    }

    /// What the edge with that user name may pull, unless its credentials were revoked.
    pub(in crate::ops) fn pull_grant(
        &self,
        username: &str,
    ) -> Result<Option<PullGrant>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT c.hash, l.workspace_id, l.name
             FROM pull_credentials c JOIN edges e ON e.id = c.edge_id
             JOIN publishes p ON p.id IN (e.publish_id, e.came_from)
             JOIN pipeline_versions v ON v.id = p.pipeline_version_id JOIN pipelines l ON l.id = v.pipeline_id
             WHERE c.username = ? AND c.revoked_ms IS NULL AND e.removed_ms IS NULL",
        )?;
        let mut rows = look.query([username])?;
        let mut grant: Option<PullGrant> = None;
        while let Some(row) = rows.next()? {
            let pipeline = (row.get(1)?, row.get(2)?);
            match &mut grant {
                Some(grant) => grant.pipelines.push(pipeline),
                None => {
                    grant = Some(PullGrant { hash: row.get(0)?, pipelines: vec![pipeline] });
                }
            }
        }
        Ok(grant)
    }
}

fn edge_of(row: &Row<'_>) -> Result<Edge, StoreError> {
    let tags: String = row.get(2)?;
    Ok(Edge {
        id: row.get(0)?,
        name: row.get(1)?,
        tags: serde_json::from_str(&tags)
            .map_err(|_| StoreError::Malformed { what: "an edge's tags" })?,
        cpus: row.get(3)?,
        memory: row.get(4)?,
        publish_id: row.get(5)?,
        came_from: row.get(6)?,
        version_id: row.get(7)?,
        workspace_id: row.get(8)?,
        created_ms: row.get(9)?,
        seen_ms: row.get(10)?,
        joined_ms: row.get(11)?,
        token_expires_ms: row.get(12)?,
        faring: faring_of(row)?,
    })
}

/// What is known of an edge since it has joined: the columns after its own.
fn faring_of(row: &Row<'_>) -> Result<Option<Faring>, StoreError> {
    let Some(joined_ms) = row.get(13)? else { return Ok(None) };
    Ok(Some(Faring {
        joined_ms,
        seen_ms: row.get(14)?,
        copied_ms: row.get(15)?,
        has_left: row.get(16)?,
        clock_ms: row.get(17)?,
        report: row.get(18)?,
        is_elsewhere: row.get(19)?,
        joined_host: row.get(20)?,
    }))
}
