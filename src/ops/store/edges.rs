//! Edges as records, with the tokens they join by and the credentials they pull with.

use super::{Faring, StoreError, Tx, text};
use rusqlite::{OptionalExtension, Row, params};

/// A named place where a publish runs; its texts are its own, or lie where SQLite has them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Edge<T = String> {
    /// A UUID.
    pub id: T,
    /// Its name, the only one of that name in the ops center.
    pub name: T,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// CPUs that its engine is to have.
    pub cpus: f64,
    /// Memory that its engine is to have, `3Gi`.
    pub memory: T,
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
    pub faring: Option<Faring<T>>,
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
    /// Those that fare like this.
    pub fares: Option<Fares>,
    /// As many at most.
    pub count_max: i64,
}

/// How an edge fares, as bounds of the times that tell it; all of them hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Fares {
    /// It has not joined.
    Unjoined {
        /// When its token ends; one without a token has 0.
        expires: Between,
    },
    /// It has joined.
    Joined {
        /// The last contact.
        seen: Between,
        /// Whether its engine stopped in good order, if that counts.
        has_left: Option<bool>,
        /// When a copy of it spoke last; never is 0, and the end of time where another device goes on
        /// with its session.
        copied: Between,
    },
}

/// Later than one time, and not later than another, milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Between {
    /// Later than this.
    pub after_ms: i64,
    /// Not later than this.
    pub until_ms: i64,
}

impl Between {
    /// Any time.
    pub(in crate::ops) const ANY: Between = Between { after_ms: i64::MIN, until_ms: i64::MAX };
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

// What tells how an edge fares comes first, so that the others cost little where those of one state are
// looked for; an edge has one token that was not revoked.
const COLUMNS: &str = "e.id, e.name, e.tags, e.cpus, e.memory, e.publish_id, e.came_from,
    p.pipeline_version_id, l.workspace_id, e.created_ms, e.seen_ms, t.used_ms, t.expires_ms,
    s.joined_ms, s.seen_ms, s.copied_ms, coalesce(i.has_left, 0), r.clock_ms, r.report,
    coalesce(i.fingerprint <> s.fingerprint, 0), s.host
    FROM edges e LEFT JOIN edge_sessions s ON s.edge_id = e.id
    LEFT JOIN join_tokens t ON t.edge_id = e.id AND t.revoked_ms IS NULL
    LEFT JOIN edge_instances i ON i.session_id = s.id AND i.instance = s.instance
    JOIN publishes p ON p.id = e.publish_id JOIN pipeline_versions v ON v.id = p.pipeline_version_id
    JOIN pipelines l ON l.id = v.pipeline_id LEFT JOIN edge_reports r ON r.edge_id = e.id";

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
        let mut found = Vec::new();
        self.each_edge_row(asked, |row| {
            found.push(edge_of(row)?);
            Ok::<_, StoreError>(())
        })?;
        Ok(found)
    }

    /// Shows edges that were not removed one after the other, by name.
    pub(in crate::ops) fn each_edge<E: From<StoreError>>(
        &self,
        asked: &EdgesAsked<'_>,
        mut show: impl FnMut(&Edge<&str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_edge_row(asked, |row| show(&edge_of(row)?))
    }

    fn each_edge_row<E: From<StoreError>>(
        &self,
        asked: &EdgesAsked<'_>,
        mut show: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let any = Between::ANY;
        let (expires, seen, copied, has_left) = match asked.fares {
            None => (any, any, any, None),
            Some(Fares::Unjoined { expires }) => (expires, any, any, None),
            Some(Fares::Joined { seen, has_left, copied }) => (any, seen, copied, has_left),
        };
        let mut look = self.0.prepare_cached(&sql_of(asked)).map_err(StoreError::from)?;
        let mut rows = look
            .query(params![
                asked.member,
                asked.publish,
                asked.pipeline,
                asked.workspace,
                asked.tag,
                asked.after,
                expires.after_ms,
                expires.until_ms,
                seen.after_ms,
                seen.until_ms,
                copied.after_ms,
                copied.until_ms,
                has_left,
                asked.count_max
            ])
            .map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            show(row)?;
        }
        Ok(())
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

/// The statement for what is asked; a condition that is not asked for stands nowhere in it, since SQLite
/// plans before it knows the values.
fn sql_of(asked: &EdgesAsked<'_>) -> String {
    let fares = match asked.fares {
        None => "",
        Some(Fares::Unjoined { .. }) => {
            "s.id IS NULL AND coalesce(t.expires_ms, 0) > ?7 AND coalesce(t.expires_ms, 0) <= ?8"
        }
        Some(Fares::Joined { .. }) => {
            "s.seen_ms > ?9 AND s.seen_ms <= ?10 AND (?13 IS NULL OR coalesce(i.has_left, 0) = ?13)
             AND CASE WHEN i.fingerprint <> s.fingerprint THEN 9223372036854775807
                 ELSE coalesce(s.copied_ms, 0) END BETWEEN ?11 + 1 AND ?12"
        }
    };
    let mut sql = format!("SELECT {COLUMNS} WHERE e.removed_ms IS NULL");
    for (is_asked, condition) in [
        (
            asked.member.is_some(),
            "+l.workspace_id IN (SELECT workspace_id FROM members WHERE user_id = ?1)",
        ),
        (asked.publish.is_some(), "e.publish_id = ?2"),
        (asked.pipeline.is_some(), "l.id = ?3"),
        (asked.workspace.is_some(), "+l.workspace_id = ?4"),
        (asked.tag.is_some(), "EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?5)"),
        (asked.after.is_some(), "e.name > ?6"),
        (asked.fares.is_some(), fares),
    ] {
        if is_asked {
            sql += " AND ";
            sql += condition;
        }
    }
    sql + " ORDER BY e.name LIMIT ?14"
}

fn edge_of<'a, T: From<&'a str>>(row: &'a Row<'_>) -> Result<Edge<T>, StoreError> {
    let needed = |at: usize| text(row, at)?.ok_or(StoreError::Malformed { what: "an edge" });
    let malformed = || StoreError::Malformed { what: "an edge's tags" };
    let tags = text::<&str>(row, 2)?.ok_or_else(malformed)?;
    Ok(Edge {
        id: needed(0)?,
        name: needed(1)?,
        tags: serde_json::from_str(tags).map_err(|_| malformed())?,
        cpus: row.get(3)?,
        memory: needed(4)?,
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
fn faring_of<'a, T: From<&'a str>>(row: &'a Row<'_>) -> Result<Option<Faring<T>>, StoreError> {
    let Some(joined_ms) = row.get(13)? else { return Ok(None) };
    Ok(Some(Faring {
        joined_ms,
        seen_ms: row.get(14)?,
        copied_ms: row.get(15)?,
        has_left: row.get(16)?,
        clock_ms: row.get(17)?,
        report: text(row, 18)?,
        is_elsewhere: row.get(19)?,
        joined_host: text(row, 20)?,
    }))
}
