//! Check Info: where a publish is, by what it is known, and the commands that run it on a device.

use super::edges::{add, add_form, bundle_page};
use super::history::under_way;
use super::page::{Frame, Section, page};
use super::pieces::{command, copied, csrf_field, moment, publish_state, size};
use super::{get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::handouts::{CommandsView, blank_bundle, commands_of};
use crate::ops::api::publishes::{PublishAsked, order_publish, visible};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{Edge, EdgesAsked, Publish, PublishPlace, PublishStatus};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/publishes/{publish}", show),
    post("/publishes/{publish}/again", once_more),
    post("/publishes/{publish}/edges", add_edge),
];

/// Edges that are named beside a publish; the edges' own page has all.
const EDGES_SHOWN: i64 = 20;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let id = number(asked, "publish")?;
    let (publish, edges, by, may_add) = center.store.read(|tx| {
        let publish = visible(tx, asked, id, Role::Viewer)?;
        let of_this =
            EdgesAsked { publish: Some(id), count_max: EDGES_SHOWN + 1, ..EdgesAsked::default() };
        let by = tx.user(&publish.created_by)?.map(|user| user.email);
        let may_add = asked.may(tx, publish.workspace_id, Role::Publisher).is_ok();
        Ok::<_, Problem>((publish, tx.edges(&of_this)?, by, may_add))
    })?;
    let content = html! {
        div.head {
            div {
                p.crumb { a href={ "/pipelines/" (publish.pipeline_id) } { (publish.pipeline) } " / version " code { (publish.version) } }
                h1 { "Check Info" }
            }
            (publish_state(publish.status))
        }
        @match (&publish.place, publish.status) {
            (Some(place), _) => (there(asked, &publish, place, &edges, may_add)?),
            (None, PublishStatus::Error) => (failed(asked, &publish, may_add)),
            (None, status) => section.card {
                h2 { "On its way" }
                (under_way(id, status, center.desk.progress(id)))
                @if let Some(error) = &publish.error {
                    p { "The last attempt met this, and there will be another: " span.wrongly { (error) } }
                }
            },
        }
        section.card {
            h2 { "About this publish" }
            dl.facts {
                div { dt { "Number" } dd { (id) } }
                div { dt { "Asked for" } dd { (moment(publish.created_ms)) @if let Some(by) = &by { " by " (by) } } }
                div { dt { "Last change" } dd { (moment(publish.updated_ms)) } }
                div { dt { "Attempts" } dd { (publish.attempts) } }
                @if publish.bytes_total > 0 { div { dt { "Size" } dd { (size(publish.bytes_total)) } } }
                div { dt { "Engine config" } dd { code { (publish.engine_config) } } }
            }
        }
    };
    let title = format!("Check Info of {}", publish.pipeline);
    let (section, workspace) = (Section::Pipelines, Some(publish.workspace_id));
    page(center, asked, &Frame { title: &title, section, workspace, fault }, &content)
}

fn there(
    asked: &Asked<'_, '_, '_>,
    publish: &Publish,
    place: &PublishPlace,
    edges: &[Edge],
    may_add: bool,
) -> Result<Markup, Problem> {
    let view = commands_of(publish, Some(&blank_bundle()))?;
    let shown = usize::try_from(EDGES_SHOWN).unwrap_or_default();
    Ok(html! {
        section.card {
            h2 { "Where it is" }
            dl.facts {
                div { dt { "Pipeline location" } dd { (copied("pipeline-url", "Pipeline location", &place.pipeline_url)) } }
                div { dt { "Pipeline Chart" } dd { (copied("chart", "Pipeline Chart", &format!("oci://{}", place.chart))) } }
                div { dt { "Chart version" } dd { (copied("chart-version", "chart version", &place.chart_version)) } }
                div { dt { "Engine url" } dd { (copied("engine-url", "Engine url", &place.engine_url)) } }
                div { dt { "Pipeline digest" } dd { (copied("digest", "pipeline digest", &place.digest)) } }
                div { dt { "Chart by digest" } dd { (copied("chart-reference", "chart by digest", &place.chart_reference)) } }
            }
        }
        section.card {
            h2 { "Edges that run it" }
            @if edges.is_empty() { p.hint { "None yet. Add one, and it gets a bundle of its own: with it the engine reports to this ops center." } }
            @else {
                p {
                    @for (index, edge) in edges.iter().take(shown).enumerate() {
                        @if index > 0 { ", " } a href={ "/edges/" (edge.name) } { (edge.name) }
                    }
                    @if edges.len() > shown { " and more" }
                }
            }
            @if may_add { (add_form(asked, &format!("/publishes/{}/edges", publish.id), None)) }
        }
        section.card {
            h2 { "Run it on a device" }
            p.hint { "With observability the engine reports to this ops center: put the bundle of an edge in the place of " code { (blank_bundle().reveal()) } "." }
            (commands(&view))
        }
    })
}

