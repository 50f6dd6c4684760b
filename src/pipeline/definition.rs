//! The pipeline definition: which models run in which order, as it travels in a publish's config blob.

use super::{KnownAnswers, LogPolicy, RESERVED_NAME, Step, VALIDATIONS_MAX, wire};
use crate::oci::Digest;
use crate::tensor::Port;
use std::collections::BTreeMap;

/// Steps of one pipeline. The original's largest published pipelines have under ten.
pub const STEPS_MAX: usize = 64;

/// Models of one pipeline, all steps together.
pub const MODELS_MAX: usize = 64;

/// Characters of a name or version.
pub const NAME_CHARS_MAX: usize = 255;

/// What a published pipeline is.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The pipeline's name: the `id` of the config blob and the last part of the inference URL.
    pub name: String,
    /// The pipeline's version, a UUID; empty in artifacts that do not tell it.
    pub version: String,
    /// What happens in turn; never empty.
    pub steps: Vec<Step>,
    /// Each model that a step names, once.
    pub models: Vec<ModelEntry>,
    /// What the first step takes; empty in artifacts that do not tell it.
    pub inputs: Vec<Port>,
    /// What the last step gives; empty in artifacts that do not tell it.
    pub outputs: Vec<Port>,
    /// Rows whose outputs a device must give, too.
    pub known_answers: Option<KnownAnswers>,
    /// What of its inferences is kept.
    pub log: LogPolicy,
    /// When the author says it was made, RFC 3339.
    pub created: Option<String>,
}

/// A model version, as a step names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelKey {
    /// The model's name.
    pub name: String,
    /// The model's version, a UUID.
    pub version: String,
    /// The sha256 of the model's file, which is its layer's digest.
    pub sha: Digest,
}

/// A model version with what the engine has to know to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// Name, version and file.
    pub key: ModelKey,
    /// What runs it: `onnx`.
    pub runtime: String,
    /// The columns for the model's inputs, by position; empty when the inputs' own names hold.
    pub tensor_fields: Vec<String>,
}

/// The one runtime of this engine, as artifacts name it.
pub const RUNTIME_ONNX: &str = "onnx";

/// The annotation that tells what the file of a layer is.
pub const FILE_TYPE: &str = "wallaroo_file_type";

/// An ONNX file.
pub const FILE_TYPE_MODEL: &str = "model";

/// A file beside the ONNX file of the model that the layer's annotations name, with weights of it.
pub const FILE_TYPE_SIDE: &str = "external_data";

/// The files beside a model's own, by the locations that it names.
pub type SideFiles = BTreeMap<String, Digest>;

/// Why a config blob is no pipeline definition that can run.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// Not JSON, or not of the form.
    #[error("the config of the artifact is no pipeline definition")]
    NotADefinition(#[source] serde_json::Error),
    /// A part is empty, too long, or there are too many.
    #[error("{what} of the pipeline definition is {found}; expected {expected}")]
    OutOfBounds {
        /// The part: `the number of steps`.
        what: &'static str,
        /// How it is.
        found: String,
        /// How it should be.
        expected: String,
    },
    /// A step of a kind that this version does not run.
    #[error(
        "step {index} of the pipeline is a `{kind}`, which this engine does not run; it runs {}",
        Step::KINDS
    )]
    UnknownStep {
        /// The first step is 1.
        index: usize,
        /// The kind as written.
        kind: String,
    },
    /// A step whose parts do not go together.
    #[error("step {index} of the pipeline, `{kind}`: {what}")]
    Step {
        /// The first step is 1.
        index: usize,
        /// The step's kind.
        kind: &'static str,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// Known answers that cannot be used.
    #[error("the known answers of the pipeline cannot be used: {0}")]
    KnownAnswers(String),
    /// A policy for the log that cannot be meant.
    #[error("the `log` of the pipeline cannot be followed: {0}")]
    Log(String),
    /// A validation that is not understood.
    #[error("a validation in step {index} of the pipeline cannot be read: {what}")]
    Validation {
        /// The first step is 1.
        index: usize,
        /// Which, and why.
        what: String,
    },
}

