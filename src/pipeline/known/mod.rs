//! Known answers: rows with the outputs that they must give, by which a device proves itself.
//!
//! They travel in the artifact's config. A processor, a compiler or a runtime that computes
//! something else than the author's shows here, before a sensor is answered.

mod values;

use crate::tensor::{Column, NamedTensor, Port, RowShape, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Rows with known answers: each is inferred once at every start.
pub const KNOWN_ROWS_MAX: usize = 64;

/// Bytes of the known answers of one pipeline: a fourth of the largest config.
pub const KNOWN_BYTES_MAX: usize = 1 << 20;

/// How far a float may be off when nothing else is said, relative to what it should be: what
/// different orders of summation come to.
const RELATIVE_DEFAULT: f64 = 1e-4;

/// How far a float near zero may be off when nothing else is said.
const ABSOLUTE_DEFAULT: f64 = 1e-6;

/// Rows with their outputs, and how exactly they must be met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownAnswers {
    /// How far a float may be off, relative to what it should be.
    #[serde(default = "relative_default")]
    pub relative: f64,
    /// How far a float may be off in addition.
    #[serde(default = "absolute_default")]
    pub absolute: f64,
    rows: Vec<KnownRow>,
}

fn relative_default() -> f64 {
    RELATIVE_DEFAULT
}

fn absolute_default() -> f64 {
    ABSOLUTE_DEFAULT
}

/// One row: its columns, and the values of the outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownRow {
    #[serde(rename = "in")]
    inputs: Map<String, Value>,
    /// By the outputs' names; those that are not named may be anything.
    #[serde(rename = "out", default)]
    outputs: Map<String, Value>,
}

/// An output that is not what it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The row, the first is 0.
    pub row: usize,
    /// The output's name.
    pub output: String,
    /// The place in the output's flat row that is farthest off, if it has as many values as it
    /// should.
    pub place: Option<usize>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// How far apart the two are, if they are numbers.
    pub apart: Option<f64>,
    /// How many values of the output are not what they should be.
    pub count: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { row, output, place, expected, found, apart, count } = self;
        write!(f, "row {row}, output `{output}`")?;
        if let Some(place) = place {
            write!(f, ", place {place}")?;
        }
        write!(f, ": expected {expected}, found {found}")?;
        if let Some(apart) = apart {
            write!(f, ", {} apart", *apart as f32)?; // as many digits as tell something
        }
        match (place, count) {
            (Some(_), 2..) => write!(f, ", the farthest of {count} values"),
            (_, _) => Ok(()),
        }
    }
}

impl KnownAnswers {
    /// Reads a file of known answers: `{"rows": [{"in": {…}, "out": {…}}, …]}` with `relative`
    /// and `absolute` tolerances, or a bare list of rows as requests have them.
    ///
    /// # Errors
    /// A sentence about what is wrong in it.
    pub fn parse(bytes: &[u8]) -> Result<KnownAnswers, String> {
        if KNOWN_BYTES_MAX < bytes.len() {
            return Err(format!("it has {} bytes, more than {KNOWN_BYTES_MAX}", bytes.len()));
        }
        let json: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
        let known: KnownAnswers = if json.is_array() {
            let rows: Vec<Map<String, Value>> = serde_json::from_value(json)
                .map_err(|error| format!("no list of rows: {error}"))?;
            let rows = rows.into_iter().map(|inputs| KnownRow { inputs, outputs: Map::new() });
            let (relative, absolute) = (RELATIVE_DEFAULT, ABSOLUTE_DEFAULT);
            KnownAnswers { relative, absolute, rows: rows.collect() }
        } else {
            serde_json::from_value(json).map_err(|error| error.to_string())?
        };
        known.check()?;
        Ok(known)
    }

    /// Whether limits and tolerances hold; the sentence of what does not.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=KNOWN_ROWS_MAX).contains(&self.rows.len()) {
            let rows = self.rows.len();
            return Err(format!("it has {rows} rows; it takes 1 to {KNOWN_ROWS_MAX}"));
        }
        let right = |tolerance: f64| tolerance.is_finite() && 0.0 <= tolerance;
        if !right(self.relative) || !right(self.absolute) {
            return Err("a tolerance is no number from 0 on".to_owned());
        }
        Ok(())
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether the outputs of this row are told.
    pub fn is_answered(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|row| !row.outputs.is_empty())
    }

    /// The row as a table of one, its columns in the types of the inputs; columns that are no
    /// input, such as those that split rows, come in a type of their own.
    ///
    /// # Errors
    /// A sentence that names row and column of a value that its type cannot hold.
    pub fn table(&self, row: usize, inputs: &[Port]) -> Result<Table<'static>, String> {
        let known = self.rows.get(row).ok_or_else(|| format!("there is no row {row}"))?;
        let column = |(name, value): (&String, &Value)| {
            let port = inputs.iter().find(|port| port.name == *name);
            let (data, row_shape) = values::read(value, port.map(|port| port.element))
                .map_err(|what| format!("row {row}, column `{name}`: {what}"))?;
            let row_shape = match row_shape[..] {
                [length] => RowShape::Flat(length),
                [] | [_, ..] => RowShape::Told(row_shape),
            };
            Ok(Column { name: name.clone().into(), row_shape, data })
        };
        let columns = known.inputs.iter().map(column).collect::<Result<Vec<_>, String>>()?;
        Table::new(1, columns).map_err(|error| format!("row {row}: {error}"))
    }

    /// Takes what a row gave for its known answer.
    pub fn set(&mut self, row: usize, outputs: &[NamedTensor<'_>]) {
        if let Some(known) = self.rows.get_mut(row) {
            let written = |output: &NamedTensor<'_>| {
                (output.name.clone(), values::write(output.tensor.data()))
            };
            known.outputs = outputs.iter().map(written).collect();
        }
    }

    /// Where the outputs that a row gave are not those that are known: the farthest place of each.
    pub fn differences(&self, row: usize, outputs: &[NamedTensor<'_>]) -> Vec<Difference> {
        let Some(known) = self.rows.get(row) else { return Vec::new() };
        let of_output = |(name, expected): (&String, &Value)| {
            let output = name.clone();
            let Some(found) = outputs.iter().find(|output| output.name == *name) else {
                let (expected, found) = ("an output".to_owned(), "none of this name".to_owned());
                let (place, apart, count) = (None, None, 0);
                return Some(Difference { row, output, place, expected, found, apart, count });
            };
            let off = values::farthest_off(expected, found.tensor.data(), |expected, found| {
                self.is_close(expected, found)
            })?;
            let values::Off { place, expected, found, apart, count } = off;
            Some(Difference { row, output, place, expected, found, apart, count })
        };
        known.outputs.iter().filter_map(of_output).collect()
    }

    fn is_close(&self, expected: f64, found: f64) -> bool {
        let allowed = self.absolute + self.relative * expected.abs();
        expected == found
            || (expected.is_nan() && found.is_nan())
            || (expected - found).abs() <= allowed
    }
}

#[cfg(test)]
mod tests;
