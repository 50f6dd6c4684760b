//! Bytes to tables and back: what clients send, and the answers they get; no other room knows an
//! outside format, or Arrow.

mod answer;
mod arrow;
mod base64;
mod decoded;
mod format;
pub mod journal;
mod limits;
mod literal;
#[cfg(feature = "ops")]
pub mod logs;
pub mod open_inference;
mod records;
mod rows;
#[cfg(test)]
mod tests;
mod wanted;

pub use answer::write_records;
pub use arrow::{write_arrow, write_rows_arrow};
pub use decoded::Decoded;
pub use format::{
    CONTENT_TYPE_ARROW_FILE, CONTENT_TYPE_ARROW_STREAM, CONTENT_TYPE_JSON, CONTENT_TYPE_RECORDS,
    InputFormat, OutputFormat, UnsupportedType,
};
pub use limits::{
    COLUMNS_MAX, DECOMPRESSED_BYTES_MAX, NAME_BYTES_MAX, NESTING_MAX, ROWS_MAX, TEXT_BYTES_MAX,
    VALUES_MAX,
};
pub use rows::{
    AnswerError, DATASET_PATHS_MAX, DATASET_QUERY_BYTES_MAX, Dataset, DatasetError, write_rows,
};

use crate::tensor::{Misfit, Port};
use arrow::Container;

/// Reads a request's body into the columns that the model's `inputs` take.
///
/// A column binds to the input of its name; a model with one input takes a table's only column
/// whatever its name. The columns named in `companions` come too where the body has them, in a
/// type of their own; others are passed over. JSON gets the element types of the inputs;
/// Arrow columns keep their own, borrowed from `body` where the layout allows. For a `uint8`
/// input, text is base64 and one of Arrow's byte strings is a row's values.
///
/// # Errors
/// A [`Misfit`] that names column and row where that applies. No body, however damaged, panics
/// out of here or makes more than a small multiple of its own size be allocated, but for what
/// compression, dictionaries and views stand for, within [`DECOMPRESSED_BYTES_MAX`] and
/// [`TEXT_BYTES_MAX`].
pub fn decode(
    format: InputFormat,
    body: Vec<u8>,
    inputs: &[Port],
    companions: &[String],
) -> Result<Decoded, Misfit> {
    match format {
        InputFormat::ArrowFile => arrow::decode(Container::File, body, inputs, companions),
        InputFormat::ArrowStream => arrow::decode(Container::Stream, body, inputs, companions),
        InputFormat::PandasRecords => records::decode(&body, inputs, companions),
    }
}
