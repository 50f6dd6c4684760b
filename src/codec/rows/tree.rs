//! What an answer says about each row, as a tree of names, whatever the format it is written in.

use super::error::AnswerError;
use crate::codec::literal;
use crate::pipeline::{Finding, ModelKey, Record};
use crate::tensor::{Column, Data, NamedTensor, RowShape, Table};
use arrow_array::ArrayRef;
use std::borrow::Cow;

/// A value under a name.
#[derive(Debug)]
pub(in crate::codec) struct Member<'a> {
    pub(in crate::codec) name: Cow<'a, str>,
    pub(in crate::codec) value: Value<'a>,
}

/// What stands under a name: further names, cells of a table, or the same on each row.
#[derive(Debug)]
pub(in crate::codec) enum Value<'a> {
    Group(Vec<Member<'a>>),
    Cells(Cells<'a>),
    /// The columns left out: none of an answer; in the original's logs, large ones may be.
    Dropped,
    /// Nanoseconds.
    Elapsed(&'a [u64]),
    /// The expressions of those that failed in the row.
    Failures(&'a [Finding]),
    Text(Cow<'a, str>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// A column of a journal, of as many rows as there are.
    Stored(Stored),
}

/// A column as it was written into a journal.
#[derive(Debug)]
pub(in crate::codec) struct Stored {
    pub(in crate::codec) array: ArrayRef,
    /// What its field tells of the shape of a row.
    pub(in crate::codec) shape: Option<String>,
}

/// One column of a table, with as many rows as the answer.
#[derive(Debug)]
pub(in crate::codec) struct Cells<'a> {
    pub(in crate::codec) data: Data<'a>,
    /// The shape of a row. A row is one flat list whatever its shape: so the original's columns
    /// are, which tell the shape beside the values, and its clients `reshape` what they get. A
    /// row of the empty shape is no list but a value.
    pub(in crate::codec) row_shape: Vec<usize>,
    pub(in crate::codec) source: Source,
}

/// Where cells come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum Source {
    /// The client's own column.
    Request,
    /// An output of the model.
    Model,
}

/// What the model that a row went to is called among the outputs.
pub(in crate::codec) const MODEL_SPLIT: &str = "_model_split";

/// The releases of the original, by what they write of validations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum Generation {
    /// Those of 2023: `check_failures`, a list of expressions.
    CheckFailures,
    /// Those from 2023.4.1 on: `anomaly`, with a count.
    Anomaly,
}

impl Cells<'_> {
    /// Values in one row.
    pub(in crate::codec) fn row_elements(&self) -> usize {
        self.row_shape.iter().product()
    }
}

/// All that an answer says, in the original's order.
///
/// # Errors
/// When an output does not come in rows.
pub(in crate::codec) fn answer<'a>(
    record: &'a Record<'_>,
    input: &'a Table<'_>,
    partition: &'a str,
    generation: Generation,
) -> Result<Vec<Member<'a>>, AnswerError> {
    let outputs = record.outputs.iter().map(|output| model_cells(output, input.rows()));
    let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    outputs.extend(record.chosen.as_ref().map(|chosen| model_split(chosen)));
    let validations = match generation {
        Generation::CheckFailures => member("check_failures", Value::Failures(&record.findings)),
        Generation::Anomaly => {
            member("anomaly", Value::Group(anomalies(&record.findings, input.rows())))
        }
    };
    let metadata = vec![
        member("last_model", Value::Text(Cow::Owned(last_model(record)))),
        member("pipeline_version", Value::Text(Cow::Borrowed(&record.pipeline_version))),
        member("elapsed", Value::Elapsed(&record.elapsed_ns)),
        member("dropped", Value::Dropped),
        member("partition", Value::Text(Cow::Borrowed(partition))),
    ];
    let mut members = vec![
        member("time", Value::Time(i64::try_from(record.time_ms).unwrap_or(i64::MAX))),
        member("in", Value::Group(input.columns().iter().map(request_cells).collect())),
        member("out", Value::Group(outputs)),
    ];
    for shadow in &record.shadows {
        let outputs = shadow.outputs.iter().map(|output| model_cells(output, input.rows()));
        let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        let name = Cow::Owned(format!("out_{}", shadow.model_name));
        members.push(Member { name, value: Value::Group(outputs) });
    }
    members.push(validations);
    members.push(member("metadata", Value::Group(metadata)));
    Ok(members)
}

