//! The first steps: from nothing to a published sample pipeline and a running edge, with the real commands.

use super::edges::{add_form, bundle_page};
use super::history::under_way;
use super::page::{Frame, Section, current, page, remembered, seen};
use super::pieces::{command, csrf_field, edge_state, publish_state};
use super::{again, field_number, get, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::pipelines::{Create, save_pipeline};
use crate::ops::api::publishes::{PublishAsked, order_publish};
use crate::ops::api::uploads::take_bytes;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::edges::State;
use crate::ops::fleet::gone_after_ms;
use crate::ops::models::Wanted;
use crate::ops::store::{Edge, EdgesAsked, Publish, PublishStatus, Tx};
use maud::{Markup, html};
use serde_json::json;

pub(super) const ROUTES: &[Route] =
    &[get("/guide", show), post("/guide/sample", publish_sample), post("/guide/edges", add_edge)];

/// A small net that tells fraud from 29 numbers of a payment.
const MODEL: &[u8] = include_bytes!("assets/sample.onnx");

/// One payment, as a client sends it.
const ROW: &str = include_str!("assets/sample.json");

/// What model and pipeline are called.
const NAME: &str = "sample-fraud";

/// How far somebody has come in a workspace.
struct Way {
    publish: Option<Publish>,
    edge: Option<Edge>,
}

impl Way {
    fn of(tx: &Tx<'_>, workspace: i64) -> Result<Way, Problem> {
        let Some(pipeline) = tx.pipeline_by_name(workspace, NAME)? else {
            return Ok(Way { publish: None, edge: None });
        };
        let versions = tx.version_glances(pipeline.id, i64::MAX, 1)?;
        let last = versions.into_iter().find_map(|version| version.publish);
        let publish = last.map(|last| tx.publish(last.id)).transpose()?.flatten();
        let of_it =
            EdgesAsked { pipeline: Some(pipeline.id), count_max: 1, ..EdgesAsked::default() };
        Ok(Way { publish, edge: tx.edges(&of_it)?.pop() })
    }

    fn is_published(&self) -> bool {
        self.publish.as_ref().is_some_and(|publish| publish.status == PublishStatus::Published)
    }
}

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let workspaces = seen(center, asked)?;
    let Some(workspace) = current(&workspaces, remembered(asked)) else {
        return Ok(see_other("/workspaces"));
    };
    let way = center.store.read(|tx| Way::of(tx, workspace))?;
    let name = workspaces.iter().find(|it| it.id == workspace).map_or("", |it| it.name.as_str());
    let content = html! {
        div.head { h1 { "First steps" } }
        p.lead { "From nothing to a model that answers on a device, in the workspace " strong { (name) } ". Each step is what you will do with your own models." }
        ol.guide {
            li.card.done[way.is_published()] { (first(center, asked, workspace, &way)) }
            li.card.done[way.edge.is_some()] { (second(asked, &way)) }
            li.card.done[way.edge.as_ref().is_some_and(|edge| edge.joined_ms.is_some())] { (third(center, asked, &way)) }
            li.card { (fourth()) }
        }
    };
    let (section, workspace) = (Section::Guide, Some(workspace));
    page(center, asked, &Frame { title: "First steps", section, workspace, fault }, &content)
}

fn first(center: &Center, asked: &Asked<'_, '_, '_>, workspace: i64, way: &Way) -> Markup {
    html! {
        h2 { "Publish a pipeline" }
        p { "A small net that tells fraud from 29 numbers of a payment is inside this program. The button uploads it as a model, has it tried, saves a pipeline of one step, and publishes that: it is then an artifact in the registry, with a Helm chart beside it." }
        @match &way.publish {
            None => {
                form method="post" action="/guide/sample" {
                    (csrf_field(asked))
                    input type="hidden" name="workspace" value=(workspace);
                    button { "Publish the sample pipeline" }
                }
                p.hint { "Some seconds. The same from a shell: " code { "potoroo-ops model upload" } ", " code { "potoroo-ops pipeline create" } ", " code { "potoroo-ops publish start" } "." }
            }
            Some(publish) => {
                p { (publish_state(publish.status)) " " a href={ "/pipelines/" (publish.pipeline_id) } { "Look at its Version History" } " or " a href={ "/publishes/" (publish.id) } { "Check Info" } }
                @if matches!(publish.status, PublishStatus::Pending | PublishStatus::Publishing) {
                    (under_way(publish.id, publish.status, center.desk.progress(publish.id)))
                }
            }
        }
    }
}

