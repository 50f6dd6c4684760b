//! Models: uploaded, listed, described, and told how they are to be run.

use super::moment::moment;
use super::uploads::side_files_shown;
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::store::{Model, ModelConfig, ModelVersion, Tx};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) const ROUTES: &[Route] = &[
    route("/v1/api/models/list", list),
    route("/v1/api/models/list_versions", list_versions),
    route("/v1/api/models/get_version", get_version),
    route("/v1/api/models/get_config_by_id", get_config),
    route("/v1/api/models/insert_model_config", insert_config),
];

const fn route(
    path: &'static str,
    answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
) -> Route {
    Route { method: "POST", path, need: Need::SignedIn, answer }
}

#[derive(Deserialize)]
struct List {
    workspace_id: i64,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let List { workspace_id } = asked.json()?;
    let models = center.store.read(|tx| {
        asked.may(tx, workspace_id, Role::Viewer)?;
        Ok::<_, Problem>(tx.models(workspace_id)?)
    })?;
    let models: Vec<Value> = models
        .iter()
        .map(|model| {
            json!({
                "id": model.id,
                "name": model.name,
                "owner_id": model.created_by,
                "created_at": moment(model.created_ms),
                "updated_at": moment(model.updated_ms),
            })
        })
        .collect();
    Ok(answer(200, &json!({ "models": models })))
}

#[derive(Deserialize)]
struct ListVersions {
    models_pk_id: i64,
    /// The original wants it beside the number; held against it where it is sent.
    model_id: Option<String>,
}

fn list_versions(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ListVersions { models_pk_id, model_id } = asked.json()?;
    let versions = center.store.read(|tx| {
        let model = readable_model(asked, tx, models_pk_id)?;
        if model_id.is_some_and(|name| name != model.name) {
            return Err(Problem::unknown("model", models_pk_id));
        }
        Ok(tx.model_versions(models_pk_id)?)
    })?;
    let versions: Vec<Value> =
        versions.iter().map(|version| Value::Object(shown(version))).collect();
    Ok(answer(200, &versions))
}

/// A version by its number or its UUID.
#[derive(Deserialize)]
struct GetVersion {
    id: Option<i64>,
    version: Option<String>,
}

fn get_version(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetVersion { id, version } = asked.json()?;
    center.store.read(|tx| {
        let found = match (id, &version) {
            (Some(id), None) => readable(asked, tx, id)?,
            (None, Some(uuid)) => {
                let unknown = || Problem::unknown("model version", uuid);
                let found = tx.model_version_by_uuid(uuid)?.ok_or_else(unknown)?;
                let may = asked.may(tx, found.workspace, Role::Viewer);
                may.map_err(|problem| hidden(problem, unknown))?;
                found
            }
            (_, _) => {
                let sentence = "give the version's `id`, a number, or its `version`, a UUID";
                return Err(Problem::bad("body", sentence));
            }
        };
        let mut described = described(&found);
        let beside = side_files_shown(&tx.side_files(found.id)?);
        described.insert("side_files".to_owned(), beside.into());
        Ok(answer(200, &described))
    })
}

#[derive(Deserialize)]
struct GetConfig {
    model_id: i64,
}

fn get_config(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetConfig { model_id } = asked.json()?;
    let config = center.store.read(|tx| {
        readable(asked, tx, model_id)?;
        tx.model_config(model_id)?.ok_or_else(|| Problem::unknown("model", model_id))
    })?;
    Ok(answer(200, &json!({ "model_config": configured(&config) })))
}

