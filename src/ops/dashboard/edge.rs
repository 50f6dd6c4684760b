//! One edge: how it fares and why, what it runs and what comes of it, and how it gets another publish, a new bundle, or is removed.

use super::chart::{PART_MS, PARTS, begin, chart, latency_chart};
use super::edges::{Named, bundle_page};
use super::logs::{Filter, found, losses, table};
use super::page::{Frame, Section, page};
use super::pieces::{copied, csrf_field, edge_state, moment, moment_if, size, tag};
use super::publish::commands;
use super::{again, field_number, get, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::assignments::assign_publish;
use crate::ops::api::edges::{edge_named, remove_edge, renew_edge};
use crate::ops::api::handouts::{blank_bundle, commands_of};
use crate::ops::api::publishes::visible;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::edges::State;
use crate::ops::fleet::{FleetView, gone_after_ms};
use crate::ops::logs::latencies;
use crate::ops::store::{Deployable, Edge, Publish};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/edges/{edge}", show),
    post("/edges/{edge}/remove", remove),
    post("/edges/{edge}/again", anew),
    post("/edges/{edge}/assign", assign),
];

/// Inferences with failed checks that are shown, the newest; the logs have all.
const ANOMALIES_SHOWN: usize = 10;

/// Publishes that are offered to run instead, the newest first.
const OFFERED_MAX: i64 = 100;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let name = asked.parameter("edge");
    let begin_ms = begin(asked.now_ms);
    let (edge, publish, came_from, offered, tallies) = center.store.read(|tx| {
        let edge = edge_named(tx, asked, name, Role::Viewer)?;
        let publish = visible(tx, asked, edge.publish_id, Role::Viewer)?;
        let may_change = asked.may(tx, edge.workspace_id, Role::Publisher).is_ok();
        let came_from = edge.came_from.map(|id| tx.publish(id)).transpose()?.flatten();
        let tallies = tx.log_tallies(&edge.id, begin_ms, PART_MS)?;
        let offered = match may_change {
            true => Some(tx.deployable(edge.workspace_id, OFFERED_MAX)?),
            false => None,
        };
        Ok::<_, Problem>((edge, publish, came_from, offered, tallies))
    })?;
    let latencies = match tallies.is_empty() {
        true => Vec::new(),
        false => latencies(&center.logs, &edge.id, (begin_ms, PART_MS), PARTS)?,
    };
    let filter = Filter::failures_of(&edge.name);
    let anomalies = found(center, publish.pipeline_id, &filter, None, ANOMALIES_SHOWN)?;
    let logs = format!("/pipelines/{}/logs?edge={}", publish.pipeline_id, edge.name);
    let state = State::of(&edge, asked.now_ms, gone_after_ms(&center.settings));
    let fleet = FleetView::of(edge.faring.as_ref(), asked.now_ms);
    let view = commands_of(&publish, Some(&blank_bundle()))?;
    let content = html! {
        div.head data-edges=(edge.workspace_id) {
            div { p.crumb { a href={ "/workspaces/" (edge.workspace_id) "/edges" } { "Edges" } } h1 { (edge.name) } }
            (edge_state(state))
        }
        p.lead { (reason(&edge, state)) }
        section.card {
            h2 { "What it runs" }
            dl.facts {
                div { dt { "Pipeline" } dd { a href={ "/pipelines/" (publish.pipeline_id) } { (publish.pipeline) } } }
                div { dt { "Version" } dd { (copied("version", "version", &publish.version)) } }
                div { dt { "Publish" } dd { a href={ "/publishes/" (publish.id) } { "Check Info of publish " (publish.id) } } }
                @if let Some(before) = &came_from {
                    div { dt { "Before that" } dd { a href={ "/publishes/" (before.id) } { (before.pipeline) " " (before.version) } } }
                }
                div { dt { "CPUs, memory" } dd { (edge.cpus) ", " (edge.memory) } }
                div { dt { "Tags" } dd { @if edge.tags.is_empty() { span.quiet { "none" } } @for one in &edge.tags { (tag(edge.workspace_id, one)) } } }
            }
        }
        @if edge.faring.is_some() { (told(&fleet, &publish)) }
        section.card {
            h2 { "Inferences" }
            @if tallies.is_empty() { p.hint { "None of the last day has come here yet." } } @else { (chart(begin_ms, &tallies)) }
            p.row {
                a href=(logs) { "Logs of this edge" }
                a href={ "/pipelines/" (publish.pipeline_id) "/drift?edge=" (edge.name) } { "Drift of this edge" }
            }
        }
        @if !tallies.is_empty() {
            section.card {
                h2 { "Latency" }
                (latency_chart(begin_ms, &latencies))
            }
        }
        section {
            h2 { "Anomalies" }
            @if anomalies.rows.is_empty() {
                p.hint { "No inference of this edge with this pipeline failed a check." }
            } @else {
                p.hint { "Inferences that failed a check, the newest first: " a href={ (logs) "&failures=yes" } { "all of them" } }
                (table(&anomalies.rows))
            }
        }
        @if !anomalies.losses.is_empty() { (losses(&anomalies.losses)) }
        section.card {
            h2 { "Contact" }
            dl.facts {
                div { dt { "Added" } dd { (moment(edge.created_ms)) } }
                div { dt { "Joined" } dd { (moment_if(edge.joined_ms)) } }
                div { dt { "Last contact" } dd { (moment_if(edge.seen_ms)) } }
                @if edge.joined_ms.is_none() && let Some(end) = edge.token_expires_ms {
                    div { dt { "Its bundle holds until" } dd { (moment(end)) } }
                }
                div { dt { "Id" } dd { (copied("id", "id", &edge.id)) } }
            }
        }
        section.card {
            h2 { "Run it on a device" }
            p.hint { "The bundle was shown when the edge was added, and is kept nowhere. If it is lost, make a new one below." }
            (commands(&view))
        }
        @if let Some(offered) = &offered { (changes(asked, &edge, offered)) }
    };
    let (section, workspace) = (Section::Edges, Some(edge.workspace_id));
    page(center, asked, &Frame { title: &edge.name, section, workspace, fault }, &content)
}

