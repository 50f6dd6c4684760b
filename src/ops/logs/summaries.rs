//! Summaries: what edges say of inferences whose values they keep to themselves, as counts alone.

use super::Logs;
use super::page::FRAMES_AT_ONCE;
use super::reading::{ReadError, Reader};
use crate::codec::journal::{self, Header};
use crate::ops::store::{LogFrame, LogsAsked};
use serde_json::Value;

/// What one edge told of a stretch of its inferences.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct EdgeSummary {
    /// The edge's name.
    pub edge: String,
    /// The version of the pipeline, a UUID.
    pub version: String,
    /// When the first was, milliseconds since the epoch.
    pub first_ms: i64,
    /// How long after it the last was, milliseconds.
    pub span_ms: u64,
    /// How many.
    pub inferences: u64,
    /// Their rows.
    pub rows: u64,
    /// In how many rows a validation failed.
    pub failures: u64,
    /// What the device counted: `columns` with how their values are spread, and `failed`.
    pub counts: Value,
}

impl Logs {
    /// Summaries of a pipeline, the latest first.
    ///
    /// # Errors
    /// When records or files cannot be read. What of them is damaged is left out, and logged.
    pub(in crate::ops) fn summaries(
        &self,
        asked: &LogsAsked,
        count_max: usize,
    ) -> Result<Vec<EdgeSummary>, ReadError> {
        let mut asked = LogsAsked { is_summary: true, ..asked.clone() };
        let mut reader = Reader::new(&self.root, asked.pipeline);
        let mut found = Vec::new();
        loop {
            let frames = self.store.read(|tx| tx.log_frames(&asked, FRAMES_AT_ONCE))?;
            let Some(last) = frames.last() else { return Ok(found) };
            // From the same frame on, which is then left out.
            let next = (last.first_ms, last.id);
            for frame in &frames {
                if asked.after == Some((frame.first_ms, frame.id)) {
                    continue;
                }
                if found.len() == count_max {
                    return Ok(found);
                }
                found.extend(reader.read_as(frame, |it| Ok(read(it, frame)))?.flatten());
            }
            if asked.after == Some(next) {
                return Ok(found);
            }
            asked.after = Some(next);
        }
    }
}

/// What a frame of a summary tells; nothing where it is another one.
fn read(found: &journal::Frame<'_>, frame: &LogFrame) -> Option<EdgeSummary> {
    let Header::Summary(told) = &found.header else { return None };
    Some(EdgeSummary {
        edge: frame.edge.clone(),
        version: told.version.clone(),
        first_ms: frame.first_ms,
        span_ms: told.last_mono_ms.saturating_sub(told.first_mono_ms),
        inferences: told.count,
        rows: told.rows,
        failures: told.failures,
        counts: serde_json::from_slice(found.payload).ok()?,
    })
}
