//! Inferences like their first, one behind the other in one run of bytes, which a thread of its own puts into columns.

use super::alike::bytes_if_alike;
use super::column::Column;
use super::gathered::{ANOMALY, Alike, Entry, GatherError, Gathered, ROWS_MAX, VALUE_BYTES_MAX};
use crate::tensor::Data;
use arrow_buffer::ToByteSlice;
use half::f16;
use std::borrow::Cow;

/// Inferences like the first of them. Many threads add to it in turns, and what one has written last
/// is slow to write for the next, when it runs on another processor: so one more touches the end of
/// one list and some numbers, where columns have a dozen ends. In memory alone, in the processor's
/// order of bytes.
#[derive(Debug)]
pub struct Run {
    /// The first, in columns; what comes after it is held against these, and changes nothing there.
    pattern: Gathered,
    packed: Vec<u8>,
    records: u64,
    rows: usize,
    /// Bytes of values.
    bytes: usize,
}

impl Run {
    /// A run of one.
    ///
    /// # Errors
    /// As [`Gathered::new`].
    pub fn new(entry: &Entry<'_>) -> Result<Run, GatherError> {
        let pattern = Gathered::new(entry)?;
        let (rows, bytes) = (pattern.rows(), pattern.bytes());
        Ok(Run { pattern, packed: Vec::new(), records: 1, rows, bytes })
    }

    /// Takes one more, if it is like the first and there is room for it.
    pub fn add(&mut self, entry: &Entry<'_>) -> Alike {
        let rows = entry.input.rows();
        if !self.pattern.is_of(entry) || !self.pattern.drops(entry.dropped) {
            return Alike::Other;
        }
        let Some(bytes) = bytes_if_alike(&self.pattern.columns, entry) else { return Alike::Other };
        let fits = self.rows.saturating_add(rows) <= ROWS_MAX
            && self.bytes.saturating_add(bytes) <= VALUE_BYTES_MAX;
        if !fits {
            return Alike::Full;
        }
        pack(&mut self.packed, entry);
        self.records += 1;
        self.rows += rows;
        self.bytes += bytes;
        Alike::Taken { bytes }
    }

    /// How many inferences these are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of their values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same in columns.
    #[must_use]
    pub fn gathered(self) -> Gathered {
        let Run { mut pattern, packed, bytes, .. } = self;
        let mut left = Left(&packed);
        while !left.0.is_empty() {
            pattern.unpack(&mut left);
        }
        pattern.bytes = bytes;
        pattern
    }
}

/// Appends all of an inference that is not the same in all of its run.
fn pack(to: &mut Vec<u8>, entry: &Entry<'_>) {
    let Entry { record, input, mono_ms, .. } = entry;
    let (rows, steps) = (input.rows() as u64, record.elapsed_ns.len() as u64);
    to.extend_from_slice([record.time_ms, *mono_ms, rows, steps].to_byte_slice());
    to.extend_from_slice(record.elapsed_ns.to_byte_slice());
    input.columns().iter().for_each(|column| pack_values(to, &column.data));
    let shadows = record.shadows.iter().flat_map(|shadow| &shadow.outputs);
    record.outputs.iter().chain(shadows).for_each(|it| pack_values(to, it.tensor.data()));
    for finding in &record.findings {
        to.extend(finding.failed.iter().map(|failed| u8::from(*failed)));
    }
}

fn pack_values(to: &mut Vec<u8>, values: &Data<'_>) {
    match values {
        Data::Bool(values) => to.extend(values.iter().map(|value| u8::from(*value))),
        Data::F16(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::F32(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::F64(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::I8(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::I16(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::I32(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::I64(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::U8(values) => to.extend_from_slice(values),
        Data::U16(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::U32(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::U64(values) => to.extend_from_slice(values.to_byte_slice()),
        Data::String(values) => {
            for value in &**values {
                to.extend_from_slice((value.len() as u64).to_byte_slice());
                to.extend_from_slice(value.as_bytes());
            }
        }
    }
}

/// What is not unpacked yet.
struct Left<'a>(&'a [u8]);

impl<'a> Left<'a> {
    /// The next bytes; fewer only where [`pack`] wrote fewer, which is then the end.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count.min(self.0.len()));
        self.0 = left;
        taken
    }

    fn number(&mut self) -> u64 {
        let bytes = self.take(size_of::<u64>()).as_chunks().0;
        bytes.first().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    fn size(&mut self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }
}

impl Gathered {
    /// Takes the next inference of what is packed.
    fn unpack(&mut self, left: &mut Left<'_>) {
        self.times.push(left.number());
        self.monotonic.push(left.number());
        let (rows, steps) = (left.size(), left.size());
        let elapsed = left.take(steps.saturating_mul(size_of::<u64>())).as_chunks().0;
        self.elapsed.extend(elapsed.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
        self.elapsed_of.push(steps);
        self.rows_of.push(rows);
        self.rows += rows;
        self.last_models.extend(self.last_models.last().cloned());
        self.dropped.extend(self.dropped.last().cloned());
        let is_anomaly = |column: &Column| column.group == ANOMALY;
        let values = self.columns.iter().position(is_anomaly).unwrap_or(self.columns.len());
        let (values, anomaly) = self.columns.split_at_mut(values);
        for column in values {
            column.unpack(rows, left);
        }
        let Some((count, findings)) = anomaly.split_first_mut() else { return };
        let mut counts = vec![0_u32; rows];
        for column in findings {
            let failed: Vec<bool> = left.take(rows).iter().map(|byte| *byte != 0).collect();
            counts.iter_mut().zip(&failed).for_each(|(count, failed)| *count += u32::from(*failed));
            column.append_alike(Data::Bool(Cow::Owned(failed)));
        }
        self.failures += counts.iter().filter(|count| 0 < **count).count() as u64;
        count.append_alike(Data::U32(Cow::Owned(counts)));
    }
}

/// Appends numbers that lie in bytes.
macro_rules! append {
    ($values:expr, $number:ty, $count:expr, $left:expr) => {{
        let bytes = $left.take($count.saturating_mul(size_of::<$number>()));
        let numbers = bytes.as_chunks::<{ size_of::<$number>() }>().0;
        $values.to_mut().extend(numbers.iter().map(|bytes| <$number>::from_ne_bytes(*bytes)));
    }};
}

impl Column {
    /// Takes so many rows of what is packed, which have the shape that is known here.
    fn unpack(&mut self, rows: usize, left: &mut Left<'_>) {
        let count = self.begin_alike().saturating_mul(rows);
        match &mut self.data {
            Data::Bool(values) => {
                values.to_mut().extend(left.take(count).iter().map(|byte| *byte != 0));
            }
            Data::F16(values) => append!(values, f16, count, left),
            Data::F32(values) => append!(values, f32, count, left),
            Data::F64(values) => append!(values, f64, count, left),
            Data::I8(values) => append!(values, i8, count, left),
            Data::I16(values) => append!(values, i16, count, left),
            Data::I32(values) => append!(values, i32, count, left),
            Data::I64(values) => append!(values, i64, count, left),
            Data::U8(values) => values.to_mut().extend_from_slice(left.take(count)),
            Data::U16(values) => append!(values, u16, count, left),
            Data::U32(values) => append!(values, u32, count, left),
            Data::U64(values) => append!(values, u64, count, left),
            Data::String(values) => values.to_mut().extend((0..count).map(|_| {
                let length = left.size();
                String::from_utf8_lossy(left.take(length)).into_owned()
            })),
        }
    }
}
