//! `pipeline`: pipelines of an ops center, saved from a file, listed and shown.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::table::table;
use super::told;
use crate::exit::{Exit, Failure};
use crate::ops::client::OpsClient;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A pipeline file, as the API takes it.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Subcommand)]
pub(super) enum PipelineVerb {
    /// Save a version of a pipeline from a file (YAML or JSON), whose models were uploaded before.
    Create {
        /// The pipeline file; `path` of its models is not looked at.
        file: PathBuf,
        /// The pipeline's name, instead of the one in the file.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// List the pipelines of a workspace.
    List {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// List the versions of a pipeline, the newest first.
    Versions {
        /// Its name.
        name: String,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Show the steps of a version.
    Show {
        /// The version, a UUID.
        version: String,
    },
}

impl PipelineVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            PipelineVerb::Create { file, name, workspace } => {
                let text = crate::disk::read_whole(&file, FILE_BYTES_MAX)
                    .map_err(|error| Failure::new(Exit::Usage, error))?
                    .ok_or_else(|| {
                        Failure::new(Exit::Usage, format!("{} is not there", file.display()))
                    })?;
                let recipe = String::from_utf8(text).map_err(|_| {
                    Failure::new(Exit::Usage, format!("{} is no text", file.display()))
                })?;
                let workspace = workspace.id(&client)?;
                let body = json!({ "pipeline_id": name, "workspace_id": workspace, "recipe": sent(recipe) });
                let answer = client.post("pipelines/create", &body)?;
                Ok(told(center, &answer, || {
                    format!(
                        "pipeline {} version {}\n",
                        answer["pipeline_pk_id"],
                        answer["pipeline_variant_version"].as_str().unwrap_or_default()
                    )
                }))
            }
            PipelineVerb::List { workspace } => {
                let body = json!({ "workspace_id": workspace.id(&client)? });
                let answer = client.post("pipelines/list_pipelines", &body)?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "pipeline.id"),
                        ("NAME", "pipeline.name"),
                        ("UPDATED", "pipeline.updated_at"),
                        ("VERSION", "pipeline_version.version"),
                    ];
                    table(
                        &columns,
                        rows(&answer, "pipelines"),
                        "no pipelines: `potoroo-ops pipeline create FILE`",
                    )
                }))
            }
            PipelineVerb::Versions { name, workspace } => {
                let workspace = workspace.id(&client)?;
                let id = pipeline_id(&client, workspace, &name)?;
                let answer = versions(&client, workspace, id)?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "pipeline_version.id"),
                        ("VERSION", "pipeline_version.version"),
                        ("CREATED", "pipeline_version.created_at"),
                    ];
                    table(&columns, rows(&answer, "pipeline_versions"), "no versions")
                }))
            }
            PipelineVerb::Show { version } => {
                let answer =
                    client.post("pipelines/get_version", &json!({ "version": version }))?;
                Ok(told(center, &answer, || format!("{:#}\n", answer["definition"])))
            }
        }
    }
}

/// The file as the API takes it: without the `path` of its models, which were uploaded before. So one file
/// is for `publish FILE` and for an ops center.
fn sent(recipe: String) -> Value {
    // What is no recipe is sent as it is: the ops center says what is wrong with it, and where.
    let Ok(mut parsed) = serde_saphyr::from_str::<Value>(&recipe) else { return recipe.into() };
    let models = parsed.get_mut("models").and_then(Value::as_array_mut);
    let models = models.into_iter().flatten().filter_map(Value::as_object_mut);
    let paths = models.filter_map(|model| model.remove("path")).count();
    if paths == 0 { recipe.into() } else { parsed }
}

/// The number of a pipeline by its name.
pub(super) fn pipeline_id(client: &OpsClient, workspace: i64, name: &str) -> Result<i64, Failure> {
    let body = json!({ "pipeline_name": name, "workspace_id": workspace });
    let answer = client.post("pipelines/get_pipeline_by_name", &body)?;
    answer["pipeline"]["id"].as_i64().ok_or_else(|| unread("a pipeline's id"))
}

/// The number of a version of a pipeline: of that UUID, or the newest.
pub(super) fn newest_version(
    client: &OpsClient,
    workspace: i64,
    pipeline: i64,
    uuid: Option<&str>,
) -> Result<i64, Failure> {
    let answer = versions(client, workspace, pipeline)?;
    let found = rows(&answer, "pipeline_versions").iter().map(|row| &row["pipeline_version"]);
    let wanted = found.filter(|it| uuid.is_none_or(|uuid| it["version"] == uuid));
    wanted.filter_map(|it| it["id"].as_i64()).max().ok_or_else(|| {
        let sentence = match uuid {
            Some(uuid) => format!("the pipeline has no version {uuid}"),
            None => "the pipeline has no version yet".to_owned(),
        };
        Failure::new(Exit::NotFound, sentence)
            .hint("`potoroo-ops pipeline versions NAME` lists them")
    })
}

fn versions(client: &OpsClient, workspace: i64, pipeline: i64) -> Result<Value, Failure> {
    let body = json!({ "pipeline_id": pipeline, "workspace_id": workspace });
    client.post("pipelines/list_pipeline_versions", &body)
}

/// An answer without what it always has.
pub(super) fn unread(what: &str) -> Failure {
    Failure::new(Exit::Failed, format!("the ops center's answer has not {what}"))
        .hint("see that both programs have the same version")
}
