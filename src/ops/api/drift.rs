//! Drift: baselines that are made, listed and removed, and how far a pipeline has moved from one.

use super::asked::is_csrf;
use super::logs::{Wanted, time};
use super::moment::{Moment, moment};
use super::multipart::{Multipart, PartHead};
use super::pipelines::readable;
use super::uploads::unread;
use super::{Asked, Need, Problem, Route, answer};
use crate::disk::DurableFile;
use crate::exit;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::drift::{
    BASELINE_FILE_BYTES_MAX, BASELINES_MAX, ColumnDrift, Drift, DriftAsked, DriftError, EdgeDrift,
    HOUR_MS, Made, Origin, POINTS_MAX, drift, of_file, of_logs,
};
use crate::ops::name::is_name;
use crate::ops::store::{BaselineRecord, LogOrder, NewBaseline, Pipeline, StoreError, Tx};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};

pub(super) const ROUTES: &[Route] = &[
    route("/v1/api/drift/create_baseline", create),
    route("/v1/api/drift/upload_baseline", upload),
    route("/v1/api/drift/list_baselines", list),
    route("/v1/api/drift/remove_baseline", remove),
    route("/v1/api/drift/get", get),
];

const fn route(
    path: &'static str,
    answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
) -> Route {
    Route { method: "POST", path, need: Need::SignedIn, answer }
}

/// Where the dashboard's form sends a baseline's file.
pub(in crate::ops) const BASELINE_PATH: &str = "/drift/baselines";

/// Bytes of a body with such a file in it, and what stands about it.
pub(super) const BODY_BYTES_MAX: u64 = BASELINE_FILE_BYTES_MAX + (1 << 20);

/// Bytes of a part that is one short value.
const VALUE_BYTES_MAX: u64 = 4 << 10;

/// Characters of a file's name that are kept.
const FILE_NAME_CHARS_MAX: usize = 255;

/// What is told where no time is asked for: the last week, milliseconds.
const WINDOW_MS: i64 = 7 * 24 * HOUR_MS;

const DAY_MS: i64 = 24 * HOUR_MS;

/// The longest time that is told by the hour where it is not said how.
const HOURLY_MS_MAX: i64 = 3 * DAY_MS;

/// Whether the body of such a request is a baseline's file.
pub(super) fn takes_a_file(method: &str, path: &str) -> bool {
    method == "POST" && (path == "/v1/api/drift/upload_baseline" || path == BASELINE_PATH)
}

#[derive(Deserialize)]
struct CreateAsked {
    #[serde(flatten)]
    wanted: Wanted,
    name: String,
}

fn create(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let CreateAsked { wanted, name } = asked.json()?;
    let pipeline = center.store.read(|tx| wanted.pipeline(asked, tx))?;
    let record = create_baseline(center, asked, &pipeline, &name, wanted)?;
    Ok(answer(201, &baseline_view(&record)))
}

/// Makes a baseline of what was logged.
///
/// # Errors
/// What of it cannot be, and who may not.
pub(in crate::ops) fn create_baseline(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    name: &str,
    wanted: Wanted,
) -> Result<BaselineRecord, Problem> {
    center.store.read(|tx| may_add(tx, asked, pipeline, name))?;
    let logs = wanted.logs(pipeline.id, LogOrder::Arrival)?;
    let (from_ms, until_ms, edges) = (logs.from_ms, logs.until_ms, logs.edges.clone());
    let made = of_logs(&center.logs, logs)?;
    added(center, asked, pipeline, name, &Origin::Logs { from_ms, until_ms, edges }, &made)
}

fn may_add(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    name: &str,
) -> Result<(), Problem> {
    asked.may(tx, pipeline.workspace, Role::Publisher)?;
    if !is_name(name) {
        return Err(DriftError::Name.into());
    }
    let known = tx.baselines(Some(pipeline.id))?;
    if known.iter().any(|it| it.name == name) {
        return Err(taken(pipeline, name));
    }
    match known.len() < BASELINES_MAX {
        true => Ok(()),
        false => Err(DriftError::TooMany.into()),
    }
}

fn taken(pipeline: &Pipeline, name: &str) -> Problem {
    let sentence = format!(
        "`{}` has a baseline `{name}` already: choose another name, or remove that one",
        pipeline.name
    );
    Problem::conflict("baseline", sentence)
}

