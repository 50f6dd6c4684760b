//! Logs: pages of what edges inferred, whole files of it, and what was lost.

use super::models::hidden;
use super::moment::moment;
use super::pipelines::{PipelineId, named, readable};
use super::{Asked, Need, Problem, Route, answer};
use crate::clock::from_rfc3339;
use crate::codec::logs::{LogFormat, LogsError, write_log_file, write_log_rows};
use crate::codec::{AnswerError, CONTENT_TYPE_ARROW_FILE, CONTENT_TYPE_RECORDS, Dataset};
use crate::exit;
use crate::http::server::{Content, Response};
use crate::ops::center::Center;
use crate::ops::logs::{
    Cursor, EdgeSummary, ExportAsked, PAGE_ROWS_MAX, PageAsked, ReadError, exported, page,
};
use crate::ops::store::{LogLoss, LogOrder, LogsAsked, Pipeline, Tx};
use serde::Deserialize;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    route("/v1/api/pipelines/get_logs", get_logs),
    route("/v1/api/pipelines/export_logs", export_logs),
    route("/v1/api/pipelines/get_log_losses", get_losses),
    route("/v1/api/pipelines/get_log_summaries", get_summaries),
    route("/v1/logs/topic/{topic}/records", topic),
];

const fn route(
    path: &'static str,
    answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
) -> Route {
    Route { method: "POST", path, need: Need::SignedIn, answer }
}

/// Rows of a page where it is not said how many, as the original has it.
const PAGE_ROWS: usize = 1000;

/// Edges that are named in one question: more are all of them.
const EDGES_MAX: usize = 1000;

/// Losses in one answer, the newest.
const LOSSES_MAX: i64 = 1000;

/// Summaries in one answer, the newest: each has some KB.
const SUMMARIES_MAX: usize = 1000;

/// Bytes of one exported file: more than any retention that a disk has room for.
const EXPORT_BYTES_MAX: u64 = 1 << 44;

/// The types of an exported file.
const PARQUET: &str = "application/vnd.apache.parquet";
const CSV: &str = "text/csv; charset=utf-8";

/// Of which pipeline, and what of its logs.
#[derive(Default, Deserialize)]
pub(in crate::ops) struct Wanted {
    pub pipeline_id: Option<PipelineId>,
    pub pipeline_name: Option<String>,
    pub workspace_id: Option<i64>,
    /// One edge, or several.
    pub edge: Option<String>,
    #[serde(default)]
    pub edges: Option<Vec<String>>,
    /// The UUID of a version.
    pub pipeline_version: Option<String>,
    #[serde(default)]
    pub failures_only: Option<bool>,
    /// RFC 3339, as the other one.
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

impl Wanted {
    /// The pipeline, if the caller may see it.
    pub(super) fn pipeline(
        &self,
        asked: &Asked<'_, '_, '_>,
        tx: &Tx<'_>,
    ) -> Result<Pipeline, Problem> {
        let name = match (&self.pipeline_id, &self.pipeline_name) {
            (Some(PipelineId::Number(id)), _) => {
                let found = readable(asked, tx, *id)?;
                let is_it = self.workspace_id.is_none_or(|workspace| workspace == found.workspace);
                return is_it.then_some(found).ok_or_else(|| Problem::unknown("pipeline", id));
            }
            (Some(PipelineId::Name(name)), _) | (None, Some(name)) => name,
            (None, None) => {
                let sentence = "no pipeline is named: send `pipeline_id`, or `pipeline_name` and `workspace_id`";
                return Err(Problem::bad("pipeline_id", sentence));
            }
        };
        match self.workspace_id {
            Some(workspace) => named(asked, tx, workspace, name),
            None => {
                let sentence = "`workspace_id` is missing: a pipeline's name needs it beside it";
                Err(Problem::bad("workspace_id", sentence))
            }
        }
    }

    /// The same for the logs of a pipeline.
    ///
    /// # Errors
    /// A time that is none, and too many edges.
    pub(in crate::ops) fn logs(self, pipeline: i64, order: LogOrder) -> Result<LogsAsked, Problem> {
        let edges: Vec<String> =
            self.edges.unwrap_or_default().into_iter().chain(self.edge).collect();
        if EDGES_MAX < edges.len() {
            let sentence = format!("`edges` may have {EDGES_MAX} names: leave it away to get all");
            return Err(Problem::bad("edges", sentence));
        }
        Ok(LogsAsked {
            pipeline,
            edges,
            version: self.pipeline_version,
            is_failures: self.failures_only.unwrap_or(false),
            is_summary: false,
            from_ms: time("start_time", self.start_time.as_deref())?,
            until_ms: time("end_time", self.end_time.as_deref())?,
            order,
            after: None,
            newest: None,
        })
    }
}

/// A time of RFC 3339 as milliseconds since the epoch.
///
/// # Errors
/// When the text is none.
pub(in crate::ops) fn time(name: &'static str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    from_rfc3339(text).map(Some).ok_or_else(|| {
        let sentence = format!("`{name}` is no time of RFC 3339: send 2026-11-28T10:00:00Z");
        Problem::bad("time", sentence)
    })
}

