//! Baselines of drift as records, and what is counted in their bins, by edge and hour.

use super::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// What a pipeline's columns are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct BaselineRecord {
    /// Its number.
    pub id: i64,
    /// The number of its pipeline.
    pub pipeline: i64,
    /// Its name, one of its kind in the pipeline.
    pub name: String,
    /// Of what it was made, JSON.
    pub origin: String,
    /// Its columns with their bins, JSON.
    pub columns: String,
    /// Rows that it was made of.
    pub rows: i64,
    /// Columns and elements that there was no room for.
    pub left_out: i64,
    /// The last frame of the logs that is counted.
    pub counted_frame: i64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Who made it, by email.
    pub by: String,
}

/// A baseline that is new, of which nothing is counted.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct NewBaseline<'a> {
    /// The number of its pipeline.
    pub pipeline: i64,
    /// Its name.
    pub name: &'a str,
    /// Of what it was made, JSON.
    pub origin: &'a str,
    /// Its columns with their bins, JSON.
    pub columns: &'a str,
    /// Rows that it was made of.
    pub rows: i64,
    /// Columns and elements that there was no room for.
    pub left_out: i64,
    /// Who makes it, by id.
    pub by: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// What was counted of one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct HourCounts {
    /// The edge's name; empty for all together.
    pub edge: String,
    /// Hours since the epoch.
    pub hour: i64,
    /// Rows.
    pub rows: i64,
    /// As it was written.
    pub counts: Vec<u8>,
}

const COLUMNS: &str = "SELECT b.id, b.pipeline_id, b.name, b.origin, b.columns, b.row_count,
    b.left_out, b.counted_frame, b.created_ms, u.email FROM drift_baselines b JOIN users u ON u.id = b.created_by";

impl Tx<'_> {
    /// Records a baseline.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the pipeline has one of that name.
    pub(in crate::ops) fn add_baseline(&self, new: &NewBaseline<'_>) -> Result<i64, StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO drift_baselines (pipeline_id, name, origin, columns, row_count,
                 left_out, counted_frame, created_ms, created_by) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
            )?
            .execute(params![
                new.pipeline,
                new.name,
                new.origin,
                new.columns,
                new.rows,
                new.left_out,
                new.now_ms,
                new.by
            ])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The baselines of a pipeline, the newest first; of all pipelines where none is named.
    pub(in crate::ops) fn baselines(
        &self,
        pipeline: Option<i64>,
    ) -> Result<Vec<BaselineRecord>, StoreError> {
        let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR b.pipeline_id = ?1 ORDER BY b.id DESC");
        let mut look = self.0.prepare_cached(&sql)?;
        Ok(look.query_map([pipeline], baseline_of)?.collect::<Result<_, _>>()?)
    }

    /// The baseline of that number.
    pub(in crate::ops) fn baseline(&self, id: i64) -> Result<Option<BaselineRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{COLUMNS} WHERE b.id = ?"))?;
        Ok(look.query_row([id], baseline_of).optional()?)
    }

    /// Forgets a baseline and what was counted for it.
    pub(in crate::ops) fn remove_baseline(&self, id: i64) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM drift_baselines WHERE id = ?")?.execute([id])?;
        Ok(())
    }

    /// Records that frames up to this one are counted; `false` when the baseline has gone, or others
    /// counted meanwhile.
    pub(in crate::ops) fn set_counted_frame(
        &self,
        id: i64,
        (before, now): (i64, i64),
    ) -> Result<bool, StoreError> {
        let sql =
            "UPDATE drift_baselines SET counted_frame = ?3 WHERE id = ?1 AND counted_frame = ?2";
        Ok(self.0.prepare_cached(sql)?.execute(params![id, before, now])? == 1)
    }

    /// What is counted of an edge and an hour, if anything.
    pub(in crate::ops) fn hour_counts(
        &self,
        baseline: i64,
        edge: &str,
        hour: i64,
    ) -> Result<Option<HourCounts>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT edge, hour, row_count, counts FROM drift_counts
             WHERE baseline_id = ? AND edge = ? AND hour = ?",
        )?;
        Ok(look.query_row(params![baseline, edge, hour], hour_of).optional()?)
    }

    /// Records what is counted of an edge and an hour, in the place of what was before.
    pub(in crate::ops) fn set_hour_counts(
        &self,
        baseline: i64,
        counts: &HourCounts,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO drift_counts (baseline_id, edge, hour, row_count, counts)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (baseline_id, edge, hour)
                 DO UPDATE SET row_count = excluded.row_count, counts = excluded.counts",
            )?
            .execute(params![baseline, counts.edge, counts.hour, counts.rows, counts.counts])?;
        Ok(())
    }

    /// What is counted of an edge, or with an empty name of all together, from an hour until another.
    pub(in crate::ops) fn hours_counted(
        &self,
        baseline: i64,
        edge: &str,
        (from, until): (i64, i64),
    ) -> Result<Vec<HourCounts>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT edge, hour, row_count, counts FROM drift_counts
             WHERE baseline_id = ? AND edge = ? AND hour >= ? AND hour < ? ORDER BY hour",
        )?;
        let found = look.query_map(params![baseline, edge, from, until], hour_of)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The edges that inferred the most in these hours, with their rows.
    pub(in crate::ops) fn busiest_edges(
        &self,
        baseline: i64,
        (from, until): (i64, i64),
        count_max: i64,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT edge, sum(row_count) AS rows FROM drift_counts
             WHERE baseline_id = ? AND hour >= ? AND hour < ? AND edge <> ''
             GROUP BY edge ORDER BY rows DESC, edge LIMIT ?",
        )?;
        let found = look.query_map(params![baseline, from, until, count_max], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The first hour of which something is counted.
    pub(in crate::ops) fn first_hour(&self, baseline: i64) -> Result<Option<i64>, StoreError> {
        let mut look =
            self.0.prepare_cached("SELECT min(hour) FROM drift_counts WHERE baseline_id = ?")?;
        Ok(look.query_row([baseline], |row| row.get(0))?)
    }

    /// Forgets what is counted of hours before this one.
    pub(in crate::ops) fn forget_hours(
        &self,
        baseline: i64,
        before: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("DELETE FROM drift_counts WHERE baseline_id = ? AND hour < ?")?
            .execute([baseline, before])?;
        Ok(())
    }
}

fn baseline_of(row: &Row<'_>) -> rusqlite::Result<BaselineRecord> {
    Ok(BaselineRecord {
        id: row.get(0)?,
        pipeline: row.get(1)?,
        name: row.get(2)?,
        origin: row.get(3)?,
        columns: row.get(4)?,
        rows: row.get(5)?,
        left_out: row.get(6)?,
        counted_frame: row.get(7)?,
        created_ms: row.get(8)?,
        by: row.get(9)?,
    })
}

fn hour_of(row: &Row<'_>) -> rusqlite::Result<HourCounts> {
    Ok(HourCounts { edge: row.get(0)?, hour: row.get(1)?, rows: row.get(2)?, counts: row.get(3)? })
}
