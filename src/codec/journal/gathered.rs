//! Inferences of one pipeline on their way into one frame, column by column.

use super::alike;
use super::column::{Column, Piece};
use super::frame::{self, FrameError};
use super::header::{Batch, Header};
use crate::codec::rows::{AnswerError, Generation, Value, answer};
use crate::fleet::Id;
use crate::pipeline::Record;
use crate::tensor::Table;
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, Field, Fields, Schema};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The column of sequence numbers, and of the time since the device's start in milliseconds.
pub(super) const SEQUENCE: &str = "_seq";
pub(super) const MONOTONIC: &str = "_mono_ms";

/// The groups of columns that are the same in every journal.
pub(super) const INPUTS: &str = "in";
pub(super) const OUTPUTS: &str = "out";
pub(super) const ANOMALY: &str = "anomaly";
pub(super) const METADATA: &str = "metadata";

/// Members of `metadata`.
pub(super) const LAST_MODEL: &str = "last_model";
pub(super) const PIPELINE_VERSION: &str = "pipeline_version";
pub(super) const ELAPSED: &str = "elapsed";
pub(super) const DROPPED: &str = "dropped";
pub(super) const PARTITION: &str = "partition";

/// The key in a validation's field under which its expression stands.
pub(super) const EXPRESSION: &str = "expression";

/// Zstandard's quickest but one kind: of readings it leaves a fifth, as level 1 does, and it passes over
/// what does not shrink, such as noise in floats, four to eight times as fast.
const ZSTD_LEVEL: i32 = -1;

/// Rows in one batch, unless one request alone has more: a page of a log has a tenth of them.
pub(super) const ROWS_MAX: usize = 10_000;

/// Bytes of values in one batch, unless one request alone has more: they lie in memory twice while
/// they are written, and compressed or not the frame fits.
pub(super) const VALUE_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(VALUE_BYTES_MAX < frame::PAYLOAD_BYTES_MAX / 2, "with names and lengths");

/// What the rows of one pipeline have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its version; empty where the artifact does not tell it.
    pub version: String,
    /// The digest of the artifact's manifest.
    pub digest: String,
}

/// One inference as it goes into a journal.
#[derive(Debug)]
pub struct Entry<'a> {
    /// What answered it.
    pub origin: &'a Arc<Origin>,
    /// What was answered.
    pub record: &'a Record<'a>,
    /// What was asked, without what is dropped.
    pub input: &'a Table<'a>,
    /// The names of the columns that are left out, `in.image`.
    pub dropped: &'a [String],
    /// Milliseconds since the device's start when it was answered.
    pub mono_ms: u64,
}

/// What a frame says beyond its records.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The journal.
    pub journal: Id,
    /// The number of the first inference.
    pub first: u64,
    /// The boot of the device.
    pub boot: Option<Id>,
    /// The version of the engine.
    pub engine: &'a str,
}

/// Why inferences cannot be made a frame.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A column is larger than Arrow's can be.
    #[error("an inference cannot be written in columns")]
    Answer(#[source] AnswerError),
    /// Arrow's writer refused what we made.
    #[error("a batch of the journal could not be written")]
    Arrow(#[from] ArrowError),
    /// The frame is over a limit.
    #[error("a batch of the journal makes no frame")]
    Frame(#[source] FrameError),
}

/// What became of an inference that may be like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// It is in, and so many bytes of values came with it.
    Taken {
        /// Bytes of its values.
        bytes: usize,
    },
    /// It is of these, and too much for one batch.
    Full,
    /// It differs from these: by its columns, its shapes, its pipeline or its model.
    Other,
}

/// Inferences of one pipeline with the same columns.
#[derive(Debug)]
pub struct Gathered {
    origin: Arc<Origin>,
    pub(super) columns: Vec<Column>,
    /// The rows of each record.
    pub(super) rows_of: Vec<usize>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) monotonic: Vec<u64>,
    pub(super) times: Vec<u64>,
    /// The times of all records, one after the other, and how many each has.
    pub(super) elapsed: Vec<u64>,
    pub(super) elapsed_of: Vec<usize>,
    pub(super) last_models: Vec<Arc<str>>,
    /// The name and the sum of the last of them.
    last_model: (String, String),
    pub(super) dropped: Vec<Vec<String>>,
    pub(super) failures: u64,
}

