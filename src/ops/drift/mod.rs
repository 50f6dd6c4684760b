//! Drift: how far what edges infer has moved from a baseline, column by column, as the population stability index.

// ```text
// logs or a file ─Gathered─▶ Baseline: bins of each column ──────────┐
// frames as they come ─Counter─▶ counts by edge and hour ─▶ Drift: the index, hour by hour
// ```
// Nobody reads a log twice: each frame is counted once for each baseline, by a thread of its own, and
// what a page or an answer needs are the counts of its hours.

mod baseline;
mod bins;
mod column;
mod count;
mod counter;
mod gathered;
mod make;
mod report;
#[cfg(test)]
mod tests;

pub(in crate::ops) use bins::{Level, short};
pub(in crate::ops) use counter::{Bell, start};
pub(in crate::ops) use make::{
    BASELINE_FILE_BYTES_MAX, BASELINES_MAX, DriftError, Made, Origin, of_file, of_logs,
};
pub(in crate::ops) use report::{
    ColumnDrift, Drift, DriftAsked, EDGES_COMPARED, EdgeDrift, HOUR_MS, POINTS_MAX, drift,
};