/// How many validations failed in each row, and each by its name.
fn anomalies(findings: &[Finding], rows: usize) -> Vec<Member<'_>> {
    let count = |row: usize| findings.iter().filter(|finding| finding.failed[row]).count();
    let counts = (0..rows).map(|row| u32::try_from(count(row)).unwrap_or(u32::MAX)).collect();
    let cells = |data| Value::Cells(Cells { data, row_shape: Vec::new(), source: Source::Model });
    let mut members = vec![member("count", cells(Data::U32(Cow::Owned(counts))))];
    members.extend(findings.iter().map(|finding| {
        member(&finding.name, cells(Data::Bool(Cow::Borrowed(finding.failed.as_slice()))))
    }));
    members
}

/// The model that each row went to, as JSON.
pub(in crate::codec) fn split_texts(chosen: &[ModelKey]) -> Vec<String> {
    let text = |key: &ModelKey| {
        let mut text = b"{\"name\":".to_vec();
        literal::json(&mut text, &key.name);
        text.extend_from_slice(b",\"version\":");
        literal::json(&mut text, &key.version);
        text.extend_from_slice(b",\"sha\":");
        literal::json(&mut text, &key.sha.hex());
        text.push(b'}');
        String::from_utf8_lossy(&text).into_owned()
    };
    chosen.iter().map(text).collect()
}

/// The model that each row went to, in the original's form: JSON within a list of one string.
fn model_split(chosen: &[ModelKey]) -> Member<'_> {
    let data = Data::String(Cow::Owned(split_texts(chosen)));
    let cells = Cells { data, row_shape: vec![1], source: Source::Model };
    member(MODEL_SPLIT, Value::Cells(cells))
}

fn member<'a>(name: &'a str, value: Value<'a>) -> Member<'a> {
    Member { name: Cow::Borrowed(name), value }
}

/// The model as the original tells it: JSON within a string.
fn last_model(record: &Record<'_>) -> String {
    let mut text = b"{\"model_name\":".to_vec();
    literal::json(&mut text, &record.model_name);
    text.extend_from_slice(b",\"model_sha\":");
    literal::json(&mut text, &record.model_sha);
    text.push(b'}');
    String::from_utf8_lossy(&text).into_owned()
}

fn request_cells<'a>(column: &'a Column<'_>) -> Member<'a> {
    let row_shape = match &column.row_shape {
        RowShape::Told(shape) => shape.clone(),
        RowShape::Flat(length) => vec![*length],
    };
    let cells = Cells { data: column.data.borrow(), row_shape, source: Source::Request };
    member(&column.name, Value::Cells(cells))
}

fn model_cells<'a>(output: &'a NamedTensor<'_>, rows: usize) -> Result<Member<'a>, AnswerError> {
    let shape = output.tensor.shape();
    let row_shape = row_shape(shape, rows).ok_or_else(|| AnswerError::NotInRows {
        output: output.name.clone(),
        shape: shape.to_vec(),
        rows,
    })?;
    let cells = Cells { data: output.tensor.data().borrow(), row_shape, source: Source::Model };
    Ok(member(&output.name, Value::Cells(cells)))
}

/// The shape of one row of an output; of at least one dimension, since the original's rows of an
/// ONNX model's output are lists.
fn row_shape(shape: &[usize], rows: usize) -> Option<Vec<usize>> {
    let mut row_shape = match shape.split_first() {
        Some((first, rest)) if *first == rows => rest.to_vec(),
        Some(_) | None if rows == 1 => shape.to_vec(),
        Some((first, rest)) if 0 < rows && first % rows == 0 => [&[first / rows], rest].concat(),
        Some(_) | None => return None,
    };
    if row_shape.is_empty() {
        row_shape.push(1);
    }
    Some(row_shape)
}
