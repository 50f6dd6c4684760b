//! `edge`: places where publishes run, added with a bundle that is shown once, listed, assigned and removed.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::rollout::WatchArguments;
use super::table::table;
use super::told;
use crate::exit::{Exit, Failure};
use clap::{Subcommand, ValueEnum};
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
    /// Show how an edge fares, and why.
    Show {
        /// Its name.
        name: String,
    },
    /// Print how the engine of an edge is run, ready to paste.
    Commands {
        /// Its name.
        name: String,
        /// The bundle that was printed when it was added, where the commands shall hold it.
        #[arg(long, value_name = "BUNDLE")]
        bundle: Option<String>,
        /// In which form.
        #[arg(long, value_enum, default_value = "docker")]
        form: CommandForm,
        /// Without reports to the ops center.
        #[arg(long)]
        without_observability: bool,
    },
    /// Have an edge run another publish; it goes back by itself when that does not do well.
    Assign {
        /// Its name.
        name: String,
        /// The publish that it is to run.
        #[arg(long, value_name = "ID")]
        publish: i64,
        #[command(flatten)]
        watch: WatchArguments,
    },
    /// Show what an edge was assigned and how that went, the newest first.
    Assignments {
        /// Its name.
        name: String,
    },
    /// Remove an edge: its session and credentials end, and its name is free.
    Remove {
        /// Its name.
        name: String,
    },
}

/// How an engine is run.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum CommandForm {
    /// `docker run`.
    Docker,
    /// A `compose.yaml`.
    Compose,
    /// Helm's commands, with the values file that they read.
    Helm,
    /// A unit of systemd, with the file of its secrets.
    Systemd,
}

impl CommandForm {
    /// The parts of the API's answer that make it.
    fn keys(self, with_observability: bool) -> &'static [&'static str] {
        match (self, with_observability) {
            (CommandForm::Docker, true) => &["docker_run"],
            (CommandForm::Docker, false) => &["docker_run_without_observability"],
            (CommandForm::Compose, true) => &["compose"],
            (CommandForm::Compose, false) => &["compose_without_observability"],
            (CommandForm::Helm, true) => &["helm_values", "helm"],
            (CommandForm::Helm, false) => &["helm_values_without_observability", "helm"],
            (CommandForm::Systemd, true) => &["systemd_unit", "systemd_environment"],
            (CommandForm::Systemd, false) => {
                &["systemd_unit", "systemd_environment_without_observability"]
            }
        }
    }
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
                    let mut lines = format!(
                        "edge: {name}\npipeline_url: {}\nengine_url: {}\nEDGE_BUNDLE: {}\n",
                        text(&answer["pipeline_url"]),
                        text(&answer["engine_url"]),
                        text(&answer["docker_run_variables"]["EDGE_BUNDLE"]),
                    );
                    // Only the built-in registry has logins that the ops center hands out.
                    let pull = &answer["pull_credentials"];
                    if let (Some(username), Some(password)) =
                        (pull["username"].as_str(), pull["password"].as_str())
                    {
                        lines.push_str(&format!(
                            "OCI_USERNAME: {username}\nOCI_PASSWORD: {password}\n"
                        ));
                    }
                    lines
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
                        ("STATE", "state"),
                        ("LAST SEEN", "last_seen"),
                        ("VERSION", "running_version"),
                        ("BACKLOG", "backlog_records"),
                        ("LOST", "lost_records"),
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
            EdgeVerb::Show { name } => {
                let listed = client.post("pipelines/list_edges", &json!({}))?;
                let found =
                    rows(&listed, "edges").iter().find(|edge| edge["name"] == name.as_str());
                let Some(edge) = found.cloned() else {
                    let sentence = format!("there is no edge {name}, or it is not yours to see");
                    return Err(Failure::new(Exit::NotFound, sentence)
                        .hint("`potoroo-ops edge list` has the edges of a workspace"));
                };
                Ok(told(center, &edge, || shown(&edge)))
            }
            EdgeVerb::Commands { name, bundle, form, without_observability } => {
                let body = json!({ "name": name, "edge_bundle": bundle });
                let answer = client.post("edges/commands", &body)?;
                Ok(told(center, &answer, || {
                    let parts = form.keys(!without_observability).iter();
                    let texts = parts.filter_map(|key| answer[*key].as_str());
                    texts
                        .map(|text| format!("{}\n", text.trim_end()))
                        .collect::<Vec<_>>()
                        .join("\n")
                }))
            }
            EdgeVerb::Assign { name, publish, watch } => {
                let body = json!({ "name": name, "publish_id": publish, "watch": watch.body() });
                let answer = client.post("edges/assign", &body)?;
                Ok(told(center, &answer, || {
                    format!(
                        "edge {name} is to run publish {publish}: `potoroo-ops edge assignments {name}` \
                         tells how that goes\n"
                    )
                }))
            }
            EdgeVerb::Assignments { name } => {
                let answer = client.post("edges/assignments", &json!({ "name": name }))?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("PUBLISH", "publish_id"),
                        ("STATE", "state"),
                        ("ROLLOUT", "rollout_id"),
                        ("SINCE", "updated_at"),
                        ("REASON", "reason"),
                    ];
                    let nothing = "nothing was assigned: it runs what its bundle says";
                    table(&columns, rows(&answer, "assignments"), nothing)
                }))
            }
            EdgeVerb::Remove { name } => {
                let answer = client.post("pipelines/remove_edge", &json!({ "name": name }))?;
                Ok(told(center, &answer, || format!("edge {name} is removed\n")))
            }
        }
    }
}

/// An edge, a fact a line; what is not known of it is left out.
fn shown(edge: &serde_json::Value) -> String {
    let facts = edge.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    facts
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}: {text}\n"),
            None => format!("{name}: {value}\n"),
        })
        .collect()
}
