//! `rollout`: a publish to many edges in waves, started, listed, shown, paused, resumed and aborted.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::table::table;
use super::told;
use crate::exit::Failure;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub(super) enum RolloutVerb {
    /// Bring a publish to edges, wave by wave.
    Start(Box<StartArguments>),
    /// List rollouts, the newest first.
    List {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Show a rollout and how each of its edges fares.
    Show {
        /// Its number.
        id: i64,
    },
    /// Let no further wave begin; what is under way goes on.
    Pause {
        /// Its number.
        id: i64,
    },
    /// Let waves begin again.
    Resume {
        /// Its number.
        id: i64,
    },
    /// End a rollout; edges under way go back to what they ran.
    Abort {
        /// Its number.
        id: i64,
        /// Leave those that have settled where they are.
        #[arg(long)]
        keep: bool,
    },
}

#[derive(Args)]
pub(super) struct StartArguments {
    /// The publish that the edges are to run.
    #[arg(value_name = "PUBLISH")]
    publish: i64,
    /// An edge by name; may be said several times.
    #[arg(long = "edge", value_name = "NAME")]
    edges: Vec<String>,
    /// All edges with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// All edges that run this publish now.
    #[arg(long, value_name = "ID")]
    from: Option<i64>,
    /// Edges of a wave, `1` or `10%`, one for each wave; the rest makes the last one.
    #[arg(long = "wave", value_name = "EDGES")]
    waves: Vec<String>,
    /// Edges that may fail, `0` or `5%`; one more halts the rollout.
    #[arg(long, value_name = "EDGES", default_value = "0")]
    failures: String,
    /// Leave those that have settled where they are when it halts.
    #[arg(long)]
    keep: bool,
    /// How long a wave waits for edges that are not heard of.
    #[arg(long, value_name = "SECONDS")]
    wave_seconds: Option<i64>,
    #[command(flatten)]
    watch: WatchArguments,
}

/// How a publish is watched after the switch.
#[derive(Args)]
pub(super) struct WatchArguments {
    /// Watch so many requests at most.
    #[arg(long, value_name = "COUNT")]
    watch_requests: Option<u64>,
    /// Watch for so long at most.
    #[arg(long, value_name = "SECONDS")]
    watch_seconds: Option<u64>,
    /// Requests that may fail beyond what failed before, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    failed_max: Option<f64>,
    /// Answers that may have a NaN or an infinity beyond what had before, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    nan_max: Option<f64>,
    /// Answers that may fail a validation beyond what failed before, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    checks_max: Option<f64>,
}

impl WatchArguments {
    /// As the API takes it.
    pub(super) fn body(&self) -> Value {
        json!({
            "requests": self.watch_requests,
            "seconds_max": self.watch_seconds,
            "failed_share_max": self.failed_max,
            "nan_share_max": self.nan_max,
            "check_share_max": self.checks_max,
        })
    }
}

impl StartArguments {
    fn body(&self) -> Value {
        json!({
            "publish_id": self.publish,
            "edges": (!self.edges.is_empty()).then_some(&self.edges),
            "tag": self.tag,
            "from_publish_id": self.from,
            "waves": (!self.waves.is_empty()).then_some(&self.waves),
            "failures_max": self.failures,
            "send_back": !self.keep,
            "wave_seconds_max": self.wave_seconds,
            "watch": self.watch.body(),
        })
    }
}

impl RolloutVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        let answer = match self {
            RolloutVerb::Start(arguments) => client.post("rollouts/start", &arguments.body())?,
            RolloutVerb::List { workspace } => {
                let body = json!({ "workspace_id": workspace.id(&client)? });
                let answer = client.post("rollouts/list", &body)?;
                return Ok(told(center, &answer, || listed(&answer)));
            }
            RolloutVerb::Show { id } => client.post("rollouts/get", &json!({ "id": id }))?,
            RolloutVerb::Pause { id } => client.post("rollouts/pause", &json!({ "id": id }))?,
            RolloutVerb::Resume { id } => client.post("rollouts/resume", &json!({ "id": id }))?,
            RolloutVerb::Abort { id, keep } => {
                let mut body = Map::from_iter([("id".to_owned(), json!(id))]);
                if keep {
                    body.insert("send_back".to_owned(), json!(false));
                }
                client.post("rollouts/abort", &body.into())?
            }
        };
        Ok(told(center, &answer, || shown(&answer)))
    }
}

fn listed(answer: &Value) -> String {
    let columns = [
        ("ID", "id"),
        ("PUBLISH", "publish_id"),
        ("STATE", "state"),
        ("WAVE", "wave"),
        ("OF", "waves"),
        ("EDGES", "counts"),
        ("STARTED", "created_at"),
        ("REASON", "reason"),
    ];
    let nothing = "no rollouts: `potoroo-ops rollout start PUBLISH --tag TAG`";
    table(&columns, rows(answer, "rollouts"), nothing)
}

/// A rollout line by line, and its edges below.
fn shown(rollout: &Value) -> String {
    let mut text = String::new();
    for (name, key) in [
        ("rollout", "id"),
        ("publish", "publish_id"),
        ("state", "state"),
        ("reason", "reason"),
        ("wave", "wave"),
        ("waves", "waves"),
        ("may fail", "failures_max"),
    ] {
        let value = &rollout[key];
        if !value.is_null() {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("{name}: {shown}\n"));
        }
    }
    let columns = [
        ("EDGE", "name"),
        ("WAVE", "wave"),
        ("STATE", "state"),
        ("LATE", "is_late"),
        ("FROM", "from_publish_id"),
        ("REASON", "reason"),
    ];
    text.push_str(&table(&columns, rows(rollout, "edges"), "no edges"));
    text
}
