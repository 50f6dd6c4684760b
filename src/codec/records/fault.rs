//! What can be wrong at one place of a JSON text, and the sentence that it becomes.

use crate::codec::limits::{COLUMNS_MAX, NAME_BYTES_MAX, NESTING_MAX, ROWS_MAX, VALUES_MAX};
use crate::tensor::{ElementType, Misfit, MisfitKind};
use std::fmt;

/// Characters of the text that an error repeats: a number or the start of a string.
const ECHO_CHARS_MAX: usize = 40;

/// A fault and the byte where it is; small, since each value's reading may return it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: What,
    pub(super) at: usize,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Not JSON: what would have been.
    Syntax(&'static str),
    /// The text ends here.
    Cut,
    /// Lists and objects deeper than any value we read or pass over.
    TooDeep,
    /// A name longer than the limit.
    LongName,
    /// More columns in a row than the limit.
    ManyColumns,
    /// More rows than the limit.
    ManyRows,
    /// More values than the limit.
    ManyValues,
    /// `null` where a value is wanted.
    Null,
    /// `NaN`, `Infinity` or `-Infinity`.
    NotANumber,
    /// A value of another type.
    WrongType,
    /// A value that the type cannot hold.
    OutOfRange,
    /// Lists of differing length or depth within one value.
    Ragged,
    /// A second value for the column in the same row.
    Twice,
    /// A string that is not base64, where bytes are wanted.
    NotBase64,
    /// A single value where the list of a column's rows belongs.
    NotAColumn,
}

/// Where in the table a fault was met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// None where a column or the table is at fault as a whole.
    pub(super) row: Option<usize>,
    pub(super) column: Option<&'a str>,
    /// The type of the model's input, where the column is wanted.
    pub(super) element: Option<ElementType>,
}

impl Fault {
    pub(super) fn new(what: What, at: usize) -> Fault {
        Fault { what, at }
    }

    /// The misfit that a client is told.
    pub(super) fn into_misfit(self, text: &str, place: Place<'_>) -> Misfit {
        use MisfitKind::{NotANumber, Null, OverLimit, Unreadable, ValueRange};
        use MisfitKind::{WrongShape, WrongType};
        let taken = place.taken();
        let found = token_at(text, self.at);
        match self.what {
            What::Syntax(expected) => unreadable(text, self.at, expected),
            What::Cut => cut(text, self.at),
            What::TooDeep => {
                let most = NESTING_MAX;
                place.misfit(OverLimit, format!("{place}: the lists go too deep; at most {most}"))
            }
            What::LongName => place.misfit(
                OverLimit,
                format!("{place} has a column whose name is over {NAME_BYTES_MAX} bytes long"),
            ),
            What::ManyColumns => {
                place.misfit(OverLimit, format!("{place} has more than {COLUMNS_MAX} columns"))
            }
            What::ManyRows => {
                place.misfit(OverLimit, format!("there are more than {ROWS_MAX} rows"))
            }
            What::ManyValues => place.misfit(
                OverLimit,
                format!("there are more than {VALUES_MAX} values up to {place}"),
            ),
            What::Null => place
                .misfit(Null, format!("tensor values may not be null: {place} has a null"))
                .expected(taken, "null"),
            What::NotANumber => place
                .misfit(
                    NotANumber,
                    format!("{place} has {found}, which JSON does not have: send the rows as Arrow if it is meant"),
                )
                .expected("a finite number", found),
            What::WrongType => {
                let found = kind_at(text, self.at);
                place
                    .misfit(WrongType, format!("{place} has {found}, the model takes {taken}"))
                    .expected(taken, found)
            }
            What::OutOfRange => place
                .misfit(
                    ValueRange,
                    format!("{place} has {found}, which {taken} cannot hold unchanged"),
                )
                .expected(taken, found),
            What::Ragged => place.misfit(
                WrongShape,
                format!("{place}: the lists within the value differ in length or depth"),
            ),
            What::NotBase64 => place
                .misfit(WrongType, format!("{place} has a string that is not base64"))
                .expected("base64", found),
            What::NotAColumn => {
                let found = kind_at(text, self.at);
                let expected = "a list with one value for each row";
                place
                    .misfit(WrongShape, format!("{place} has {found}, not {expected}"))
                    .expected(expected, found)
            }
            What::Twice => place.misfit(Unreadable, format!("{place} is given twice")),
        }
    }
}

impl Place<'_> {
    fn misfit(self, kind: MisfitKind, sentence: String) -> Misfit {
        let column = self.column.map(str::to_owned);
        Misfit { row: self.row, column, ..Misfit::new(kind, sentence) }
    }

    /// What the model takes here.
    fn taken(self) -> &'static str {
        match self.element {
            Some(element) => element.onnx_name(),
            None => "a value",
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.column, self.row) {
            (Some(column), Some(row)) => write!(f, "column `{}`, row {row}", shortened(column)),
            (Some(column), None) => write!(f, "column `{}`", shortened(column)),
            (None, Some(row)) => write!(f, "row {row}"),
            (None, None) => f.write_str("the object"),
        }
    }
}

/// Says where the text stops being JSON.
pub(super) fn unreadable(text: &str, at: usize, expected: &str) -> Misfit {
    let (line, column) = line_and_column(text, at);
    let found = match text[at..].chars().next() {
        Some(character) => format!("{character:?}"),
        None => "the end".to_owned(),
    };
    let sentence = format!(
        "the body is not JSON at line {line}, column {column}: expected {expected}, found {found}"
    );
    Misfit::new(MisfitKind::Unreadable, sentence).expected(expected, found)
}

fn cut(text: &str, at: usize) -> Misfit {
    let (line, column) = line_and_column(text, at);
    let sentence = format!(
        "the body is not JSON: it ends at line {line}, column {column}, in the middle of a value"
    );
    Misfit::new(MisfitKind::Unreadable, sentence)
}

/// Line and column of a byte, counted from 1, the column in characters as editors count.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    (line, 1 + before[line_start..].chars().count())
}

/// The token that begins at a byte, cut to a length for a sentence.
fn token_at(text: &str, at: usize) -> String {
    let ends = |character: char| matches!(character, ',' | ']' | '}') || character.is_whitespace();
    let token = text[at..].split(ends).next().unwrap_or_default();
    shortened(token)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(ECHO_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The sort of value that begins at a byte.
fn kind_at(text: &str, at: usize) -> &'static str {
    match text.as_bytes().get(at) {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(_) | None => "a number",
    }
}