fn added(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    name: &str,
    origin: &Origin,
    made: &Made,
) -> Result<BaselineRecord, Problem> {
    let origin_text = json!(origin).to_string();
    let record = center.store.write(|tx| {
        may_add(tx, asked, pipeline, name)?;
        let id = tx.add_baseline(&NewBaseline {
            pipeline: pipeline.id,
            name,
            origin: &origin_text,
            columns: &made.columns,
            rows: made.rows,
            left_out: i64::try_from(made.left_out).unwrap_or(i64::MAX),
            by: &asked.caller()?.user.id,
            now_ms: asked.now_ms,
        });
        let id = id.map_err(|error| match error {
            StoreError::Taken(_) => taken(pipeline, name),
            StoreError::Newer { .. }
            | StoreError::Full(_)
            | StoreError::Broken(_)
            | StoreError::Malformed { .. } => error.into(),
        })?;
        let detail = json!({ "pipeline": pipeline.name, "rows": made.rows, "of": origin });
        asked.note(tx, "drift.baseline", Some(pipeline.workspace), name, detail)?;
        tx.baseline(id)?.ok_or_else(|| Problem::unknown("baseline", id))
    })?;
    center.drift.ring();
    Ok(record)
}

fn upload(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let wanted = Wanted {
        pipeline_name: asked.query("pipeline_name"),
        pipeline_id: asked.query_number("pipeline_id")?.map(super::pipelines::PipelineId::Number),
        workspace_id: asked.query_number("workspace_id")?,
        ..Wanted::default()
    };
    let missing =
        || Problem::bad("query", "`name` is missing: the query needs the baseline's name");
    let name = asked.query("name").ok_or_else(missing)?;
    let pipeline = center.store.read(|tx| {
        let pipeline = wanted.pipeline(asked, tx)?;
        may_add(tx, asked, &pipeline, &name).map(|()| pipeline)
    })?;
    let file_name = asked.query("filename").unwrap_or_default();
    let file = received(center, &mut *asked.request)?;
    let record = uploaded(center, asked, &pipeline, &name, &file_name, &file)?;
    Ok(answer(201, &baseline_view(&record)))
}

/// Takes a baseline's file in a form of parts: `csrf_token`, `pipeline`, `name`, and `file` last.
///
/// # Errors
/// What of the parts cannot be, and who may not.
pub(in crate::ops) fn take_baseline(
    center: &Center,
    asked: &mut Asked<'_, '_, '_>,
) -> Result<BaselineRecord, Problem> {
    let mut is_forged = asked.owes_csrf();
    let csrf = asked.csrf();
    let content_type = asked.request.header("Content-Type").unwrap_or_default().to_owned();
    let (mut pipeline, mut name) = (String::new(), String::new());
    let mut file: Option<(DurableFile, String)> = None;
    let mut parts = Multipart::new(&mut *asked.request, &content_type)
        .map_err(|error| Problem::new(415, "multipart", error.to_string()))?;
    while let Some(PartHead { name: part, file_name }) = parts.next_part().map_err(unread)? {
        if part == "file" && !is_forged {
            file = Some((received(center, &mut parts)?, file_name.unwrap_or_default()));
            continue;
        }
        let text = parts.text(VALUE_BYTES_MAX).map_err(unread)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        match part.as_str() {
            "csrf_token" => is_forged &= !is_csrf(&text, csrf.as_ref()),
            _ if is_forged => return Err(Problem::forged()),
            "pipeline" => pipeline = text,
            "name" => name = text,
            _ => {}
        }
    }
    if is_forged {
        return Err(Problem::forged());
    }
    let (file, file_name) = file.ok_or_else(|| {
        Problem::bad("multipart", "there is no part `file`: choose a file to be held against")
    })?;
    let id = pipeline.parse().map_err(|_| Problem::unknown("pipeline", &pipeline))?;
    let pipeline = center.store.read(|tx| {
        let pipeline = readable(asked, tx, id)?;
        may_add(tx, asked, &pipeline, &name).map(|()| pipeline)
    })?;
    uploaded(center, asked, &pipeline, &name, &file_name, &file)
}