impl Definition {
    /// Reads a config blob: the original's `id`, `steps`, `models`, and our further keys.
    ///
    /// # Errors
    /// When it is not of that form, or a limit is passed.
    pub fn parse(bytes: &[u8]) -> Result<Definition, DefinitionError> {
        let definition = wire::read(bytes)?;
        let count = |what, found: usize, max: usize| {
            let expected = format!("1 to {max}");
            let error = DefinitionError::OutOfBounds { what, found: found.to_string(), expected };
            if (1..=max).contains(&found) { Ok(()) } else { Err(error) }
        };
        count("the number of steps", definition.steps.len(), STEPS_MAX)?;
        count("the number of models", definition.models.len(), MODELS_MAX)?;
        name("the name", &definition.name)?;
        for entry in &definition.models {
            name("a model's name", &entry.key.name)?;
            name("a model's version", &entry.key.version)?;
        }
        let mut names = Vec::new();
        for (index, step) in definition.steps.iter().enumerate() {
            let wrong = |what| DefinitionError::Step { index: index + 1, kind: step.kind(), what };
            check_step(step).map_err(wrong)?;
            if let Step::Check(validations) = step {
                names.extend(validations.iter().map(|validation| &validation.name));
                if VALIDATIONS_MAX < names.len() {
                    count("the number of validations", names.len(), VALIDATIONS_MAX)?;
                }
            }
        }
        for (index, text) in names.iter().enumerate() {
            name("a validation's name", text)?;
            if names[..index].contains(text) || *text == RESERVED_NAME {
                let (what, found) = ("a validation's name", format!("`{text}`"));
                let expected = format!("one that no other has, and not `{RESERVED_NAME}`");
                return Err(DefinitionError::OutOfBounds { what, found, expected });
            }
        }
        if let Some(known) = &definition.known_answers {
            known.check().map_err(DefinitionError::KnownAnswers)?;
        }
        definition.log.check().map_err(DefinitionError::Log)?;
        Ok(definition)
    }

    /// The config blob: compact JSON, the same bytes for the same definition.
    pub fn to_json(&self) -> Vec<u8> {
        wire::write(self)
    }

    /// The entry of the model that a step names.
    pub fn model(&self, key: &ModelKey) -> Option<&ModelEntry> {
        self.models.iter().find(|entry| entry.key == *key)
    }
}

/// Whether a step's parts go together; the sentence of what does not.
fn check_step(step: &Step) -> Result<(), String> {
    match step {
        Step::ModelInference(keys) if (1..=MODELS_MAX).contains(&keys.len()) => Ok(()),
        Step::ModelInference(keys) => {
            Err(format!("it names {} models; it takes 1 to {MODELS_MAX}", keys.len()))
        }
        Step::RandomSplit(split) => {
            if !(1..=MODELS_MAX).contains(&split.weights.len()) {
                let models = split.weights.len();
                return Err(format!("it names {models} models; it takes 1 to {MODELS_MAX}"));
            }
            let right = |weight: f64| weight.is_finite() && weight > 0.0;
            match split.weights.iter().find(|(_, weight)| !right(*weight)) {
                None => Ok(()),
                Some((key, weight)) => Err(format!(
                    "the weight of model `{}` is {weight}; it takes a number above 0",
                    key.name
                )),
            }
        }
        Step::KeySplit(split) if split.split_key.is_empty() => {
            Err("it names no column that splits".to_owned())
        }
        Step::KeySplit(split) if MODELS_MAX <= split.routes.len() => {
            Err(format!("it has {} routes; it takes up to {}", split.routes.len(), MODELS_MAX - 1))
        }
        Step::ColumnsSelect(columns) if columns.is_empty() => {
            Err("it selects no column".to_owned())
        }
        Step::AuditResults { from, to: Some(to) } if to < from => {
            Err(format!("it goes from {from} to {to}, which is before"))
        }
        Step::KeySplit(_)
        | Step::Check(_)
        | Step::AuditResults { .. }
        | Step::MultiOut
        | Step::Nth(_)
        | Step::ColumnsSelect(_) => Ok(()),
    }
}

fn name(what: &'static str, text: &str) -> Result<(), DefinitionError> {
    let chars = text.chars().count();
    let expected = format!("1 to {NAME_CHARS_MAX} characters without control characters");
    let found = match chars {
        0 => "empty".to_owned(),
        chars if chars > NAME_CHARS_MAX => format!("{chars} characters long"),
        _ if text.chars().any(char::is_control) => "a text with control characters".to_owned(),
        _ => return Ok(()),
    };
    Err(DefinitionError::OutOfBounds { what, found, expected })
}

#[cfg(test)]
mod tests;