fn changes(asked: &Asked<'_, '_, '_>, edge: &Edge, offered: &[Deployable]) -> Markup {
    let others = || offered.iter().filter(|one| one.publish != edge.publish_id);
    html! {
        section.card {
            h2 { "Change it" }
            @if others().next().is_some() {
                form method="post" action={ "/edges/" (edge.name) "/assign" } {
                    (csrf_field(asked))
                    div.fields {
                        div {
                            label for="assign" { "Run another publish" }
                            select id="assign" name="publish" aria-describedby="assign-hint" {
                                @for one in others() {
                                    option value=(one.publish) { (one.pipeline) " " (one.version.get(..8).unwrap_or(&one.version)) ", publish " (one.publish) }
                                }
                            }
                        }
                        div { button.second { "Assign" } }
                    }
                    p.hint id="assign-hint" {
                        "The device fetches it at its next contact, tries it, and goes back by itself when it fails. For many edges: "
                        a href={ "/workspaces/" (edge.workspace_id) "/rollouts?from=" (edge.publish_id) "#begin" } { "start a rollout" } "."
                    }
                }
            }
            div.row {
                details.ask {
                    summary { "New bundle…" }
                    p { "The edge is removed and added again under its name: a device that runs under the old bundle reports no more, until it is started with the new one." }
                    form method="post" action={ "/edges/" (edge.name) "/again" } {
                        (csrf_field(asked))
                        button.danger { "Remove, and add again with a new bundle" }
                    }
                }
                details.ask {
                    summary { "Remove…" }
                    p { "Its bundle and its login hold no more, and its name is free. What the device runs now it goes on running, without reporting." }
                    form method="post" action={ "/edges/" (edge.name) "/remove" } {
                        (csrf_field(asked))
                        button.danger { "Remove " (edge.name) }
                    }
                }
            }
        }
    }
}

