//! `drift`: baselines made of logs or of a file, listed and removed, and how far a pipeline has moved from one.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::logs::moment;
use super::table::table;
use super::told;
use crate::clock::rfc3339;
use crate::exit::{Exit, Failure};
use crate::http::percent;
use crate::ops::client::OpsClient;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub(super) enum DriftVerb {
    /// Make a baseline of what edges inferred in a time, or of a file.
    Baseline(BaselineArguments),
    /// List the baselines of a pipeline.
    List(OfPipeline),
    /// Show how far each column has moved from a baseline, the furthest first.
    Show(ShowArguments),
    /// Remove a baseline, and what was counted for it.
    Remove {
        /// Its number.
        id: i64,
    },
}

#[derive(Args)]
pub(super) struct OfPipeline {
    /// The pipeline, by name.
    pipeline: String,
    #[command(flatten)]
    workspace: WorkspaceArgument,
}

#[derive(Args)]
pub(super) struct BaselineArguments {
    #[command(flatten)]
    of: OfPipeline,
    /// What it is to be called: a-z, 0-9 and -.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Of this file: rows as JSON, CSV, Parquet or Arrow.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "until", "edges"])]
    file: Option<PathBuf>,
    /// Of logs from this time on: RFC 3339, or so long ago, as 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Of logs before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Of this edge's logs; may be given several times.
    #[arg(long = "edge", value_name = "NAME")]
    edges: Vec<String>,
}

#[derive(Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    of: OfPipeline,
    /// The baseline, by name; the newest otherwise.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Of this edge alone.
    #[arg(long, value_name = "NAME")]
    edge: Option<String>,
    /// From this time on; a week ago otherwise.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
}

fn text(ms: Option<i64>) -> Option<String> {
    ms.map(|ms| rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
}

impl OfPipeline {
    fn body(&self, client: &OpsClient) -> Result<Value, Failure> {
        Ok(json!({ "pipeline_name": self.pipeline, "workspace_id": self.workspace.id(client)? }))
    }
}

impl DriftVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            DriftVerb::Baseline(arguments) => {
                let made = arguments.make(&client)?;
                Ok(told(center, &made, || listed(std::slice::from_ref(&made))))
            }
            DriftVerb::List(of) => {
                let answer = client.post("drift/list_baselines", &of.body(&client)?)?;
                Ok(told(center, &answer, || listed(rows(&answer, "baselines"))))
            }
            DriftVerb::Show(arguments) => {
                let answer = arguments.ask(&client)?;
                Ok(told(center, &answer, || shown(&answer)))
            }
            DriftVerb::Remove { id } => {
                let answer = client.post("drift/remove_baseline", &json!({ "id": id }))?;
                Ok(told(center, &answer, || format!("removed: {id}\n")))
            }
        }
    }
}

impl BaselineArguments {
    fn make(&self, client: &OpsClient) -> Result<Value, Failure> {
        let mut body = self.of.body(client)?;
        let Some(path) = &self.file else {
            body["name"] = self.name.clone().into();
            body["start_time"] = text(self.since).into();
            body["end_time"] = text(self.until).into();
            body["edges"] = json!(self.edges);
            return client.post("drift/create_baseline", &body);
        };
        let unreadable = |error: std::io::Error| {
            Failure::new(Exit::Disk, format!("{} cannot be read: {error}", path.display()))
                .hint("name a file of JSON, CSV, Parquet or Arrow")
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let file_name = path.file_name().map_or(Path::new(""), Path::new).to_string_lossy();
        let encoded = |text: &str| percent::encoded(text, b"");
        let query = format!(
            "drift/upload_baseline?workspace_id={}&pipeline_name={}&name={}&filename={}",
            body["workspace_id"],
            encoded(&self.of.pipeline),
            encoded(&self.name),
            encoded(&file_name)
        );
        client.post_file(&query, &mut file, bytes)
    }
}

impl ShowArguments {
    fn ask(&self, client: &OpsClient) -> Result<Value, Failure> {
        let known = client.post("drift/list_baselines", &self.of.body(client)?)?;
        let is_it = |it: &&Value| {
            self.baseline.as_ref().is_none_or(|wanted| it["name"].as_str() == Some(wanted))
        };
        let Some(baseline) = rows(&known, "baselines").iter().find(is_it) else {
            let sentence = match &self.baseline {
                Some(name) => format!("`{}` has no baseline `{name}`", self.of.pipeline),
                None => format!("`{}` has no baseline", self.of.pipeline),
            };
            return Err(Failure::new(Exit::NotFound, sentence)
                .hint("`potoroo-ops drift baseline PIPELINE --name NAME` makes one"));
        };
        let body = json!({
            "id": baseline["id"],
            "edge": self.edge,
            "start_time": text(self.since),
            "end_time": text(self.until),
        });
        client.post("drift/get", &body)
    }
}

fn listed(baselines: &[Value]) -> String {
    let columns = [
        ("ID", "id"),
        ("NAME", "name"),
        ("OF", "origin.kind"),
        ("ROWS", "rows"),
        ("MADE", "created_at"),
        ("BY", "created_by"),
    ];
    table(&columns, baselines, "no baselines: `potoroo-ops drift baseline PIPELINE --name NAME`")
}

/// The time and the rows, and the columns and edges below.
fn shown(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    let mut shown = format!(
        "baseline: {}\nfrom: {}\nuntil: {}\nrows: {}\n",
        answer["baseline"]["name"].as_str().unwrap_or_default(),
        word("start_time"),
        word("end_time"),
        answer["rows"]
    );
    let behind = answer["behind_frames"].as_i64().unwrap_or(0);
    if 0 < behind {
        shown.push_str(&format!("not counted yet: {behind} batches of logs\n"));
    }
    let rounded = |row: &Value| {
        let mut row = row.clone();
        if let Some(psi) = row["psi"].as_f64() {
            row["psi"] = format!("{psi:.4}").into();
        }
        row
    };
    let of = |key: &str| rows(answer, key).iter().map(rounded).collect::<Vec<Value>>();
    let columns = [
        ("COLUMN", "column"),
        ("PSI", "psi"),
        ("MEANS", "level"),
        ("VALUES", "values"),
        ("NOTE", "note"),
    ];
    shown.push_str(&table(&columns, &of("columns"), "no columns"));
    let edges = of("edges");
    if !edges.is_empty() {
        let columns = [("EDGE", "edge"), ("ROWS", "rows"), ("PSI", "psi"), ("COLUMN", "column")];
        shown.push_str(&table(&columns, &edges, "no edges"));
    }
    shown
}
