//! `logs` and `export-logs`: what edges inferred, as a table, as JSON, as it comes, or as a file.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::table::table;
use crate::clock::{Clock, DeviceClock, from_rfc3339, rfc3339};
use crate::disk::{self, DurableFile};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::ops::client::OpsClient;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Rows that are asked for at once.
const PAGE_ROWS: usize = 1000;

/// How often is looked for what came: edges send every few seconds.
const FOLLOW_PAUSE: Duration = Duration::from_secs(2);

/// Characters of a column of values in a table.
const VALUES_CHARS_MAX: usize = 48;

#[derive(Args)]
pub(super) struct LogsArguments {
    #[command(flatten)]
    of: OfLogs,
    /// In which form; arrow, parquet and csv are files of all that was asked for.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The file that arrow, parquet and csv go to.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// As many rows at most, the latest.
    #[arg(long, value_name = "ROWS", default_value = "100")]
    limit: usize,
    /// Go on with what comes, until it is stopped.
    #[arg(long)]
    follow: bool,
    /// What edges counted of inferences whose values they keep to themselves (`log: summaries`).
    #[arg(long, conflicts_with = "follow")]
    summaries: bool,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    of: OfLogs,
    /// In which form.
    #[arg(long, value_enum, default_value = "parquet")]
    format: FileFormat,
    /// The file.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Of what.
#[derive(Args)]
struct OfLogs {
    /// The pipeline, by name.
    pipeline: String,
    #[command(flatten)]
    workspace: WorkspaceArgument,
    /// From this time on: RFC 3339, or so long ago, as 90s, 15m, 2h, 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Of this edge; may be given several times.
    #[arg(long = "edge", value_name = "NAME")]
    edges: Vec<String>,
    /// Of this version of the pipeline, a UUID.
    #[arg(long = "of-version", value_name = "UUID")]
    version: Option<String>,
    /// Only rows in which a validation failed.
    #[arg(long)]
    failures: bool,
}

/// What logs are shown as.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each row, with the beginnings of its values.
    Table,
    /// An object on each line.
    Json,
    /// An Arrow file.
    Arrow,
    /// A Parquet file.
    Parquet,
    /// Comma-separated values.
    Csv,
}

/// A form that is a file.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// An Arrow file.
    Arrow,
    /// A Parquet file.
    Parquet,
    /// Comma-separated values.
    Csv,
}

impl FileFormat {
    fn word(self) -> &'static str {
        match self {
            FileFormat::Arrow => "arrow",
            FileFormat::Parquet => "parquet",
            FileFormat::Csv => "csv",
        }
    }
}

