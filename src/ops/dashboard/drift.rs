//! Drift: what a pipeline is held against, how far each column has moved from it over a time, and which edges have.

use super::logs::time;
use super::page::{Frame, Section, page};
use super::pieces::{count, csrf_field, empty, moment};
use super::plot::Plot;
use super::{again, get, number, post, see_other};
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::drift::{
    BASELINE_PATH, create_baseline, remove_baseline, take_baseline, window,
};
use crate::ops::api::logs::{Wanted, time as parsed};
use crate::ops::api::pipelines::readable;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::drift::{
    ColumnDrift, Drift, DriftAsked, EDGES_COMPARED, EdgeDrift, HOUR_MS, Level, Origin, drift, short,
};
use crate::ops::store::{BaselineRecord, Pipeline, StoreError};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/pipelines/{pipeline}/drift", show),
    post("/pipelines/{pipeline}/drift/window", of_window),
    post("/pipelines/{pipeline}/drift/remove", remove),
    post(BASELINE_PATH, of_file),
];

/// Columns of one page, those that moved the furthest: some 40 KB.
const COLUMNS_SHOWN: usize = 100;

/// How long until a page is loaded again whose logs are still being counted, seconds.
const RELOAD_SECONDS: u32 = 3;

/// What the page is asked with.
#[derive(Debug, Default)]
struct Filter {
    baseline: Option<i64>,
    edge: Option<String>,
    from: Option<String>,
    until: Option<String>,
    column: Option<String>,
}