/// The file beside others that are on their way; it goes with what is given back.
fn received(center: &Center, from: &mut impl Read) -> Result<DurableFile, Problem> {
    let disk = |error: crate::disk::Error| {
        let sentence = "the disk of the ops center takes no file: make room and send it again";
        Problem::new(507, "disk_full", sentence).because(&error)
    };
    let mut file = DurableFile::create(&center.home.uploads()).map_err(disk)?;
    let bytes = io::copy(&mut from.take(BASELINE_FILE_BYTES_MAX + 1), &mut file).map_err(unread)?;
    match bytes <= BASELINE_FILE_BYTES_MAX {
        true => Ok(file),
        false => {
            let sentence = format!(
                "a baseline's file may have {BASELINE_FILE_BYTES_MAX} bytes: sample its rows"
            );
            Err(Problem::new(413, "too_large", sentence))
        }
    }
}

fn uploaded(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    name: &str,
    file_name: &str,
    file: &DurableFile,
) -> Result<BaselineRecord, Problem> {
    let read = File::open(file.path()).map_err(|error| {
        Problem::new(500, "disk", "the file cannot be read again").because(&error)
    })?;
    let made = of_file(read)?;
    let kept: String =
        file_name.chars().filter(|it| !it.is_control()).take(FILE_NAME_CHARS_MAX).collect();
    added(center, asked, pipeline, name, &Origin::File { name: kept }, &made)
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let wanted: Wanted = asked.json()?;
    let found = center.store.read(|tx| {
        let pipeline = wanted.pipeline(asked, tx)?;
        Ok::<_, Problem>(tx.baselines(Some(pipeline.id))?)
    })?;
    let views: Vec<Value> = found.iter().map(baseline_view).collect();
    Ok(answer(200, &json!({ "baselines": views })))
}

#[derive(Deserialize)]
struct OfBaseline {
    id: i64,
}

fn remove(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let OfBaseline { id } = asked.json()?;
    remove_baseline(center, asked, id)?;
    Ok(answer(200, &json!({})))
}

