//! A list of rows, `[{"column": value, …}, …]`: each row's values onto the ends of their columns.

use super::column::Filling;
use super::cursor::Cursor;
use super::fault::{Fault, Place, What};
use super::{Filled, columns_of, lacking, open_object, read_name};
use crate::codec::limits::{COLUMNS_MAX, ROWS_MAX, VALUES_MAX};
use crate::tensor::{ElementType, Misfit, Port};

/// Reads the list that begins at the cursor.
pub(super) fn read<'t>(
    mut cursor: Cursor<'t>,
    inputs: &[Port],
    companions: &[String],
) -> Result<Filled<'t>, Misfit> {
    cursor.at += 1;
    if cursor.take(b']') {
        return Ok(Filled { cursor, columns: Vec::new(), rows: 0 });
    }
    let columns = columns_of(&cursor, inputs, companions, Some(0))?;
    let mut table = Reading { cursor, inputs, columns, rows: 0, values: 0 };
    table.read_rows()?;
    Ok(Filled { cursor: table.cursor, columns: table.columns, rows: table.rows })
}

/// A table that is being read.
struct Reading<'t, 'i> {
    cursor: Cursor<'t>,
    inputs: &'i [Port],
    /// In the order of the model's inputs until the first row has been read, then in the row's.
    columns: Vec<Filling>,
    /// Rows read to their end.
    rows: usize,
    /// Values of all columns up to here.
    values: usize,
}

impl Reading<'_, '_> {
    /// Reads from the first row's `{` to the list's `]`.
    fn read_rows(&mut self) -> Result<(), Misfit> {
        let first = self.cursor.at;
        loop {
            if self.rows == ROWS_MAX {
                return Err(self.misfit(self.cursor.fault(What::ManyRows), None));
            }
            self.read_row()?;
            self.rows += 1;
            if self.rows == 1 {
                self.reserve(self.cursor.at - first);
            }
            let more = self.cursor.goes_on(b']', "`,` or `]`");
            if !more.map_err(|fault| self.misfit(fault, None))? {
                return Ok(());
            }
        }
    }

    /// Makes room for the rows that the rest of the text has if they are as long as the first.
    fn reserve(&mut self, row_bytes: usize) {
        let rest = self.cursor.text.len() - self.cursor.at;
        let rows = (rest / row_bytes.max(1)).min(ROWS_MAX);
        let rows = rows.min(VALUES_MAX / self.values.max(1));
        for column in &mut self.columns {
            column.reserve_rows(rows);
        }
    }

    fn read_row(&mut self) -> Result<(), Misfit> {
        self.cursor.peek_token();
        let start = self.cursor.clone();
        let mut members = 0;
        let mut filled = 0;
        let mut more = open_object(&mut self.cursor).map_err(|fault| self.misfit(fault, None))?;
        while more {
            members += 1;
            if COLUMNS_MAX < members {
                return Err(self.misfit(self.cursor.fault(What::ManyColumns), None));
            }
            let at = self.cursor.clone();
            let name = read_name(&mut self.cursor).map_err(|fault| self.misfit(fault, None))?;
            match self.column_named(&name, filled) {
                Some(index) => {
                    self.read_value(index, &at)?;
                    filled += 1;
                }
                None => {
                    self.cursor.skip_value(0).map_err(|fault| self.misfit_in(fault, &name, None))?
                }
            }
            let next = self.cursor.goes_on(b'}', "`,` or `}`");
            more = next.map_err(|fault| self.misfit(fault, None))?;
        }
        if filled < self.columns.len() { Err(self.missing(start)) } else { Ok(()) }
    }

    /// The wanted column of this name. Rows name their columns in the same order, so the one
    /// after the last filled is looked at first; the first row sets that order.
    fn column_named(&mut self, name: &str, filled: usize) -> Option<usize> {
        if self.columns.get(filled).is_some_and(|column| column.name == name) {
            return Some(filled);
        }
        let index = self.columns.iter().position(|column| column.name == name)?;
        if self.rows == 0 && filled < index {
            self.columns.swap(filled, index);
            return Some(filled);
        }
        Some(index)
    }

    fn read_value(&mut self, index: usize, name_at: &Cursor<'_>) -> Result<(), Misfit> {
        let room = VALUES_MAX.saturating_sub(self.values);
        let column = &mut self.columns[index];
        if self.rows < column.rows {
            return Err(self.misfit(name_at.fault(What::Twice), Some(index)));
        }
        let before = column.len();
        match column.read(&mut self.cursor, room) {
            Ok(Ok(())) => {
                self.values += column.len() - before;
                Ok(())
            }
            Ok(Err(unlike)) => Err(unlike.misfit(&column.name, self.rows)),
            Err(fault) => Err(self.misfit(fault, Some(index))),
        }
    }

    /// A fault, in the wanted column of this index if in one at all.
    fn misfit(&self, fault: Fault, index: Option<usize>) -> Misfit {
        let column = index.map(|index| &self.columns[index]);
        let element = column.map(|column| column.element);
        let column = column.map(|column| column.name.as_str());
        fault.into_misfit(self.cursor.text, Place { row: Some(self.rows), column, element })
    }

    fn misfit_in(&self, fault: Fault, column: &str, element: Option<ElementType>) -> Misfit {
        let place = Place { row: Some(self.rows), column: Some(column), element };
        fault.into_misfit(self.cursor.text, place)
    }

    /// The misfit of a row that lacks a column.
    fn missing(&self, start: Cursor<'_>) -> Misfit {
        let column = self.columns.iter().find(|column| column.rows <= self.rows);
        let column = column.map_or("", |column| column.name.as_str());
        lacking(start, self.inputs, Some(self.rows), column)
    }
}