#[derive(Deserialize)]
struct GetLogs {
    #[serde(flatten)]
    wanted: Wanted,
    order: Option<String>,
    page_size: Option<usize>,
    cursor: Option<String>,
}

fn get_logs(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetLogs { wanted, order, page_size, cursor } = asked.json()?;
    let pipeline = center.store.read(|tx| wanted.pipeline(asked, tx))?;
    let order = ordered(order.as_deref())?;
    let cursor = cursor.filter(|text| !text.is_empty());
    paged(center, asked, wanted.logs(pipeline.id, order)?, page_size, cursor.as_deref())
}

/// A page in the form that the request accepts, and in its head where the next one begins.
fn paged(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    logs: LogsAsked,
    page_size: Option<usize>,
    cursor: Option<&str>,
) -> Result<Response, Problem> {
    let rows_max = page_size.unwrap_or(PAGE_ROWS);
    if !(1..=PAGE_ROWS_MAX).contains(&rows_max) {
        let sentence = format!("`page_size` is from 1 to {PAGE_ROWS_MAX}: ask for further pages");
        return Err(Problem::bad("page_size", sentence));
    }
    let cursor = cursor.map(str::parse::<Cursor>).transpose();
    let cursor = cursor.map_err(|error| Problem::bad("cursor", error.to_string()))?;
    let dataset = Dataset::parse(asked.request.query())
        .map_err(|error| Problem::bad("dataset", error.to_string()))?;
    let losses = center.store.read(|tx| tx.log_losses(&logs, LOSSES_MAX))?;
    let page = page(&center.logs, &PageAsked { logs, rows_max, cursor })?;
    let (status, follow) = (page.status.word(), page.follow.to_string());
    let next = page.cursor.map(|cursor| cursor.to_string());
    let rows = page.rows.as_ref();
    let response = match wants_arrow(asked) {
        true => {
            // The original has a number for each part of a topic here; ours are one.
            let places = next.iter().map(|cursor| (cursor.clone(), json!(0)));
            let next: serde_json::Map<String, serde_json::Value> = places.collect();
            let told = json!({ "status": status, "next": next }).to_string();
            let file = write_log_file(rows, &dataset, &told).map_err(ReadError::from)?;
            Response::new(200, CONTENT_TYPE_ARROW_FILE, file)
        }
        false => {
            let list = write_log_rows(rows, &dataset).map_err(ReadError::from)?;
            Response::new(200, CONTENT_TYPE_RECORDS, list)
        }
    };
    let response = response
        .with_header("x-iteration-status", status.to_owned())
        .with_header("x-iteration-follow", follow)
        .with_header("x-log-losses", losses.len().to_string())
        .with_header("x-log-unreadable", page.unreadable.to_string())
        .with_header("Cache-Control", "no-store".to_owned());
    Ok(match next {
        Some(cursor) => response.with_header("x-iteration-cursor", cursor),
        None => response,
    })
}

/// What the original's SDK asks: the topic of a pipeline's inferences, with where the page before ended
/// as its body.
fn topic(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let next: serde_json::Map<String, serde_json::Value> = asked.json()?;
    let name = asked.parameter("topic").to_owned();
    let unknown = || Problem::unknown("topic", &name);
    let parts = name.strip_prefix("workspace-").and_then(|rest| rest.split_once("-pipeline-"));
    let (workspace, rest) = parts.ok_or_else(unknown)?;
    let pipeline = rest.strip_suffix("-inference").ok_or_else(unknown)?;
    let workspace = workspace.parse().map_err(|_| unknown())?;
    let pipeline = center.store.read(|tx| named(asked, tx, workspace, pipeline));
    let pipeline = pipeline.map_err(|problem| hidden(problem, unknown))?;
    let order = ordered(asked.query("order").as_deref())?;
    let wanted = Wanted {
        start_time: asked.query("time.start"),
        end_time: asked.query("time.end"),
        ..Wanted::default()
    };
    let page_size = asked.query_number("page_size")?;
    let page_size = page_size.map(|size| usize::try_from(size).unwrap_or(0));
    let logs = wanted.logs(pipeline.id, order)?;
    paged(center, asked, logs, page_size, next.keys().next().map(String::as_str))
}

