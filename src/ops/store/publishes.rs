//! Publishes as records: asked for, worked on, there or failed.

use super::{NewAssignment, StoreError, Tx, text};
use crate::fleet::Watch;
use rusqlite::{OptionalExtension, Row, params};

/// How far a publish has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum PublishStatus {
    /// Asked for, or waiting for another attempt.
    Pending,
    /// Being pushed.
    Publishing,
    /// There.
    Published,
    /// Given up.
    Error,
}

/// Each status with the original's name of it.
const STATUSES: [(PublishStatus, &str); 4] = [
    (PublishStatus::Pending, "PendingPublish"),
    (PublishStatus::Publishing, "Publishing"),
    (PublishStatus::Published, "Published"),
    (PublishStatus::Error, "Error"),
];

impl PublishStatus {
    /// The status of that name.
    pub(in crate::ops) fn of(name: &str) -> Option<PublishStatus> {
        STATUSES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// The original's name of it.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            PublishStatus::Pending => "PendingPublish",
            PublishStatus::Publishing => "Publishing",
            PublishStatus::Published => "Published",
            PublishStatus::Error => "Error",
        }
    }
}

/// A publish with the names of what it is of; its texts are its own, or lie where SQLite has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Publish<T = String> {
    /// Its number.
    pub id: i64,
    /// The number of its pipeline version.
    pub version_id: i64,
    /// The UUID of its pipeline version.
    pub version: T,
    /// The number of its pipeline.
    pub pipeline_id: i64,
    /// The name of its pipeline.
    pub pipeline: T,
    /// The number of the workspace.
    pub workspace_id: i64,
    /// The name of the workspace.
    pub workspace: T,
    /// How far it has come.
    pub status: PublishStatus,
    /// Why it is given up, or what the last attempt met.
    pub error: Option<T>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch.
    pub updated_ms: i64,
    /// The user who asked for it, by id.
    pub created_by: T,
    /// JSON: what the engine is to have.
    pub engine_config: T,
    /// JSON: numbers of the publishes whose edges it takes over.
    pub replaces: T,
    /// Where everything is, once it is there.
    pub place: Option<PublishPlace<T>>,
    /// Bytes of all that was pushed.
    pub bytes_total: i64,
    /// Attempts that came to an end.
    pub attempts: i64,
    /// While pending: not before this time, milliseconds since the epoch.
    pub next_ms: i64,
}

/// Where the parts of a publish are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct PublishPlace<T = String> {
    /// What `PIPELINE_URL` is to be.
    pub pipeline_url: T,
    /// The engine image.
    pub engine_url: T,
    /// The chart by its digest.
    pub chart_reference: T,
    /// The chart's repository.
    pub chart: T,
    /// The chart's version.
    pub chart_version: T,
    /// The digest of the pipeline's manifest.
    pub digest: T,
}

/// A publish that is asked for.
#[derive(Debug)]
pub(in crate::ops) struct NewPublish<'a> {
    /// The number of the pipeline version.
    pub version_id: i64,
    /// Who asks, by id.
    pub by: &'a str,
    /// JSON.
    pub engine_config: &'a str,
    /// Publishes whose edges it takes over.
    pub replaces: &'a [i64],
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A pipeline version, as far as a publish of it has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct VersionToPublish {
    /// Its UUID.
    pub version: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The workspace's number.
    pub workspace_id: i64,
    /// The config blob.
    pub config: String,
}

/// Which publishes are listed, the newest first.
#[derive(Debug, Clone, Default)]
pub(in crate::ops) struct PublishesAsked<'a> {
    /// Those of the workspaces that this user is a member of; all without one.
    pub member: Option<&'a str>,
    /// Those of one pipeline.
    pub pipeline: Option<i64>,
    /// Those of one workspace.
    pub workspace: Option<i64>,
    /// Those with smaller numbers.
    pub before: Option<i64>,
    /// As many at most.
    pub count_max: i64,
}

