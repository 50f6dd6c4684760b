//! Recording frames, losses and segments, how far a journal has come, and what clocks show.

use super::{
    FRAME_SPAN_MS_MAX, JournalPlace, LogEdge, LogLoss, LogSegment, LogTotals, NewLogFrame, number,
    signed, totals_of,
};
use crate::ops::store::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

impl Tx<'_> {
    /// The workspace and the pipeline of an edge, also of a removed one.
    pub(in crate::ops) fn log_edge(&self, edge: &str) -> Result<Option<LogEdge>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT l.workspace_id, l.id FROM edges e JOIN publishes p ON p.id = e.publish_id
             JOIN pipeline_versions v ON v.id = p.pipeline_version_id
             JOIN pipelines l ON l.id = v.pipeline_id WHERE e.id = ?",
        )?;
        let of = |row: &Row<'_>| Ok(LogEdge { workspace: row.get(0)?, pipeline: row.get(1)? });
        Ok(look.query_row([edge], of).optional()?)
    }

    /// The number of the pipeline with that version, in that workspace.
    pub(in crate::ops) fn log_pipeline(
        &self,
        workspace: i64,
        version: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT l.id FROM pipeline_versions v JOIN pipelines l ON l.id = v.pipeline_id
             WHERE v.version = ? AND l.workspace_id = ?",
        )?;
        Ok(look.query_row(params![version, workspace], |row| row.get(0)).optional()?)
    }

    /// How far a journal of an edge has come; `None` for one that is new.
    pub(in crate::ops) fn log_journal(
        &self,
        edge: &str,
        journal: &str,
    ) -> Result<Option<JournalPlace>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT id, next_seq, told_seq FROM log_journals WHERE edge_id = ? AND journal = ?",
        )?;
        let of = |row: &Row<'_>| {
            Ok(JournalPlace { id: row.get(0)?, next: number(row, 1)?, told: told(row)? })
        };
        Ok(look.query_row(params![edge, journal], of).optional()?)
    }

    /// Records a new journal, of which nothing is here.
    pub(in crate::ops) fn add_log_journal(
        &self,
        edge: &str,
        journal: &str,
    ) -> Result<JournalPlace, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO log_journals (edge_id, journal, next_seq) VALUES (?, ?, 1)",
            )?
            .execute(params![edge, journal])?;
        Ok(JournalPlace { id: self.0.last_insert_rowid(), next: 1, told: None })
    }

    /// Records how far a journal has come.
    pub(in crate::ops) fn set_log_journal(&self, place: &JournalPlace) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE log_journals SET next_seq = ?, told_seq = ? WHERE id = ?")?
            .execute(params![signed(place.next), place.told.map(signed), place.id])?;
        Ok(())
    }

    /// Records a frame.
    pub(in crate::ops) fn add_log_frame(&self, new: &NewLogFrame) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO log_frames (journal_id, first_seq, from_seq, count, row_count, failures,
                 pipeline_id, version, schema_key, is_summary, first_ms, last_ms, base_ms, time_source,
                 received_ms, segment_id, at_byte, bytes)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.journal,
                signed(new.first),
                signed(new.from),
                signed(new.count),
                signed(new.rows),
                signed(new.failures),
                new.pipeline,
                new.version,
                new.schema,
                new.is_summary,
                new.first_ms.max(new.last_ms.saturating_sub(FRAME_SPAN_MS_MAX)),
                new.last_ms,
                new.base_ms,
                new.time_source,
                new.received_ms,
                new.segment,
                signed(new.at),
                signed(new.bytes)
            ])?;
        Ok(())
    }

    /// Records a loss, which the device told with this time; one that was told before counts once.
    pub(in crate::ops) fn add_log_loss(
        &self,
        journal: i64,
        pipeline: i64,
        loss: &LogLoss,
        (told_ms, now_ms): (i64, i64),
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR IGNORE INTO log_losses
                 (journal_id, pipeline_id, first_seq, count, reason, at_ms, told_ms, received_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                journal,
                pipeline,
                signed(loss.first),
                signed(loss.count),
                loss.reason,
                loss.at_ms,
                told_ms,
                now_ms
            ])?;
        Ok(())
    }

    /// Begins a segment.
    pub(in crate::ops) fn add_log_segment(
        &self,
        pipeline: i64,
        day: &str,
        now_ms: i64,
    ) -> Result<LogSegment, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO log_segments (pipeline_id, day, bytes, created_ms) VALUES (?, ?, 0, ?)",
            )?
            .execute(params![pipeline, day, now_ms])?;
        let (id, day) = (self.0.last_insert_rowid(), day.to_owned());
        Ok(LogSegment { id, pipeline, day, bytes: 0, created_ms: now_ms })
    }

    /// Records how many bytes of a segment count.
    pub(in crate::ops) fn set_log_segment(&self, id: i64, bytes: u64) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE log_segments SET bytes = ? WHERE id = ?")?
            .execute(params![signed(bytes), id])?;
        Ok(())
    }

    /// Forgets a segment and the frames in it.
    pub(in crate::ops) fn remove_log_segment(&self, id: i64) -> Result<LogTotals, StoreError> {
        let totals = self.0.query_row(
            "SELECT COUNT(*), COALESCE(SUM(count), 0), COALESCE(SUM(bytes), 0)
             FROM log_frames WHERE segment_id = ?",
            [id],
            totals_of,
        )?;
        self.0.prepare_cached("DELETE FROM log_frames WHERE segment_id = ?")?.execute([id])?;
        self.0.prepare_cached("DELETE FROM log_segments WHERE id = ?")?.execute([id])?;
        Ok(totals)
    }

    /// Forgets the frames of a segment from a byte on, which its file has not.
    pub(in crate::ops) fn cut_log_segment(&self, id: i64, bytes: u64) -> Result<(), StoreError> {
        self.0
            .prepare_cached("DELETE FROM log_frames WHERE segment_id = ? AND at_byte + bytes > ?")?
            .execute(params![id, signed(bytes)])?;
        self.set_log_segment(id, bytes)
    }
}

fn told(row: &Row<'_>) -> rusqlite::Result<Option<u64>> {
    let found: Option<i64> = row.get(2)?;
    Ok(found.map(i64::unsigned_abs))
}