#[derive(Deserialize)]
struct InsertConfig {
    model_version_id: i64,
    runtime: Option<String>,
    tensor_fields: Option<Vec<String>>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// Columns of one model: as many as anyone's model has inputs.
const TENSOR_FIELDS_MAX: usize = 1000;

/// Characters of a column's name.
const TENSOR_FIELD_CHARS_MAX: usize = 255;

fn insert_config(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let InsertConfig { model_version_id: id, runtime, tensor_fields, settings } = asked.json()?;
    if runtime.is_some_and(|runtime| runtime != crate::pipeline::RUNTIME_ONNX) {
        return Err(Problem::bad("runtime", "runtime must be `onnx`, the one that engines have"));
    }
    let fields = tensor_fields.filter(|fields| !fields.is_empty());
    if let Some(fields) = &fields {
        let right = |name: &String| {
            (1..=TENSOR_FIELD_CHARS_MAX).contains(&name.chars().count())
                && !name.chars().any(char::is_control)
        };
        if fields.len() > TENSOR_FIELDS_MAX || !fields.iter().all(right) {
            let sentence = format!(
                "tensor_fields must be at most {TENSOR_FIELDS_MAX} names of columns, of at most \
                 {TENSOR_FIELD_CHARS_MAX} characters in one line"
            );
            return Err(Problem::bad("tensor_fields", sentence));
        }
    }
    let settings = Value::Object(settings).to_string();
    let config = center.store.write(|tx| {
        let version = readable(asked, tx, id)?;
        asked.may(tx, version.workspace, Role::Publisher)?;
        if let Some(fields) = &fields
            && let Some(inputs) = facts(&version)["inputs"].as_array()
            && inputs.len() != fields.len()
        {
            let sentence = format!(
                "there are {} tensor_fields for the {} inputs of model `{}`: name one column for each \
                 input, in the model's order",
                fields.len(),
                inputs.len(),
                version.name
            );
            return Err(Problem::bad("tensor_fields", sentence));
        }
        tx.add_model_config(id, fields.as_deref(), &settings, asked.now_ms)?;
        let detail = json!({ "version": version.version, "tensor_fields": fields });
        asked.note(tx, "model.configure", Some(version.workspace), &version.name, detail)?;
        tx.model_config(id)?.ok_or_else(|| Problem::unknown("model", id))
    })?;
    Ok(answer(200, &json!({ "id": config.id, "model_config": configured(&config) })))
}

/// The version of that number, if the caller may see it.
///
/// # Errors
/// 404 where it is not there or not the caller's to see.
pub(in crate::ops) fn readable(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    id: i64,
) -> Result<ModelVersion, Problem> {
    let unknown = || Problem::unknown("model version", id);
    let found = tx.model_version(id)?.ok_or_else(unknown)?;
    asked.may(tx, found.workspace, Role::Viewer).map_err(|problem| hidden(problem, unknown))?;
    Ok(found)
}

/// The model of that number, if the caller may see it.
///
/// # Errors
/// 404 where it is not there or not the caller's to see.
pub(in crate::ops) fn readable_model(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    id: i64,
) -> Result<Model, Problem> {
    let unknown = || Problem::unknown("model", id);
    let model = tx.model(id)?.ok_or_else(unknown)?;
    asked.may(tx, model.workspace, Role::Viewer).map_err(|problem| hidden(problem, unknown))?;
    Ok(model)
}

/// What is in a workspace that the caller does not see is not there: its answer does not tell more.
pub(in crate::ops) fn hidden(problem: Problem, unknown: impl FnOnce() -> Problem) -> Problem {
    if problem.code() == 404 { unknown() } else { problem }
}

/// A version in the original's form.
fn shown(version: &ModelVersion) -> Map<String, Value> {
    let value = json!({
        "sha": version.sha,
        "models_pk_id": version.model,
        "model_version": version.version,
        "owner_id": version.created_by,
        "model_id": version.name,
        "id": version.id,
        "file_name": version.file_name,
        "image_path": null,
        "status": version.status.name(),
        "error": version.error,
        "size_bytes": version.size_bytes,
        "visibility": version.visibility,
        "created_at": moment(version.created_ms),
    });
    if let Value::Object(shown) = value { shown } else { Map::new() }
}

/// The same with what the check found.
fn described(version: &ModelVersion) -> Map<String, Value> {
    let mut described = shown(version);
    described.insert("workspace_id".to_owned(), version.workspace.into());
    described.insert("facts".to_owned(), facts(version));
    described
}

fn facts(version: &ModelVersion) -> Value {
    match serde_json::from_str(&version.facts) {
        Ok(Value::Object(mut facts)) => {
            facts.remove("error"); // it stands beside the status
            Value::Object(facts)
        }
        Ok(_) | Err(_) => json!({}),
    }
}

fn configured(config: &ModelConfig) -> Map<String, Value> {
    let settings = serde_json::from_str(&config.settings).unwrap_or_default();
    let mut shown: Map<String, Value> = settings;
    shown.insert("id".to_owned(), config.id.into());
    shown.insert("model_version_id".to_owned(), config.model_version.into());
    shown.insert("runtime".to_owned(), config.runtime.clone().into());
    shown.insert("tensor_fields".to_owned(), config.tensor_fields.clone().into());
    shown.entry("filter_threshold").or_insert(Value::Null);
    shown
}
