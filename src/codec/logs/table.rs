//! A table that somebody has as a file, read as columns of inputs and outputs: JSON rows, CSV, Parquet or Arrow.

use super::cells::Records;
use super::values::{LogColumn, LogValues, column_of, is_of_values, members};
use crate::codec::COLUMNS_MAX;
use crate::codec::arrow::{Container, read_values};
use crate::tensor::Misfit;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows that are in memory at once.
const CHUNK_ROWS: usize = 1024;

/// Bytes that the pages of a Parquet file may become, as it says itself.
const PARQUET_BYTES_MAX: i64 = 1 << 30;

/// A file that cannot be read as a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// It begins like JSON.
    #[error("the file is no JSON list of rows, as pandas writes with orient=\"records\": {0}")]
    Json(String),
    /// It is text.
    #[error("line {line} of the CSV file {what}")]
    Csv {
        /// The line, from 1.
        line: u64,
        /// What about it.
        what: &'static str,
    },
    /// It begins like Parquet.
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(String),
    /// It begins like Arrow.
    #[error(transparent)]
    Arrow(#[from] Misfit),
    /// It is wider than any model's table.
    #[error(
        "the file has more than {COLUMNS_MAX} columns: keep those that the pipeline takes or gives"
    )]
    Columns,
}

/// Reads a file by what it begins with, some rows at a time. Columns are inputs unless their names
/// begin with `out.`, as in an export of logs, of which times, checks and origins are passed over.
///
/// # Errors
/// Those of `each`, and when the file is none of these kinds or is damaged.
pub fn read_table<E: From<TableError>>(
    mut file: File,
    mut each: impl FnMut(&[LogColumn]) -> Result<(), E>,
) -> Result<(), E> {
    let mut begin = Vec::new();
    (&mut file).take(64).read_to_end(&mut begin).map_err(TableError::from)?;
    file.rewind().map_err(TableError::from)?;
    if begin.starts_with(b"PAR1") {
        return parquet(file, &mut each);
    }
    let container = match begin.as_slice() {
        begin if begin.starts_with(b"ARROW1") => Some(Container::File),
        begin if begin.starts_with(&[0xff; 4]) => Some(Container::Stream),
        _ => None,
    };
    if let Some(container) = container {
        let mut body = Vec::new();
        file.read_to_end(&mut body).map_err(TableError::from)?;
        for batch in read_values(container, body).map_err(TableError::from)? {
            each(&columns(&batch))?;
        }
        return Ok(());
    }
    match begin.trim_ascii_start().first() {
        Some(b'[' | b'{') => json(file, &mut each),
        Some(_) | None => csv(file, &mut each),
    }
}

/// What a column is called among inputs and outputs; `None` for what is neither.
fn named(name: &str) -> Option<String> {
    let group = name.split('.').next().unwrap_or(name);
    let is_whole = group.len() < name.len();
    match group {
        // What pandas calls an index that has no name.
        index if index.starts_with("__index") => None,
        "" => None,
        "time" if !is_whole => None,
        "anomaly" | "metadata" | "check_failures" => None,
        group if is_whole && is_of_values(group) => Some(name.to_owned()),
        _ => Some(format!("in.{name}")),
    }
}

fn columns(batch: &RecordBatch) -> Vec<LogColumn> {
    let mut found = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        match array.as_struct_opt() {
            Some(group) if is_of_values(field.name()) => members(field.name(), group, &mut found),
            Some(_) => {}
            None => {
                found.extend(named(field.name()).and_then(|name| column_of(name, array)));
            }
        }
    }
    found
}

fn parquet<E: From<TableError>>(
    file: File,
    each: &mut impl FnMut(&[LogColumn]) -> Result<(), E>,
) -> Result<(), E> {
    let wrong = |what: String| TableError::Parquet(what);
    // The reader is Apache's, and no file that a person sends may end the program.
    let read = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| wrong(error.to_string()))?;
        let groups = builder.metadata().row_groups();
        let bytes = groups.iter().fold(0_i64, |sum, it| sum.saturating_add(it.total_byte_size()));
        if PARQUET_BYTES_MAX < bytes {
            let sentence = "it becomes more than 1 GiB: sample its rows";
            return Err(wrong(sentence.to_owned()).into());
        }
        if COLUMNS_MAX < builder.schema().fields().len() {
            return Err(TableError::Columns.into());
        }
        let reader = builder.with_batch_size(CHUNK_ROWS).build();
        for batch in reader.map_err(|error| wrong(error.to_string()))? {
            each(&columns(&batch.map_err(|error| wrong(error.to_string()))?))?;
        }
        Ok(())
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(_) => Err(wrong("its metadata contradict each other".to_owned()).into()),
    }
}

