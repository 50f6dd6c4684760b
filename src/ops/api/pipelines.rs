//! Pipelines: saved, copied, listed, and their history.

use super::models::hidden;
use super::moment::moment;
use super::{Asked, Need, Problem, Route, answer};
use crate::exit;
use crate::http::server::Response;
use crate::ops::access::{Role, fresh_uuid};
use crate::ops::center::Center;
use crate::ops::name::is_name;
use crate::ops::pipelines::{self, Fitted, Form, PipelineError};
use crate::ops::store::{NewPipelineVersion, Pipeline, PipelineVersion, Tx, Workspace};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(super) const ROUTES: &[Route] = &[
    route("/v1/api/pipelines/create", create),
    route("/v1/api/pipelines/copy", copy),
    route("/v1/api/pipelines/get_version", get_version),
    route("/v1/api/pipelines/list_pipelines", list),
    route("/v1/api/pipelines/list_pipeline_versions", list_versions),
    route("/v1/api/pipelines/get_pipeline_by_name", get_by_name),
    route("/v1/api/pipelines/deploy", not_here),
    route("/v1/api/pipelines/undeploy", not_here),
    route("/v1/api/status/get_deployment", not_here),
];

const fn route(
    path: &'static str,
    answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
) -> Route {
    Route { method: "POST", path, need: Need::SignedIn, answer }
}

/// How long saving waits for models that are just being checked: who uploads and saves at once need
/// not ask in between.
const CHECK_WAIT: Duration = Duration::from_secs(30);

/// A pipeline version as it is sent.
#[derive(Debug, Default, Deserialize)]
pub(in crate::ops) struct Create {
    /// The original's name for the pipeline's name.
    pub pipeline_id: Option<String>,
    /// Where it is to be.
    pub workspace_id: i64,
    /// In the original's form.
    pub definition: Option<Value>,
    /// In ours.
    pub recipe: Option<Value>,
    /// Rows with their outputs.
    pub known_answers: Option<Value>,
}

/// A version that was saved: the number of its pipeline, its own, and its UUID.
#[derive(Debug)]
pub(in crate::ops) struct Saved {
    pub pipeline: i64,
    pub id: i64,
    pub version: String,
}

fn create(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order = asked.json()?;
    let Saved { pipeline, id, version } = save_pipeline(center, asked, order)?;
    let saved = json!({
        "pipeline_pk_id": pipeline,
        "pipeline_variant_pk_id": id,
        "pipeline_variant_version": version,
    });
    Ok(answer(200, &saved))
}

/// Tries the steps of a pipeline and saves it as a version; waits for models that are being checked.
///
/// # Errors
/// What does not fit, and who may not.
pub(in crate::ops) fn save_pipeline(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    order: Create,
) -> Result<Saved, Problem> {
    let Create { pipeline_id, workspace_id, definition, recipe, known_answers } = order;
    let may = |tx: &Tx<'_>| asked.may(tx, workspace_id, Role::Publisher);
    center.store.read(may)?;
    let form = Form::read(pipeline_id.as_deref(), definition, recipe, known_answers)?;
    let end = Instant::now() + CHECK_WAIT;
    let draft = loop {
        let seen = center.models.changes();
        match center.store.read(|tx| form.draft(tx, workspace_id)) {
            Err(PipelineError::Checking { .. })
                if center.models.wait(seen, end.saturating_duration_since(Instant::now())) => {}
            drafted => break drafted?,
        }
    };
    let name = draft.definition.name.clone();
    let fitted = pipelines::fitted(center, draft, fresh_uuid()?, asked.now_ms)?;
    let (pipeline, id) = center.store.write(|tx| {
        may(tx)?;
        recorded(asked, tx, workspace_id, &name, &fitted, "pipeline.save")
    })?;
    Ok(Saved { pipeline, id, version: fitted.version })
}

/// Writes a version down; the numbers of its pipeline and its own.
fn recorded(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    workspace: i64,
    name: &str,
    fitted: &Fitted,
    action: &str,
) -> Result<(i64, i64), Problem> {
    let (by, now_ms) = (&asked.caller()?.user.id, asked.now_ms);
    let pipeline = tx.pipeline_named(workspace, name, by, now_ms)?;
    let Fitted { version, definition, config } = fitted;
    let id = tx.add_pipeline_version(&NewPipelineVersion {
        pipeline,
        version,
        definition,
        config,
        by,
        now_ms,
    })?;
    asked.note(tx, action, Some(workspace), name, json!({ "version": version }))?;
    Ok((pipeline, id))
}

#[derive(Deserialize)]
struct Copy {
    name: String,
    workspace_id: i64,
    source_pipeline: i64,
    pipeline_version: Option<String>,
    deploy: Option<Value>,
}

