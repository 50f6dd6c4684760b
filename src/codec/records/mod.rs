//! JSON read straight into tensors' own types: pandas-records, `[{"column": value, …}, …]`, and the
//! original's older object of columns, `{"column": [value, …], …}`.

mod cell;
mod column;
mod companion;
mod cursor;
mod decimal;
mod fault;
mod object;
mod rows;
#[cfg(test)]
mod tests;
pub(super) mod values;

use super::decoded::{Decoded, Held, Values};
use super::limits::{COLUMNS_MAX, NAME_BYTES_MAX};
use super::wanted;
use crate::tensor::{Misfit, MisfitKind, Port};
use column::Filling;
use cursor::Cursor;
use fault::{Fault, Place, What};
use std::borrow::Cow;

/// The form of a body, as errors show it.
const FORM: &str = "a list of rows, `[{\"column\": [1.0, 2.0]}, …]`";

/// What was read of a body.
struct Filled<'t> {
    /// Behind the outermost list or object.
    cursor: Cursor<'t>,
    /// In the client's order, all with as many rows.
    columns: Vec<Filling>,
    rows: usize,
}

/// Reads a body of JSON in either form.
pub(super) fn decode(
    body: &[u8],
    inputs: &[Port],
    companions: &[String],
) -> Result<Decoded, Misfit> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let sentence = format!("the body is not JSON: byte {at} is not UTF-8");
        Misfit::new(MisfitKind::Unreadable, sentence)
    })?;
    let mut cursor = Cursor::new(text);
    // RFC 8259, section 8.1, lets a reader pass a byte order mark, which some tools write.
    cursor.take_word("\u{feff}");
    let (filled, empty) = match cursor.peek_token() {
        None => return Err(no_rows("the body is empty")),
        Some(b'[') => (rows::read(cursor, inputs, companions)?, "the list of rows is empty"),
        Some(b'{') => (object::read(cursor, inputs, companions)?, "the columns have no rows"),
        Some(_) => return Err(fault::unreadable(text, cursor.at, FORM)),
    };
    let mut cursor = filled.cursor;
    if cursor.peek_token().is_some() {
        return Err(fault::unreadable(text, cursor.at, "the end of the body"));
    }
    if filled.rows == 0 {
        return Err(no_rows(empty));
    }
    let held = filled.columns.into_iter().map(|filling| {
        let name = filling.name.clone();
        let (row_shape, data) = filling.finish();
        Held { name, row_shape, values: Values::Owned(data) }
    });
    Decoded::new(filled.rows, held.collect())
}

fn no_rows(why: &str) -> Misfit {
    Misfit::new(MisfitKind::NoRows, format!("{why}: send {FORM}"))
}

/// The columns to read from the object at the cursor, which is that of `row` if of any: one for
/// each input, under the client's name for it, and one for each companion that is there.
fn columns_of(
    cursor: &Cursor<'_>,
    inputs: &[Port],
    companions: &[String],
    row: Option<usize>,
) -> Result<Vec<Filling>, Misfit> {
    let mut columns = input_columns(cursor, inputs, row)?;
    if !companions.is_empty() {
        let found = companion::find(cursor.clone(), companions, row)?;
        let is_new = |name: &str| columns.iter().all(|column| column.name != name);
        let new: Vec<Filling> =
            found.into_iter().filter(|companion| is_new(&companion.name)).collect();
        columns.extend(new);
    }
    Ok(columns)
}

/// One column for each input.
///
/// Only a model with one input needs a look at the data, since any single column is its own; the
/// look ends at the column of the input's name, which most often is the first.
fn input_columns(
    cursor: &Cursor<'_>,
    inputs: &[Port],
    row: Option<usize>,
) -> Result<Vec<Filling>, Misfit> {
    let [only] = inputs else {
        let filling = |port: &Port| Filling::new(port.name.clone(), port.element);
        return Ok(inputs.iter().map(filling).collect());
    };
    let mut ahead = cursor.clone();
    let names = names_up_to(&mut ahead, row, &only.name)?;
    let names: Vec<&str> = names.iter().map(Cow::as_ref).collect();
    let chosen = wanted::choose(&names, inputs).map_err(|misfit| Misfit { row, ..misfit })?;
    let filling = |index: usize| Filling::new(names[index].to_owned(), only.element);
    Ok(chosen.into_iter().map(filling).collect())
}

/// The distinct names of the object that begins at the cursor, up to and with `last`.
fn names_up_to<'t>(
    cursor: &mut Cursor<'t>,
    row: Option<usize>,
    last: &str,
) -> Result<Vec<Cow<'t, str>>, Misfit> {
    let text = cursor.text;
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let misfit = |fault: Fault, column: Option<&str>| {
        fault.into_misfit(text, Place { row, column, element: None })
    };
    let mut more = open_object(cursor).map_err(|fault| misfit(fault, None))?;
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

/// The misfit of an object, which is that of `row` if of any, that lacks a column: it is read
/// once more for its names.
fn lacking(mut start: Cursor<'_>, inputs: &[Port], row: Option<usize>, column: &str) -> Misfit {
    match names_up_to(&mut start, row, column) {
        Ok(names) => {
            let names: Vec<&str> = names.iter().map(Cow::as_ref).collect();
            let misfit = wanted::missing(column, &names, inputs);
            let Some(row) = row else { return misfit };
            let sentence = format!("row {row}: {}", misfit.sentence);
            Misfit { sentence, ..misfit }.row(row)
        }
        Err(misfit) => misfit,
    }
}

/// Passes an object's `{`; whether anything is in it.
fn open_object(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
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