const COLUMNS: &str = "p.id, p.pipeline_version_id, v.version, l.id, l.name, w.id, w.name, p.status, p.error,
    p.created_ms, p.updated_ms, p.created_by, p.engine_config, p.replaces, p.pipeline_url, p.engine_url,
    p.chart_reference, p.chart, p.chart_version, p.digest, p.bytes_total, p.attempts, p.next_ms
    FROM publishes p JOIN pipeline_versions v ON v.id = p.pipeline_version_id
    JOIN pipelines l ON l.id = v.pipeline_id JOIN workspaces w ON w.id = l.workspace_id";

/// The newest publishes of one pipeline: their numbers are sorted, and not all that they have.
const OF_PIPELINE: &str = "p.id IN (SELECT q.id FROM pipeline_versions o
    JOIN publishes q ON q.pipeline_version_id = o.id
    WHERE o.pipeline_id = ?2 AND q.id < ?4 ORDER BY q.id DESC LIMIT ?5)";

impl Tx<'_> {
    /// The pipeline version of that number.
    pub(in crate::ops) fn version_to_publish(
        &self,
        id: i64,
    ) -> Result<Option<VersionToPublish>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT v.version, l.name, l.workspace_id, v.config
             FROM pipeline_versions v JOIN pipelines l ON l.id = v.pipeline_id WHERE v.id = ?",
        )?;
        let found = look.query_row([id], |row| {
            Ok(VersionToPublish {
                version: row.get(0)?,
                pipeline: row.get(1)?,
                workspace_id: row.get(2)?,
                config: row.get(3)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Records a publish to be worked on, and gives its number.
    pub(in crate::ops) fn add_publish(&self, new: &NewPublish<'_>) -> Result<i64, StoreError> {
        let replaces = serde_json::json!(new.replaces).to_string();
        self.0
            .prepare_cached(
                "INSERT INTO publishes (pipeline_version_id, status, created_ms, updated_ms, created_by,
                 engine_config, replaces, next_ms) VALUES (?1, 'PendingPublish', ?5, ?5, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![new.version_id, new.by, new.engine_config, replaces, new.now_ms])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The publish of that number.
    pub(in crate::ops) fn publish(&self, id: i64) -> Result<Option<Publish>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("SELECT {COLUMNS} WHERE p.id = ?"))?;
        look.query_row([id], |row| Ok(publish_of(row))).optional()?.transpose()
    }

    /// Shows publishes one after the other, the newest first.
    pub(in crate::ops) fn each_publish<E: From<StoreError>>(
        &self,
        asked: &PublishesAsked<'_>,
        mut show: impl FnMut(&Publish<&str>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sql = format!("SELECT {COLUMNS} WHERE p.id < ?4");
        // A plus keeps SQLite from beginning with the workspace, and sorting all publishes of it.
        for (is_asked, condition) in [
            (
                asked.member.is_some(),
                "+l.workspace_id IN (SELECT workspace_id FROM members WHERE user_id = ?1)",
            ),
            (asked.pipeline.is_some(), OF_PIPELINE),
            (asked.workspace.is_some(), "+l.workspace_id = ?3"),
        ] {
            if is_asked {
                sql += " AND ";
                sql += condition;
            }
        }
        sql += " ORDER BY p.id DESC LIMIT ?5";
        let mut look = self.0.prepare_cached(&sql).map_err(StoreError::from)?;
        let mut rows = look
            .query(params![
                asked.member,
                asked.pipeline,
                asked.workspace,
                asked.before.unwrap_or(i64::MAX),
                asked.count_max
            ])
            .map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            show(&publish_of(row)?)?;
        }
        Ok(())
    }

    /// How many publishes are not there yet and not given up.
    pub(in crate::ops) fn unfinished_publishes(&self) -> Result<i64, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT count(*) FROM publishes WHERE status IN ('PendingPublish', 'Publishing')",
        )?;
        Ok(look.query_row([], |row| row.get(0))?)
    }

    /// The unfinished publish that is to be worked on first, whether or not it is time yet: one that
    /// is `Publishing` was being worked on by a process that ended.
    pub(in crate::ops) fn next_publish(&self) -> Result<Option<Publish>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE p.status IN ('PendingPublish', 'Publishing')
             ORDER BY p.next_ms, p.id LIMIT 1"
        ))?;
        look.query_row([], |row| Ok(publish_of(row))).optional()?.transpose()
    }

    /// Another attempt at a publish begins.
    pub(in crate::ops) fn begin_publish(&self, id: i64, now_ms: i64) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE publishes SET status = 'Publishing', updated_ms = ? WHERE id = ?",
            )?
            .execute(params![now_ms, id])?;
        Ok(())
    }

    /// An attempt failed and there will be another, not before that time.
    pub(in crate::ops) fn postpone_publish(
        &self,
        id: i64,
        error: &str,
        now_ms: i64,
        next_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE publishes SET status = 'PendingPublish', error = ?, updated_ms = ?, next_ms = ?,
                 attempts = attempts + 1 WHERE id = ?",
            )?
            .execute(params![error, now_ms, next_ms, id])?;
        Ok(())
    }

    /// A publish is given up.
    pub(in crate::ops) fn give_up_publish(
        &self,
        id: i64,
        error: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE publishes SET status = 'Error', error = ?, updated_ms = ?, attempts = attempts + 1
                 WHERE id = ?",
            )?
            .execute(params![error, now_ms, id])?;
        Ok(())
    }

    /// A publish is there; the edges of those that it replaces are its own from now on. How many
    /// these are.
    pub(in crate::ops) fn finish_publish(
        &self,
        id: i64,
        place: &PublishPlace,
        bytes_total: i64,
        now_ms: i64,
    ) -> Result<usize, StoreError> {
        self.0
            .prepare_cached(
                "UPDATE publishes SET status = 'Published', error = NULL, attempts = attempts + 1, updated_ms = ?, pipeline_url = ?,
                 engine_url = ?, chart_reference = ?, chart = ?, chart_version = ?, digest = ?, bytes_total = ?
                 WHERE id = ?",
            )?
            .execute(params![
                now_ms,
                place.pipeline_url,
                place.engine_url,
                place.chart_reference,
                place.chart,
                place.chart_version,
                place.digest,
                bytes_total,
                id
            ])?;
        self.take_over(id, now_ms)
    }

    /// Assigns a publish to the edges of those that it replaces; how many these are.
    fn take_over(&self, id: i64, now_ms: i64) -> Result<usize, StoreError> {
        let Some(publish) = self.publish(id)? else { return Ok(0) };
        let mut look = self.0.prepare_cached(
            "SELECT id FROM edges WHERE removed_ms IS NULL AND publish_id <> ?1 AND publish_id IN
             (SELECT value FROM json_each((SELECT replaces FROM publishes WHERE id = ?1)))",
        )?;
        let found = look.query_map([id], |row| row.get(0))?;
        let edges: Vec<String> = found.collect::<Result<_, _>>()?;
        for edge in &edges {
            self.assign(&NewAssignment {
                edge,
                publish: id,
                rollout: None,
                watch: Watch::DEFAULT,
                by: &publish.created_by,
                now_ms,
            })?;
        }
        Ok(edges.len())
    }
}