impl Filter {
    fn of(asked: &Asked<'_, '_, '_>) -> Filter {
        let text = |name: &str| {
            asked.query(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Filter {
            baseline: text("baseline").and_then(|text| text.parse().ok()),
            edge: text("edge"),
            from: text("from"),
            until: text("until"),
            column: text("column"),
        }
    }

    fn window(&self, now_ms: i64) -> Result<DriftAsked, Problem> {
        let ms = |name, text: &Option<String>| parsed(name, text.as_deref().map(time).as_deref());
        let times = (ms("from", &self.from)?, ms("until", &self.until)?);
        window(now_ms, times, None, self.edge.clone())
    }

    /// The page with another edge or column.
    fn place(&self, pipeline: i64, more: &[(&str, &str)]) -> String {
        let baseline = self.baseline.map(|id| id.to_string());
        let own = [
            ("baseline", baseline.as_deref()),
            ("edge", self.edge.as_deref()),
            ("from", self.from.as_deref()),
            ("until", self.until.as_deref()),
            ("column", self.column.as_deref()),
        ];
        let own = own.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        let own = own.filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let pairs: Vec<String> = own
            .chain(more.iter().copied().filter(|(_, value)| !value.is_empty()))
            .map(|(name, value)| format!("{name}={}", percent::encoded(value, b"")))
            .collect();
        format!("/pipelines/{pipeline}/drift?{}", pairs.join("&"))
    }
}

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    shown(center, asked, id, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: i64,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let mut filter = Filter::of(asked);
    center.drift.ring();
    let (pipeline, may_change, baselines) = center.store.read(|tx| {
        let pipeline = readable(asked, tx, pipeline)?;
        let may_change = asked.may(tx, pipeline.workspace, Role::Publisher).is_ok();
        let baselines = tx.baselines(Some(pipeline.id))?;
        Ok::<_, Problem>((pipeline, may_change, baselines))
    })?;
    let chosen = baselines.iter().find(|it| Some(it.id) == filter.baseline);
    let chosen = chosen.or(baselines.first());
    filter.baseline = chosen.map(|it| it.id);
    let window = filter.window(asked.now_ms);
    let found = match (chosen, &window) {
        (Some(record), Ok(window)) => {
            let found: Result<Drift, StoreError> =
                center.store.read(|tx| drift(tx, record, window));
            Some(found?)
        }
        (Some(_) | None, _) => None,
    };
    let fault = fault.or(window.as_ref().err());
    let content = html! {
        div.head {
            div { p.crumb { a href={ "/workspaces/" (pipeline.workspace) "/pipelines" } { "Pipelines" } " / " a href={ "/pipelines/" (pipeline.id) } { (pipeline.name) } } h1 { "Drift" } }
            a.button.second href={ "/pipelines/" (pipeline.id) "/logs" } { "Logs" }
        }
        p.lead { "How far what edges infer has moved from a baseline, as the population stability index (PSI) of each column: below 0.1 stable, to 0.25 moderate, above it significant." }
        @if baselines.is_empty() {
            (empty("No baseline yet", &html! { p { "A baseline is what values are held against: a time in which all was well, or the data that the model was made with." } }))
        } @else { (form(&pipeline, &filter, &baselines)) }
        @if let (Some(record), Ok(window), Some(found)) = (chosen, &window, &found) {
            (told(&pipeline, &filter, record, window, found))
        }
        @if !baselines.is_empty() { (listed(asked, &pipeline, &baselines, may_change)) }
        @if may_change { (made(asked, &pipeline)) }
    };
    let title = format!("Drift of {}", pipeline.name);
    let (section, workspace) = (Section::Pipelines, Some(pipeline.workspace));
    page(center, asked, &Frame { title: &title, section, workspace, fault }, &content)
}

fn form(pipeline: &Pipeline, filter: &Filter, baselines: &[BaselineRecord]) -> Markup {
    html! {
        form.card method="get" action={ "/pipelines/" (pipeline.id) "/drift" } role="search" aria-label="Drift" {
            div.fields {
                div {
                    label for="baseline" { "Baseline" }
                    select id="baseline" name="baseline" {
                        @for one in baselines { option value=(one.id) selected[Some(one.id) == filter.baseline] { (one.name) } }
                    }
                }
                div { label for="edge" { "Edge" } input id="edge" name="edge" placeholder="all" value=[filter.edge.as_deref()]; }
                div { label for="from" { "From, UTC" } input id="from" name="from" type="datetime-local" value=[filter.from.as_deref()]; }
                div { label for="until" { "Until, UTC" } input id="until" name="until" type="datetime-local" value=[filter.until.as_deref()]; }
                div { button.second { "Show" } }
            }
        }
    }
}

/// What an index means, in words and in a colour.
fn level(psi: Option<f64>) -> Markup {
    let Some(psi) = psi else { return html! { span.quiet { "not known" } } };
    let (class, level) = match Level::of(psi) {
        it @ Level::Stable => ("state good", it),
        it @ Level::Moderate => ("state warn", it),
        it @ Level::Significant => ("state wrong", it),
    };
    html! { span class=(class) { (level.name()) } }
}

fn index(psi: Option<f64>) -> String {
    psi.map_or_else(|| "–".to_owned(), |psi| format!("{psi:.3}"))
}

fn told(
    pipeline: &Pipeline,
    filter: &Filter,
    record: &BaselineRecord,
    window: &DriftAsked,
    found: &Drift,
) -> Markup {
    let chosen = found.columns.iter().find(|it| Some(&it.label) == filter.column.as_ref());
    let chosen = chosen.or(found.columns.first().filter(|_| 0 < found.rows));
    let more = found.columns.len().saturating_sub(COLUMNS_SHOWN);
    html! {
        p.hint {
            (count(i64::try_from(found.rows).unwrap_or(i64::MAX), "row")) " from " (moment(window.from_ms)) " until " (moment(window.until_ms))
            @if let Some(edge) = &window.edge { " of " (edge) " (" a href=(filter.place(pipeline.id, &[("edge", "")])) { "all edges" } ")" }
            ", held against " (count(record.rows, "row")) " of " (record.name) ". Whole hours are told."
            @if 0 < record.left_out { " The baseline had no room for " (count(record.left_out, "further column")) "." }
        }
        @if 0 < found.behind {
            p.told role="status" data-reload=(RELOAD_SECONDS) { (count(found.behind, "batch")) " of logs not counted yet: the page is loaded again." }
        }
        @if found.rows == 0 {
            (empty("Nothing was inferred in that time", &html! { p { "Choose another time" @if window.edge.is_some() { ", or all edges" } "." } }))
        } @else {
            section {
                h2 { "Columns" }
                div.table tabindex="0" role="region" aria-label="Columns" {
                    table {
                        thead { tr { th scope="col" { "Column" } th.number scope="col" { "PSI" } th scope="col" { "Means" } th.number scope="col" { "Values" } } }
                        tbody {
                            @for column in found.columns.iter().take(COLUMNS_SHOWN) {
                                tr {
                                    th scope="row" { a href={ (filter.place(pipeline.id, &[("column", &column.label)])) "#column" } { (column.label) } }
                                    td.number { (index(column.psi)) }
                                    td { (level(column.psi)) }
                                    td.number { (column.values) }
                                }
                            }
                        }
                    }
                }
                @if 0 < more { p.hint { "And " (more) " that moved less; the API and " code { "potoroo-ops drift show" } " have all." } }
            }
            @if let Some(column) = chosen { (in_full(window, column)) }
            @if window.edge.is_none() { (edges(pipeline, filter, &found.edges)) }
        }
    }
}

/// One column: its index over the time, and where its values went.
fn in_full(window: &DriftAsked, column: &ColumnDrift) -> Markup {
    let parts = (window.until_ms - window.from_ms + window.step_ms - 1) / window.step_ms;
    let of = |place: i64| {
        let from_ms = window.from_ms + place * window.step_ms;
        column.points.iter().find(|point| point.from_ms == from_ms).and_then(|point| point.psi)
    };
    let lines = [(0..parts).map(of).collect::<Vec<Option<f64>>>()];
    let label = format!("PSI of {} over the time", column.label);
    let (from, until) = (day_and_hour(window.from_ms), day_and_hour(window.until_ms));
    let plot = Plot {
        label: &label,
        ends: [&from, &until],
        lines: &lines,
        marks: &[0.1, 0.25],
        word: short,
        is_whole: false,
    };
    let (each, one) = match window.step_ms == HOUR_MS {
        true => ("hour", "An hour"),
        false => ("day", "A day"),
    };
    html! {
        section.card id="column" {
            h2 { (column.label) }
            p { "PSI " (index(column.psi)) ", " (level(column.psi)) @if let Some(note) = column.note { ". " span.quiet { "Note: " (note) } } }
            figure {
                (plot.picture())
                figcaption.hint { "PSI of each " (each) ", UTC; the dotted lines are 0.1 and 0.25. " (one) " with few values moves by chance." }
                details {
                    summary { "As a table" }
                    div.table tabindex="0" role="region" aria-label=(label) {
                        table {
                            thead { tr { th scope="col" { "From" } th.number scope="col" { "Values" } th.number scope="col" { "PSI" } th scope="col" { "Means" } } }
                            tbody {
                                @for point in &column.points {
                                    tr { td { (moment(point.from_ms)) } td.number { (point.values) } td.number { (index(point.psi)) } td { (level(point.psi)) } }
                                }
                            }
                        }
                    }
                }
            }
            (spread(column))
        }
    }
}

/// A time below a picture, which no script changes.
fn day_and_hour(ms: i64) -> String {
    let text = crate::clock::rfc3339(std::time::Duration::from_millis(ms.max(0).unsigned_abs()));
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// The shares of each bin, then and now.
fn spread(column: &ColumnDrift) -> Markup {
    let totals = column.bins.iter().fold((0, 0), |(b, n), (_, before, now)| (b + before, n + now));
    let share = |count: u64, total: u64| 100.0 * count as f64 / total.max(1) as f64;
    html! {
        h3 { "How its values are spread" }
        div.table tabindex="0" role="region" aria-label={ "How values of " (column.label) " are spread" } {
            table {
                thead { tr { th scope="col" { "Values" } th.number scope="col" { "Baseline" } th.number scope="col" { "Now" } th scope="col" { span.unseen { "As bars" } } } }
                tbody {
                    @for (label, before, now) in &column.bins {
                        @let (before, now) = (share(*before, totals.0), share(*now, totals.1));
                        tr {
                            th scope="row" { (label) }
                            td.number { (format!("{before:.1} %")) }
                            td.number { (format!("{now:.1} %")) }
                            td.bars {
                                svg width="160" height="18" viewBox="0 0 160 18" aria-hidden="true" {
                                    rect.before x="0" y="1" width=(format!("{:.1}", before * 1.6)) height="7" {}
                                    rect.now x="0" y="10" width=(format!("{:.1}", now * 1.6)) height="7" {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn edges(pipeline: &Pipeline, filter: &Filter, edges: &[EdgeDrift]) -> Markup {
    html! {
        section {
            h2 { "Edges" }
            p.hint { "The " (EDGES_COMPARED) " that inferred the most in this time, each with the column that moved the furthest." }
            div.table tabindex="0" role="region" aria-label="Edges" {
                table {
                    thead { tr { th scope="col" { "Edge" } th.number scope="col" { "Rows" } th scope="col" { "Column" } th.number scope="col" { "PSI" } th scope="col" { "Means" } th.number scope="col" { "Significant columns" } } }
                    tbody {
                        @for edge in edges {
                            @let psi = edge.worst.as_ref().map(|(_, psi)| *psi);
                            tr {
                                th scope="row" { a href=(filter.place(pipeline.id, &[("edge", &edge.edge)])) { (edge.edge) } }
                                td.number { (edge.rows) }
                                td { @if let Some((column, _)) = &edge.worst { (column) } @else { "–" } }
                                td.number { (index(psi)) }
                                td { (level(psi)) }
                                td.number { (edge.significant) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn listed(
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    baselines: &[BaselineRecord],
    may_change: bool,
) -> Markup {
    html! {
        section {
            h2 { "Baselines" }
            div.table tabindex="0" role="region" aria-label="Baselines" {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Made of" } th.number scope="col" { "Rows" } th scope="col" { "By" } th scope="col" { "Made" } @if may_change { th scope="col" { span.unseen { "Remove" } } } } }
                    tbody {
                        @for one in baselines {
                            tr {
                                th scope="row" { a href={ "/pipelines/" (pipeline.id) "/drift?baseline=" (one.id) } { (one.name) } }
                                td { (origin(one)) }
                                td.number { (one.rows) }
                                td { (one.by) }
                                td { (moment(one.created_ms)) }
                                @if may_change {
                                    td {
                                        details.ask {
                                            summary { "Remove…" }
                                            p { "What was counted for it goes, too; the logs stay." }
                                            form method="post" action={ "/pipelines/" (pipeline.id) "/drift/remove" } {
                                                (csrf_field(asked))
                                                input type="hidden" name="baseline" value=(one.id);
                                                button.danger { "Remove " (one.name) }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn origin(record: &BaselineRecord) -> Markup {
    match serde_json::from_str(&record.origin) {
        Ok(Origin::File { name }) => html! { "the file " (name) },
        Ok(Origin::Logs { from_ms, until_ms, edges }) => html! {
            "logs"
            @if let Some(ms) = from_ms { " from " (moment(ms)) }
            @if let Some(ms) = until_ms { " until " (moment(ms)) }
            @if !edges.is_empty() { " of " (edges.join(", ")) }
        },
        Err(_) => html! { span.quiet { "not known" } },
    }
}

fn made(asked: &Asked<'_, '_, '_>, pipeline: &Pipeline) -> Markup {
    let name = |id: &str| {
        html! {
            label for=(id) { "Name" }
            input id=(id) name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" title="a-z, 0-9 and -";
        }
    };
    html! {
        section.card {
            h2 { "Make a baseline of a time" }
            form method="post" action={ "/pipelines/" (pipeline.id) "/drift/window" } {
                (csrf_field(asked))
                div.fields {
                    div { (name("window-name")) }
                    div { label for="window-from" { "From, UTC" } input id="window-from" name="from" type="datetime-local"; }
                    div { label for="window-until" { "Until, UTC" } input id="window-until" name="until" type="datetime-local"; }
                    div { label for="window-edge" { "Edge" } input id="window-edge" name="edge" placeholder="all"; }
                    div { button { "Make it" } }
                }
                p.hint { "Without times it is made of all logs that are here." }
            }
        }
        section.card {
            h2 { "Make a baseline of a file" }
            form method="post" action=(BASELINE_PATH) enctype="multipart/form-data" {
                (csrf_field(asked)) // before the file: it is looked at before any of that is taken
                input type="hidden" name="pipeline" value=(pipeline.id);
                div.fields {
                    div { (name("file-name")) }
                    div { label for="baseline-file" { "File" } input id="baseline-file" name="file" type="file" required aria-describedby="file-hint"; }
                    div { button { "Upload" } }
                }
                p.hint id="file-hint" { "Rows as JSON (pandas: orient=\"records\"), CSV, Parquet or Arrow, with the columns that the pipeline takes, or an export of logs." }
            }
        }
    }
}

fn of_window(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    let mut text = |name: &str| {
        Ok::<_, Problem>(Some(asked.field(name)?.trim().to_owned()).filter(|it| !it.is_empty()))
    };
    let name = text("name")?.unwrap_or_default();
    let wanted = Wanted {
        edge: text("edge")?,
        start_time: text("from")?.as_deref().map(time),
        end_time: text("until")?.as_deref().map(time),
        ..Wanted::default()
    };
    let pipeline = center.store.read(|tx| readable(asked, tx, id))?;
    done(center, asked, id, create_baseline(center, asked, &pipeline, &name, wanted))
}

fn of_file(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let record = take_baseline(center, asked)?;
    Ok(see_other(&format!("/pipelines/{}/drift?baseline={}", record.pipeline, record.id)))
}

fn done(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: i64,
    made: Result<BaselineRecord, Problem>,
) -> Result<Response, Problem> {
    match made {
        Ok(record) => Ok(see_other(&format!("/pipelines/{pipeline}/drift?baseline={}", record.id))),
        Err(problem) => again(problem, |problem| shown(center, asked, pipeline, Some(problem))),
    }
}

fn remove(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let pipeline = number(asked, "pipeline")?;
    let id = super::field_number(asked, "baseline")?;
    remove_baseline(center, asked, id)?;
    Ok(see_other(&format!("/pipelines/{pipeline}/drift")))
}