impl Gathered {
    /// The first inference.
    ///
    /// # Errors
    /// When its outputs do not come in rows.
    pub fn new(entry: &Entry<'_>) -> Result<Gathered, GatherError> {
        let (pieces, last_model) = pieces(entry)?;
        let columns = pieces.into_iter().map(Column::new).collect();
        let mut gathered = Gathered {
            origin: entry.origin.clone(),
            columns,
            rows_of: Vec::new(),
            rows: 0,
            bytes: 0,
            monotonic: Vec::new(),
            times: Vec::new(),
            elapsed: Vec::new(),
            elapsed_of: Vec::new(),
            last_models: Vec::new(),
            last_model: Default::default(),
            dropped: Vec::new(),
            failures: 0,
        };
        gathered.bytes = gathered.columns.iter().map(|column| column.data.bytes()).sum();
        gathered.count(entry, Some(last_model));
        Ok(gathered)
    }

    /// Takes one more; `false` when it is of another pipeline, has other columns, or is too much:
    /// it begins a batch of its own then.
    ///
    /// # Errors
    /// As [`Gathered::new`].
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<bool, GatherError> {
        let rows = entry.input.rows();
        if self.origin != *entry.origin || ROWS_MAX < self.rows.saturating_add(rows) {
            return Ok(false);
        }
        if self.is_of(entry) {
            let room = VALUE_BYTES_MAX.saturating_sub(self.bytes);
            if let Some(bytes) = alike::append(&mut self.columns, entry, room) {
                self.bytes += bytes;
                self.count(entry, None);
                return Ok(true);
            }
        }
        let (pieces, last_model) = pieces(entry)?;
        let more: usize = pieces.iter().map(|piece| piece.cells.data.bytes()).sum();
        let fits = self.columns.len() == pieces.len()
            && self.bytes.saturating_add(more) <= VALUE_BYTES_MAX
            && self.columns.iter().zip(&pieces).all(|(column, piece)| column.fits(piece));
        if !fits {
            return Ok(false);
        }
        for (column, piece) in self.columns.iter_mut().zip(pieces) {
            column.add(piece);
        }
        self.bytes = self.columns.iter().map(|column| column.data.bytes()).sum();
        self.count(entry, Some(last_model));
        Ok(true)
    }

    /// Whether an inference is of this pipeline, by the model that answered last.
    pub(super) fn is_of(&self, entry: &Entry<'_>) -> bool {
        self.origin == *entry.origin
            && self.last_model.0 == entry.record.model_name
            && self.last_model.1 == entry.record.model_sha
    }

    /// Whether the last one left out the same columns.
    pub(super) fn drops(&self, dropped: &[String]) -> bool {
        self.dropped.last().is_some_and(|last| last == dropped)
    }

