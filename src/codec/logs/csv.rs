//! Rows as CSV (RFC 4180): lists as JSON in one cell, what is not there as an empty one.

use super::LogsError;
use crate::codec::rows::write_stored;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::Schema;
use std::io::Write;

/// The names of the columns.
pub(super) fn head(out: &mut impl Write, schema: &Schema) -> Result<(), LogsError> {
    for (at, field) in schema.fields().iter().enumerate() {
        if 0 < at {
            out.write_all(b",")?;
        }
        cell(out, field.name())?;
    }
    Ok(out.write_all(b"\r\n")?)
}

/// A line for each row.
pub(super) fn rows(out: &mut impl Write, columns: &[ArrayRef]) -> Result<(), LogsError> {
    let rows = columns.first().map_or(0, |column| column.len());
    let mut text = Vec::new();
    for row in 0..rows {
        for (at, column) in columns.iter().enumerate() {
            if 0 < at {
                out.write_all(b",")?;
            }
            if column.is_null(row) {
                continue;
            }
            if let Some(texts) = column.as_string_opt::<i32>() {
                cell(out, texts.value(row))?;
                continue;
            }
            text.clear();
            write_stored(&mut text, column, row);
            match text.as_slice() {
                // JSON has no other word for NaN and infinities.
                b"null" => {}
                _ => cell(out, &String::from_utf8_lossy(&text))?,
            }
        }
        out.write_all(b"\r\n")?;
    }
    Ok(())
}

/// A text, in quotes where it has to be, and where a spreadsheet would take it for a formula or its
/// emptiness for nothing at all.
fn cell(out: &mut impl Write, text: &str) -> Result<(), LogsError> {
    let needs = text.is_empty() || text.contains(['"', ',', '\r', '\n', ' ']);
    if !needs {
        return Ok(out.write_all(text.as_bytes())?);
    }
    Ok(write!(out, "\"{}\"", text.replace('"', "\"\""))?)
}