fn failed(asked: &Asked<'_, '_, '_>, publish: &Publish, may_publish: bool) -> Markup {
    html! {
        section.card {
            h2 { "It was not published" }
            p.wrongly { (publish.error.as_deref().unwrap_or("no reason was written down")) }
            p.hint { "Nothing is at its place. When what is said above is put right, publish again." }
            @if may_publish {
                form method="post" action={ "/publishes/" (publish.id) "/again" } {
                    (csrf_field(asked))
                    button { "Publish again" }
                }
            }
        }
    }
}

/// The commands in tabs, each with and without observability.
pub(super) fn commands(view: &CommandsView) -> Markup {
    let both = |id: &str, what: &str, with: Option<&str>, without: Option<&str>| {
        html! {
            @if let Some(with) = with {
                p { strong { "With observability" } }
                (command(&format!("{id}-with"), &format!("{what}, with observability"), with))
            }
            @if let Some(without) = without {
                p { strong { "Without observability" } }
                (command(&format!("{id}-without"), &format!("{what}, without observability"), without))
            }
        }
    };
    html! {
        p.hint { "The shell is to have the registry's login in " code { "REGISTRYUSERNAME" } " and " code { "REGISTRYPASSWORD" } "." }
        div.tabs data-label="Ways to run it" {
            section id="docker" {
                h3 { "Docker" }
                (both("docker-run", "docker run", view.docker_run.as_deref(), Some(&view.docker_run_without_observability)))
            }
            section id="compose" {
                h3 { "Docker Compose" }
                p.hint { "As " code { "compose.yaml" } "; then " code { "docker compose up" } "." }
                (both("compose-yaml", "compose.yaml", view.compose.as_deref(), Some(&view.compose_without_observability)))
            }
            section id="helm" {
                h3 { "Helm" }
                @if let Some(helm) = &view.helm { (command("helm-commands", "Helm commands", helm)) }
                p.hint { "These values as " code { "local-values.yaml" } "." }
                (both("helm-values", "values", view.helm_values.as_deref(), view.helm_values_without_observability.as_deref()))
            }
            section id="process" {
                h3 { "Without a container" }
                p.hint { "In a shell of a machine that has " code { "potoroo-engine" } "." }
                (both("process-run", "command", view.process.as_deref(), Some(&view.process_without_observability)))
            }
            section id="systemd" {
                h3 { "systemd" }
                p.hint { "The unit as " code { "/etc/systemd/system/potoroo-engine.service" } ", and one of the files below as " code { "/etc/potoroo/engine.env" } "." }
                (command("unit", "unit of systemd", &view.systemd_unit))
                (both("environment", "environment file", view.systemd_environment.as_deref(), Some(&view.systemd_environment_without_observability)))
            }
        }
    }
}

fn once_more(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "publish")?;
    let failed = center.store.read(|tx| visible(tx, asked, id, Role::Publisher))?;
    let order = PublishAsked { pipeline_version_id: failed.version_id, ..PublishAsked::default() };
    let publish = order_publish(center, asked, order)?;
    Ok(see_other(&format!("/publishes/{}", publish.id)))
}

fn add_edge(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let publish = number(asked, "publish")?;
    match add(center, asked, publish) {
        Ok(added) => bundle_page(center, asked, &added),
        Err(problem) => super::again(problem, |problem| shown(center, asked, Some(problem))),
    }
}