    /// How many inferences these are.
    pub fn records(&self) -> u64 {
        self.rows_of.len() as u64
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of their values in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what a record has beside its columns; `last_model` unless it is that of the one before.
    fn count(&mut self, entry: &Entry<'_>, last_model: Option<String>) {
        let rows = entry.input.rows();
        self.rows_of.push(rows);
        self.rows += rows;
        self.monotonic.push(entry.mono_ms);
        self.times.push(entry.record.time_ms);
        self.elapsed.extend_from_slice(&entry.record.elapsed_ns);
        self.elapsed_of.push(entry.record.elapsed_ns.len());
        if let Some(text) = last_model {
            self.last_model = (entry.record.model_name.clone(), entry.record.model_sha.clone());
            self.last_models.push(text.into());
        } else {
            self.last_models.extend(self.last_models.last().cloned());
        }
        self.dropped.push(entry.dropped.to_vec());
        let failed = |row: &usize| entry.record.findings.iter().any(|it| it.failed[*row]);
        self.failures += (0..rows).filter(failed).count() as u64;
    }

    /// The frame of these inferences.
    ///
    /// # Errors
    /// When it is over a limit, which one inference alone may be.
    pub fn frame(mut self, stamp: Stamp<'_>) -> Result<Vec<u8>, GatherError> {
        let Stamp { journal, first, boot, engine } = stamp;
        let schema = self.schema_name();
        let payload = self.payload(first)?;
        let Origin { pipeline, version, digest } = &*self.origin;
        let at = |list: &[u64], index: Option<usize>| {
            index.and_then(|index| list.get(index)).copied().unwrap_or_default()
        };
        let last = self.rows_of.len().checked_sub(1);
        let header = Header::Records(Batch {
            journal,
            first,
            count: self.records(),
            rows: self.rows as u64,
            failures: self.failures,
            pipeline: pipeline.clone(),
            version: version.clone(),
            digest: digest.clone(),
            engine: engine.to_owned(),
            boot,
            first_ms: at(&self.times, Some(0)),
            last_ms: at(&self.times, last),
            first_mono_ms: at(&self.monotonic, Some(0)),
            last_mono_ms: at(&self.monotonic, last),
            schema,
        });
        frame::encode(&header, &payload).map_err(GatherError::Frame)
    }

    /// The Arrow stream of one batch.
    fn payload(&mut self, first: u64) -> Result<Vec<u8>, GatherError> {
        let mut constants = HashMap::new();
        constants.insert(PIPELINE_VERSION.to_owned(), self.origin.version.clone());
        let sequence: Vec<u64> = (first..).take(self.rows_of.len()).collect();
        let times: Vec<i64> =
            self.each_row(&self.times, |ms| i64::try_from(*ms).unwrap_or(i64::MAX));
        let mut members: Vec<(Field, ArrayRef)> = vec![
            plain(SEQUENCE, Arc::new(UInt64Array::from(self.each_row(&sequence, |it| *it)))),
            plain(MONOTONIC, Arc::new(UInt64Array::from(self.each_row(&self.monotonic, |it| *it)))),
            plain("time", Arc::new(Int64Array::from(times))),
        ];
        let mut columns = std::mem::take(&mut self.columns);
        for run in columns.chunk_by_mut(|one, other| one.group == other.group) {
            let group = run[0].group.clone();
            let columns = run.iter_mut().map(|column| column.array(&self.rows_of));
            let columns = columns.collect::<Result<Vec<_>, GatherError>>()?;
            members.push(self.group(&group, columns)?);
        }
        for (place, name) in [INPUTS, OUTPUTS].into_iter().enumerate() {
            // A model may take or leave nothing that is kept: the group is there all the same.
            if !members.iter().any(|(field, _)| field.name() == name) {
                members.insert(3 + place, self.group(name, Vec::new())?);
            }
        }
        let mut metadata = vec![self.elapsed()?];
        metadata.extend(self.texts(LAST_MODEL, &mut constants));
        metadata.extend(self.dropped_lists(&mut constants)?);
        members.push(self.group(METADATA, metadata)?);
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = members.into_iter().unzip();
        let schema = Arc::new(Schema::new(fields).with_metadata(constants));
        let batch = RecordBatch::try_new(schema.clone(), arrays)?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))?
            .try_with_compression_level(Some(ZSTD_LEVEL))?;
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options)?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?)
    }

    fn group(
        &self,
        name: &str,
        columns: Vec<(Field, ArrayRef)>,
    ) -> Result<(Field, ArrayRef), GatherError> {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let group =
            StructArray::try_new_with_length(Fields::from(fields), arrays, None, self.rows)?;
        Ok(plain(name, Arc::new(group)))
    }

    /// What each record has, on each of its rows.
    fn each_row<'t, T, U: Clone>(&self, records: &'t [T], value: impl Fn(&'t T) -> U) -> Vec<U> {
        let rows = records.iter().zip(&self.rows_of);
        rows.flat_map(|(record, rows)| std::iter::repeat_n(value(record), *rows)).collect()
    }

    fn elapsed(&self) -> Result<(Field, ArrayRef), GatherError> {
        let offsets = OffsetBuffer::from_lengths(self.each_row(&self.elapsed_of, |it| *it));
        let mut all: Vec<u64> = Vec::with_capacity(self.elapsed.len().max(self.rows));
        let mut from = 0;
        for (length, rows) in self.elapsed_of.iter().zip(&self.rows_of) {
            let elapsed = &self.elapsed[from..from + length];
            (0..*rows).for_each(|_| all.extend_from_slice(elapsed));
            from += length;
        }
        let item = Arc::new(Field::new("steps", arrow_schema::DataType::UInt64, false));
        let values = Arc::new(UInt64Array::new(ScalarBuffer::from(all), None));
        Ok(plain(ELAPSED, Arc::new(ListArray::try_new(item, offsets, values, None)?)))
    }

    /// The models' names as a column, or as a constant where it is one on all rows.
    fn texts(
        &self,
        name: &str,
        constants: &mut HashMap<String, String>,
    ) -> Option<(Field, ArrayRef)> {
        match self.last_models.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => {
                constants.insert(name.to_owned(), first.to_string());
                None
            }
            texts => {
                let texts = self.each_row(texts, |text| &**text);
                Some(plain(name, Arc::new(StringArray::from(texts))))
            }
        }
    }

    fn dropped_lists(
        &self,
        constants: &mut HashMap<String, String>,
    ) -> Result<Option<(Field, ArrayRef)>, GatherError> {
        if let [first, rest @ ..] = self.dropped.as_slice()
            && rest.iter().all(|other| other == first)
        {
            let list = serde_json::Value::from(first.clone()).to_string();
            constants.insert(DROPPED.to_owned(), list);
            return Ok(None);
        }
        let lists = self.each_row(&self.dropped, Clone::clone);
        Ok(Some(plain(DROPPED, text_lists(&lists)?)))
    }

    /// Names the columns with their types and shapes.
    fn schema_name(&self) -> String {
        let mut hash = Sha256::new();
        for column in &self.columns {
            let Column { group, name, shape, .. } = column;
            let element = column.data.element();
            hash.update(format!("{group:?}.{name:?}:{element}{shape:?}\n"));
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Lists of texts, as the original's `metadata.dropped`.
pub(super) fn text_lists(each: &[Vec<String>]) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(each.iter().map(Vec::len));
    let item = Arc::new(Field::new("item", arrow_schema::DataType::Utf8, true));
    let values = Arc::new(StringArray::from_iter_values(each.iter().flatten()));
    Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
}

pub(super) fn plain(name: &str, array: ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), false), array)
}

