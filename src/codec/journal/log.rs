//! Rows of journals as a log that people and programs read: the later generation's form, as JSON
//! or as an Arrow file.

use super::gathered::{
    DROPPED, ELAPSED, LAST_MODEL, METADATA, MONOTONIC, PARTITION, PIPELINE_VERSION, SEQUENCE,
    text_lists,
};
use super::rows::{Rows, taken};
use crate::codec::arrow::{self, shape::TENSOR_TYPE};
use crate::codec::rows::{AnswerError, Dataset, Member, Stored, Value, write_elements};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::Schema;
use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// Some rows of a frame, and what is told with them.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The frame's rows.
    pub rows: &'a Rows,
    /// The places of those that are shown, in the order in which they are; each below
    /// [`Rows::len`].
    pub places: &'a [usize],
    /// The name of the edge.
    pub partition: &'a str,
    /// Milliseconds to add to the device's time.
    pub shift_ms: i64,
}

impl Shown<'_> {
    /// What is told of the rows, in the order of an answer.
    pub(in crate::codec) fn members(&self) -> Result<Vec<Member<'static>>, AnswerError> {
        let batch = taken(&self.rows.batch, self.places)?;
        let mut members = Vec::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let value = match (field.name().as_str(), array.as_struct_opt()) {
                (SEQUENCE | MONOTONIC, _) => continue,
                (METADATA, Some(group)) => Value::Group(self.metadata(group)?),
                (_, Some(group)) => Value::Group(grouped(group)),
                ("time", None) => stored(self.time(array)),
                (_, None) => stored(array.clone()),
            };
            members.push(member(field.name(), value));
        }
        Ok(members)
    }

    fn time(&self, array: &ArrayRef) -> ArrayRef {
        let Some(times) = array.as_primitive_opt::<Int64Type>() else { return array.clone() };
        let shift = |ms: &i64| ms.saturating_add(self.shift_ms);
        Arc::new(Int64Array::from_iter_values(times.values().iter().map(shift)))
    }

    /// All of `metadata`: what the frame tells once is told on each row.
    fn metadata(&self, group: &StructArray) -> Result<Vec<Member<'static>>, AnswerError> {
        let count = self.places.len();
        let constant = |name| self.rows.schema.metadata().get(name);
        let text = |name: &str, text: &str| {
            member(
                name,
                stored(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))),
            )
        };
        let mut members = Vec::new();
        for name in [LAST_MODEL, PIPELINE_VERSION, ELAPSED, DROPPED] {
            if let Some(column) = group.column_by_name(name) {
                members.push(member(name, stored(column.clone())));
            } else if name == DROPPED {
                let list = constant(name).and_then(|list| serde_json::from_str(list).ok());
                let list: Vec<String> = list.unwrap_or_default();
                members.push(member(name, stored(text_lists(&vec![list; count])?)));
            } else {
                members.push(text(name, constant(name).map_or("", String::as_str)));
            }
        }
        members.push(text(PARTITION, self.partition));
        Ok(members)
    }
}

pub(in crate::codec) fn member(name: &str, value: Value<'static>) -> Member<'static> {
    Member { name: Cow::Owned(name.to_owned()), value }
}

pub(in crate::codec) fn stored(array: ArrayRef) -> Value<'static> {
    Value::Stored(Stored { array, shape: None })
}

pub(in crate::codec) fn grouped(group: &StructArray) -> Vec<Member<'static>> {
    let columns = group.fields().iter().zip(group.columns());
    let columns = columns.map(|(field, array)| {
        let shape = field.metadata().get(TENSOR_TYPE).cloned();
        member(field.name(), Value::Stored(Stored { array: array.clone(), shape }))
    });
    columns.collect()
}

/// A log as JSON, one element for each row.
#[derive(Debug)]
pub struct JsonLog {
    out: Vec<u8>,
    between: &'static [u8],
    rows: usize,
}

impl JsonLog {
    /// A list of elements, `[…,…]`.
    pub fn list() -> JsonLog {
        JsonLog { out: vec![b'['], between: b",", rows: 0 }
    }

    /// An element on each line, without brackets.
    pub fn lines() -> JsonLog {
        JsonLog { out: Vec::new(), between: b"\n", rows: 0 }
    }

    /// Adds rows, of them what `dataset` asks for.
    ///
    /// # Errors
    /// When it asks for what these rows do not have.
    pub fn push(&mut self, shown: Shown<'_>, dataset: &Dataset) -> Result<(), AnswerError> {
        if shown.places.is_empty() {
            return Ok(());
        }
        let members = dataset.select(shown.members()?)?;
        if 0 < self.rows {
            self.out.extend_from_slice(self.between);
        }
        write_elements(&mut self.out, &members, shown.places.len(), self.between);
        self.rows += shown.places.len();
        Ok(())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes what has been written so far, for a log that is sent piece by piece.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The rest, with the end of the list or line.
    pub fn finish(mut self) -> Vec<u8> {
        match self.between {
            b"," => self.out.push(b']'),
            _ if 0 < self.rows => self.out.push(b'\n'),
            _ => {}
        }
        self.out
    }
}

/// A log as an Arrow file, batch by batch.
pub struct ArrowLog<W: Write> {
    state: State<W>,
    rows: usize,
}

enum State<W: Write> {
    /// The first rows tell which columns there are.
    Fresh(W),
    Begun(Box<FileWriter<W>>),
    /// Writing failed.
    Spent,
}

impl<W: Write> fmt::Debug for ArrowLog<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowLog").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write> ArrowLog<W> {
    /// A file without rows.
    pub fn new(out: W) -> ArrowLog<W> {
        ArrowLog { state: State::Fresh(out), rows: 0 }
    }

    /// Adds rows, of them what `dataset` asks for; `false` when their columns are not those of
    /// the rows before, and nothing was added.
    ///
    /// # Errors
    /// When `dataset` asks for what these rows do not have, or writing fails.
    pub fn push(&mut self, shown: Shown<'_>, dataset: &Dataset) -> Result<bool, AnswerError> {
        if shown.places.is_empty() {
            return Ok(true);
        }
        let members = dataset.select(shown.members()?)?;
        let batch = arrow::batch(&members, shown.places.len())?;
        self.state = match std::mem::replace(&mut self.state, State::Spent) {
            State::Fresh(out) => State::Begun(Box::new(FileWriter::try_new(out, batch.schema_ref())?)),
            begun @ State::Begun(_) => begun,
            State::Spent => State::Spent,
        };
        let State::Begun(writer) = &mut self.state else { return Ok(false) };
        if writer.schema() != batch.schema_ref() {
            return Ok(false);
        }
        writer.write(&batch)?;
        self.rows += shown.places.len();
        Ok(true)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Ends the file, and gives back what it was written to; `None` when writing had failed.
    ///
    /// # Errors
    /// When its end cannot be written.
    pub fn finish(self) -> Result<Option<W>, AnswerError> {
        match self.state {
            State::Fresh(out) => {
                let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
                let writer = FileWriter::try_new(out, nothing.schema_ref())?;
                Ok(Some(writer.into_inner()?))
            }
            State::Begun(writer) => Ok(Some(writer.into_inner()?)),
            State::Spent => Ok(None),
        }
    }
}
