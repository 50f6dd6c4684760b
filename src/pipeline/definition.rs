//! The pipeline definition: which models run in which order, as it travels in a publish's config blob.

use super::wire;
use crate::oci::Digest;
use crate::tensor::Port;

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
    /// When the author says it was made, RFC 3339.
    pub created: Option<String>,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Rows go through a model. The first key is the model whose outputs count.
    ModelInference(Vec<ModelKey>),
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
        "step {index} of the pipeline is a `{kind}`, which this version does not run; it runs \
         `ModelInference`"
    )]
    UnknownStep {
        /// The first step is 1.
        index: usize,
        /// The kind as written.
        kind: String,
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
        for step in &definition.steps {
            let Step::ModelInference(keys) = step;
            count("the number of models in a step", keys.len(), MODELS_MAX)?;
        }
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
mod tests {
    use super::*;

    /// The form that the original's publisher writes, with an unknown key as later ones have.
    const ORIGINAL: &str = r#"{"id": "edge-observability-pipeline",
        "steps": [{"ModelInference": {"models": [{"name": "ccfraud-xgboost",
            "version": "05bbce2f-a258-403c-9262-43f4e8816843",
            "sha": "054810e3e3ebbdd34438d9c1a08ed6a6680ef10bf97b9223f78ebf38e14b3b52"}]}}],
        "models": [{"name":"ccfraud-xgboost","version":"05bbce2f-a258-403c-9262-43f4e8816843",
            "sha":"054810e3e3ebbdd34438d9c1a08ed6a6680ef10bf97b9223f78ebf38e14b3b52",
            "runtime":"onnx","tensor_fields":["tensor"],"filter_threshold":null}]}"#;

    #[test]
    fn the_originals_definition_is_read() {
        let definition = Definition::parse(ORIGINAL.as_bytes()).unwrap();
        assert_eq!(definition.name, "edge-observability-pipeline");
        let Step::ModelInference(keys) = &definition.steps[0];
        let entry = definition.model(&keys[0]).unwrap();
        assert_eq!(entry.tensor_fields, ["tensor"]);
        assert_eq!(definition.version, "");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut definition = Definition::parse(ORIGINAL.as_bytes()).unwrap();
        definition.version = "bf70eaf7-8c11-4b46-b751-916a43b1a555".into();
        definition.created = Some("2026-11-23T00:00:00Z".into());
        definition.inputs = vec![Port {
            name: "tensor".into(),
            element: crate::tensor::ElementType::F32,
            dimensions: vec![
                crate::tensor::Dimension::Free("batch".into()),
                crate::tensor::Dimension::Fixed(29),
            ],
        }];
        assert_eq!(Definition::parse(&definition.to_json()).unwrap(), definition);
    }

    #[test]
    fn a_definition_out_of_bounds_says_which_part() {
        let sha = "0".repeat(64);
        let model = format!(r#"{{"name":"m","version":"v","sha":"{sha}","runtime":"onnx"}}"#);
        let step = format!(r#"{{"ModelInference":{{"models":[{model}]}}}}"#);
        let cases = [
            (format!(r#"{{"id":"","steps":[{step}],"models":[{model}]}}"#), "the name"),
            (format!(r#"{{"id":"p","steps":[],"models":[{model}]}}"#), "the number of steps"),
            (
                format!(r#"{{"id":"p","steps":[{{"MultiOut":{{}}}}],"models":[{model}]}}"#),
                "step 1 of the pipeline is a `MultiOut`",
            ),
            ("[]".to_owned(), "no pipeline definition"),
        ];
        for (text, part) in cases {
            let error = Definition::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