fn second(asked: &Asked<'_, '_, '_>, way: &Way) -> Markup {
    html! {
        h2 { "Add an edge" }
        p { "An edge is a named place where a publish runs. It is given a bundle that holds once: with it the engine knows where it belongs, and reports here." }
        @match (&way.edge, way.is_published(), &way.publish) {
            (Some(edge), _, _) => p { a href={ "/edges/" (edge.name) } { (edge.name) } " is added." },
            (None, true, Some(publish)) => {
                (add_form(asked, &format!("/guide/edges?publish={}", publish.id), None))
            }
            (None, _, _) => p.hint { "As soon as the sample is published." },
        }
    }
}

fn third(center: &Center, asked: &Asked<'_, '_, '_>, way: &Way) -> Markup {
    html! {
        h2 { "Run the engine" }
        p { "The page that shows the bundle has the commands for Docker, Docker Compose, Helm, systemd, and for a shell without any of them. Paste one on the device; here, if you like: the engine runs on this machine as well." }
        @match &way.edge {
            None => p.hint { "As soon as there is an edge." },
            Some(edge) => p {
                "The edge is " (edge_state(State::of(edge, asked.now_ms, gone_after_ms(&center.settings)))) ". "
                @if edge.joined_ms.is_none() { "If its bundle is lost, " a href={ "/edges/" (edge.name) } { "its page" } " makes a new one." }
            },
        }
    }
}

fn fourth() -> Markup {
    let ask = format!(
        "curl -X POST localhost:8080/pipelines/{NAME} \\\n  \
         -H 'Content-Type: application/json; format=pandas-records' \\\n  -d '{}'",
        ROW.trim()
    );
    html! {
        h2 { "Ask it" }
        p { "On the device, with one payment:" }
        (command("ask", "inference request", &ask))
        p { "The answer has " code { "outputs" } " with the probability of fraud, how long each step took, and which model version answered. A browser at " code { "http://localhost:8080/" } " shows a page that asks, too." }
    }
}

fn publish_sample(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let done =
        field_number(asked, "workspace").and_then(|workspace| sample(center, asked, workspace));
    match done {
        Ok(()) => Ok(see_other("/guide")),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}

fn sample(center: &Center, asked: &Asked<'_, '_, '_>, workspace: i64) -> Result<(), Problem> {
    let is_there = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Publisher)?;
        Ok::<_, Problem>(tx.model_version_named(workspace, NAME, None)?.is_some())
    })?;
    if !is_there {
        let wanted = Wanted::checked(workspace, NAME, Some("sample.onnx"), None)?;
        take_bytes(center, asked, &wanted, MODEL)?;
    }
    let recipe =
        json!({ "name": NAME, "models": [{ "name": NAME }], "steps": [{ "model": NAME }] });
    let order = Create { workspace_id: workspace, recipe: Some(recipe), ..Create::default() };
    let saved = save_pipeline(center, asked, order)?;
    let order = PublishAsked { pipeline_version_id: saved.id, ..PublishAsked::default() };
    order_publish(center, asked, order).map(drop)
}

fn add_edge(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let publish = asked.query_number("publish")?.unwrap_or_default();
    match super::edges::add(center, asked, publish) {
        Ok(added) => bundle_page(center, asked, &added),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}
