//! The rows of one frame: read, marked with where they come from, and chosen from.

use super::LogsError;
use crate::codec::arrow;
use crate::codec::journal::{Frame, Rows, Shown, grouped, member, stored};
use crate::codec::rows::{Member, Value};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use std::sync::Arc;

/// The column that is ours alone: the sequence number.
const SEQUENCE: &str = "_seq";

/// The column that a time of day is in.
pub(super) const TIME: &str = "time";

/// The group that tells of each row where it comes from, and what its time is made from.
const METADATA: &str = "metadata";
const TIME_SOURCE: &str = "time_source";
const ELAPSED: &str = "elapsed";

/// The group of what validations found, and how many did.
const ANOMALY: &str = "anomaly";
const COUNT: &str = "count";

/// Rows of inferences, one for each row of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct LogBatch(pub(super) RecordBatch);

/// Which rows are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsWanted {
    /// Those of this sequence number or a later one.
    pub from: u64,
    /// From this time on, milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// Only those in which a validation failed.
    pub is_failures: bool,
}

impl LogBatch {
    /// Reads the rows of a frame, with the edge's name as partition. Their times are the device's own,
    /// or with `base_ms`, when its monotonic clock was at 0, made from that.
    ///
    /// # Errors
    /// When it is damaged, or has not the columns of a journal.
    pub fn read(
        frame: &Frame<'_>,
        edge: &str,
        base_ms: Option<i64>,
        time_source: &str,
    ) -> Result<LogBatch, LogsError> {
        let rows = Rows::read(frame).map_err(LogsError::Payload)?.ok_or(LogsError::NoRows)?;
        let count = rows.len();
        let places: Vec<usize> = (0..count).collect();
        let shown = Shown { rows: &rows, places: &places, partition: edge, shift_ms: 0 };
        let mut members = shown.members()?;
        for member in &mut members {
            if let Value::Group(group) = &mut member.value
                && member.name == METADATA
            {
                group.push(source(time_source, count));
            }
            if let Some(base) = base_ms.filter(|_| member.name == TIME) {
                let time = |row| base.saturating_add_unsigned(rows.mono_ms(row));
                let times = Int64Array::from_iter_values((0..count).map(time));
                member.value = stored(Arc::new(times));
            }
        }
        let numbers = UInt64Array::from_iter_values((0..count).map(|row| rows.sequence(row)));
        members.push(member(SEQUENCE, stored(Arc::new(numbers))));
        Ok(LogBatch(arrow::batch(&members, count)?))
    }

    /// What answers have of the rows.
    pub(super) fn members(&self) -> Vec<Member<'static>> {
        let mut members = Vec::new();
        for (field, column) in self.0.schema().fields().iter().zip(self.0.columns()) {
            match column.as_struct_opt() {
                _ if field.name() == SEQUENCE => {}
                Some(group) => members.push(member(field.name(), Value::Group(grouped(group)))),
                None => members.push(member(field.name(), stored(column.clone()))),
            }
        }
        members
    }

    /// Whether the rows have the same columns.
    pub fn is_like(&self, other: &LogBatch) -> bool {
        self.0.schema() == other.0.schema()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.0.get_array_memory_size()
    }

    /// How long each row's inference took, reading and all steps together, nanoseconds.
    pub fn elapsed_ns(&self) -> Vec<u64> {
        let metadata = self.0.column_by_name(METADATA).and_then(|it| it.as_struct_opt());
        let elapsed = metadata.and_then(|group| group.column_by_name(ELAPSED));
        let Some(lists) = elapsed.and_then(|it| it.as_list_opt::<i32>()) else { return Vec::new() };
        let Some(values) = lists.values().as_primitive_opt::<UInt64Type>() else {
            return Vec::new();
        };
        let sum = |range: &[i32]| {
            let parts = values.values().get(range[0] as usize..range[1] as usize);
            parts.unwrap_or_default().iter().fold(0_u64, |sum, part| sum.saturating_add(*part))
        };
        lists.value_offsets().windows(2).map(sum).collect()
    }

    /// The places of the rows that are wanted.
    pub fn places(&self, wanted: &RowsWanted) -> Vec<u32> {
        let numbers =
            self.0.column_by_name(SEQUENCE).and_then(|it| it.as_primitive_opt::<UInt64Type>());
        let times = self.0.column_by_name(TIME).and_then(|it| it.as_primitive_opt::<Int64Type>());
        let counts = self.0.column_by_name(ANOMALY).and_then(|it| {
            it.as_struct_opt()?.column_by_name(COUNT)?.as_primitive_opt::<UInt32Type>()
        });
        let fits = |row: usize| {
            let is_new = numbers.is_none_or(|numbers| wanted.from <= numbers.value(row));
            let is_in_time = times.is_none_or(|times| {
                let time = times.value(row);
                wanted.from_ms.is_none_or(|from| from <= time)
                    && wanted.until_ms.is_none_or(|until| time < until)
            });
            let failed = counts.is_some_and(|counts| counts.is_valid(row) && 0 < counts.value(row));
            is_new && is_in_time && (failed || !wanted.is_failures)
        };
        let rows = u32::try_from(self.rows()).unwrap_or(u32::MAX);
        (0..rows).filter(|row| fits(*row as usize)).collect()
    }

    /// The rows of those places, in that order.
    ///
    /// # Errors
    /// When Arrow refuses what we make.
    pub fn taken(&self, places: &[u32]) -> Result<LogBatch, LogsError> {
        let places = UInt32Array::from(places.to_vec());
        Ok(LogBatch(arrow_select::take::take_record_batch(&self.0, &places)?))
    }

    /// Batches of the same columns as one, by time; rows of one time keep their order.
    ///
    /// # Errors
    /// When they are of different columns.
    pub fn by_time(
        batches: &[LogBatch],
        is_descending: bool,
    ) -> Result<Option<LogBatch>, LogsError> {
        let Some(first) = batches.first() else { return Ok(None) };
        let records: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.0).collect();
        let whole = arrow_select::concat::concat_batches(&first.0.schema(), records)?;
        let times = whole.column_by_name(TIME).and_then(|it| it.as_primitive_opt::<Int64Type>());
        let Some(times) = times else { return Ok(Some(LogBatch(whole))) };
        let rows = u32::try_from(whole.num_rows()).unwrap_or(u32::MAX);
        let mut places: Vec<u32> = (0..rows).collect();
        match is_descending {
            false => places.sort_by_key(|row| times.value(*row as usize)),
            true => places.sort_by_key(|row| std::cmp::Reverse(times.value(*row as usize))),
        }
        LogBatch(whole).taken(&places).map(Some)
    }
}

/// What each row tells of its time.
fn source(time_source: &str, count: usize) -> Member<'static> {
    let texts = StringArray::from_iter_values(std::iter::repeat_n(time_source, count));
    member(TIME_SOURCE, stored(Arc::new(texts)))
}
