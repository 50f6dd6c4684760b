//! An object of columns, `{"column": [value, …], …}`: the form of the original's older clients.

use super::column::Filling;
use super::cursor::Cursor;
use super::fault::{Fault, Place, What};
use super::{Filled, columns_of, lacking, open_object, read_name};
use crate::codec::limits::{COLUMNS_MAX, ROWS_MAX, VALUES_MAX};
use crate::tensor::{Misfit, MisfitKind, Port};

/// Reads the object that begins at the cursor.
pub(super) fn read<'t>(
    cursor: Cursor<'t>,
    inputs: &[Port],
    companions: &[String],
) -> Result<Filled<'t>, Misfit> {
    let columns = columns_of(&cursor, inputs, companions, None)?;
    let start = cursor.clone();
    let mut table = Reading { cursor, columns, filled: 0, values: 0 };
    table.read_columns()?;
    if let Some(column) = table.columns.get(table.filled) {
        return Err(lacking(start, inputs, None, &column.name));
    }
    let rows = table.columns.first().map_or(0, |column| column.rows);
    Ok(Filled { cursor: table.cursor, columns: table.columns, rows })
}

/// A table that is being read.
struct Reading<'t> {
    cursor: Cursor<'t>,
    /// Those read, in the client's order, then those yet to come.
    columns: Vec<Filling>,
    /// How many have been read.
    filled: usize,
    /// Values of all columns up to here.
    values: usize,
}

impl Reading<'_> {
    fn read_columns(&mut self) -> Result<(), Misfit> {
        let mut members = 0;
        let mut more = open_object(&mut self.cursor).map_err(|fault| self.misfit(fault, None))?;
        while more {
            members += 1;
            if COLUMNS_MAX < members {
                return Err(self.misfit(self.cursor.fault(What::ManyColumns), None));
            }
            let at = self.cursor.clone();
            let name = read_name(&mut self.cursor).map_err(|fault| self.misfit(fault, None))?;
            match self.columns.iter().position(|column| column.name == name) {
                Some(index) if index < self.filled => {
                    return Err(self.misfit(at.fault(What::Twice), Some(&name)));
                }
                Some(index) => {
                    self.columns.swap(self.filled, index);
                    self.read_column()?;
                    self.filled += 1;
                }
                None => {
                    let passed = self.cursor.skip_value(0);
                    passed.map_err(|fault| self.misfit(fault, Some(&name)))?;
                }
            }
            let next = self.cursor.goes_on(b'}', "`,` or `}`");
            more = next.map_err(|fault| self.misfit(fault, None))?;
        }
        Ok(())
    }

    /// Reads the list of the first column that has not been read.
    fn read_column(&mut self) -> Result<(), Misfit> {
        if self.cursor.peek_token() != Some(b'[') {
            let fault = match self.cursor.no_such_value() {
                Fault { what: What::WrongType, at } => Fault::new(What::NotAColumn, at),
                fault => fault,
            };
            let name = &self.columns[self.filled].name;
            return Err(self.misfit(fault, Some(name)));
        }
        self.cursor.at += 1;
        if !self.cursor.take(b']') {
            while self.read_value()? {}
        }
        self.check_rows()
    }

    /// Reads one row's value; whether the list goes on.
    fn read_value(&mut self) -> Result<bool, Misfit> {
        let start = self.cursor.at;
        let column = &mut self.columns[self.filled];
        if column.rows == ROWS_MAX {
            return Err(self.row_misfit(self.cursor.fault(What::ManyRows)));
        }
        let before = column.len();
        let room = VALUES_MAX.saturating_sub(self.values);
        match column.read(&mut self.cursor, room) {
            Ok(Ok(())) => self.values += column.len() - before,
            Ok(Err(unlike)) => return Err(unlike.misfit(&column.name, column.rows)),
            Err(fault) => return Err(self.row_misfit(fault)),
        }
        if self.columns[self.filled].rows == 1 {
            self.reserve(self.cursor.at - start);
        }
        let next = self.cursor.goes_on(b']', "`,` or `]`");
        next.map_err(|fault| self.row_misfit(fault))
    }

    /// Makes room for the rows that the first column had, or for those that the rest of the text
    /// has if they are as long as the first.
    fn reserve(&mut self, row_bytes: usize) {
        let rest = self.cursor.text.len() - self.cursor.at;
        let rows = (rest / row_bytes.max(1)).min(ROWS_MAX);
        let rows = if 0 < self.filled { rows.min(self.columns[0].rows) } else { rows };
        let column = &mut self.columns[self.filled];
        column.reserve_rows(rows.min(VALUES_MAX / column.len().max(1)));
    }

    /// Holds the rows of the column just read against those of the first.
    fn check_rows(&self) -> Result<(), Misfit> {
        let (first, last) = (&self.columns[0], &self.columns[self.filled]);
        if first.rows == last.rows {
            return Ok(());
        }
        let (expected, found) = (format!("{} rows", first.rows), format!("{} rows", last.rows));
        let sentence =
            format!("column `{}` has {found}, column `{}` has {expected}", last.name, first.name);
        let misfit = Misfit::new(MisfitKind::WrongShape, sentence).column(&last.name);
        Err(misfit.expected(expected, found))
    }

    /// A fault in the present row of the column that is being read.
    fn row_misfit(&self, fault: Fault) -> Misfit {
        let Filling { name, rows, element, .. } = &self.columns[self.filled];
        let place = Place { row: Some(*rows), column: Some(name), element: Some(*element) };
        fault.into_misfit(self.cursor.text, place)
    }

    /// A fault in a column as a whole, or between columns.
    fn misfit(&self, fault: Fault, column: Option<&str>) -> Misfit {
        let place = Place { row: None, column, element: None };
        fault.into_misfit(self.cursor.text, place)
    }
}

#[cfg(test)]
mod tests;