fn copy(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Copy { name, workspace_id, source_pipeline, pipeline_version, deploy } = asked.json()?;
    if deploy.is_some_and(|deploy| !deploy.is_null() && deploy != false) {
        return Err(no_cluster());
    }
    if !is_name(&name) {
        return Err(PipelineError::Name(name.chars().take(64).collect()).into());
    }
    let uuid = fresh_uuid()?;
    let (pipeline, id) = center.store.write(|tx| {
        let source = readable(asked, tx, source_pipeline)?;
        asked.may(tx, workspace_id, Role::Publisher)?;
        let from = match &pipeline_version {
            Some(version) => {
                let found = tx.pipeline_version_by_uuid(version)?;
                found.filter(|found| found.pipeline == source.id)
            }
            None => tx.newest_pipeline_version(source.id)?,
        };
        let asked_for = || pipeline_version.clone().unwrap_or_default();
        let from = from.ok_or_else(|| Problem::unknown("pipeline version", asked_for()))?;
        if tx.pipeline_by_name(workspace_id, &name)?.is_some() {
            let sentence = format!("there is a pipeline `{name}` already: choose another name");
            return Err(Problem::conflict("name_taken", sentence));
        }
        let moved = pipelines::moved(tx, &from, workspace_id, &name, uuid, asked.now_ms)?;
        recorded(asked, tx, workspace_id, &name, &moved, "pipeline.copy")
    })?;
    let copied = json!({
        "pipeline_pk_id": pipeline,
        "pipeline_variant_pk_id": id,
        "pipeline_version": null,
        "deployment": null,
    });
    Ok(answer(200, &copied))
}

#[derive(Deserialize)]
struct GetVersion {
    version: String,
}

fn get_version(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetVersion { version: uuid } = asked.json()?;
    let unknown = || Problem::unknown("pipeline version", &uuid);
    let (pipeline, version) = center.store.read(|tx| {
        let version = tx.pipeline_version_by_uuid(&uuid)?.ok_or_else(unknown)?;
        let pipeline = readable(asked, tx, version.pipeline);
        let pipeline = pipeline.map_err(|problem| hidden(problem, unknown))?;
        Ok::<_, Problem>((pipeline, version))
    })?;
    let shown = json!({
        "pipeline_id": pipeline.name,
        "version": version.version,
        "definition": parsed(&version.definition),
        "id": version.id,
        "pipeline_pk_id": pipeline.id,
        "created_at": moment(version.created_ms),
        "config": parsed(&version.config),
    });
    Ok(answer(200, &shown))
}

#[derive(Deserialize)]
struct List {
    workspace_id: Option<i64>,
    workspace_name: Option<String>,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let List { workspace_id, workspace_name } = asked.json()?;
    let pipelines = center.store.read(|tx| {
        let named = match &workspace_name {
            Some(name) => {
                let found = tx.workspace_id_of(name)?;
                Some(found.ok_or_else(|| Problem::unknown("workspace", name))?)
            }
            None => None,
        };
        let user = &asked.caller()?.user;
        let wanted: Vec<i64> = workspace_id.into_iter().chain(named).collect();
        let pipelines = match wanted.first() {
            None => tx.pipelines_seen_by(&user.id, user.is_admin)?,
            Some(workspace) => {
                for workspace in &wanted {
                    asked.may(tx, *workspace, Role::Viewer)?;
                }
                if wanted.iter().any(|other| other != workspace) {
                    let sentence =
                        "workspace_id and workspace_name are of two workspaces: give one";
                    return Err(Problem::bad("workspace", sentence));
                }
                tx.pipelines(*workspace)?
            }
        };
        let shown = pipelines.iter().map(|pipeline| {
            let newest = tx.newest_pipeline_version(pipeline.id)?;
            let newest = newest.map(|version| shown(tx, &version, false)).transpose()?;
            entry(tx, pipeline, newest)
        });
        shown.collect::<Result<Vec<Value>, Problem>>()
    })?;
    Ok(answer(200, &json!({ "pipelines": pipelines })))
}

/// A pipeline by its number or its name: the original has both under one key.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::ops) enum PipelineId {
    Number(i64),
    Name(String),
}

#[derive(Deserialize)]
struct ListVersions {
    pipeline_id: PipelineId,
    workspace_id: Option<i64>,
}

fn list_versions(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ListVersions { pipeline_id, workspace_id } = asked.json()?;
    let versions = center.store.read(|tx| {
        let pipeline = match (&pipeline_id, workspace_id) {
            (PipelineId::Number(id), workspace) => {
                let found = readable(asked, tx, *id)?;
                if workspace.is_some_and(|workspace| workspace != found.workspace) {
                    return Err(Problem::unknown("pipeline", id));
                }
                found
            }
            (PipelineId::Name(name), Some(workspace)) => named(asked, tx, workspace, name)?,
            (PipelineId::Name(_), None) => {
                let sentence = "`workspace_id` is missing: a pipeline's name needs it beside it";
                return Err(Problem::bad("workspace_id", sentence));
            }
        };
        let versions = tx.pipeline_versions(pipeline.id)?;
        let shown = versions.iter().map(|version| {
            let shown = shown(tx, version, true)?;
            entry(tx, &pipeline, Some(shown))
        });
        shown.collect::<Result<Vec<Value>, Problem>>()
    })?;
    Ok(answer(200, &json!({ "pipeline_versions": versions })))
}

