//! The config blob's JSON: the original's keys first, in its order, then ours.

use super::definition::{Definition, DefinitionError, ModelEntry, ModelKey};
use super::{KnownAnswers, LogPolicy};
use crate::oci::Digest;
use crate::tensor::{Dimension, ElementType, Port};
use serde::{Deserialize, Serialize};

mod steps;

#[derive(Serialize, Deserialize)]
struct DefinitionWire {
    id: String,
    steps: Vec<steps::StepWire>,
    #[serde(default)]
    models: Vec<ModelWire>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<PortWire>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<PortWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_answers: Option<KnownAnswers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<LogWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
}

/// A policy for the log. An engine that does not know a key of it must not keep what it may not:
/// it refuses the pipeline.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogWire {
    #[serde(default, skip_serializing_if = "is_zero")]
    sample: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    drop: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hash: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    salt: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
struct KeyWire {
    name: String,
    version: String,
    sha: Sha,
}

#[derive(Serialize, Deserialize)]
struct ModelWire {
    name: String,
    version: String,
    sha: Sha,
    #[serde(default = "onnx")]
    runtime: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor_fields: Option<Vec<String>>,
}

fn onnx() -> String {
    super::RUNTIME_ONNX.to_owned()
}

/// 64 hexadecimal digits, without the algorithm, as the original writes a model's `sha`.
struct Sha(Digest);

impl Serialize for Sha {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.hex())
    }
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Sha, D::Error> {
        let hex = String::deserialize(deserializer)?;
        format!("sha256:{hex}").parse().map(Sha).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct PortWire {
    name: String,
    #[serde(rename = "type")]
    element: String,
    shape: Vec<DimensionWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DimensionWire {
    Fixed(usize),
    Free(String),
}

pub(super) fn read(bytes: &[u8]) -> Result<Definition, DefinitionError> {
    let wire: DefinitionWire =
        serde_json::from_slice(bytes).map_err(DefinitionError::NotADefinition)?;
    let mut steps = Vec::new();
    for (index, step) in wire.steps.into_iter().enumerate() {
        steps.push(steps::read(index + 1, step)?);
    }
    let mut models: Vec<ModelEntry> = wire.models.into_iter().map(read_model).collect();
    for step in &steps {
        for key in step.models() {
            // The original's list may lack a model: then nothing beyond the key is known of it.
            if !models.iter().any(|entry| entry.key == *key) {
                models.push(ModelEntry {
                    key: key.clone(),
                    runtime: onnx(),
                    tensor_fields: Vec::new(),
                });
            }
        }
    }
    Ok(Definition {
        name: wire.id,
        version: wire.version,
        steps,
        models,
        inputs: wire.inputs.into_iter().filter_map(read_port).collect(),
        outputs: wire.outputs.into_iter().filter_map(read_port).collect(),
        known_answers: wire.known_answers,
        log: wire.log.map_or_else(LogPolicy::default, |log| {
            let LogWire { sample, drop, hash, salt } = log;
            LogPolicy { sample, drop, hash, salt }
        }),
        created: wire.created,
    })
}

fn read_key(key: KeyWire) -> ModelKey {
    ModelKey { name: key.name, version: key.version, sha: key.sha.0 }
}

fn write_key(key: &ModelKey) -> KeyWire {
    KeyWire { name: key.name.clone(), version: key.version.clone(), sha: Sha(key.sha) }
}

fn read_model(model: ModelWire) -> ModelEntry {
    ModelEntry {
        key: ModelKey { name: model.name, version: model.version, sha: model.sha.0 },
        runtime: model.runtime,
        tensor_fields: model.tensor_fields.unwrap_or_default(),
    }
}

/// A port of a type that we do not know is left out: the model itself tells its ports.
fn read_port(port: PortWire) -> Option<Port> {
    let dimension = |dimension| match dimension {
        DimensionWire::Fixed(extent) => Dimension::Fixed(extent),
        DimensionWire::Free(name) => Dimension::Free(name),
    };
    Some(Port {
        element: ElementType::from_onnx_name(&port.element)?,
        name: port.name,
        dimensions: port.shape.into_iter().map(dimension).collect(),
    })
}

#[expect(clippy::expect_used, reason = "maps with string keys always have a JSON form")]
pub(super) fn write(definition: &Definition) -> Vec<u8> {
    let model = |entry: &ModelEntry| ModelWire {
        name: entry.key.name.clone(),
        version: entry.key.version.clone(),
        sha: Sha(entry.key.sha),
        runtime: entry.runtime.clone(),
        tensor_fields: (!entry.tensor_fields.is_empty()).then(|| entry.tensor_fields.clone()),
    };
    let dimension = |dimension: &Dimension| match dimension {
        Dimension::Fixed(extent) => DimensionWire::Fixed(*extent),
        Dimension::Free(name) => DimensionWire::Free(name.clone()),
    };
    let port = |port: &Port| PortWire {
        name: port.name.clone(),
        element: port.element.onnx_name().to_owned(),
        shape: port.dimensions.iter().map(dimension).collect(),
    };
    let wire = DefinitionWire {
        id: definition.name.clone(),
        steps: definition.steps.iter().map(steps::write).collect(),
        models: definition.models.iter().map(model).collect(),
        version: definition.version.clone(),
        inputs: definition.inputs.iter().map(port).collect(),
        outputs: definition.outputs.iter().map(port).collect(),
        known_answers: definition.known_answers.clone(),
        log: (definition.log != LogPolicy::default()).then(|| {
            let LogPolicy { sample, drop, hash, salt } = definition.log.clone();
            LogWire { sample, drop, hash, salt }
        }),
        created: definition.created.clone(),
    };
    serde_json::to_vec(&wire).expect("a definition has a JSON form")
}
