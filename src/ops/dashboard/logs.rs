//! The logs of a pipeline: what its edges inferred, by time, edge, version and failures, and as files.

use super::page::{Frame, Section, page as framed};
use super::pieces::{empty, moment};
use super::{get, number};
use crate::codec::Dataset;
use crate::codec::logs::write_log_rows;
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::api::logs::{Wanted, export};
use crate::ops::api::pipelines::readable;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::logs::{Cursor, LogPage, PageAsked, ReadError, page};
use crate::ops::store::{LogLoss, LogOrder, Pipeline};
use maud::{Markup, html};
use serde_json::{Map, Value};

pub(super) const ROUTES: &[Route] =
    &[get("/pipelines/{pipeline}/logs", show), get("/pipelines/{pipeline}/logs/file", file)];

/// Rows on one page: some 40 KB with the texts cut below.
const SHOWN: usize = 50;

/// Characters of one cell; a file has all of it.
const CELL_CHARS_MAX: usize = 160;

/// Losses that are told beside the rows, the newest.
const LOSSES_SHOWN: i64 = 20;

/// Formats of a file, with what people call them.
const FORMATS: [(&str, &str); 3] = [("arrow", "Arrow"), ("parquet", "Parquet"), ("csv", "CSV")];

/// What the form holds.
#[derive(Debug, Default)]
pub(super) struct Filter {
    edge: Option<String>,
    version: Option<String>,
    is_failures: bool,
    from: Option<String>,
    until: Option<String>,
}

impl Filter {
    /// Inferences of an edge that failed a check.
    pub(super) fn failures_of(edge: &str) -> Filter {
        Filter { edge: Some(edge.to_owned()), is_failures: true, ..Filter::default() }
    }

