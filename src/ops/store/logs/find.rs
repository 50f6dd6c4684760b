//! Looking for frames, kinds of columns, losses and segments.

use super::{
    FRAME_SPAN_MS_MAX, LogFrame, LogLoss, LogOrder, LogSegment, LogsAsked, number, segment_of,
};
use crate::ops::store::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

impl Tx<'_> {
    /// The losses that a pipeline's edges told, from and until a time, the newest first.
    pub(in crate::ops) fn log_losses(
        &self,
        asked: &LogsAsked,
        count_max: i64,
    ) -> Result<Vec<LogLoss>, StoreError> {
        let edges = serde_json::json!(asked.edges).to_string();
        let mut look = self.0.prepare_cached(
            "SELECT e.name, j.journal, x.first_seq, x.count, x.reason, x.at_ms FROM log_losses x
             JOIN log_journals j ON j.id = x.journal_id JOIN edges e ON e.id = j.edge_id
             WHERE x.pipeline_id = ?1 AND (?2 IS NULL OR x.at_ms >= ?2) AND (?3 IS NULL OR x.at_ms < ?3)
             AND (?4 = '[]' OR e.name IN (SELECT value FROM json_each(?4)))
             ORDER BY x.at_ms DESC, x.id DESC LIMIT ?5",
        )?;
        let of = |row: &Row<'_>| {
            Ok(LogLoss {
                edge: row.get(0)?,
                journal: row.get(1)?,
                first: number(row, 2)?,
                count: number(row, 3)?,
                reason: row.get(4)?,
                at_ms: row.get(5)?,
            })
        };
        let given = params![asked.pipeline, asked.from_ms, asked.until_ms, edges, count_max];
        Ok(look.query_map(given, of)?.collect::<Result<_, _>>()?)
    }

    /// Frames of records, so many at most.
    pub(in crate::ops) fn log_frames(
        &self,
        asked: &LogsAsked,
        count_max: i64,
    ) -> Result<Vec<LogFrame>, StoreError> {
        // Each order goes along an index from where the last frames ended: times that an order does not go
        // by have a plus, which keeps their index out of it, and joins are made in the order written.
        let (bounds, order) = match asked.order {
            LogOrder::Ascending => (
                "f.first_ms >= ?5 AND f.first_ms < ?7 AND (?9 IS NULL OR f.first_ms > ?8 OR f.id >= ?9)",
                "f.first_ms, f.id",
            ),
            LogOrder::Descending => (
                "f.first_ms >= ?5 AND f.first_ms < ?7 AND (?9 IS NULL OR f.first_ms < ?8 OR f.id <= ?9)",
                "f.first_ms DESC, f.id DESC",
            ),
            LogOrder::Arrival => ("+f.first_ms >= ?5 AND +f.first_ms < ?7 AND f.id >= ?9", "f.id"),
        };
        // Said so that an index of those alone serves.
        let failed = if asked.is_failures { "AND f.failures > 0" } else { "" };
        let of_edges = match asked.edges.is_empty() {
            true => "",
            false => {
                "AND f.journal_id IN (SELECT k.id FROM log_journals k JOIN edges d ON d.id = k.edge_id
                 WHERE d.name IN (SELECT value FROM json_each(?2)))"
            }
        };
        let kind = if asked.is_summary { "f.is_summary" } else { "NOT f.is_summary" };
        let sql = format!(
            "SELECT {FRAME}
             FROM log_frames f CROSS JOIN log_segments s ON s.id = f.segment_id
             CROSS JOIN log_journals j ON j.id = f.journal_id CROSS JOIN edges e ON e.id = j.edge_id
             WHERE f.pipeline_id = ?1 AND {kind} {of_edges}
             AND (?3 IS NULL OR f.version = ?3) {failed}
             AND (?6 IS NULL OR f.last_ms >= ?6) AND f.id <= ?10 AND {bounds}
             ORDER BY {order} LIMIT ?11"
        );
        let mut look = self.0.prepare_cached(&sql)?;
        let edges = serde_json::json!(asked.edges).to_string();
        let mut earliest =
            asked.from_ms.map_or(i64::MIN, |ms| ms.saturating_sub(FRAME_SPAN_MS_MAX));
        let mut latest = asked.until_ms.unwrap_or(i64::MAX);
        let mut after = asked.after;
        match asked.order {
            LogOrder::Ascending => earliest = after.map_or(earliest, |(ms, _)| earliest.max(ms)),
            LogOrder::Descending => {
                latest = after.map_or(latest, |(ms, _)| latest.min(ms.saturating_add(1)));
            }
            LogOrder::Arrival => {
                after.get_or_insert((0, 0));
            }
        }
        let given = params![
            asked.pipeline,
            edges,
            asked.version,
            asked.is_failures,
            earliest,
            asked.from_ms,
            latest,
            after.map(|(ms, _)| ms),
            after.map(|(_, id)| id),
            asked.newest.unwrap_or(i64::MAX),
            count_max
        ];
        Ok(look.query_map(given, frame_of)?.collect::<Result<_, _>>()?)
    }

    /// Frames of records and of summaries that came after the one of that number, in the order of their
    /// arrival, each with whether it is a summary. Of `asked` its edges and its time count.
    pub(in crate::ops) fn log_frames_after(
        &self,
        asked: &LogsAsked,
        after: i64,
        count_max: i64,
    ) -> Result<Vec<(LogFrame, bool)>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {FRAME}, f.is_summary
             FROM log_frames f CROSS JOIN log_segments s ON s.id = f.segment_id
             CROSS JOIN log_journals j ON j.id = f.journal_id CROSS JOIN edges e ON e.id = j.edge_id
             WHERE f.pipeline_id = ?1 AND f.id > ?2
             AND (?3 = '[]' OR e.name IN (SELECT value FROM json_each(?3)))
             AND (?4 IS NULL OR f.last_ms >= ?4) AND (?5 IS NULL OR +f.first_ms < ?5)
             ORDER BY f.id LIMIT ?6"
        ))?;
        let edges = serde_json::json!(asked.edges).to_string();
        let given = params![asked.pipeline, after, edges, asked.from_ms, asked.until_ms, count_max];
        let found = look.query_map(given, |row| Ok((frame_of(row)?, row.get(12)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Frames of records of an edge, by id, that begin in a time, each with the number of its pipeline.
    pub(in crate::ops) fn edge_frames(
        &self,
        edge: &str,
        (from_ms, until_ms): (i64, i64),
        count_max: i64,
    ) -> Result<Vec<(i64, LogFrame)>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {FRAME}, f.pipeline_id
             FROM edges e CROSS JOIN log_journals j ON j.edge_id = e.id
             CROSS JOIN log_frames f INDEXED BY log_frames_by_edge ON f.journal_id = j.id
             CROSS JOIN log_segments s ON s.id = f.segment_id
             WHERE e.id = ? AND f.first_ms >= ? AND f.first_ms < ? AND NOT f.is_summary LIMIT ?"
        ))?;
        let found = look.query_map(params![edge, from_ms, until_ms, count_max], |row| {
            Ok((row.get(12)?, frame_of(row)?))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// How many frames of a pipeline came after the one of that number.
    pub(in crate::ops) fn log_frame_count(
        &self,
        pipeline: i64,
        after: i64,
    ) -> Result<i64, StoreError> {
        let mut look = self
            .0
            .prepare_cached("SELECT count(*) FROM log_frames WHERE pipeline_id = ? AND id > ?")?;
        Ok(look.query_row([pipeline, after], |row| row.get(0))?)
    }

    /// One frame of each kind of columns among those asked for, the newest of each.
    pub(in crate::ops) fn log_kinds(
        &self,
        asked: &LogsAsked,
        count_max: i64,
    ) -> Result<Vec<LogFrame>, StoreError> {
        let mut look = self.0.prepare_cached(&format!(
            "SELECT {FRAME}
             FROM log_frames f JOIN log_segments s ON s.id = f.segment_id
             JOIN log_journals j ON j.id = f.journal_id JOIN edges e ON e.id = j.edge_id
             WHERE f.id IN (SELECT MAX(g.id) FROM log_frames g
                 JOIN log_journals k ON k.id = g.journal_id JOIN edges d ON d.id = k.edge_id
                 WHERE g.pipeline_id = ?1 AND NOT g.is_summary
                 AND (?2 = '[]' OR d.name IN (SELECT value FROM json_each(?2)))
                 AND (?3 IS NULL OR g.version = ?3) AND (NOT ?4 OR g.failures > 0)
                 AND g.first_ms >= ?5 AND g.last_ms >= ?6 AND g.first_ms < ?7 AND g.id <= ?8
                 GROUP BY g.schema_key)
             ORDER BY f.id LIMIT ?9"
        ))?;
        let edges = serde_json::json!(asked.edges).to_string();
        let from = asked.from_ms.unwrap_or(i64::MIN);
        let given = params![
            asked.pipeline,
            edges,
            asked.version,
            asked.is_failures,
            from.saturating_sub(FRAME_SPAN_MS_MAX),
            from,
            asked.until_ms.unwrap_or(i64::MAX),
            asked.newest.unwrap_or(i64::MAX),
            count_max
        ];
        Ok(look.query_map(given, frame_of)?.collect::<Result<_, _>>()?)
    }

    /// The number of the frame that came last; 0 where none did.
    pub(in crate::ops) fn newest_log_frame(&self) -> Result<i64, StoreError> {
        let mut look = self.0.prepare_cached("SELECT COALESCE(MAX(id), 0) FROM log_frames")?;
        Ok(look.query_row([], |row| row.get(0))?)
    }

    /// All segments, in the order in which they were begun.
    pub(in crate::ops) fn log_segments(&self) -> Result<Vec<LogSegment>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, pipeline_id, day, bytes, created_ms FROM log_segments ORDER BY id",
        )?;
        Ok(look.query_map([], segment_of)?.collect::<Result<_, _>>()?)
    }

    /// The segment of a pipeline and a day that was begun last.
    pub(in crate::ops) fn last_log_segment(
        &self,
        pipeline: i64,
        day: &str,
    ) -> Result<Option<LogSegment>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, pipeline_id, day, bytes, created_ms FROM log_segments
             WHERE pipeline_id = ? AND day = ? ORDER BY id DESC LIMIT 1",
        )?;
        Ok(look.query_row(params![pipeline, day], segment_of).optional()?)
    }
}

/// What [`frame_of`] reads, of frames `f`, their edges `e` and segments `s`; more may follow.
const FRAME: &str = "f.id, e.name, f.from_seq, f.row_count, f.schema_key, f.first_ms, f.base_ms,
    f.time_source, f.segment_id, s.day, f.at_byte, f.bytes";

fn frame_of(row: &Row<'_>) -> rusqlite::Result<LogFrame> {
    Ok(LogFrame {
        id: row.get(0)?,
        edge: row.get(1)?,
        from: number(row, 2)?,
        rows: number(row, 3)?,
        schema: row.get(4)?,
        first_ms: row.get(5)?,
        base_ms: row.get(6)?,
        time_source: row.get(7)?,
        segment: row.get(8)?,
        day: row.get(9)?,
        at: number(row, 10)?,
        bytes: number(row, 11)?,
    })
}
