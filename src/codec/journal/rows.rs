//! The rows of a frame, once they are known to be what its header says.

use super::frame::Frame;
use super::gathered::{
    ANOMALY, DROPPED, ELAPSED, EXPRESSION, INPUTS, LAST_MODEL, METADATA, MONOTONIC, OUTPUTS,
    PIPELINE_VERSION, SEQUENCE,
};
use super::header::{Batch, Header};
use crate::codec::arrow;
use crate::tensor::{Misfit, MisfitKind};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, StructArray, make_array};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Fields, Schema};
use std::sync::Arc;

/// Rows of inferences, as many as the header of their frame says.
#[derive(Debug)]
pub struct Rows {
    pub(super) schema: Schema,
    pub(super) batch: RecordBatch,
    sequence: PrimitiveArray<UInt64Type>,
    monotonic: PrimitiveArray<UInt64Type>,
    time: PrimitiveArray<Int64Type>,
    failures: PrimitiveArray<UInt32Type>,
}

impl Rows {
    /// Reads a frame's rows; `None` for a frame that has none.
    ///
    /// # Errors
    /// When the payload is not a sound Arrow stream, has other columns than a journal, or other
    /// rows than the header says. No payload, however damaged, panics out of here.
    pub fn read(frame: &Frame<'_>) -> Result<Option<Rows>, Misfit> {
        match &frame.header {
            Header::Records(told) => Rows::of(frame.payload.to_vec(), told).map(Some),
            Header::Loss(_) | Header::Summary(_) => Ok(None),
        }
    }

    fn of(payload: Vec<u8>, told: &Batch) -> Result<Rows, Misfit> {
        let (schema, batches) = arrow::read_journal(payload)?;
        let [batch] = <[RecordBatch; 1]>::try_from(batches)
            .map_err(|_| unlike("it has not one batch with rows"))?;
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            whole(field.name(), array)?;
        }
        let rows = Rows {
            sequence: column::<UInt64Type>(&batch, SEQUENCE)?,
            monotonic: column::<UInt64Type>(&batch, MONOTONIC)?,
            time: column::<Int64Type>(&batch, "time")?,
            failures: child(&group(&batch, ANOMALY)?, "count")?
                .as_primitive_opt::<UInt32Type>()
                .ok_or_else(|| unlike("`anomaly.count` is no count"))?
                .clone(),
            schema,
            batch,
        };
        group(&rows.batch, INPUTS)?;
        group(&rows.batch, OUTPUTS)?;
        rows.check_metadata()?;
        rows.check(told)?;
        Ok(rows)
    }

    /// How many rows these are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a frame of records is never empty")]
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The number of the inference that a row is part of.
    ///
    /// # Panics
    /// When there is no such row; as the next three.
    pub fn sequence(&self, row: usize) -> u64 {
        self.sequence.value(row)
    }

    /// Milliseconds since the device's start when it was answered.
    pub fn mono_ms(&self, row: usize) -> u64 {
        self.monotonic.value(row)
    }

    /// Milliseconds since the Unix epoch when its request was read, by the device's clock.
    pub fn time_ms(&self, row: usize) -> i64 {
        self.time.value(row)
    }

    /// How many validations failed in a row.
    pub fn failures(&self, row: usize) -> u32 {
        self.failures.value(row)
    }

    /// The names of the validations with their expressions.
    pub fn validations(&self) -> Vec<(String, String)> {
        let fields = match self.schema.field_with_name(ANOMALY).map(|field| field.data_type()) {
            Ok(DataType::Struct(fields)) => fields.clone(),
            Ok(_) | Err(_) => Fields::empty(),
        };
        let named = fields.iter().filter_map(|field| {
            Some((field.name().clone(), field.metadata().get(EXPRESSION)?.clone()))
        });
        named.collect()
    }

    /// The names of the validations that failed in a row.
    pub fn failed(&self, row: usize) -> Vec<String> {
        let Ok(anomaly) = group(&self.batch, ANOMALY) else { return Vec::new() };
        let columns = anomaly.fields().iter().zip(anomaly.columns());
        let failed = columns
            .filter(|(_, column)| column.as_boolean_opt().is_some_and(|column| column.value(row)));
        failed.map(|(field, _)| field.name().clone()).collect()
    }

    fn check_metadata(&self) -> Result<(), Misfit> {
        let metadata = group(&self.batch, METADATA)?;
        let constant = |name: &str| self.schema.metadata().contains_key(name);
        let list_of = |name: &str, item: &DataType| {
            let column = child(&metadata, name)?;
            let DataType::List(found) = column.data_type() else {
                return Err(unlike("a member of `metadata` is no list"));
            };
            if found.data_type() != item {
                return Err(unlike("a member of `metadata` is a list of another type"));
            }
            Ok(())
        };
        list_of(ELAPSED, &DataType::UInt64)?;
        if !constant(DROPPED) {
            list_of(DROPPED, &DataType::Utf8)?;
        }
        if !constant(LAST_MODEL) && *child(&metadata, LAST_MODEL)?.data_type() != DataType::Utf8 {
            return Err(unlike("`metadata.last_model` is no text"));
        }
        if !constant(PIPELINE_VERSION) {
            return Err(unlike("it tells no version of the pipeline"));
        }
        Ok(())
    }

    /// Whether the rows are those that the header tells of.
    fn check(&self, told: &Batch) -> Result<(), Misfit> {
        let numbers = self.sequence.values();
        let grows = numbers.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1);
        let ends = (numbers.first().copied(), numbers.last().copied());
        if self.len() as u64 != told.rows
            || !grows
            || ends != (Some(told.first), Some(told.first + told.count - 1))
        {
            return Err(unlike("its rows are not those that its header tells"));
        }
        let failures = self.failures.values().iter().filter(|count| 0 < **count).count();
        if failures as u64 != told.failures {
            return Err(unlike("its failures are not those that its header tells"));
        }
        Ok(())
    }
}

