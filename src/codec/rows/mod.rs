//! The later generation of the original's answers: one element for each row of the request, of
//! which a client can ask for parts.

mod dataset;
mod error;
mod stored;
#[cfg(test)]
mod tests;
mod tree;

pub use dataset::{DATASET_PATHS_MAX, DATASET_QUERY_BYTES_MAX, Dataset, DatasetError};
pub use error::AnswerError;
pub(super) use error::COLUMN_MAX;
#[cfg(feature = "ops")]
pub(super) use stored::write as write_stored;
pub(super) use tree::{
    Cells, Generation, MODEL_SPLIT, Member, Source, Stored, Value, answer, split_texts,
};

use super::literal;
use crate::pipeline::{Finding, Record};
use crate::tensor::Table;
use arrow_array::ArrayRef;

/// Bytes of an element without its cells, and of one cell with its comma: what to reserve.
const FRAME_BYTES: usize = 384;
const VALUE_BYTES: usize = 12;

/// Bytes about all elements.
const BRACKETS: usize = 2;

/// Writes a record as JSON: a list with one element for each row of `input`, the table that the
/// record answers. Without white space; keys are `time`, `in`, `out`, `anomaly` and `metadata` in
/// this order, or what of them `dataset` asks for. `partition` is the edge's name.
///
/// Each row of a column is one flat list, of a scalar column a value. Floats are printed in the
/// shortest form that reads back the same in their own width; NaN and infinities become `null`.
/// An output's rows are its first dimension when that is the number of rows or a multiple of it;
/// the answer to one row is the whole output.
///
/// # Errors
/// When an output does not come in rows, or `dataset` asks for what is not there.
pub fn write_rows(
    record: &Record<'_>,
    input: &Table<'_>,
    partition: &str,
    dataset: &Dataset,
) -> Result<Vec<u8>, AnswerError> {
    let members = answer(record, input, partition, Generation::Anomaly)?;
    let mut out = vec![b'['];
    write_elements(&mut out, &dataset.select(members)?, input.rows(), b",");
    out.push(b']');
    Ok(out)
}

/// The elements of a list, one for each row, with a comma or a line's end between them.
pub(super) fn write_elements(
    out: &mut Vec<u8>,
    members: &[Member<'_>],
    rows: usize,
    between: &[u8],
) {
    let mut pieces = Pieces { done: Vec::new(), fixed: Vec::new() };
    pieces.group(members);
    let Pieces { done, fixed: last } = pieces;
    let fixed = done.iter().map(|(fixed, _)| fixed.len()).sum::<usize>() + last.len();
    let values: usize = done.iter().map(|(_, varying)| varying.row_elements()).sum();
    let row_bytes = values.saturating_mul(VALUE_BYTES).saturating_add(fixed.max(FRAME_BYTES));
    out.reserve(row_bytes.saturating_mul(rows).saturating_add(BRACKETS));
    for row in 0..rows {
        if 0 < row {
            out.extend_from_slice(between);
        }
        for (fixed, varying) in &done {
            out.extend_from_slice(fixed);
            match varying {
                Varying::Cells(cells) => write_cell(out, cells, row),
                Varying::Failures(findings) => write_failures(out, findings, row),
                Varying::Stored(array) => stored::write(out, array, row),
            }
        }
        out.extend_from_slice(&last);
    }
}

fn write_cell(out: &mut Vec<u8>, cells: &Cells<'_>, row: usize) {
    let length = cells.row_elements();
    let range = row * length..(row + 1) * length;
    if cells.row_shape.is_empty() {
        return literal::values(out, &cells.data, range);
    }
    out.push(b'[');
    literal::values(out, &cells.data, range);
    out.push(b']');
}

/// The expressions that failed in a row.
fn write_failures(out: &mut Vec<u8>, findings: &[Finding], row: usize) {
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.failed[row]).collect();
    literal::list(out, &failed, |out, finding| literal::json(out, &finding.text));
}

/// What each row has a value of its own for.
enum Varying<'m> {
    Cells(&'m Cells<'m>),
    Failures(&'m [Finding]),
    Stored(&'m ArrayRef),
}

impl Varying<'_> {
    fn row_elements(&self) -> usize {
        match self {
            Varying::Cells(cells) => cells.row_elements(),
            Varying::Failures(findings) => findings.len(),
            // Of what size each list is, is not worth a look.
            Varying::Stored(_) => 1,
        }
    }
}

/// An element's text in pieces: what is the same on each row is written once.
struct Pieces<'m> {
    /// Text, and what follows it in each row.
    done: Vec<(Vec<u8>, Varying<'m>)>,
    /// Text after the last of those.
    fixed: Vec<u8>,
}

impl<'m> Pieces<'m> {
    fn group(&mut self, members: &'m [Member<'m>]) {
        self.fixed.push(b'{');
        for (index, member) in members.iter().enumerate() {
            if 0 < index {
                self.fixed.push(b',');
            }
            literal::json(&mut self.fixed, &member.name);
            self.fixed.push(b':');
            self.value(&member.value);
        }
        self.fixed.push(b'}');
    }

    fn value(&mut self, value: &'m Value<'m>) {
        let out = &mut self.fixed;
        match value {
            Value::Group(members) => self.group(members),
            Value::Cells(cells) => self.done.push((std::mem::take(out), Varying::Cells(cells))),
            Value::Dropped => out.extend_from_slice(b"[]"),
            Value::Elapsed(elapsed) => literal::list(out, elapsed, literal::json),
            Value::Failures(findings) => {
                self.done.push((std::mem::take(out), Varying::Failures(findings)));
            }
            Value::Stored(stored) => {
                self.done.push((std::mem::take(out), Varying::Stored(&stored.array)));
            }
            Value::Text(text) => literal::json(out, text),
            Value::Time(time) => literal::json(out, time),
        }
    }
}