#[derive(Deserialize)]
struct GetByName {
    pipeline_name: String,
    workspace_id: i64,
}

fn get_by_name(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetByName { pipeline_name, workspace_id } = asked.json()?;
    let found = center.store.read(|tx| {
        let pipeline = named(asked, tx, workspace_id, &pipeline_name)?;
        entry(tx, &pipeline, None)
    })?;
    Ok(answer(200, &found))
}

fn not_here(_: &Center, _: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Err(no_cluster())
}

fn no_cluster() -> Problem {
    let sentence = "this ops center runs no pipelines itself: publish the pipeline version with \
                    `pipelines/publish`, and run it on an edge, or on Kubernetes with its Helm chart";
    Problem::new(501, "no_cluster", sentence)
}

/// The pipeline of that number, if the caller may see it.
///
/// # Errors
/// 404 where it is not there or not the caller's to see.
pub(in crate::ops) fn readable(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    id: i64,
) -> Result<Pipeline, Problem> {
    let unknown = || Problem::unknown("pipeline", id);
    let found = tx.pipeline(id)?.ok_or_else(unknown)?;
    asked.may(tx, found.workspace, Role::Viewer).map_err(|problem| hidden(problem, unknown))?;
    Ok(found)
}

pub(super) fn named(
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    workspace: i64,
    name: &str,
) -> Result<Pipeline, Problem> {
    asked.may(tx, workspace, Role::Viewer)?;
    tx.pipeline_by_name(workspace, name)?.ok_or_else(|| Problem::unknown("pipeline", name))
}

/// An entry of the original's lists.
fn entry(tx: &Tx<'_>, pipeline: &Pipeline, version: Option<Value>) -> Result<Value, Problem> {
    let workspace = tx.workspace(pipeline.workspace)?;
    let Pipeline { id, name, workspace: workspace_id, .. } = pipeline;
    Ok(json!({
        "pipeline": {
            "id": id,
            "name": name,
            "created_at": moment(pipeline.created_ms),
            "updated_at": moment(pipeline.updated_ms),
        },
        "pipeline_version": version,
        "deployment": null,
        "workspace": workspace.as_ref().map(workspace_shown),
        "plateau_topic": format!("workspace-{workspace_id}-pipeline-{name}-inference"),
    }))
}

fn workspace_shown(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id,
        "name": workspace.name,
        "archived": workspace.is_archived,
        "created_at": moment(workspace.created_ms),
        "created_by": workspace.created_by,
        "group_id": null,
    })
}

/// A version with what was published of it, and with its definition where that is wanted.
fn shown(tx: &Tx<'_>, version: &PipelineVersion, with_definition: bool) -> Result<Value, Problem> {
    let publishes = tx.publishes_at_a_glance(version.id)?;
    let publishes = publishes.iter().map(|publish| {
        json!({
            "id": publish.id,
            "status": publish.status,
            "pipeline_url": publish.pipeline_url,
            "created_at": moment(publish.created_ms),
        })
    });
    let mut shown = json!({
        "id": version.id,
        "version": version.version,
        "pipeline_pk_id": version.pipeline,
        "created_at": moment(version.created_ms),
        "created_by": version.created_by,
        "publishes": publishes.collect::<Vec<Value>>(),
    });
    if with_definition {
        shown["definition"] = parsed(&version.definition);
    }
    Ok(shown)
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Problem {
        let sentence = exit::chain(&error);
        match error {
            PipelineError::Name(_) | PipelineError::NoName => Problem::bad("name", sentence),
            PipelineError::Form => Problem::bad("body", sentence),
            PipelineError::Definition(_) => Problem::bad("definition", sentence),
            PipelineError::Recipe(_) => Problem::bad("recipe", sentence),
            PipelineError::Known(_) => Problem::bad("known_answers", sentence),
            PipelineError::NoModel { .. } => Problem::bad("unknown_model", sentence),
            PipelineError::Sha { .. } => Problem::bad("sha", sentence),
            PipelineError::Unservable { .. } => Problem::conflict("model_error", sentence),
            PipelineError::Checking { .. } => Problem::conflict("model_checking", sentence)
                .with_header("Retry-After", "5".to_owned()),
            PipelineError::Unfit(_) => Problem::bad("unfit", sentence),
            PipelineError::NotThere { .. } => Problem::conflict("model_missing", sentence),
            PipelineError::Trial(error) => Problem::new(503, "trial", sentence).because(&error),
            PipelineError::Store(error) => error.into(),
        }
    }
}