/// Refuses what is not there where the journal always has something.
fn whole(name: &str, array: &ArrayRef) -> Result<(), Misfit> {
    if 0 < array.null_count() {
        return Err(unlike(&format!("its column `{name}` has a null")));
    }
    if let Some(group) = array.as_struct_opt() {
        group.columns().iter().try_for_each(|column| whole(name, column))
    } else if let Some(list) = array.as_list_opt::<i32>() {
        whole(name, list.values())
    } else {
        Ok(())
    }
}

fn column<T: arrow_array::types::ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, Misfit> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    column.cloned().ok_or_else(|| unlike(&format!("its column `{name}` is missing or another")))
}

fn group(batch: &RecordBatch, name: &str) -> Result<StructArray, Misfit> {
    let group = batch.column_by_name(name).and_then(|column| column.as_struct_opt());
    group.cloned().ok_or_else(|| unlike(&format!("its columns `{name}` are missing")))
}

fn child(group: &StructArray, name: &str) -> Result<ArrayRef, Misfit> {
    let child = group.column_by_name(name);
    child.cloned().ok_or_else(|| unlike(&format!("its column `{name}` is missing")))
}

fn unlike(why: &str) -> Misfit {
    Misfit::new(MisfitKind::Unreadable, format!("the frame holds no records of a journal: {why}"))
}

/// The same rows, only those at these places, in this order.
pub(super) fn taken(batch: &RecordBatch, places: &[usize]) -> Result<RecordBatch, ArrowError> {
    let whole = 0..batch.num_rows();
    if places.len() == whole.len() && places.iter().copied().eq(whole) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|column| {
        let rows = column.to_data();
        let mut taken = MutableArrayData::new(vec![&rows], false, places.len());
        // Rows that follow one another come at once.
        for run in places.chunk_by(|place, next| place.checked_add(1) == Some(*next)) {
            let first = run.first().copied().unwrap_or_default();
            taken.try_extend(0, first, first.saturating_add(run.len()))?;
        }
        Ok(make_array(taken.freeze()))
    });
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    RecordBatch::try_new(Arc::clone(batch.schema_ref()), columns)
}
