//! What was found beside the answers: failed validations and failed challengers, counted by name.

use super::metrics::{Page, label};
use crate::pipeline::Finding;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts since the start; their names come from published pipelines, which limit their number.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    failed_rows: Mutex<BTreeMap<String, u64>>,
    failed_challengers: Mutex<BTreeMap<String, u64>>,
}

impl Verdicts {
    /// Validations were held against the rows of a request.
    pub(super) fn found(&self, findings: &[Finding]) {
        for finding in findings {
            let failed = finding.failed.iter().filter(|failed| **failed).count();
            add(&self.failed_rows, &finding.name, failed as u64);
        }
    }

    /// A challenger gave no answer.
    pub(super) fn challenger_failed(&self, model: &str) {
        add(&self.failed_challengers, model, 1);
    }

    /// The counts as text.
    pub(super) fn write(&self, page: &mut Page) {
        let lists = [
            (
                "potoroo_validation_failures_total",
                "Rows that failed a validation.",
                "validation",
                &self.failed_rows,
            ),
            (
                "potoroo_challenger_failures_total",
                "Requests that a challenger did not answer.",
                "model",
                &self.failed_challengers,
            ),
        ];
        for (name, help, key, counts) in lists {
            let counts = lock(counts);
            if !counts.is_empty() {
                page.head(name, "counter", help);
            }
            for (value, count) in counts.iter() {
                page.line(name, &label(key, value), *count);
            }
        }
    }
}

fn add(counts: &Mutex<BTreeMap<String, u64>>, name: &str, more: u64) {
    let mut counts = lock(counts);
    match counts.get_mut(name) {
        Some(count) => *count += more,
        None => _ = counts.insert(name.to_owned(), more),
    }
}

fn lock(counts: &Mutex<BTreeMap<String, u64>>) -> MutexGuard<'_, BTreeMap<String, u64>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
