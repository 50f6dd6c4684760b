//! `edge`: places where publishes run, added with a bundle that is shown once, listed and removed.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::table::table;
use super::told;
use crate::exit::Failure;
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub(super) enum EdgeVerb {
    /// Add an edge to a publish, and print its bundle, which is shown only now.
    Add {
        /// Its name, the only one of that name in the ops center.
        name: String,
        /// The publish that it runs.
        #[arg(long, value_name = "ID")]
        publish: i64,
        /// Words to find it by.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// List edges, of one publish or of a workspace.
    List {
        /// The publish.
        #[arg(long, value_name = "ID")]
        publish: Option<i64>,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Remove an edge: its session and credentials end, and its name is free.
    Remove {
        /// Its name.
        name: String,
    },
}

impl EdgeVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            EdgeVerb::Add { name, publish, tags } => {
                let body = json!({ "pipeline_publish_id": publish, "name": name, "tags": tags });
                let answer = client.post("pipelines/add_edge_to_publish", &body)?;
                Ok(told(center, &answer, || {
                    let text =
                        |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                    format!(
                        "edge: {name}\npipeline_url: {}\nengine_url: {}\nEDGE_BUNDLE: {}\n",
                        text(&answer["pipeline_url"]),
                        text(&answer["engine_url"]),
                        text(&answer["docker_run_variables"]["EDGE_BUNDLE"]),
                    )
                }))
            }
            EdgeVerb::List { publish, workspace } => {
                let answer = match publish {
                    Some(id) => client
                        .post("pipelines/list_edges_by_publish_id", &json!({ "publish_id": id }))?,
                    None => {
                        let body =
                            json!({ "pipeline_id": null, "workspace_id": workspace.id(&client)? });
                        client.post("pipelines/list_publishes_for_pipeline", &body)?
                    }
                };
                let edges = json!({ "edges": rows(&answer, "edges") });
                Ok(told(center, &edges, || {
                    let columns = [
                        ("NAME", "name"),
                        ("TAGS", "tags"),
                        ("CPUS", "cpus"),
                        ("MEMORY", "memory"),
                        ("ID", "id"),
                    ];
                    table(
                        &columns,
                        rows(&edges, "edges"),
                        "no edges: `potoroo-ops edge add NAME --publish ID`",
                    )
                }))
            }
            EdgeVerb::Remove { name } => {
                let answer = client.post("pipelines/remove_edge", &json!({ "name": name }))?;
                Ok(told(center, &answer, || format!("edge {name} is removed\n")))
            }
        }
    }
}
