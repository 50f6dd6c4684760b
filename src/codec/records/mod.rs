//! pandas-records, `[{"column": value, …}, …]`: read straight into tensors' own types.

mod cell;
mod column;
mod cursor;
mod fault;
#[cfg(test)]
mod tests;
pub(super) mod values;

use super::decoded::{Decoded, Held, Values};
use super::limits::{COLUMNS_MAX, NAME_BYTES_MAX, ROWS_MAX, VALUES_MAX};
use super::wanted;
use crate::tensor::{ElementType, Misfit, MisfitKind, Port};
use column::{Filling, Unlike};
use cursor::Cursor;
use fault::{Fault, Place, What};
use std::borrow::Cow;

/// The form of a body, as errors show it.
const FORM: &str = "a list of rows, `[{\"column\": [1.0, 2.0]}, …]`";

/// Reads a body of records.
pub(super) fn decode(body: &[u8], inputs: &[Port]) -> Result<Decoded, Misfit> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let sentence = format!("the body is not JSON: byte {at} is not UTF-8");
        Misfit::new(MisfitKind::Unreadable, sentence)
    })?;
    let mut cursor = Cursor::new(text);
    // RFC 8259, section 8.1, lets a reader pass a byte order mark, which some tools write.
    cursor.take_word("\u{feff}");
    match cursor.peek_token() {
        None => return Err(no_rows("the body is empty")),
        Some(b'[') => cursor.at += 1,
        Some(b'{') => return Err(not_a_list("an object")),
        Some(_) => return Err(fault::unreadable(text, cursor.at, FORM)),
    }
    if cursor.take(b']') {
        end_of_body(&mut cursor)?;
        return Err(no_rows("the list of rows is empty"));
    }
    let columns = columns_of_first_row(&cursor, inputs)?;
    let mut table = Reading { cursor, inputs, columns, rows: 0, values: 0 };
    table.read_rows()?;
    end_of_body(&mut table.cursor)?;
    let held = table.columns.into_iter().map(|filling| {
        let name = filling.name.clone();
        let (row_shape, data) = filling.finish();
        Held { name, row_shape, values: Values::Owned(data) }
    });
    Decoded::new(table.rows, held.collect())
}

fn no_rows(why: &str) -> Misfit {
    Misfit::new(MisfitKind::NoRows, format!("{why}: send {FORM}"))
}

fn not_a_list(found: &str) -> Misfit {
    let sentence = format!("the body is {found}, not {FORM}");
    Misfit::new(MisfitKind::Unreadable, sentence).expected(FORM, found)
}

fn end_of_body(cursor: &mut Cursor<'_>) -> Result<(), Misfit> {
    match cursor.peek_token() {
        None => Ok(()),
        Some(_) => Err(fault::unreadable(cursor.text, cursor.at, "the end of the body")),
    }
}

/// The columns to read: one for each input, under the client's name for it.
///
/// Only a model with one input needs a look at the data, since any single column is its own; the
/// look ends at the column of the input's name, which most often is the first.
fn columns_of_first_row(cursor: &Cursor<'_>, inputs: &[Port]) -> Result<Vec<Filling>, Misfit> {
    let filling = |name: &str, element: ElementType| Filling::new(name.to_owned(), element);
    let [only] = inputs else {
        return Ok(inputs.iter().map(|port| filling(&port.name, port.element)).collect());
    };
    let mut ahead = cursor.clone();
    let names = names_up_to(&mut ahead, 0, &only.name)?;
    let names: Vec<&str> = names.iter().map(Cow::as_ref).collect();
    let chosen = wanted::choose(&names, inputs).map_err(|misfit| misfit.row(0))?;
    Ok(chosen.into_iter().map(|index| filling(names[index], only.element)).collect())
}

/// The distinct names of the row that begins at the cursor, up to and with `last`.
fn names_up_to<'t>(
    cursor: &mut Cursor<'t>,
    row: usize,
    last: &str,
) -> Result<Vec<Cow<'t, str>>, Misfit> {
    let text = cursor.text;
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let misfit = |fault: Fault, column: Option<&str>| {
        fault.into_misfit(text, Place { row, column, element: None })
    };
    let mut more = open_row(cursor).map_err(|fault| misfit(fault, None))?;
    while more && names.len() <= COLUMNS_MAX {
        let name = read_name(cursor).map_err(|fault| misfit(fault, None))?;
        if !names.contains(&name) {
            names.push(name.clone());
        }
        if name == last {
            break;
        }
        let next = cursor.skip_value(0).and_then(|()| cursor.goes_on(b'}', "`,` or `}`"));
        more = next.map_err(|fault| misfit(fault, Some(&name)))?;
    }
    Ok(names)
}

/// Passes a row's `{`; whether anything is in it.
fn open_row(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
    cursor.expect(b'{', "a row, `{\"column\": …}`")?;
    Ok(!cursor.take(b'}'))
}

/// Passes a column's name and its colon.
fn read_name<'t>(cursor: &mut Cursor<'t>) -> Result<Cow<'t, str>, Fault> {
    cursor.peek_token();
    let at = cursor.at;
    let name = cursor.string()?;
    if NAME_BYTES_MAX < name.len() {
        return Err(Fault::new(What::LongName, at));
    }
    cursor.expect(b':', "`:`")?;
    Ok(name)
}

/// A table that is being read.
struct Reading<'t> {
    cursor: Cursor<'t>,
    inputs: &'t [Port],
    /// In the order of the model's inputs until the first row has been read, then in the row's.
    columns: Vec<Filling>,
    /// Rows read to their end.
    rows: usize,
    /// Values of all columns up to here.
    values: usize,
}

impl Reading<'_> {
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
        let mut more = open_row(&mut self.cursor).map_err(|fault| self.misfit(fault, None))?;
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
            Ok(Err(unlike)) => Err(self.unlike(index, unlike)),
            Err(fault) => Err(self.misfit(fault, Some(index))),
        }
    }

    /// A fault, in the wanted column of this index if in one at all.
    fn misfit(&self, fault: Fault, index: Option<usize>) -> Misfit {
        let column = index.map(|index| &self.columns[index]);
        let element = column.map(|column| column.element);
        let column = column.map(|column| column.name.as_str());
        fault.into_misfit(self.cursor.text, Place { row: self.rows, column, element })
    }

    fn misfit_in(&self, fault: Fault, column: &str, element: Option<ElementType>) -> Misfit {
        let place = Place { row: self.rows, column: Some(column), element };
        fault.into_misfit(self.cursor.text, place)
    }

    fn unlike(&self, index: usize, unlike: Unlike) -> Misfit {
        let (name, row) = (&self.columns[index].name, self.rows);
        let Unlike { expected, found } = unlike;
        let sentence = format!("column `{name}`, row {row} has {found}, the first row {expected}");
        Misfit::new(MisfitKind::WrongShape, sentence)
            .column(name)
            .row(row)
            .expected(expected, found)
    }

    /// The misfit of a row that lacks a column: the row is read once more for its names.
    fn missing(&self, mut start: Cursor<'_>) -> Misfit {
        let lacking = self.columns.iter().find(|column| column.rows <= self.rows);
        let lacking = lacking.map(|column| column.name.clone()).unwrap_or_default();
        match names_up_to(&mut start, self.rows, &lacking) {
            Ok(names) => {
                let names: Vec<&str> = names.iter().map(Cow::as_ref).collect();
                let mut misfit = wanted::missing(&lacking, &names, self.inputs).row(self.rows);
                misfit.sentence = format!("row {}: {}", self.rows, misfit.sentence);
                misfit
            }
            Err(misfit) => misfit,
        }
    }
}
