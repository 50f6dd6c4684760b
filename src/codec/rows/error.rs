//! Why an answer cannot be written row by row.

use super::dataset::DatasetError;
use arrow_schema::ArrowError;

/// Values, or bytes of text, that one column of an answer can have: Arrow's list offsets are
/// `i32`.
pub(in crate::codec) const COLUMN_MAX: usize = i32::MAX as usize;

/// A record that cannot be written row by row, as JSON or as an Arrow file.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The model gave an output that does not come in rows.
    #[error(
        "output `{output}` of shape {shape:?} cannot be divided among the {rows} rows of the \
         request; ask for the record of the whole request as `application/json`, or send one row \
         at a time"
    )]
    NotInRows {
        /// The output's name.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The rows of the request.
        rows: usize,
    },
    /// A column outgrows Arrow's offsets.
    #[error("column `{column}` has more than {COLUMN_MAX} values; send fewer rows at a time")]
    TooLarge {
        /// The column's name.
        column: String,
    },
    /// The parts that the client asks for are not there.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Arrow's writer refused what we made.
    #[error("the answer could not be written as an Arrow file")]
    Arrow(#[from] ArrowError),
}
