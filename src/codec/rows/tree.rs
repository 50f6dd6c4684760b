//! What an answer says about each row, as a tree of names, whatever the format it is written in.

use super::error::AnswerError;
use crate::codec::literal;
use crate::pipeline::{CheckFailure, Record};
use crate::tensor::{Column, Data, NamedTensor, RowShape, Table};
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
    /// How many validations found something.
    Count(u32),
    /// The columns left out: none of an answer; in the original's logs, large ones may be.
    Dropped,
    /// Nanoseconds.
    Elapsed(&'a [u64]),
    Failures(&'a [CheckFailure]),
    Text(Cow<'a, str>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
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
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let validations = match generation {
        Generation::CheckFailures => {
            member("check_failures", Value::Failures(&record.check_failures))
        }
        Generation::Anomaly => {
            let count = u32::try_from(record.check_failures.len()).unwrap_or(u32::MAX);
            member("anomaly", Value::Group(vec![member("count", Value::Count(count))]))
        }
    };
    let metadata = vec![
        member("last_model", Value::Text(Cow::Owned(last_model(record)))),
        member("pipeline_version", Value::Text(Cow::Borrowed(&record.pipeline_version))),
        member("elapsed", Value::Elapsed(&record.elapsed_ns)),
        member("dropped", Value::Dropped),
        member("partition", Value::Text(Cow::Borrowed(partition))),
    ];
    Ok(vec![
        member("time", Value::Time(i64::try_from(record.time_ms).unwrap_or(i64::MAX))),
        member("in", Value::Group(input.columns().iter().map(request_cells).collect())),
        member("out", Value::Group(outputs)),
        validations,
        member("metadata", Value::Group(metadata)),
    ])
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