/// Why an edge is said to fare so, and until when.
fn reason(edge: &Edge, state: State) -> Markup {
    html! {
        (capitalised(state.reason())) "."
        @if let (State::Waiting, Some(end)) = (state, edge.token_expires_ms) { " It holds until " (moment(end)) "." }
        @if edge.seen_ms.is_some() { " Last contact: " (moment_if(edge.seen_ms)) "." }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// What the edge said of itself last.
fn told(fleet: &FleetView, wanted: &Publish) -> Markup {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let bytes = |bytes: Option<u64>| bytes.map(|it| size(i64::try_from(it).unwrap_or(i64::MAX)));
    let is_wanted = fleet.running_version.as_deref() == Some(wanted.version.as_str());
    let facts = [
        ("Host", fleet.host.clone()),
        (
            "Engine",
            fleet
                .engine_version
                .clone()
                .zip(fleet.engine_arch.clone())
                .map(|(version, arch)| format!("{version}, {arch}")),
        ),
        (
            "Up for",
            fleet
                .uptime_seconds
                .map(|seconds| format!("{} h {} min", seconds / 3600, seconds / 60 % 60)),
        ),
        ("Inferences", number(fleet.inferences)),
        ("Failures", number(fleet.failures)),
        ("Refused", number(fleet.refused)),
        (
            "Backlog",
            number(fleet.backlog_records).map(|records| {
                format!("{records} inferences, {}", bytes(fleet.backlog_bytes).unwrap_or_default())
            }),
        ),
        ("Lost", number(fleet.lost_records)),
        (
            "Session",
            fleet.session_days_left.map(|days| format!("{days} days left without a contact")),
        ),
        ("Memory free", bytes(fleet.memory_free_bytes)),
        ("Disk free", bytes(fleet.disk_free_bytes)),
        ("Temperature", fleet.temperature_celsius.map(|celsius| format!("{celsius:.0} °C"))),
        ("Its clock", fleet.clock_ahead_seconds.map(clock)),
        ("Joined on", fleet.joined_host.clone()),
        ("Goes on, on", fleet.joined_host.as_ref().and(fleet.host.clone())),
    ];
    html! {
        section.card {
            h2 { "What it says of itself" }
            dl.facts {
                @if let Some(version) = &fleet.running_version {
                    div { dt { "Runs version" } dd { code { (version) } @if is_wanted { " as wanted" } @else { span.state.warn { "not the wanted one yet" } } } }
                }
                @if let Some(digest) = &fleet.running_digest { div { dt { "Of digest" } dd { code { (digest) } } } }
                @for (name, value) in facts {
                    @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
                }
            }
        }
    }
}

/// How a device's clock goes, by the seconds that it is ahead.
fn clock(ahead: f64) -> String {
    match format!("{:.1}", ahead.abs()).as_str() {
        "0.0" => "as ours".to_owned(),
        seconds if ahead < 0.0 => format!("{seconds} s behind ours"),
        seconds => format!("{seconds} s ahead of ours"),
    }
}

fn assign(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.parameter("edge").to_owned();
    let done = field_number(asked, "publish")
        .and_then(|publish| assign_publish(center, asked, &name, publish, None));
    match done {
        Ok(_) => Ok(see_other(&format!("/edges/{name}"))),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}

fn remove(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.parameter("edge").to_owned();
    let edge = remove_edge(center, asked, &name)?;
    Ok(see_other(&format!("/workspaces/{}/edges", edge.workspace_id)))
}

fn anew(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.parameter("edge").to_owned();
    match renew_edge(center, asked, &name) {
        Ok(added) => bundle_page(center, asked, &Named { name, added }),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn a_clock_is_never_ahead_by_less_than_nothing() {
        let words = [-0.04, 0.0, 0.04, -2.5, 61.0].map(clock);
        assert_eq!(
            words,
            ["as ours", "as ours", "as ours", "2.5 s behind ours", "61.0 s ahead of ours"]
        );
    }
}
