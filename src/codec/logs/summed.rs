//! Summaries of inferences, as edges send them that keep every value to themselves.

use super::LogsError;
use crate::codec::journal::{Frame, Header, bucket_told};
use crate::tensor::{Misfit, MisfitKind};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a summary's frame tells of each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSummary {
    /// Rows that it tells of.
    pub rows: u64,
    /// By name, as `in.tensor`; all elements of a list together.
    pub columns: BTreeMap<String, SummedColumn>,
}

/// How the numbers of a column are spread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummedColumn {
    /// NaN and infinities.
    pub not_finite: u64,
    /// How many are in each bucket that is not empty: see [`bucket`](crate::codec::journal::bucket).
    pub buckets: Vec<(i32, u64)>,
    /// Texts, of which nothing more is told.
    pub texts: u64,
}

#[derive(Deserialize)]
struct Wire {
    columns: BTreeMap<String, SpreadWire>,
}

#[derive(Deserialize)]
struct SpreadWire {
    #[serde(default)]
    not_finite: u64,
    #[serde(default)]
    histogram: Vec<(Option<f64>, u64)>,
    #[serde(default)]
    texts: u64,
}

impl LogSummary {
    /// Reads a frame; `None` for one of another kind.
    ///
    /// # Errors
    /// When its payload is not that of a summary.
    pub fn read(frame: &Frame<'_>) -> Result<Option<LogSummary>, LogsError> {
        let rows = match &frame.header {
            Header::Records(_) | Header::Loss(_) => return Ok(None),
            Header::Summary(batch) => batch.rows,
        };
        let wire: Wire = serde_json::from_slice(frame.payload).map_err(|error| {
            let sentence = format!("the frame holds no summary: {error}");
            LogsError::Payload(Misfit::new(MisfitKind::Unreadable, sentence))
        })?;
        let column = |spread: SpreadWire| SummedColumn {
            not_finite: spread.not_finite,
            buckets: spread
                .histogram
                .into_iter()
                .map(|(bound, count)| (bucket_told(bound), count))
                .collect(),
            texts: spread.texts,
        };
        let columns = wire.columns.into_iter().map(|(name, spread)| (name, column(spread)));
        Ok(Some(LogSummary { rows, columns: columns.collect() }))
    }
}