    fn of(asked: &Asked<'_, '_, '_>) -> Filter {
        let text = |name: &str| {
            asked.query(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Filter {
            edge: text("edge"),
            version: text("version"),
            is_failures: text("failures").is_some(),
            from: text("from"),
            until: text("until"),
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            edge: self.edge.clone(),
            pipeline_version: self.version.clone(),
            failures_only: Some(self.is_failures),
            start_time: self.from.as_deref().map(time),
            end_time: self.until.as_deref().map(time),
            ..Wanted::default()
        }
    }

    /// As a query, with further pairs.
    fn query(&self, more: &[(&str, &str)]) -> String {
        let own = [
            ("edge", self.edge.as_deref()),
            ("version", self.version.as_deref()),
            ("failures", self.is_failures.then_some("yes")),
            ("from", self.from.as_deref()),
            ("until", self.until.as_deref()),
        ];
        let own = own.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        let pairs: Vec<String> = own
            .chain(more.iter().copied())
            .map(|(name, value)| format!("{name}={}", percent::encoded(value, b"")))
            .collect();
        pairs.join("&")
    }
}

/// A time as a browser's field sends it, without seconds and zone, is one in UTC.
pub(super) fn time(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    let pipeline = center.store.read(|tx| readable(asked, tx, id))?;
    let filter = Filter::of(asked);
    let found = found(center, id, &filter, asked.query("cursor").as_deref(), SHOWN);
    let (fault, found) = match found {
        Ok(found) => (None, Some(found)),
        Err(problem) if problem.code() < 500 => (Some(problem), None),
        Err(problem) => return Err(problem),
    };
    let content = content(&pipeline, &filter, found.as_ref());
    let title = format!("Logs of {}", pipeline.name);
    let (section, workspace) = (Section::Pipelines, Some(pipeline.workspace));
    framed(
        center,
        asked,
        &Frame { title: &title, section, workspace, fault: fault.as_ref() },
        &content,
    )
}

/// What a page shows.
pub(super) struct Found {
    pub(super) rows: Vec<Map<String, Value>>,
    next: Option<String>,
    pub(super) losses: Vec<LogLoss>,
    is_first: bool,
}

/// A page of rows, the newest first, behind the cursor that the page before gave; and the newest losses.
///
/// # Errors
/// What of the filter or the cursor is none, and when logs cannot be read.
pub(super) fn found(
    center: &Center,
    pipeline: i64,
    filter: &Filter,
    cursor: Option<&str>,
    rows_max: usize,
) -> Result<Found, Problem> {
    let logs = filter.wanted().logs(pipeline, LogOrder::Descending)?;
    let losses = center.store.read(|tx| tx.log_losses(&logs, LOSSES_SHOWN))?;
    let cursor = cursor.map(str::parse::<Cursor>).transpose();
    let cursor = cursor.map_err(|error| Problem::bad("cursor", error.to_string()))?;
    let is_first = cursor.is_none();
    let LogPage { rows, cursor, .. } = page(&center.logs, &PageAsked { logs, rows_max, cursor })?;
    let json = write_log_rows(rows.as_ref(), &Dataset::default()).map_err(ReadError::from)?;
    let rows = serde_json::from_slice(&json)
        .map_err(|error| Problem::new(500, "logs", "the rows cannot be shown").because(&error))?;
    Ok(Found { rows, next: cursor.map(|cursor| cursor.to_string()), losses, is_first })
}

fn content(pipeline: &Pipeline, filter: &Filter, found: Option<&Found>) -> Markup {
    let place = format!("/pipelines/{}/logs", pipeline.id);
    html! {
        div.head {
            div { p.crumb { a href={ "/workspaces/" (pipeline.workspace) "/pipelines" } { "Pipelines" } " / " a href={ "/pipelines/" (pipeline.id) } { (pipeline.name) } } h1 { "Logs" } }
            div.row {
                @for (format, words) in FORMATS {
                    a.button.second.small href={ (place) "/file?" (filter.query(&[("format", format)])) } { "Download " (words) }
                }
            }
        }
        (form(&place, filter))
        @if let Some(found) = found {
            @if found.rows.is_empty() {
                (empty("No inference is like that", &html! {
                    p { "Edges send what they inferred when they have a link, within seconds. An engine without " code { "EDGE_BUNDLE" } " sends nothing." }
                }))
            } @else { (table(&found.rows)) }
            nav.pages aria-label="Pages" {
                @if !found.is_first { a href={ (place) "?" (filter.query(&[])) } { "Newest" } }
                @if let Some(next) = &found.next { a rel="next" href={ (place) "?" (filter.query(&[("cursor", next)])) } { "Earlier" } }
            }
            @if !found.losses.is_empty() { (losses(&found.losses)) }
        }
    }
}

fn form(place: &str, filter: &Filter) -> Markup {
    html! {
        form.card method="get" action=(place) role="search" aria-label="Logs" {
            div.fields {
                div { label for="edge" { "Edge" } input id="edge" name="edge" value=[filter.edge.as_deref()]; }
                div { label for="version" { "Pipeline version" } input id="version" name="version" value=[filter.version.as_deref()]; }
                div { label for="from" { "From, UTC" } input id="from" name="from" type="datetime-local" value=[filter.from.as_deref()]; }
                div { label for="until" { "Until, UTC" } input id="until" name="until" type="datetime-local" value=[filter.until.as_deref()]; }
                div { label.check { input type="checkbox" name="failures" value="yes" checked[filter.is_failures]; "failed checks alone" } }
                div { button.second { "Filter" } }
            }
        }
    }
}

/// The rows, an inference in each.
pub(super) fn table(rows: &[Map<String, Value>]) -> Markup {
    let part = |row: &Map<String, Value>, key: &str| row.get(key).cloned().unwrap_or_default();
    html! {
        div.table.dense tabindex="0" role="region" aria-label="Inferences" {
            table {
                thead { tr { th scope="col" { "Time" } th scope="col" { "Edge" } th scope="col" { "In" } th scope="col" { "Out" } th scope="col" { "Failed checks" } th scope="col" { "Version" } } }
                tbody {
                    @for row in rows {
                        @let metadata = part(row, "metadata");
                        @let version = metadata["pipeline_version"].as_str().unwrap_or_default();
                        tr {
                            td { (moment(part(row, "time").as_i64().unwrap_or_default())) }
                            td.name { (metadata["partition"].as_str().unwrap_or_default()) }
                            td.long { code { (cell(&part(row, "in"))) } }
                            td.long { code { (cell(&part(row, "out"))) } }
                            td.name { (failed(&part(row, "anomaly"))) }
                            td { code title=(version) { (version.get(..8).unwrap_or(version)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A value as a cell has room for it.
fn cell(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(CELL_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// How many checks failed, and which.
fn failed(anomaly: &Value) -> Markup {
    let names: Vec<&str> = anomaly
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .map(|(name, _)| name.as_str())
        .collect();
    html! {
        @match anomaly["count"].as_i64() {
            Some(0) | None => "0",
            Some(count) => { span.state.wrong { (count) } " " (names.join(", ")) },
        }
    }
}

/// What is missing, and why.
pub(super) fn losses(losses: &[LogLoss]) -> Markup {
    html! {
        section {
            h2 { "What was lost" }
            p.hint { "A device that is full, or that ended in the middle, says how many inferences are missing. The newest come first." }
            div.table tabindex="0" role="region" aria-label="What was lost" {
                table {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Edge" } th.number scope="col" { "Inferences" } th scope="col" { "Why" } } }
                    tbody {
                        @for loss in losses {
                            tr {
                                td { (moment(loss.at_ms)) }
                                td.name { (loss.edge) }
                                td.number { @if loss.count == 0 { "not known" } @else { (loss.count) } }
                                td { (loss.reason) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The rows of the filter as one file, the earliest first.
fn file(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    let pipeline = center.store.read(|tx| readable(asked, tx, id))?;
    let format = asked.query("format");
    let logs = Filter::of(asked).wanted().logs(id, LogOrder::Ascending)?;
    let ending = format.clone().unwrap_or_else(|| FORMATS[0].0.to_owned());
    let name = format!("attachment; filename=\"{}-logs.{ending}\"", pipeline.name);
    Ok(export(center, logs, format.as_deref())?.with_header("Content-Disposition", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_one_in_utc() {
        assert_eq!(time("2026-11-28T10:00"), "2026-11-28T10:00:00Z");
        assert_eq!(time("2026-11-28T10:00:00+01:00"), "2026-11-28T10:00:00+01:00");
    }

    #[test]
    fn a_cell_is_cut_between_characters() {
        let shown = cell(&Value::from("ü".repeat(400)));
        assert_eq!(shown.chars().count(), CELL_CHARS_MAX + 1);
    }
}