impl OfLogs {
    /// What the API is asked with.
    fn body(&self, client: &OpsClient) -> Result<Value, Failure> {
        let text = |ms: Option<i64>| {
            ms.map(|ms| rfc3339(Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
        };
        Ok(json!({
            "pipeline_name": self.pipeline,
            "workspace_id": self.workspace.id(client)?,
            "edges": self.edges,
            "pipeline_version": self.version,
            "failures_only": self.failures,
            "start_time": text(self.since),
            "end_time": text(self.until),
        }))
    }
}

impl ExportArguments {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        export(&client, self.of.body(&client)?, self.format, &self.output)
    }
}

/// Writes a file whole, or not at all; to what is no file, as a pipe, as it comes.
fn export(
    client: &OpsClient,
    mut body: Value,
    format: FileFormat,
    output: &Path,
) -> Result<String, Failure> {
    body["format"] = format.word().into();
    let unwritable = |error: disk::Error| {
        Failure::new(Exit::Disk, error).hint("name a place that can be written with --output")
    };
    let path = "pipelines/export_logs";
    if output.exists() && !output.is_file() {
        let mut file = File::options()
            .write(true)
            .open(output)
            .map_err(|error| unwritable(disk::failed(disk::Step::Open, output)(error)))?;
        return client.download(path, &body, &mut file).map(|_| String::new());
    }
    let mut file = DurableFile::create(disk::directory_of(output)).map_err(unwritable)?;
    let bytes = client.download(path, &body, &mut file)?;
    file.persist(output).map_err(unwritable)?;
    Ok(format!("logs: {}\nbytes: {bytes}\n", output.display()))
}

impl LogsArguments {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        let mut body = self.of.body(&client)?;
        let file = match self.format {
            Format::Arrow => Some(FileFormat::Arrow),
            Format::Parquet => Some(FileFormat::Parquet),
            Format::Csv => Some(FileFormat::Csv),
            Format::Table | Format::Json => None,
        };
        if let Some(format) = file {
            let Some(output) = &self.output else {
                return Err(Failure::new(Exit::Usage, "this form is a file, and none is named")
                    .hint("name it with --output"));
            };
            return export(&client, body, format, output);
        }
        let is_json = center.json || self.format == Format::Json;
        if self.summaries {
            let answer = client.post("pipelines/get_log_summaries", &body)?;
            let found = rows(&answer, "summaries");
            let found = &found[..found.len().min(self.limit)];
            return Ok(if is_json { lines(found) } else { counted(found) });
        }
        let (mut found, follow, losses) = latest(&client, &mut body, self.limit)?;
        // The latest were asked for, and the latest stands last, where a person looks.
        found.reverse();
        let shown = if is_json { lines(&found) } else { listed(&found) };
        if !self.follow {
            return Ok(match losses {
                0 => shown,
                _ if is_json => shown,
                losses => format!("{shown}{}", lost(&client, &body, losses)?),
            });
        }
        logging::announce(shown.trim_end());
        body["order"] = "arrival".into();
        body["page_size"] = PAGE_ROWS.into();
        let mut cursor = follow;
        loop {
            body["cursor"] = cursor.clone().into();
            let heads = ["x-iteration-cursor", "x-iteration-status"];
            let ([next, status], found) = client.post_for("pipelines/get_logs", &body, heads)?;
            let found = found.as_array().map_or(&[][..], Vec::as_slice);
            if !found.is_empty() {
                let shown = if is_json { lines(found) } else { without_head(&listed(found)) };
                logging::announce(shown.trim_end());
            }
            cursor = next.unwrap_or(cursor);
            if status.as_deref() == Some("All") {
                std::thread::sleep(FOLLOW_PAUSE);
            }
        }
    }
}

/// The latest rows, the latest first; where what comes later begins; how many losses there are.
fn latest(
    client: &OpsClient,
    body: &mut Value,
    limit: usize,
) -> Result<(Vec<Value>, String, usize), Failure> {
    let mut found: Vec<Value> = Vec::new();
    let mut first: Option<(String, usize)> = None;
    body["order"] = "desc".into();
    loop {
        body["page_size"] = (limit - found.len()).clamp(1, PAGE_ROWS).into();
        let heads = ["x-iteration-cursor", "x-iteration-follow", "x-log-losses"];
        let ([next, follow, losses], page) = client.post_for("pipelines/get_logs", body, heads)?;
        first.get_or_insert_with(|| {
            let losses = losses.and_then(|losses| losses.parse().ok());
            (follow.unwrap_or_default(), losses.unwrap_or(0))
        });
        found.extend(page.as_array().into_iter().flatten().cloned());
        found.truncate(limit);
        match next {
            Some(next) if found.len() < limit => body["cursor"] = next.into(),
            Some(_) | None => break,
        }
    }
    let (follow, losses) = first.unwrap_or_default();
    body["cursor"] = Value::Null;
    Ok((found, follow, losses))
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn listed(rows: &[Value]) -> String {
    let shown: Vec<Value> = rows.iter().map(shown).collect();
    let columns =
        [("TIME", "time"), ("EDGE", "edge"), ("FAILED", "failed"), ("OUT", "out"), ("IN", "in")];
    table(
        &columns,
        &shown,
        "no logs like that yet: an engine that runs with an edge's bundle sends them",
    )
}

/// The table's lines below its first.
fn without_head(table: &str) -> String {
    table.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned())
}

