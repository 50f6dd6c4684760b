//! Columns that no model takes and a split looks at: found in the first row, which gives their types.

use super::column::Filling;
use super::cursor::Cursor;
use super::fault::{Fault, Place};
use super::{open_object, read_name};
use crate::codec::limits::COLUMNS_MAX;
use crate::tensor::{ElementType, Misfit};

/// The companions in the object at the cursor, which is that of `row` if of any. What is no
/// single value of a type that we have is passed over, as every other column is.
pub(super) fn find(
    mut cursor: Cursor<'_>,
    companions: &[String],
    row: Option<usize>,
) -> Result<Vec<Filling>, Misfit> {
    let text = cursor.text;
    let misfit = |fault: Fault| fault.into_misfit(text, Place { row, column: None, element: None });
    let mut found: Vec<Filling> = Vec::new();
    let mut more = open_object(&mut cursor).map_err(misfit)?;
    let mut members = 0;
    while more && members < COLUMNS_MAX {
        members += 1;
        let name = read_name(&mut cursor).map_err(misfit)?;
        let is_new = found.iter().all(|column| column.name != name);
        if companions.iter().any(|companion| *companion == name)
            && is_new
            && let Some(element) = element(cursor.clone(), row)
        {
            found.push(Filling::new(name.into_owned(), element));
        }
        let next = cursor.skip_value(0).and_then(|()| cursor.goes_on(b'}', "`,` or `}`"));
        more = next.map_err(misfit)?;
    }
    Ok(found)
}

/// The type of the value at the cursor; of the first in a list where columns are lists.
fn element(mut cursor: Cursor<'_>, row: Option<usize>) -> Option<ElementType> {
    if row.is_none() {
        (cursor.peek_token() == Some(b'[')).then_some(())?;
        cursor.at += 1;
    }
    match cursor.peek_token()? {
        b'"' => Some(ElementType::String),
        b't' | b'f' => Some(ElementType::Bool),
        b'-' | b'0'..=b'9' => {
            let rest = &cursor.text[cursor.at..];
            let number = rest.split([',', '}', ']', ' ', '\t', '\r', '\n']).next()?;
            let whole = !number.contains(['.', 'e', 'E']);
            Some(if whole { ElementType::I64 } else { ElementType::F64 })
        }
        _ => None,
    }
}
