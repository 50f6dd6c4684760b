//! What is wrong with the data of a request, and where: the part of an error that a client can act on.

use std::fmt;

/// The kind of a misfit: a stable code for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MisfitKind {
    /// A column that the model needs is not there.
    MissingColumn,
    /// There is no row at all.
    NoRows,
    /// NaN or an infinity where the format has none.
    NotANumber,
    /// A value is missing.
    Null,
    /// More rows, columns or values than the limit.
    OverLimit,
    /// The bytes are not of the format that `Content-Type` names.
    Unreadable,
    /// A value that the model's type cannot hold unchanged.
    ValueRange,
    /// Not the number of values, or not the nesting, that the model takes.
    WrongShape,
    /// Not the type of value that the model takes.
    WrongType,
}

impl MisfitKind {
    /// The code as it stands in an answer's body.
    pub fn code(self) -> &'static str {
        match self {
            MisfitKind::MissingColumn => "missing_column",
            MisfitKind::NoRows => "no_rows",
            MisfitKind::NotANumber => "not_a_number",
            MisfitKind::Null => "null_value",
            MisfitKind::OverLimit => "over_limit",
            MisfitKind::Unreadable => "unreadable",
            MisfitKind::ValueRange => "value_range",
            MisfitKind::WrongShape => "wrong_shape",
            MisfitKind::WrongType => "wrong_type",
        }
    }
}

/// A fault in a client's data. Displays as one sentence; the places are there for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What sort of fault.
    pub kind: MisfitKind,
    /// What is wrong and what to do, for a person.
    pub sentence: String,
    /// The column at fault.
    pub column: Option<String>,
    /// The row at fault, the first row being 0.
    pub row: Option<usize>,
    /// What would have been right.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
}

impl Misfit {
    /// A misfit with a sentence and no place.
    pub fn new(kind: MisfitKind, sentence: impl Into<String>) -> Misfit {
        let sentence = sentence.into();
        Misfit { kind, sentence, column: None, row: None, expected: None, found: None }
    }

    /// Names the column.
    pub fn column(mut self, name: impl Into<String>) -> Misfit {
        self.column = Some(name.into());
        self
    }

    /// Names the row, the first being 0.
    pub fn row(mut self, row: usize) -> Misfit {
        self.row = Some(row);
        self
    }

    /// Says what was expected and what was found.
    pub fn expected(mut self, expected: impl Into<String>, found: impl Into<String>) -> Misfit {
        self.expected = Some(expected.into());
        self.found = Some(found.into());
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Misfit {}