fn ordered(text: Option<&str>) -> Result<LogOrder, Problem> {
    match text {
        None | Some("desc") => Ok(LogOrder::Descending),
        Some("asc") => Ok(LogOrder::Ascending),
        Some("arrival") => Ok(LogOrder::Arrival),
        Some(_) => {
            let sentence = "`order` is asc, desc, or arrival: what came first, whenever it was";
            Err(Problem::bad("order", sentence))
        }
    }
}

fn wants_arrow(asked: &Asked<'_, '_, '_>) -> bool {
    asked.request.header("Accept").is_some_and(|accept| accept.contains(CONTENT_TYPE_ARROW_FILE))
}

#[derive(Deserialize)]
struct ExportLogs {
    #[serde(flatten)]
    wanted: Wanted,
    format: Option<String>,
}

fn export_logs(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ExportLogs { wanted, format } = asked.json()?;
    let pipeline = center.store.read(|tx| wanted.pipeline(asked, tx))?;
    let logs = wanted.logs(pipeline.id, LogOrder::Ascending)?;
    export(center, logs, format.as_deref())
}

/// All of these logs as one file, made while it is sent; Arrow where no format is named.
///
/// # Errors
/// A format that there is not, and columns that do not go into one file.
pub(in crate::ops) fn export(
    center: &Center,
    logs: LogsAsked,
    format: Option<&str>,
) -> Result<Response, Problem> {
    let (format, content_type) = match format {
        None | Some("arrow") => (LogFormat::Arrow, CONTENT_TYPE_ARROW_FILE),
        Some("parquet") => (LogFormat::Parquet, PARQUET),
        Some("csv") => (LogFormat::Csv, CSV),
        Some(_) => {
            return Err(Problem::bad("format", "`format` is arrow, parquet or csv"));
        }
    };
    let bytes = exported(&center.logs, ExportAsked { logs, format })?;
    Ok(Response::new(200, content_type, Content::stream(bytes, EXPORT_BYTES_MAX))
        .with_header("Cache-Control", "no-store".to_owned()))
}

fn get_losses(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let wanted: Wanted = asked.json()?;
    let losses = center.store.read(|tx| {
        let pipeline = wanted.pipeline(asked, tx)?;
        let logs = wanted.logs(pipeline.id, LogOrder::Descending)?;
        Ok::<_, Problem>(tx.log_losses(&logs, LOSSES_MAX)?)
    })?;
    let shown = |loss: &LogLoss| {
        json!({
            "edge": loss.edge,
            "journal": loss.journal,
            "first": loss.first,
            // 0 where the device does not know.
            "count": loss.count,
            "reason": loss.reason,
            "time": moment(loss.at_ms),
        })
    };
    let losses: Vec<_> = losses.iter().map(shown).collect();
    Ok(answer(200, &json!({ "losses": losses })))
}

fn get_summaries(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let wanted: Wanted = asked.json()?;
    let pipeline = center.store.read(|tx| wanted.pipeline(asked, tx))?;
    let logs = wanted.logs(pipeline.id, LogOrder::Descending)?;
    let found = center.logs.summaries(&logs, SUMMARIES_MAX)?;
    let shown = |summary: &EdgeSummary| {
        let EdgeSummary { edge, version, first_ms, span_ms, counts, .. } = summary;
        json!({
            "edge": edge,
            "pipeline_version": version,
            "start_time": moment(*first_ms),
            "end_time": moment(first_ms.saturating_add_unsigned(*span_ms)),
            "inferences": summary.inferences,
            "rows": summary.rows,
            "failures": summary.failures,
            "columns": counts["columns"],
            "failed": counts["failed"],
        })
    };
    let summaries: Vec<_> = found.iter().map(shown).collect();
    Ok(answer(200, &json!({ "summaries": summaries })))
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Problem {
        let sentence = exit::chain(&error);
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Logs(LogsError::Answer(AnswerError::Dataset(_))) => {
                Problem::bad("dataset", sentence)
            }
            ReadError::Logs(LogsError::Conflict { .. }) => {
                Problem::conflict("log_columns", sentence)
            }
            error @ (ReadError::Disk(_) | ReadError::Logs(_)) => {
                let sentence = "the logs of the ops center cannot be read: its log says why";
                Problem::new(500, "logs", sentence).because(&error)
            }
        }
    }
}
