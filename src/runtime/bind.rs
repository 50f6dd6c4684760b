//! Fits a table's columns to a model's inputs: names, types, and the shape of one row.

use super::load::{Extent, Model};
use crate::tensor::{Column, Data, Misfit, MisfitKind, Port, RowShape, Table};
use std::collections::HashMap;
use tract_onnx::tract_core::internal::Symbol;

/// How many rows one run of the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsPerRun {
    /// As many as wanted: the first dimension of every input is open.
    Any,
    /// Just so many: the model's first dimension is fixed, or a row is a whole input.
    Exactly(usize),
}

/// A table that fits a model.
#[derive(Debug)]
pub(super) struct Binding<'t> {
    pub(super) rows: usize,
    pub(super) per_run: RowsPerRun,
    pub(super) inputs: Vec<Bound<'t>>,
    /// The extents of the open dimensions other than the batch.
    pub(super) open: HashMap<Symbol, usize>,
    /// The symbols of the batch: each is the rows of a run.
    pub(super) batch: Vec<Symbol>,
}

/// One input of the model with the values of all rows.
#[derive(Debug)]
pub(super) struct Bound<'t> {
    data: Data<'t>,
    row_elements: usize,
    /// The row's shape as the model has it.
    row_shape: Vec<usize>,
    /// Whether the rows of a run stand in a first dimension of their own.
    stacked: bool,
}

impl Bound<'_> {
    pub(super) fn row_elements(&self) -> usize {
        self.row_elements
    }

    /// Shape and values of rows `from..to`.
    pub(super) fn part(&self, from: usize, to: usize) -> (Vec<usize>, Data<'_>) {
        let mut shape = if self.stacked { vec![to - from] } else { Vec::new() };
        shape.extend(&self.row_shape);
        (shape, self.data.slice(from * self.row_elements, to * self.row_elements))
    }
}

/// Binds `table` to the inputs of `model`, which the table's author knows as `names`.
pub(super) fn bind<'t>(
    model: &Model,
    names: &[String],
    table: &'t Table<'_>,
) -> Result<Binding<'t>, Misfit> {
    if table.rows() == 0 {
        return Err(Misfit::new(MisfitKind::NoRows, "there is no row to infer: send at least one"));
    }
    let mut fit = Fit { rows: table.rows(), per_run: None, open: HashMap::new() };
    let mut inputs = Vec::new();
    let mut batch = Vec::new();
    for ((port, extents), name) in model.inputs().iter().zip(&model.extents).zip(names) {
        let column = find(table, name, names)?;
        inputs.push(fit.input(port, extents, column)?);
        match extents.first() {
            Some(Extent::Free(symbol)) => batch.push(symbol.clone()),
            Some(Extent::Fixed(_)) | None => {}
        }
    }
    let per_run = fit.per_run.unwrap_or(RowsPerRun::Any);
    Ok(Binding { rows: table.rows(), per_run, inputs, open: fit.open, batch })
}

/// The column of this name; for a model with one input, a single column under any name.
fn find<'t>(table: &'t Table<'_>, name: &str, names: &[String]) -> Result<&'t Column<'t>, Misfit> {
    if let Some(column) = table.column(name) {
        return Ok(column);
    }
    match (names.len(), table.columns()) {
        (1, [only]) => Ok(only),
        (_, columns) => {
            let found: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
            let (wanted, found) = (names.join(", "), found.join(", "));
            let sentence = format!(
                "column `{name}` is missing: the model takes {wanted}, the request has {found}"
            );
            let misfit = Misfit::new(MisfitKind::MissingColumn, sentence);
            Err(misfit.column(name).expected(wanted, found))
        }
    }
}

/// What is settled while inputs are bound one after the other.
struct Fit {
    rows: usize,
    per_run: Option<RowsPerRun>,
    open: HashMap<Symbol, usize>,
}