/// The columns of one record, group by group, and the model that it tells.
fn pieces<'a>(entry: &'a Entry<'_>) -> Result<(Vec<Piece<'a>>, String), GatherError> {
    let Entry { record, input, .. } = entry;
    let members = answer(record, input, "", Generation::Anomaly).map_err(GatherError::Answer)?;
    let mut pieces = Vec::new();
    let mut last_model = String::new();
    for member in members {
        let group = member.name;
        let Value::Group(members) = member.value else { continue };
        for member in members {
            match member.value {
                Value::Cells(cells) => {
                    let name = member.name.into_owned();
                    let of_validation = |it: &&crate::pipeline::Finding| it.name == name;
                    let expression = (group == ANOMALY)
                        .then(|| record.findings.iter().find(of_validation))
                        .flatten()
                        .map(|finding| finding.text.clone());
                    pieces.push(Piece {
                        group: group.clone().into_owned(),
                        name,
                        cells,
                        expression,
                    });
                }
                Value::Text(text) if member.name == LAST_MODEL => last_model = text.into_owned(),
                Value::Text(_)
                | Value::Group(_)
                | Value::Dropped
                | Value::Elapsed(_)
                | Value::Failures(_)
                | Value::Stored(_)
                | Value::Time(_) => {}
            }
        }
    }
    Ok((pieces, last_model))
}
