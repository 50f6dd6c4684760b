//! A baseline as it is used: its columns, found by name, and where the counts of each begin.

use super::column::Column;
use crate::ops::store::{BaselineRecord, StoreError};
use std::collections::HashMap;

/// The columns of a baseline.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Baseline {
    pub(in crate::ops) columns: Vec<Column>,
    by_name: HashMap<String, Vec<usize>>,
    begins: Vec<usize>,
    places: usize,
}

impl Baseline {
    pub(super) fn of(columns: Vec<Column>) -> Baseline {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut begins = Vec::with_capacity(columns.len());
        let mut places = 0;
        for (place, column) in columns.iter().enumerate() {
            by_name.entry(column.name.clone()).or_default().push(place);
            begins.push(places);
            places += column.places();
        }
        Baseline { columns, by_name, begins, places }
    }

    /// Reads the columns of a record.
    ///
    /// # Errors
    /// [`StoreError::Malformed`].
    pub(in crate::ops) fn read(record: &BaselineRecord) -> Result<Baseline, StoreError> {
        let columns = serde_json::from_str(&record.columns)
            .map_err(|_| StoreError::Malformed { what: "a baseline" })?;
        Ok(Baseline::of(columns))
    }

    /// The column of that name, and its elements.
    pub(super) fn named(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Where the counts of a column's bins begin, and those of its bins for summaries.
    pub(super) fn begins(&self, place: usize) -> (usize, usize) {
        let first = self.begins[place];
        (first, first + self.columns[place].bins.len())
    }

    /// All bins.
    pub(super) fn places(&self) -> usize {
        self.places
    }
}