/// Removes a baseline; its pipeline.
///
/// # Errors
/// When there is none, and who may not.
pub(in crate::ops) fn remove_baseline(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<Pipeline, Problem> {
    center.store.write(|tx| {
        let (record, pipeline) = baseline_of(tx, asked, id)?;
        asked.may(tx, pipeline.workspace, Role::Publisher)?;
        tx.remove_baseline(id)?;
        let detail = json!({ "pipeline": pipeline.name });
        asked.note(tx, "drift.remove", Some(pipeline.workspace), &record.name, detail)?;
        Ok(pipeline)
    })
}

/// The baseline of that number with its pipeline, if the caller may see that.
///
/// # Errors
/// 404 otherwise.
pub(in crate::ops) fn baseline_of(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<(BaselineRecord, Pipeline), Problem> {
    let record = tx.baseline(id)?.ok_or_else(|| Problem::unknown("baseline", id))?;
    let pipeline = readable(asked, tx, record.pipeline);
    match pipeline {
        Ok(pipeline) => Ok((record, pipeline)),
        Err(_) => Err(Problem::unknown("baseline", id)),
    }
}

#[derive(Deserialize)]
struct GetAsked {
    id: i64,
    edge: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    step: Option<String>,
}

fn get(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let GetAsked { id, edge, start_time, end_time, step } = asked.json()?;
    let from_ms = time("start_time", start_time.as_deref())?;
    let until_ms = time("end_time", end_time.as_deref())?;
    let window = window(asked.now_ms, (from_ms, until_ms), step.as_deref(), edge)?;
    center.drift.ring();
    let (record, found) = center.store.read(|tx| {
        let (record, _) = baseline_of(tx, asked, id)?;
        let found = drift(tx, &record, &window)?;
        Ok::<_, Problem>((record, found))
    })?;
    Ok(answer(200, &drift_view(&record, &window, &found)))
}

/// The hours that a time is in, and the parts that it is told by.
///
/// # Errors
/// When it ends before it begins, and when it would have too many parts.
pub(in crate::ops) fn window(
    now_ms: i64,
    (from_ms, until_ms): (Option<i64>, Option<i64>),
    step: Option<&str>,
    edge: Option<String>,
) -> Result<DriftAsked, Problem> {
    let up = |ms: i64| ms.saturating_add(HOUR_MS - 1).div_euclid(HOUR_MS).saturating_mul(HOUR_MS);
    let until_ms = up(until_ms.unwrap_or(now_ms));
    let from_ms = from_ms.unwrap_or(until_ms - WINDOW_MS).div_euclid(HOUR_MS) * HOUR_MS;
    let length = until_ms.saturating_sub(from_ms);
    if length <= 0 {
        return Err(Problem::bad("time", "the time ends before it begins: turn it round"));
    }
    let most = POINTS_MAX * DAY_MS;
    if most < length {
        let sentence = format!("a time has at most {POINTS_MAX} days: ask for less");
        return Err(Problem::bad("time", sentence));
    }
    let step_ms = match step {
        Some("hour") if length <= POINTS_MAX * HOUR_MS => HOUR_MS,
        Some("hour") => {
            let sentence = format!("by the hour a time has at most {POINTS_MAX} of them");
            return Err(Problem::bad("step", sentence));
        }
        Some("day") => DAY_MS,
        Some(_) => return Err(Problem::bad("step", "`step` is hour or day")),
        None if length <= HOURLY_MS_MAX => HOUR_MS,
        None => DAY_MS,
    };
    Ok(DriftAsked { edge: edge.filter(|edge| !edge.is_empty()), from_ms, until_ms, step_ms })
}

fn baseline_view(record: &BaselineRecord) -> Value {
    let origin = match serde_json::from_str::<Origin>(&record.origin) {
        Ok(Origin::Logs { from_ms, until_ms, edges }) => json!({
            "kind": "logs",
            "start_time": from_ms.map(moment),
            "end_time": until_ms.map(moment),
            "edges": edges,
        }),
        Ok(Origin::File { name }) => json!({ "kind": "file", "name": name }),
        Err(_) => Value::Null,
    };
    json!({
        "id": record.id,
        "pipeline_id": record.pipeline,
        "name": record.name,
        "origin": origin,
        "rows": record.rows,
        "columns_left_out": record.left_out,
        "created_at": Moment { ms: record.created_ms },
        "created_by": record.by,
    })
}

fn drift_view(record: &BaselineRecord, window: &DriftAsked, found: &Drift) -> Value {
    json!({
        "baseline": baseline_view(record),
        "edge": window.edge,
        "start_time": moment(window.from_ms),
        "end_time": moment(window.until_ms),
        "step": if window.step_ms == HOUR_MS { "hour" } else { "day" },
        "rows": found.rows,
        "behind_frames": found.behind,
        "columns": found.columns.iter().map(column_view).collect::<Vec<Value>>(),
        "edges": found.edges.iter().map(edge_view).collect::<Vec<Value>>(),
    })
}

fn column_view(column: &ColumnDrift) -> Value {
    let bins = column
        .bins
        .iter()
        .map(|(label, before, now)| json!({ "label": label, "baseline": before, "current": now }));
    let points = column.points.iter().map(
        |point| json!({ "time": moment(point.from_ms), "values": point.values, "psi": point.psi }),
    );
    json!({
        "column": column.label,
        "psi": column.psi,
        "level": column.level().map(|level| level.name()),
        "note": column.note,
        "values": column.values,
        "bins": bins.collect::<Vec<Value>>(),
        "points": points.collect::<Vec<Value>>(),
    })
}

fn edge_view(edge: &EdgeDrift) -> Value {
    let (column, psi) = edge.worst.clone().unzip();
    json!({
        "edge": edge.edge,
        "rows": edge.rows,
        "column": column,
        "psi": psi,
        "significant": edge.significant,
    })
}

impl From<DriftError> for Problem {
    fn from(error: DriftError) -> Problem {
        let sentence = exit::chain(&error);
        match error {
            DriftError::Name => Problem::bad("name", sentence),
            DriftError::TooMany => Problem::conflict("baselines", sentence),
            DriftError::NoRows | DriftError::EmptyFile => Problem::new(422, "no_rows", sentence),
            DriftError::TooManyRows => Problem::new(422, "too_many_rows", sentence),
            DriftError::Table(_) => Problem::new(422, "file", sentence),
            DriftError::Read(error) => error.into(),
            DriftError::Store(error) => error.into(),
        }
    }
}
