//! One edge: how it fares and why, what it runs, and how it is removed or gets a new bundle.

use super::chart::{PART_MS, begin, chart};
use super::edges::{Named, bundle_page};
use super::page::{Frame, Section, page};
use super::pieces::{copied, csrf_field, edge_state, moment, moment_if, size, tag};
use super::publish::commands;
use super::{again, get, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::edges::{edge_named, remove_edge, renew_edge};
use crate::ops::api::handouts::{blank_bundle, commands_of};
use crate::ops::api::publishes::visible;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::edges::State;
use crate::ops::fleet::{FleetView, gone_after_ms};
use crate::ops::store::{Edge, Publish};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/edges/{edge}", show),
    post("/edges/{edge}/remove", remove),
    post("/edges/{edge}/again", anew),
];

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
    let (edge, publish, came_from, may_change, tallies) = center.store.read(|tx| {
        let edge = edge_named(tx, asked, name, Role::Viewer)?;
        let publish = visible(tx, asked, edge.publish_id, Role::Viewer)?;
        let may_change = asked.may(tx, edge.workspace_id, Role::Publisher).is_ok();
        let came_from = edge.came_from.map(|id| tx.publish(id)).transpose()?.flatten();
        let tallies = tx.log_tallies(publish.pipeline_id, Some(&edge.id), begin_ms, PART_MS)?;
        Ok::<_, Problem>((edge, publish, came_from, may_change, tallies))
    })?;
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
            p { a href={ "/pipelines/" (publish.pipeline_id) "/logs?edge=" (edge.name) } { "Logs of this edge" } }
        }
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
        @if may_change { (changes(asked, &edge)) }
    };
    let (section, workspace) = (Section::Edges, Some(edge.workspace_id));
    page(center, asked, &Frame { title: &edge.name, section, workspace, fault }, &content)
}

fn changes(asked: &Asked<'_, '_, '_>, edge: &Edge) -> Markup {
    html! {
        section.card {
            h2 { "Change it" }
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
        (
            "Its clock",
            fleet.clock_ahead_seconds.map(|seconds| format!("{seconds:.1} s ahead of ours")),
        ),
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
