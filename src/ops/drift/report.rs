//! What the counts come to: of each column its index over a time, hour by hour or day by day, and of each edge the worst.

use super::baseline::Baseline;
use super::bins::{Bins, Level, psi};
use super::column::Column;
use super::count::Counts;
use crate::ops::store::{BaselineRecord, StoreError, Tx};

/// The shortest time that is told apart, milliseconds.
pub(in crate::ops) const HOUR_MS: i64 = 3_600_000;

/// Points of a chart: some four months of days.
pub(in crate::ops) const POINTS_MAX: i64 = 128;

/// Edges that are held beside each other: those that inferred the most.
pub(in crate::ops) const EDGES_COMPARED: i64 = 20;

/// Bins for summaries that tell anything: with fewer nearly every value is in the same one.
const COARSE_BINS_MIN: usize = 3;

/// What is asked of a baseline.
#[derive(Debug, Clone)]
pub(in crate::ops) struct DriftAsked {
    /// One edge, or all together.
    pub edge: Option<String>,
    /// From the hour that this is in, milliseconds since the epoch.
    pub from_ms: i64,
    /// Until the end of the hour before this.
    pub until_ms: i64,
    /// A multiple of an hour.
    pub step_ms: i64,
}

/// How far a pipeline has moved from a baseline.
#[derive(Debug)]
pub(in crate::ops) struct Drift {
    /// Rows of that time.
    pub rows: u64,
    /// Frames of the logs that are not counted yet.
    pub behind: i64,
    /// All columns, those that moved the furthest first.
    pub columns: Vec<ColumnDrift>,
    /// The edges that inferred the most, those that moved the furthest first.
    pub edges: Vec<EdgeDrift>,
}

/// How far a column has.
#[derive(Debug)]
pub(in crate::ops) struct ColumnDrift {
    /// `in.tensor[3]`
    pub label: String,
    /// The index; none where it cannot be told.
    pub psi: Option<f64>,
    /// Why not, and what else is to be said.
    pub note: Option<&'static str>,
    /// Values of that time.
    pub values: u64,
    /// Each bin with its values of the baseline and of that time.
    pub bins: Vec<(String, u64, u64)>,
    /// Over the time.
    pub points: Vec<Point>,
}

/// The index of a part of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::ops) struct Point {
    /// When the part begins, milliseconds since the epoch.
    pub from_ms: i64,
    /// Values of it.
    pub values: u64,
    /// None where there are no values.
    pub psi: Option<f64>,
}

/// How far an edge has.
#[derive(Debug)]
pub(in crate::ops) struct EdgeDrift {
    /// Its name.
    pub edge: String,
    /// Rows of that time.
    pub rows: u64,
    /// The column that moved the furthest, with its index.
    pub worst: Option<(String, f64)>,
    /// How many columns moved significantly.
    pub significant: usize,
}

impl ColumnDrift {
    /// What the index means.
    pub(in crate::ops) fn level(&self) -> Option<Level> {
        self.psi.map(Level::of)
    }
}

/// Tells how far it is.
///
/// # Errors
/// When the records cannot be read.
pub(in crate::ops) fn drift(
    tx: &Tx<'_>,
    record: &BaselineRecord,
    asked: &DriftAsked,
) -> Result<Drift, StoreError> {
    let baseline = Baseline::read(record)?;
    let hours = (asked.from_ms.div_euclid(HOUR_MS), asked.until_ms.div_euclid(HOUR_MS));
    let step = (asked.step_ms / HOUR_MS).max(1);
    let edge = asked.edge.as_deref().unwrap_or_default();
    let mut whole = Counts::none(&baseline);
    let mut parts: Vec<(i64, Counts)> = Vec::new();
    for hour in tx.hours_counted(record.id, edge, hours)? {
        let rows = hour.rows.unsigned_abs();
        whole.plus_bytes(rows, &hour.counts);
        let part = hours.0 + (hour.hour - hours.0).div_euclid(step) * step;
        if parts.last().is_none_or(|(last, _)| *last != part) {
            parts.push((part, Counts::none(&baseline)));
        }
        if let Some((_, counts)) = parts.last_mut() {
            counts.plus_bytes(rows, &hour.counts);
        }
    }
    let mut columns: Vec<ColumnDrift> = (0..baseline.columns.len())
        .map(|place| column_drift(&baseline, place, &whole, &parts))
        .collect();
    columns.sort_by(|a, b| order(b.psi).total_cmp(&order(a.psi)));
    let mut edges = Vec::new();
    for (edge, rows) in tx.busiest_edges(record.id, hours, EDGES_COMPARED)? {
        let mut counts = Counts::none(&baseline);
        for hour in tx.hours_counted(record.id, &edge, hours)? {
            counts.plus_bytes(0, &hour.counts);
        }
        edges.push(edge_drift(&baseline, edge, rows.unsigned_abs(), &counts));
    }
    let furthest = |edge: &EdgeDrift| order(edge.worst.as_ref().map(|(_, psi)| *psi));
    edges.sort_by(|a, b| furthest(b).total_cmp(&furthest(a)));
    let behind = tx.log_frame_count(record.pipeline, record.counted_frame)?;
    Ok(Drift { rows: whole.rows, behind, columns, edges })
}

