//! Validations: named expressions over inputs and outputs, and what they find in each row.
//!
//! A person writes `out.dense_1[0] < 0.9`; the original stores trees, of two generations. All of
//! them become the same [`Expression`], which is held against the pipeline's ports once, and
//! evaluated for all rows of a request at a time.

mod binop;
mod check;
mod evaluate;
mod expression;
mod parse;
mod polars;
mod token;

pub use check::{Ports, Unfit};
pub use evaluate::Finding;
pub use expression::{Expression, Side};
pub use parse::SyntaxError;

/// Bytes of one expression as a person writes it: a page of text.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

/// How deep an expression may nest: no person writes more, and a thread's stack bears it.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// Validations of one pipeline: each is evaluated for each row.
pub const VALIDATIONS_MAX: usize = 64;

/// The one name that no validation may have: the answer's count stands under it.
pub const RESERVED_NAME: &str = "count";

/// What a validation's result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// What the expression says must hold: a row where it does not is a failure. The sense of the
    /// original's first generation.
    MustHold,
    /// What the expression says is an anomaly where it holds. The sense of its second generation.
    FindsAnomaly,
}

/// A named expression that each row is held against.
///
/// A comparison with NaN, or with a value that is not there, is undecided, and so is what depends
/// on it: `false and undecided` is false all the same. An undecided validation counts as a
/// failure in either sense, since nothing was shown to be well.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// The name, unique in its pipeline.
    pub name: String,
    /// The expression as its author wrote it, or as we write the original's tree.
    pub text: String,
    /// What a result means.
    pub sense: Sense,
    /// What is evaluated.
    pub expression: Expression,
}

impl Validation {
    /// A validation that a person wrote.
    ///
    /// # Errors
    /// When the text is no expression: what, and at which byte.
    pub fn parse(name: &str, text: &str, sense: Sense) -> Result<Validation, SyntaxError> {
        let expression = parse::parse(text)?;
        Ok(Validation { name: name.to_owned(), text: text.trim().to_owned(), sense, expression })
    }

    /// The validations in one entry of the original's `Check` step: a tree as JSON text, of the
    /// first generation (`values` and `validations`) or the second (a serialised column
    /// expression under an alias).
    ///
    /// # Errors
    /// A sentence that names what of the tree is not understood.
    pub fn from_tree(json: &str) -> Result<Vec<Validation>, String> {
        let tree: serde_json::Value =
            serde_json::from_str(json).map_err(|error| format!("it is no JSON: {error}"))?;
        if tree.get("values").is_some() { binop::read(&tree) } else { polars::read(&tree) }
    }
}

#[cfg(test)]
mod tests;
