//! Rows of several requests that wait for a turn and compute as one: what each brings, and what comes back to it.

use crate::pipeline::Finding;
use crate::runtime::Outcome;
use crate::tensor::{Column, NamedTensor, Table, Tensor};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

/// Requests that compute together at most: one of the sizes in which rows run, so that a full
/// batch is one run.
pub(super) const BATCH_REQUESTS_MAX: usize = 64;

/// One row that waits, in memory of its own, so that another request's thread can compute it.
#[derive(Debug)]
pub(super) struct Waiting {
    table: Table<'static>,
    /// The pipeline that it is for, by the place of its flow, which lives as long as any request
    /// for it waits.
    flow: usize,
    deadline: Instant,
    thread: Thread,
    fate: Mutex<Fate>,
}

/// What has become of a row that waits.
#[derive(Debug, Default)]
pub(super) enum Fate {
    /// Nothing yet: it stands in line, or is being computed.
    #[default]
    Open,
    /// It was computed.
    Computed(Outcome),
    /// Together with the others it could not be computed: it takes its own turn.
    Alone,
}

impl Waiting {
    /// The row of `table`, which waits on this thread.
    pub(super) fn new(table: &Table<'_>, flow: usize, deadline: Instant) -> Option<Arc<Waiting>> {
        let table = stacked([table])?;
        let (thread, fate) = (thread::current(), Mutex::default());
        Some(Arc::new(Waiting { table, flow, deadline, thread, fate }))
    }

    /// Whether both can be rows of one table for the same models.
    pub(super) fn fits(&self, other: &Waiting) -> bool {
        let columns = |waiting: &Waiting| waiting.table.columns().len();
        let same = |(one, other): (&Column<'_>, &Column<'_>)| {
            one.name == other.name
                && one.row_shape == other.row_shape
                && one.element() == other.element()
        };
        self.flow == other.flow
            && columns(self) == columns(other)
            && self.table.columns().iter().zip(other.table.columns()).all(same)
    }

    /// What has become of it; after this, nothing has.
    pub(super) fn take_fate(&self) -> Fate {
        std::mem::take(&mut *self.lock())
    }

    fn meet(&self, fate: Fate) {
        *self.lock() = fate;
        self.thread.unpark();
    }

    fn lock(&self) -> MutexGuard<'_, Fate> {
        // Held for a swap only.
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows that one request computes for others along with its own.
///
/// Whatever happens to it, each of the others hears of its fate: those that are left when it is
/// dropped take their own turns.
#[derive(Debug)]
pub(super) struct Companions(Vec<Arc<Waiting>>);

impl Companions {
    pub(super) fn new(waiting: Vec<Arc<Waiting>>) -> Companions {
        Companions(waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One table of the request's own row, which is the first, and all others'.
    pub(super) fn with(&self, own: &Table<'_>) -> Option<Table<'static>> {
        stacked(std::iter::once(own).chain(self.0.iter().map(|waiting| &waiting.table)))
    }

    /// The first deadline of all.
    pub(super) fn deadline(&self, own: Instant) -> Instant {
        self.0.iter().map(|waiting| waiting.deadline).fold(own, Instant::min)
    }

    /// Gives each its row of what was computed; the request's own comes back. `None` when the
    /// outputs have other rows than the table, and nobody was given anything.
    pub(super) fn share(mut self, outcome: &Outcome) -> Option<Outcome> {
        let rows = 1 + self.0.len();
        let own = row(outcome, 0, rows)?;
        for (index, waiting) in std::mem::take(&mut self.0).into_iter().enumerate() {
            waiting.meet(row(outcome, index + 1, rows).map_or(Fate::Alone, Fate::Computed));
        }
        Some(own)
    }
}

impl Drop for Companions {
    fn drop(&mut self) {
        for waiting in &self.0 {
            waiting.meet(Fate::Alone);
        }
    }
}

/// The rows of all tables, which have the same columns, in one.
fn stacked<'t, 'd: 't>(tables: impl IntoIterator<Item = &'t Table<'d>>) -> Option<Table<'static>> {
    let mut tables = tables.into_iter();
    let first = tables.next()?;
    let mut rows = first.rows();
    let mut columns: Vec<Column<'static>> = first
        .columns()
        .iter()
        .map(|column| Column {
            name: Cow::Owned(column.name.to_string()),
            row_shape: column.row_shape.clone(),
            data: column.data.borrow().into_owned(),
        })
        .collect();
    for table in tables {
        rows += table.rows();
        for (whole, column) in columns.iter_mut().zip(table.columns()) {
            whole.data.append(column.data.borrow()).ok()?;
        }
    }
    Table::new(rows, columns).ok()
}

/// One row of outputs that have `rows` of them.
fn row(outcome: &Outcome, index: usize, rows: usize) -> Option<Outcome> {
    let cut = |output: &NamedTensor<'_>| {
        let (first, rest) =
            output.tensor.shape().split_first().filter(|(first, _)| **first == rows)?;
        let each = output.tensor.data().len() / first;
        let data = output.tensor.data().slice(index * each, (index + 1) * each).into_owned();
        let shape = [&[1], rest].concat();
        let tensor = Tensor::new(shape, data).ok()?;
        Some(NamedTensor { name: output.name.clone(), tensor })
    };
    let outputs = outcome.outputs.iter().map(cut).collect::<Option<_>>()?;
    let finding = |finding: &Finding| Finding {
        name: finding.name.clone(),
        text: finding.text.clone(),
        failed: vec![finding.failed[index]],
    };
    Some(Outcome {
        model: outcome.model.clone(),
        outputs,
        // Pipelines that have these are not batched.
        shadows: Vec::new(),
        chosen: None,
        findings: outcome.findings.iter().map(finding).collect(),
        elapsed: outcome.elapsed.clone(),
    })
}
