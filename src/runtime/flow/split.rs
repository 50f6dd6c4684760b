//! Splits: which model each row goes to, and how the rows come together again.

use super::stage::made;
use crate::oci::Digest;
use crate::pipeline::{Definition, KeySplit, RandomSplit};
use crate::runtime::error::RunError;
use crate::tensor::{Column, Data, Misfit, MisfitKind, NamedTensor, Table, Tensor};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How rows choose their model, by its place among those of the step.
#[derive(Debug)]
pub enum Split {
    /// By weight.
    Random {
        /// The column that draws, if one does.
        hash_key: Option<String>,
        /// For each model, the upper end of its share of 0 to 1.
        ends: Vec<f64>,
        /// What a hash begins with: the same value may draw otherwise in another pipeline.
        salt: String,
        /// The number of the next request without a key.
        next: AtomicU64,
    },
    /// By the value of a column; place 0 is the control.
    Key {
        /// The column.
        split_key: String,
        /// The values of the places from 1 on.
        values: Vec<String>,
    },
}

impl Split {
    pub(super) fn random(split: &RandomSplit, definition: &Definition) -> Split {
        let sum: f64 = split.weights.iter().map(|(_, weight)| weight).sum();
        let mut end = 0.0;
        let ends = split.weights.iter().map(|(_, weight)| {
            end += weight / sum;
            end
        });
        Split::Random {
            hash_key: split.hash_key.clone(),
            ends: ends.collect(),
            salt: definition.name.clone(),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn by_key(split: &KeySplit) -> Split {
        let values = split.routes.iter().map(|(value, _)| value.clone()).collect();
        Split::Key { split_key: split.split_key.clone(), values }
    }

    /// The column that splits.
    pub(super) fn column(&self) -> Option<&str> {
        match self {
            Split::Random { hash_key, .. } => hash_key.as_deref(),
            Split::Key { split_key, .. } => Some(split_key),
        }
    }

    /// The place of the model for each row.
    ///
    /// # Errors
    /// When the column that splits has more than one value in a row.
    pub(super) fn choose(&self, table: &Table<'_>) -> Result<Vec<usize>, Misfit> {
        let rows = table.rows();
        let column = self.column().and_then(|name| table.column(name));
        match self {
            Split::Random { ends, salt, next, .. } => match column {
                Some(column) => each_text(column, rows, |text| place(ends, share(salt, text))),
                None => {
                    // Without a key a request stays together: one draw for all of its rows.
                    let number = next.fetch_add(1, Relaxed).to_string();
                    Ok(vec![place(ends, share(salt, &number)); rows])
                }
            },
            Split::Key { values, .. } => match column {
                Some(column) => each_text(column, rows, |text| {
                    values.iter().position(|value| value == text).map_or(0, |place| place + 1)
                }),
                None => Ok(vec![0; rows]),
            },
        }
    }
}

/// A number from 0 to below 1 that is the same for the same text on every machine.
fn share(salt: &str, text: &str) -> f64 {
    let hex = Digest::of(format!("{salt}\0{text}").as_bytes()).hex();
    let bits = u64::from_str_radix(&hex[..16], 16).unwrap_or_default();
    // The upper 53 bits: as many as a double holds.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The place whose share holds `at`; the last where rounding left the ends short of 1.
fn place(ends: &[f64], at: f64) -> usize {
    ends.iter().position(|end| at < *end).unwrap_or(ends.len().saturating_sub(1))
}

/// Calls `choose` with the value of each row as text.
fn each_text(
    column: &Column<'_>,
    rows: usize,
    choose: impl Fn(&str) -> usize,
) -> Result<Vec<usize>, Misfit> {
    if column.row_shape.elements() != 1 {
        let name = &column.name;
        let found = column.row_shape.elements();
        let sentence = format!(
            "column `{name}` splits the rows by its value, and has {found} values in a row: send \
             one"
        );
        return Err(Misfit::new(MisfitKind::WrongShape, sentence)
            .column(&**name)
            .row(0)
            .expected("1 value", format!("{found} values")));
    }
    Ok((0..rows).map(|row| choose(&text(&column.data, row))).collect())
}

/// A value as people write it: whole floats without a fraction, as keys in a definition have them.
fn text(data: &Data<'_>, row: usize) -> String {
    match data {
        Data::Bool(values) => values[row].to_string(),
        Data::F16(values) => values[row].to_string(),
        Data::F32(values) => values[row].to_string(),
        Data::F64(values) => values[row].to_string(),
        Data::I8(values) => values[row].to_string(),
        Data::I16(values) => values[row].to_string(),
        Data::I32(values) => values[row].to_string(),
        Data::I64(values) => values[row].to_string(),
        Data::String(values) => values[row].clone(),
        Data::U8(values) => values[row].to_string(),
        Data::U16(values) => values[row].to_string(),
        Data::U32(values) => values[row].to_string(),
        Data::U64(values) => values[row].to_string(),
    }
}

/// These rows of a table.
pub(super) fn gathered(table: &Table<'_>, rows: &[usize]) -> Result<Table<'static>, Misfit> {
    let columns = table.columns().iter().map(|column| {
        let elements = column.row_shape.elements();
        let places: Vec<usize> =
            rows.iter().flat_map(|row| row * elements..(row + 1) * elements).collect();
        Column {
            name: Cow::Owned(column.name.to_string()),
            row_shape: column.row_shape.clone(),
            data: column.data.pick(&places),
        }
    });
    made(rows.len(), columns.collect())
}

/// What several models gave for their rows, as one output of all `rows`.
///
/// # Errors
/// When the models' outputs are not alike: then no one table can hold them.
pub(super) fn scattered(
    parts: Vec<(Vec<usize>, Vec<NamedTensor<'static>>)>,
    rows: usize,
) -> Result<Vec<NamedTensor<'static>>, RunError> {
    let outputs = parts.first().map_or(0, |(_, outputs)| outputs.len());
    (0..outputs).map(|output| scattered_output(&parts, output, rows)).collect()
}

fn scattered_output(
    parts: &[(Vec<usize>, Vec<NamedTensor<'static>>)],
    output: usize,
    rows: usize,
) -> Result<NamedTensor<'static>, RunError> {
    let unlike = |name: &str| {
        let sentence = format!(
            "the models that share these rows give unlike outputs (`{name}`): send rows for one \
             model at a time"
        );
        RunError::Misfit(Misfit::new(MisfitKind::WrongShape, sentence))
    };
    let first = &parts[0].1[output];
    let row_shape = first.tensor.shape().get(1..).unwrap_or_default();
    let elements: usize = row_shape.iter().product();
    // Where each row's values are in the parts put one behind the other.
    let (mut joined, mut places) = (None::<Data<'static>>, vec![0; rows]);
    let mut before = 0;
    for (of_part, outputs) in parts {
        let part = outputs.get(output).ok_or_else(|| unlike(&first.name))?;
        let shape = [&[of_part.len()], row_shape].concat();
        if part.name != first.name || part.tensor.shape() != shape {
            return Err(unlike(&first.name));
        }
        for row in of_part {
            places[*row] = before;
            before += 1;
        }
        let data = part.tensor.data().borrow();
        match &mut joined {
            None => joined = Some(data.into_owned()),
            Some(joined) => joined.append(data).map_err(|_| unlike(&first.name))?,
        }
    }
    let places: Vec<usize> =
        places.iter().flat_map(|row| row * elements..(row + 1) * elements).collect();
    let data = joined.ok_or_else(|| unlike(&first.name))?.pick(&places);
    let shape = [&[rows], row_shape].concat();
    let tensor = Tensor::new(shape, data).map_err(|_| unlike(&first.name))?;
    Ok(NamedTensor { name: first.name.clone(), tensor })
}
