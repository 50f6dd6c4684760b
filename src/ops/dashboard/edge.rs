//! One edge: how it fares and why, what it runs, and how it is removed or gets a new bundle.

use super::edges::{Named, bundle_page};
use super::page::{Frame, Section, page};
use super::pieces::{copied, csrf_field, edge_state, moment, moment_if, state_of, tag};
use super::publish::commands;
use super::{again, get, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::edges::{AddAsked, add_edge, edge_named, remove_edge};
use crate::ops::api::handouts::{blank_bundle, commands_of};
use crate::ops::api::publishes::visible;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::edges::State;
use crate::ops::store::Edge;
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
    let (edge, publish, came_from, may_change) = center.store.read(|tx| {
        let edge = edge_named(tx, asked, name, Role::Viewer)?;
        let publish = visible(tx, asked, edge.publish_id, Role::Viewer)?;
        let may_change = asked.may(tx, edge.workspace_id, Role::Publisher).is_ok();
        let came_from = edge.came_from.map(|id| tx.publish(id)).transpose()?.flatten();
        Ok::<_, Problem>((edge, publish, came_from, may_change))
    })?;
    let state = state_of(center, &edge, asked.now_ms);
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
        section.card {
            h2 { "Contact" }
            dl.facts {
                div { dt { "Added" } dd { (moment(edge.created_ms)) } }
                div { dt { "Joined" } dd { (moment_if(edge.faring.as_ref().map(|it| it.joined_ms))) } }
                div { dt { "Last contact" } dd { (moment_if(edge.faring.as_ref().map(|it| it.seen_ms))) } }
                @if edge.faring.is_none() && let Some(end) = edge.token_expires_ms {
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

/// Why an edge is said to fare so, and what to do.
fn reason(edge: &Edge, state: State) -> Markup {
    let seen = moment_if(edge.faring.as_ref().map(|it| it.seen_ms));
    match state {
        State::Waiting => html! {
            "Its bundle was not used yet"
            @if let Some(end) = edge.token_expires_ms { ", and holds until " (moment(end)) }
            "."
        },
        State::Expired => {
            html! { "Its bundle was not used within 24 hours and holds no more: make a new one below." }
        }
        State::Joined => {
            html! { "It joined, and its session holds. Last contact: " (seen) "." }
        }
        State::Copied => {
            html! { "It reports. Another device spoke with a copy of its persistent directory, and was refused: empty that one's directory, and add an edge of another name for it. Last contact: " (seen) "." }
        }
        State::Stopped => {
            html! { "Its engine was stopped in good order. Last contact: " (seen) ". Start it again, and it goes on with its session." }
        }
        State::Vanished => {
            html! { "It does not report any more: it lost its power or its network, or it crashed. It serves on where it can, and goes on with its session when it comes back. Last contact: " (seen) "." }
        }
        State::Lost => {
            html! { "It was not heard of for more than 7 days, so that its session ended. Last contact: " (seen) ". Make a new bundle below, and start the device with it." }
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
    let edge = remove_edge(center, asked, &name)?;
    let order =
        AddAsked { pipeline_publish_id: edge.publish_id, name: edge.name, tags: Some(edge.tags) };
    match add_edge(center, asked, &order) {
        Ok(added) => bundle_page(center, asked, &Named { name: order.name, added }),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}
