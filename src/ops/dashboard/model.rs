//! A model with its versions, and a version with what its trial found: schema, operators, latency, what is lacking.

use super::page::{Frame, Section, page};
use super::pieces::{copied, count, model_state, moment, size};
use super::{get, number};
use crate::http::server::Response;
use crate::ops::api::models::{readable, readable_model};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{ModelStatus, ModelVersion};
use crate::ops::trial::{Extent, Facts, PortFact};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] =
    &[get("/models/{model}", show), get("/model-versions/{version}", show_version)];

/// Versions that are listed: some 60 KB.
const VERSIONS_SHOWN: usize = 200;

/// Ports, operators and nodes that are listed; a reader has had enough by then.
const LISTED_MAX: usize = 64;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "model")?;
    let (model, versions) = center.store.read(|tx| {
        let model = readable_model(asked, tx, id)?;
        Ok::<_, Problem>((model, tx.model_versions(id)?))
    })?;
    let place = format!("/workspaces/{}", model.workspace);
    let content = html! {
        div.head {
            div { p.crumb { a href={ (place) "/models" } { "Models" } } h1 { (model.name) } }
            a.button href={ (place) "/pipelines/new?name=" (model.name) "&model=" (model.name) } { "Create pipeline" }
        }
        div.table tabindex="0" role="region" aria-label="Versions" {
            table {
                thead { tr {
                    th scope="col" { "Version" } th scope="col" { "Status" } th scope="col" { "File" }
                    th.number scope="col" { "Size" } th scope="col" { "Uploaded" }
                } }
                tbody {
                    @for version in versions.iter().take(VERSIONS_SHOWN) {
                        tr {
                            th scope="row" { a href={ "/model-versions/" (version.id) } { code { (version.version) } } }
                            td { (model_state(version.status)) }
                            td { (version.file_name) }
                            td.number { (size(version.size_bytes)) }
                            td { (moment(version.created_ms)) }
                        }
                    }
                }
            }
        }
        @if versions.len() > VERSIONS_SHOWN { p.hint { "The newest " (VERSIONS_SHOWN) " of " (versions.len()) " versions." } }
    };
    let (section, workspace) = (Section::Models, Some(model.workspace));
    page(center, asked, &Frame { title: &model.name, section, workspace, fault: None }, &content)
}

fn show_version(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "version")?;
    let (version, by) = center.store.read(|tx| {
        let version = readable(asked, tx, id)?;
        let by = tx.user(&version.created_by)?.map(|user| user.email);
        Ok::<_, Problem>((version, by))
    })?;
    let facts: Facts = serde_json::from_str(&version.facts).unwrap_or_default();
    let new = format!("/workspaces/{}/pipelines/new", version.workspace);
    let content = html! {
        div.head {
            div {
                p.crumb { a href={ "/workspaces/" (version.workspace) "/models" } { "Models" } " / " a href={ "/models/" (version.model) } { (version.name) } }
                h1 { "Version of " (version.name) }
            }
            (model_state(version.status))
        }
        (verdict(&version, &facts))
        @if version.status == ModelStatus::Ready {
            p { a.button href={ (new) "?name=" (version.name) "&model=" (version.name) } { "Create pipeline" } }
        }
        section.card {
            h2 { "About this version" }
            dl.facts {
                div { dt { "Version" } dd { (copied("version", "version", &version.version)) } }
                div { dt { "SHA-256" } dd { (copied("sha", "SHA-256", &version.sha)) } }
                div { dt { "File" } dd { (version.file_name) ", " (size(version.size_bytes)) } }
                div { dt { "Uploaded" } dd { (moment(version.created_ms)) @if let Some(by) = &by { " by " (by) } } }
                @if let Some(parameters) = facts.parameters { div { dt { "Parameters" } dd { (parameters) } } }
                @if let Some(us) = facts.latency_us { div { dt { "Latency" } dd { (latency(us)) " for one row on one CPU of the ops center" } } }
                @if let Some(bytes) = facts.peak_memory_bytes { div { dt { "Peak memory" } dd { (size(i64::try_from(bytes).unwrap_or(i64::MAX))) } } }
            }
        }
        @if !facts.inputs.is_empty() || !facts.outputs.is_empty() { (schema(&facts)) }
        @if !facts.operators.is_empty() { (operators(&facts)) }
    };
    let title = format!("Version of {}", version.name);
    let (section, workspace) = (Section::Models, Some(version.workspace));
    page(center, asked, &Frame { title: &title, section, workspace, fault: None }, &content)
}

fn latency(us: f64) -> String {
    if us < 1_000.0 { format!("{us:.0} µs") } else { format!("{:.1} ms", us / 1_000.0) }
}

/// What came of the trial.
fn verdict(version: &ModelVersion, facts: &Facts) -> Markup {
    html! {
        @match version.status {
            ModelStatus::Attempting => div.told data-reload="2" role="status" {
                "It is being tried in a process of its own. This page is loaded again until that is done."
                noscript { " Without JavaScript, load it again yourself." }
            },
            ModelStatus::Ready => @if let Some(remark) = &facts.remark { div.told { (remark) } },
            ModelStatus::Error => div.fault { strong { "It cannot be served. " } (version.error.as_deref().unwrap_or("No reason was written down.")) },
        }
        @if !facts.unsupported.is_empty() {
            section.card {
                h2 { "Operators that the runtime lacks" }
                ul {
                    @for missing in facts.unsupported.iter().take(LISTED_MAX) {
                        li {
                            code { (missing.operator) } " in "
                            (missing.nodes.iter().take(LISTED_MAX).map(String::as_str).collect::<Vec<&str>>().join(", "))
                            @let more = missing.more + missing.nodes.len().saturating_sub(LISTED_MAX);
                            @if more > 0 { " and " (more) " more" }
                        }
                    }
                }
            }
        }
    }
}

fn schema(facts: &Facts) -> Markup {
    let rows = |direction: &str, ports: &[PortFact]| {
        html! {
            @for port in ports.iter().take(LISTED_MAX) {
                tr { td { (direction) } th scope="row" { code { (port.name) } } td { (port.element) } td { code { (shape(port)) } } }
            }
            @if ports.len() > LISTED_MAX { tr { td { (direction) } td colspan="3" { "and " (ports.len() - LISTED_MAX) " more" } } }
        }
    };
    html! {
        section {
            h2 { "Schema" }
            div.table tabindex="0" role="region" aria-label="Schema" {
                table {
                    thead { tr { th scope="col" { "Direction" } th scope="col" { "Name" } th scope="col" { "Type" } th scope="col" { "Shape" } } }
                    tbody { (rows("in", &facts.inputs)) (rows("out", &facts.outputs)) }
                }
            }
        }
    }
}

fn shape(port: &PortFact) -> String {
    let extents = port.shape.iter().map(|extent| match extent {
        Extent::Fixed(extent) => extent.to_string(),
        Extent::Free(name) => name.clone(),
    });
    format!("[{}]", extents.collect::<Vec<String>>().join(", "))
}

fn operators(facts: &Facts) -> Markup {
    let nodes: u64 = facts.operators.values().sum();
    html! {
        section.card {
            h2 { "Operators" }
            p.hint { (count(i64::try_from(nodes).unwrap_or(i64::MAX), "node")) " of " (facts.operators.len()) " kinds" }
            p {
                @for (operator, count) in facts.operators.iter().take(LISTED_MAX) {
                    span.tag { (operator) " × " (count) } " "
                }
                @if facts.operators.len() > LISTED_MAX { "and " (facts.operators.len() - LISTED_MAX) " more" }
            }
        }
    }
}
