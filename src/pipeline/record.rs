//! The inference record: all that is said about one request after its pipeline ran.

use super::{Finding, ModelKey};
use crate::tensor::NamedTensor;

/// The result of one request, for as many rows as it had. Field names and meaning are those of
/// the contract's inference answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// What each validation found in each row.
    pub findings: Vec<Finding>,
    /// The model that each row went to, where the last model was chosen row by row.
    pub chosen: Option<Vec<ModelKey>>,
    /// Nanoseconds: the first for reading the input, then one for each step.
    pub elapsed_ns: Vec<u64>,
    /// The name of the last model that ran.
    pub model_name: String,
    /// Its version, a UUID.
    pub model_version: String,
    /// The sha256 of its file, as 64 lower-case hexadecimal digits.
    pub model_sha: String,
    /// The last step's outputs, in the model's order.
    pub outputs: Vec<NamedTensor<'a>>,
    /// What the challengers gave, each under its name; one that failed is not here.
    pub shadows: Vec<ShadowOutputs<'a>>,
    /// The pipeline's name.
    pub pipeline_name: String,
    /// The pipeline's version, a UUID; empty when the artifact does not tell it.
    pub pipeline_version: String,
    /// When the request was read: milliseconds since the Unix epoch by the device's clock.
    pub time_ms: u64,
}

/// What a challenger gave beside the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowOutputs<'a> {
    /// The challenger's name.
    pub model_name: String,
    /// Its outputs, in its order.
    pub outputs: Vec<NamedTensor<'a>>,
}
