//! `publish start|list|show`: publishes of an ops center, started and watched.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::pipeline::{newest_version, pipeline_id};
use super::progress::bar;
use super::table::table;
use super::told;
use crate::exit::{Exit, Failure};
use crate::ops::client::OpsClient;
use clap::Subcommand;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a publish is waited for: ten times what the contract says it may take at most.
const WAIT_MAX: Duration = Duration::from_secs(6000);

/// The pause between two looks at a publish.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(super) enum PublishVerb {
    /// Have the ops center publish a version of a pipeline, and wait until it is there.
    Start {
        /// The pipeline's name.
        pipeline: String,
        /// The version, a UUID; the newest otherwise.
        #[arg(long, value_name = "UUID")]
        version: Option<String>,
        /// Processors that the engine is given.
        #[arg(long, value_name = "CPUS")]
        cpus: Option<f64>,
        /// Memory that the engine is given: `3Gi`.
        #[arg(long)]
        memory: Option<String>,
        /// Publishes that it takes the place of.
        #[arg(long, value_name = "ID")]
        replaces: Vec<i64>,
        /// Do not wait.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// List publishes, of one pipeline or of all.
    List {
        /// The pipeline's name.
        pipeline: Option<String>,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Show one publish.
    Show {
        /// Its number.
        id: i64,
    },
}

impl PublishVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            PublishVerb::Start {
                pipeline,
                version,
                cpus,
                memory,
                replaces,
                no_wait,
                workspace,
            } => {
                let workspace = workspace.id(&client)?;
                let version = version_id(&client, workspace, &pipeline, version.as_deref())?;
                let mut body = json!({ "pipeline_version_id": version, "replaces": replaces });
                if cpus.is_some() || memory.is_some() {
                    body["engine_config"] = engine_config(cpus, memory.as_deref());
                }
                let mut publish = client.post("pipelines/publish", &body)?;
                if !no_wait {
                    publish = watched(&client, publish)?;
                }
                Ok(told(center, &publish, || shown(&publish)))
            }
            PublishVerb::List { pipeline, workspace } => {
                let workspace = workspace.id(&client)?;
                let body = match pipeline {
                    Some(name) => json!({ "pipeline_id": pipeline_id(&client, workspace, &name)? }),
                    None => json!({ "pipeline_id": null, "workspace_id": workspace }),
                };
                let answer = client.post("pipelines/list_publishes_for_pipeline", &body)?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "id"),
                        ("STATUS", "status"),
                        ("CREATED", "created_at"),
                        ("PIPELINE_URL", "pipeline_url"),
                        ("CHART", "helm.version"),
                    ];
                    table(
                        &columns,
                        rows(&answer, "publishes"),
                        "no publishes: `potoroo-ops publish start PIPELINE`",
                    )
                }))
            }
            PublishVerb::Show { id } => {
                let publish = client.post("pipelines/get_publish_status", &json!({ "id": id }))?;
                Ok(told(center, &publish, || shown(&publish)))
            }
        }
    }
}

/// The number of a version, by its UUID or as the newest.
fn version_id(
    client: &OpsClient,
    workspace: i64,
    pipeline: &str,
    version: Option<&str>,
) -> Result<i64, Failure> {
    let id = pipeline_id(client, workspace, pipeline)?;
    newest_version(client, workspace, id, version)
}

/// The original's form of what an engine is given.
fn engine_config(cpus: Option<f64>, memory: Option<&str>) -> Value {
    let mut what = serde_json::Map::new();
    if let Some(cpus) = cpus {
        what.insert("cpu".into(), json!(cpus));
    }
    if let Some(memory) = memory {
        what.insert("memory".into(), json!(memory));
    }
    json!({ "engine": { "resources": { "limits": what, "requests": what } } })
}

/// The publish once it is there, or the failure that it ended with.
fn watched(client: &OpsClient, mut publish: Value) -> Result<Value, Failure> {
    let begun = Instant::now();
    let bar = bar("publish");
    while !matches!(publish["status"].as_str(), Some("Published" | "Error")) {
        if begun.elapsed() > WAIT_MAX {
            let sentence =
                format!("publish {} is not done after {} s", publish["id"], WAIT_MAX.as_secs());
            return Err(Failure::new(Exit::Failed, sentence)
                .hint("`potoroo-ops publish show ID` tells how it went on"));
        }
        std::thread::sleep(PAUSE);
        publish = client.post("pipelines/get_publish_status", &json!({ "id": publish["id"] }))?;
        bar.at(publish["bytes_done"].as_u64(), publish["bytes_total"].as_u64());
    }
    bar.done();
    match publish["error"].as_str() {
        Some(error) if publish["status"] == "Error" => {
            Err(Failure::new(Exit::Failed, error.to_owned()).hint("correct it and publish again"))
        }
        _ => Ok(publish),
    }
}

/// What one needs of a publish, line by line as `publish FILE` prints it.
fn shown(publish: &Value) -> String {
    let mut text = String::new();
    let lines = [
        ("publish", "/id"),
        ("status", "/status"),
        ("error", "/error"),
        ("pipeline_url", "/pipeline_url"),
        ("engine_url", "/engine_url"),
        ("helm reference", "/helm/reference"),
        ("helm chart", "/helm/chart"),
        ("helm version", "/helm/version"),
    ];
    for (name, place) in lines {
        match publish.pointer(place) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) => text.push_str(&format!("{name}: {value}\n")),
            Some(value) => text.push_str(&format!("{name}: {value}\n")),
        }
    }
    text
}