fn order(psi: Option<f64>) -> f64 {
    psi.unwrap_or(f64::NEG_INFINITY)
}

fn edge_drift(baseline: &Baseline, edge: String, rows: u64, counts: &Counts) -> EdgeDrift {
    let mut worst: Option<(usize, f64)> = None;
    let mut significant = 0;
    for place in 0..baseline.columns.len() {
        let Some(psi) = Spread::of(baseline, place, counts).psi(counts) else { continue };
        significant += usize::from(Level::of(psi) == Level::Significant);
        if worst.is_none_or(|(_, most)| most < psi) {
            worst = Some((place, psi));
        }
    }
    let worst = worst.map(|(place, psi)| (baseline.columns[place].to_string(), psi));
    EdgeDrift { edge, rows, worst, significant }
}

/// Which bins tell of a column.
struct Spread<'a> {
    column: &'a Column,
    /// Where their counts begin, and the baseline's own counts.
    first: usize,
    before: &'a [u64],
    is_coarse: bool,
    note: Option<&'static str>,
}

impl<'a> Spread<'a> {
    /// The column's own bins, unless some values of that time came in summaries alone, or those of the
    /// baseline did.
    fn of(baseline: &'a Baseline, place: usize, counts: &Counts) -> Spread<'a> {
        let column = &baseline.columns[place];
        let (first, coarse_first) = baseline.begins(place);
        let total = |first: usize, length: usize| counts.bins[first..first + length].iter().sum();
        let own: u64 = total(first, column.bins.len());
        let exact = |note| Spread { column, first, before: &column.counts, is_coarse: false, note };
        let Some(coarse) = &column.coarse else {
            let hidden = own == 0 && 0 < counts.rows;
            return exact(hidden.then_some(
                "edges that send summaries alone do not tell of texts and single elements",
            ));
        };
        let all: u64 = total(coarse_first, coarse.len());
        if all <= own && column.bins != Bins::None {
            return exact(None);
        }
        // Of a column that has no more bins of its own than summaries have, nothing is hidden.
        let is_enough = COARSE_BINS_MIN <= coarse.cuts.len() + 1
            || (column.bins != Bins::None && column.bins.len() <= coarse.len() + 1);
        let note = match is_enough {
            true => "some edges send summaries alone, so the bins are those of summaries",
            false => "nearly all values are in one bin of the summaries that edges send",
        };
        let before = if is_enough { coarse.counts.as_slice() } else { &[] };
        Spread { column, first: coarse_first, before, is_coarse: true, note: Some(note) }
    }

    fn now<'c>(&self, counts: &'c Counts) -> &'c [u64] {
        counts.bins.get(self.first..self.first + self.before.len()).unwrap_or_default()
    }

    fn psi(&self, counts: &Counts) -> Option<f64> {
        psi(self.before, self.now(counts))
    }

    fn labels(&self) -> Vec<String> {
        match &self.column.coarse {
            Some(coarse) if self.is_coarse => coarse.labels(),
            Some(_) | None => self.column.bins.labels(),
        }
    }
}

pub(super) fn column_drift(
    baseline: &Baseline,
    place: usize,
    whole: &Counts,
    parts: &[(i64, Counts)],
) -> ColumnDrift {
    let spread = Spread::of(baseline, place, whole);
    let now = spread.now(whole);
    let bins = spread.labels().into_iter().zip(spread.before.iter().zip(now));
    let point = |(hour, counts): &(i64, Counts)| Point {
        from_ms: hour * HOUR_MS,
        values: spread.now(counts).iter().sum(),
        psi: spread.psi(counts),
    };
    ColumnDrift {
        label: spread.column.to_string(),
        psi: spread.psi(whole),
        note: spread.note,
        values: now.iter().sum(),
        bins: bins.map(|(label, (before, now))| (label, *before, *now)).collect(),
        points: parts.iter().map(point).collect(),
    }
}