fn csv<E: From<TableError>>(
    file: File,
    each: &mut impl FnMut(&[LogColumn]) -> Result<(), E>,
) -> Result<(), E> {
    let mut records = Records::new(BufReader::new(file));
    let heads = records.next()?.unwrap_or_default();
    if COLUMNS_MAX < heads.len() {
        return Err(TableError::Columns.into());
    }
    let heads: Vec<Option<String>> = heads.iter().map(|name| named(name)).collect();
    let mut chunk = Chunk::default();
    while let Some(cells) = records.next()? {
        for (name, cell) in heads.iter().zip(&cells) {
            if let Some(name) = name {
                chunk.put(name, &of_text(cell))?;
            }
        }
        chunk.end_row(each)?;
    }
    chunk.end(each)
}

/// A cell of text as what it stands for.
fn of_text(cell: &str) -> Value {
    let cell = cell.trim();
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
        return Value::Null;
    }
    if cell.starts_with('[')
        && let Ok(list @ Value::Array(_)) = serde_json::from_str(cell)
    {
        return list;
    }
    match (cell.parse::<f64>(), cell) {
        (Ok(number), _) => Value::from(number),
        (Err(_), "true" | "True") => Value::from(true),
        (Err(_), "false" | "False") => Value::from(false),
        (Err(_), text) => Value::from(text),
    }
}

fn json<E: From<TableError>>(
    file: File,
    each: &mut impl FnMut(&[LogColumn]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = JsonRows { chunk: Chunk::default(), each, failed: None };
    let mut source = serde_json::Deserializer::from_reader(BufReader::new(file));
    let read = (&mut rows).deserialize(&mut source).and_then(|()| source.end());
    match (rows.failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(TableError::Json(error.to_string()).into()),
        (None, Ok(())) => Ok(()),
    }
}

/// The rows of a JSON list, taken one by one as they are read.
struct JsonRows<'f, F, E> {
    chunk: Chunk,
    each: &'f mut F,
    failed: Option<E>,
}

impl<'de, F, E> DeserializeSeed<'de> for &mut JsonRows<'_, F, E>
where
    F: FnMut(&[LogColumn]) -> Result<(), E>,
    E: From<TableError>,
{
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_seq(self)
    }
}

impl<'de, F, E> Visitor<'de> for &mut JsonRows<'_, F, E>
where
    F: FnMut(&[LogColumn]) -> Result<(), E>,
    E: From<TableError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut taken = Ok(());
        while taken.is_ok()
            && let Some(row) = list.next_element::<Map<String, Value>>()?
        {
            taken = self.chunk.put_row(&row).map_err(E::from);
            taken = taken.and_then(|()| self.chunk.end_row(self.each));
        }
        match taken.and_then(|()| std::mem::take(&mut self.chunk).end(self.each)) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.failed = Some(error);
                Err(serde::de::Error::custom("a row is not taken"))
            }
        }
    }
}

/// Rows that are gathered into columns.
#[derive(Default)]
struct Chunk {
    rows: usize,
    places: HashMap<String, usize>,
    columns: Vec<Gathered>,
}

struct Gathered {
    name: String,
    offsets: Vec<usize>,
    values: Vec<Value>,
}

impl Chunk {
    fn put_row(&mut self, row: &Map<String, Value>) -> Result<(), TableError> {
        for (key, value) in row {
            match value {
                Value::Object(group) if is_of_values(key) => {
                    for (name, value) in group {
                        self.put(&format!("{key}.{name}"), value)?;
                    }
                }
                Value::Object(_) => {}
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => {
                    if let Some(name) = named(key) {
                        self.put(&name, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a value, or a list of them, of the row that is being gathered.
    fn put(&mut self, name: &str, value: &Value) -> Result<(), TableError> {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None if self.columns.len() == COLUMNS_MAX => return Err(TableError::Columns),
            None => {
                self.places.insert(name.to_owned(), self.columns.len());
                // Rows before this one had nothing there.
                let (offsets, values) = ((0..=self.rows).collect(), vec![Value::Null; self.rows]);
                self.columns.push(Gathered { name: name.to_owned(), offsets, values });
                self.columns.len() - 1
            }
        };
        flatten(value, &mut self.columns[place].values);
        Ok(())
    }

    fn end_row<E>(
        &mut self,
        each: &mut impl FnMut(&[LogColumn]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows += 1;
        for column in &mut self.columns {
            if column.offsets.last() == Some(&column.values.len()) {
                column.values.push(Value::Null);
            }
            column.offsets.push(column.values.len());
        }
        match self.rows < CHUNK_ROWS {
            true => Ok(()),
            false => std::mem::take(self).end(each),
        }
    }

    fn end<E>(self, each: &mut impl FnMut(&[LogColumn]) -> Result<(), E>) -> Result<(), E> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns: Vec<LogColumn> = self.columns.into_iter().map(Gathered::ended).collect();
        each(&columns)
    }
}

impl Gathered {
    fn ended(self) -> LogColumn {
        let is_text = |value: &Value| value.is_string();
        let values = match self.values.iter().any(is_text) {
            true => LogValues::Texts(self.values.into_iter().map(text).collect()),
            false => LogValues::Numbers(self.values.iter().map(number).collect()),
        };
        LogColumn { name: self.name, offsets: self.offsets, values }
    }
}

fn flatten(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| flatten(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.push(value.clone());
        }
        Value::Object(_) => into.push(Value::Null),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
