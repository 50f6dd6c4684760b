//! The JSON of a pipeline's steps, in both forms of the original, and our validations beside its trees.

use super::{KeyWire, read_key, write_key};
use crate::pipeline::definition::DefinitionError;
use crate::pipeline::step::{KeySplit, RandomSplit, Step};
use crate::pipeline::{Sense, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A step as it is written: its kind, and a body under it.
pub(super) type StepWire = Map<String, Value>;

#[derive(Serialize, Deserialize)]
struct Models {
    models: Vec<KeyWire>,
}

/// As the original's engine reads them: each under its own `Model` key, or beside an empty one.
#[derive(Deserialize)]
struct ModelsWithin {
    models: Vec<BTreeMap<String, Value>>,
}

#[derive(Serialize, Deserialize)]
struct Weight {
    model: KeyWire,
    weight: f64,
}

#[derive(Serialize, Deserialize)]
struct Weights {
    hash_key: Option<String>,
    weights: Vec<Weight>,
}

#[derive(Serialize, Deserialize)]
struct Routes {
    split_key: String,
    control: KeyWire,
    routes: BTreeMap<String, KeyWire>,
}

#[derive(Serialize, Deserialize)]
struct Checks {
    /// The original's trees, each as JSON text.
    #[serde(default)]
    tree: Vec<String>,
    /// Ours, as text for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    validations: Vec<ValidationWire>,
}

#[derive(Serialize, Deserialize)]
struct ValidationWire {
    name: String,
    expression: String,
    #[serde(default, skip_serializing_if = "is_false")]
    finds_anomaly: bool,
}

#[derive(Serialize, Deserialize)]
struct Range {
    from: usize,
    #[serde(default)]
    to: Option<usize>,
}

#[derive(Serialize, Deserialize)]
struct Index {
    index: usize,
}

#[derive(Serialize, Deserialize)]
struct Columns {
    columns: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Reads step number `index`, the first is 1.
pub(super) fn read(index: usize, step: StepWire) -> Result<Step, DefinitionError> {
    let mut entries = step.into_iter();
    let (kind, body) = match (entries.next(), entries.next()) {
        (Some(entry), None) => entry,
        (Some((kind, _)), Some(_)) => return Err(DefinitionError::UnknownStep { index, kind }),
        (None, _) => return Err(DefinitionError::UnknownStep { index, kind: String::new() }),
    };
    Ok(match kind.as_str() {
        "ModelInference" => Step::ModelInference(models(body)?),
        "RandomSplit" => {
            let Weights { hash_key, weights } = body_of(body)?;
            let hash_key = hash_key.filter(|key| !key.is_empty());
            let weights = weights.into_iter().map(|it| (read_key(it.model), it.weight)).collect();
            Step::RandomSplit(RandomSplit { hash_key, weights })
        }
        "MetaValueSplit" => {
            let Routes { split_key, control, routes } = body_of(body)?;
            let routes = routes.into_iter().map(|(value, key)| (value, read_key(key))).collect();
            Step::KeySplit(KeySplit { split_key, control: read_key(control), routes })
        }
        "Check" => Step::Check(checks(index, body_of(body)?)?),
        "AuditResults" => {
            let Range { from, to } = body_of(body)?;
            Step::AuditResults { from, to }
        }
        "MultiOut" => Step::MultiOut,
        "Nth" => Step::Nth(body_of::<Index>(body)?.index),
        "ColumnsSelect" => Step::ColumnsSelect(body_of::<Columns>(body)?.columns),
        _ => return Err(DefinitionError::UnknownStep { index, kind }),
    })
}

fn body_of<T: DeserializeOwned>(body: Value) -> Result<T, DefinitionError> {
    serde_json::from_value(body).map_err(DefinitionError::NotADefinition)
}

/// The keys of models, flat or within `Model`.
fn models(body: Value) -> Result<Vec<crate::pipeline::ModelKey>, DefinitionError> {
    let ModelsWithin { models } = body_of(body)?;
    let key = |mut entry: BTreeMap<String, Value>| {
        let flat = match entry.remove("Model") {
            Some(inner @ Value::Object(_)) => inner,
            Some(_) | None => Value::Object(entry.into_iter().collect()),
        };
        body_of::<KeyWire>(flat).map(read_key)
    };
    models.into_iter().map(key).collect()
}

fn checks(index: usize, checks: Checks) -> Result<Vec<Validation>, DefinitionError> {
    let wrong = |what: String| DefinitionError::Validation { index, what };
    let mut found = Vec::new();
    for tree in &checks.tree {
        found.extend(Validation::from_tree(tree).map_err(wrong)?);
    }
    for ValidationWire { name, expression, finds_anomaly } in checks.validations {
        let sense = if finds_anomaly { Sense::FindsAnomaly } else { Sense::MustHold };
        let read = Validation::parse(&name, &expression, sense);
        found.push(read.map_err(|error| wrong(format!("the validation `{name}`: {error}")))?);
    }
    Ok(found)
}

#[expect(clippy::expect_used, reason = "maps with string keys always have a JSON form")]
pub(super) fn write(step: &Step) -> StepWire {
    let body = match step {
        Step::ModelInference(keys) => {
            serde_json::to_value(Models { models: keys.iter().map(write_key).collect() })
        }
        Step::RandomSplit(split) => {
            let weight =
                |(key, weight): &(_, f64)| Weight { model: write_key(key), weight: *weight };
            let weights = split.weights.iter().map(weight).collect();
            serde_json::to_value(Weights { hash_key: split.hash_key.clone(), weights })
        }
        Step::KeySplit(split) => {
            let routes = split.routes.iter();
            let routes = routes.map(|(value, key)| (value.clone(), write_key(key))).collect();
            let (split_key, control) = (split.split_key.clone(), write_key(&split.control));
            serde_json::to_value(Routes { split_key, control, routes })
        }
        Step::Check(validations) => {
            let validation = |it: &Validation| ValidationWire {
                name: it.name.clone(),
                expression: it.text.clone(),
                finds_anomaly: it.sense == Sense::FindsAnomaly,
            };
            let validations = validations.iter().map(validation).collect();
            serde_json::to_value(Checks { tree: Vec::new(), validations })
        }
        Step::AuditResults { from, to } => serde_json::to_value(Range { from: *from, to: *to }),
        Step::MultiOut => Ok(Value::Object(Map::new())),
        Step::Nth(index) => serde_json::to_value(Index { index: *index }),
        Step::ColumnsSelect(columns) => serde_json::to_value(Columns { columns: columns.clone() }),
    };
    let body = body.expect("a step has a JSON form");
    Map::from_iter([(step.kind().to_owned(), body)])
}