fn publish_of<'a, T: From<&'a str>>(row: &'a Row<'_>) -> Result<Publish<T>, StoreError> {
    let has = |text: Option<T>| text.ok_or(StoreError::Malformed { what: "a publish" });
    let needed = |at: usize| has(text(row, at)?);
    let place = match text(row, 14)? {
        None => None,
        Some(pipeline_url) => Some(PublishPlace {
            pipeline_url,
            engine_url: needed(15)?,
            chart_reference: needed(16)?,
            chart: needed(17)?,
            chart_version: needed(18)?,
            digest: needed(19)?,
        }),
    };
    let status = text::<&str>(row, 7)?.and_then(PublishStatus::of);
    Ok(Publish {
        id: row.get(0)?,
        version_id: row.get(1)?,
        version: needed(2)?,
        pipeline_id: row.get(3)?,
        pipeline: needed(4)?,
        workspace_id: row.get(5)?,
        workspace: needed(6)?,
        status: status.ok_or(StoreError::Malformed { what: "a publish's status" })?,
        error: text(row, 8)?,
        created_ms: row.get(9)?,
        updated_ms: row.get(10)?,
        created_by: needed(11)?,
        engine_config: needed(12)?,
        replaces: needed(13)?,
        place,
        bytes_total: row.get(20)?,
        attempts: row.get(21)?,
        next_ms: row.get(22)?,
    })
}