impl Fit {
    fn input<'t>(
        &mut self,
        port: &Port,
        extents: &[Extent],
        column: &'t Column<'_>,
    ) -> Result<Bound<'t>, Misfit> {
        let wrong_shape = |sentence: String| {
            let found = describe(&column.row_shape);
            Misfit::new(MisfitKind::WrongShape, sentence)
                .column(&*column.name)
                .row(0)
                .expected(port.to_string(), found)
        };
        let (per_run, stacked, row) = split(extents, &column.row_shape);
        if let RowsPerRun::Exactly(rows) = per_run
            && !self.rows.is_multiple_of(rows)
        {
            let sentence = format!(
                "the model computes exactly {rows} rows at a time: send a multiple of {rows} rows, \
                 not {}",
                self.rows
            );
            return Err(wrong_shape(sentence));
        }
        self.per_run = match (self.per_run, per_run) {
            (None | Some(RowsPerRun::Any), per_run) => Some(per_run),
            (Some(settled), RowsPerRun::Any) => Some(settled),
            (Some(settled), per_run) if settled == per_run => Some(settled),
            (Some(_), _) => {
                let sentence = format!(
                    "column `{}` has rows of another batch than the columns before it",
                    column.name
                );
                return Err(wrong_shape(sentence));
            }
        };
        let row_shape = self.row_shape(row, column).ok_or_else(|| {
            wrong_shape(format!(
                "column `{}` holds {} in each row where the model takes {port} (the first \
                 dimension counts the rows)",
                column.name,
                describe(&column.row_shape)
            ))
        })?;
        let row_elements = column.row_shape.elements();
        let data = column.data.borrow().convert(port.element).map_err(|error| {
            let row = error.index.checked_div(row_elements).unwrap_or(0);
            let kind = match column.element() == port.element || error.found.starts_with("a ") {
                true => MisfitKind::WrongType,
                false => MisfitKind::ValueRange,
            };
            let sentence = format!(
                "column `{}` holds {} in row {row} where the model takes {}: send values that it \
                 can hold unchanged",
                column.name, error.found, port.element
            );
            Misfit::new(kind, sentence)
                .column(&*column.name)
                .row(row)
                .expected(port.element.onnx_name(), error.found)
        })?;
        Ok(Bound { data, row_elements, row_shape, stacked })
    }

    /// The shape of one row as the model has it, if the column's rows can take it.
    fn row_shape(&mut self, row: &[Extent], column: &Column<'_>) -> Option<Vec<usize>> {
        match &column.row_shape {
            RowShape::Told(told) if told.len() == row.len() => {
                for (extent, told) in row.iter().zip(told) {
                    match extent {
                        Extent::Fixed(fixed) if fixed != told => return None,
                        Extent::Fixed(_) => {}
                        Extent::Free(symbol) => self.settle(symbol, *told)?,
                    }
                }
                Some(told.clone())
            }
            RowShape::Told(told) => {
                // A scalar for [1], or [1, 29] for [29]: the same values in the same order.
                let shape = self.known(row)?;
                let long = |shape: &[usize]| -> Vec<usize> {
                    shape.iter().copied().filter(|extent| *extent != 1).collect()
                };
                (long(&shape) == long(told)).then_some(shape)
            }
            RowShape::Flat(length) => {
                let mut unknown = row.iter().filter_map(|extent| match extent {
                    Extent::Free(symbol) if !self.open.contains_key(symbol) => Some(symbol),
                    Extent::Free(_) | Extent::Fixed(_) => None,
                });
                // One open dimension follows from the length; of two, neither does.
                if let Some(symbol) = unknown.next().cloned() {
                    if unknown.next().is_some() {
                        return None;
                    }
                    self.open.insert(symbol.clone(), 1);
                    let others = self.known(row)?.iter().product::<usize>();
                    self.open.remove(&symbol);
                    if others == 0 || length % others != 0 {
                        return None;
                    }
                    self.open.insert(symbol, length / others);
                }
                let shape = self.known(row)?;
                (shape.iter().product::<usize>() == *length).then_some(shape)
            }
        }
    }

    fn settle(&mut self, symbol: &Symbol, extent: usize) -> Option<()> {
        let settled = *self.open.entry(symbol.clone()).or_insert(extent);
        (settled == extent).then_some(())
    }

    fn known(&self, row: &[Extent]) -> Option<Vec<usize>> {
        let extent = |extent: &Extent| match extent {
            Extent::Fixed(fixed) => Some(*fixed),
            Extent::Free(symbol) => self.open.get(symbol).copied(),
        };
        row.iter().map(extent).collect()
    }
}

/// Where the rows stand in an input: rows per run, whether in a dimension of their own, and the
/// extents of one row.
fn split<'e>(extents: &'e [Extent], row: &RowShape) -> (RowsPerRun, bool, &'e [Extent]) {
    match extents {
        [Extent::Free(_), rest @ ..] => (RowsPerRun::Any, true, rest),
        [Extent::Fixed(1), rest @ ..] => (RowsPerRun::Exactly(1), true, rest),
        [Extent::Fixed(batch), rest @ ..] if fixed_elements(rest) == Some(row.elements()) => {
            (RowsPerRun::Exactly(*batch), true, rest)
        }
        whole => (RowsPerRun::Exactly(1), false, whole),
    }
}

fn fixed_elements(extents: &[Extent]) -> Option<usize> {
    let extent = |extent: &Extent| match extent {
        Extent::Fixed(fixed) => Some(*fixed),
        Extent::Free(_) => None,
    };
    extents.iter().map(extent).product()
}

fn describe(row: &RowShape) -> String {
    match row {
        RowShape::Told(shape) if shape.is_empty() => "one value".into(),
        RowShape::Told(shape) => format!("values of shape {shape:?}"),
        RowShape::Flat(1) => "1 value".into(),
        RowShape::Flat(length) => format!("{length} values"),
    }
}