/// A row for a person: its time, and the beginnings of its values.
fn shown(row: &Value) -> Value {
    let time = row["time"].as_u64().unwrap_or(0);
    let values = |group: &Value| {
        let members = group.as_object().into_iter().flatten();
        let text: Vec<String> = members.map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join(" ");
        if text.chars().count() <= VALUES_CHARS_MAX {
            return text;
        }
        text.chars().take(VALUES_CHARS_MAX - 1).chain(['…']).collect()
    };
    let failed: Vec<&String> = row["anomaly"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .map(|(name, _)| name)
        .collect();
    let mark = match row["metadata"]["time_source"].as_str() {
        Some("unknown") => "?",
        Some(_) | None => "",
    };
    json!({
        "time": format!("{}{mark}", rfc3339(Duration::from_millis(time))),
        "edge": row["metadata"]["partition"],
        "failed": failed,
        "out": values(&row["out"]),
        "in": values(&row["in"]),
    })
}

/// Summaries for a person: a line for each column of each.
fn counted(summaries: &[Value]) -> String {
    let of_summary = |summary: &Value| {
        let columns = summary["columns"].as_object().cloned().unwrap_or_default();
        let line = |(name, spread): (String, Value)| {
            json!({
                "from": summary["start_time"],
                "edge": summary["edge"],
                "inferences": summary["inferences"],
                "failures": summary["failures"],
                "column": name,
                "min": spread["min"],
                "mean": spread["mean"],
                "max": spread["max"],
            })
        };
        columns.into_iter().map(line).collect::<Vec<Value>>()
    };
    let shown: Vec<Value> = summaries.iter().flat_map(of_summary).collect();
    let columns = [
        ("FROM", "from"),
        ("EDGE", "edge"),
        ("INFERENCES", "inferences"),
        ("FAILED", "failures"),
        ("COLUMN", "column"),
        ("MIN", "min"),
        ("MEAN", "mean"),
        ("MAX", "max"),
    ];
    table(
        &columns,
        &shown,
        "no summaries like that yet: a pipeline saved with `log: {summaries: true}` sends them",
    )
}

/// What was inferred and is not here, for a person.
fn lost(client: &OpsClient, body: &Value, losses: usize) -> Result<String, Failure> {
    let answer = client.post("pipelines/get_log_losses", body)?;
    let columns = [
        ("TIME", "time"),
        ("EDGE", "edge"),
        ("LOST", "count"),
        ("REASON", "reason"),
        ("FROM", "first"),
    ];
    let table = table(&columns, rows(&answer, "losses"), "");
    Ok(format!("\nlosses: {losses}\n{table}"))
}

/// A time as people write it: RFC 3339, or how long ago.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    if let Some(ms) = from_rfc3339(text) {
        return Ok(ms);
    }
    let expected =
        || "expected 2026-11-28T10:00:00Z, or how long ago as 90s, 15m, 2h or 7d".to_owned();
    let end = text.char_indices().last().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(end);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    let number: i64 = number.parse().map_err(|_| expected())?;
    let now_ms = i64::try_from(DeviceClock.since_epoch().as_millis()).unwrap_or(i64::MAX);
    let ago = number.checked_mul(seconds * 1000).filter(|ago| 0 <= *ago).ok_or_else(expected)?;
    Ok(now_ms.saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("1985-04-12T23:20:50.52Z"), Ok(482_196_050_520));
        let (now, hour_ago) = (moment("0s").unwrap(), moment("1h").unwrap());
        assert!((3_590_000..=3_600_000).contains(&(now - hour_ago)));
        for text in ["", "h", "1", "-1h", "1.5h", "1w", "yesterday", "\u{e9}"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
