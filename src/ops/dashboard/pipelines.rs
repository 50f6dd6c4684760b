//! The pipelines of a workspace: name, status, last publish, edges, and inferences of the last hour.

use super::page::{Frame, Section, page};
use super::pieces::{count, empty, moment, publish_state};
use super::{get, number};
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::PipelineGlance;
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[get("/workspaces/{workspace}/pipelines", list)];

/// Pipelines on one page: some 50 KB.
const SHOWN: i64 = 100;

/// For how long inferences are counted, milliseconds.
const HOUR_MS: i64 = 3600 * 1000;

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let workspace = number(asked, "workspace")?;
    let after = asked.query("after").unwrap_or_default();
    let mut pipelines = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Viewer)?;
        Ok::<_, Problem>(tx.pipeline_glances(
            workspace,
            &after,
            SHOWN + 1,
            asked.now_ms - HOUR_MS,
        )?)
    })?;
    let shown = usize::try_from(SHOWN).unwrap_or_default();
    let has_more = pipelines.len() > shown;
    pipelines.truncate(shown);
    let new = format!("/workspaces/{workspace}/pipelines/new");
    let content = html! {
        div.head {
            h1 { "Pipelines" }
            a.button href=(new) { "Create pipeline" }
        }
        @if pipelines.is_empty() && after.is_empty() {
            (empty("No pipeline yet", &html! {
                p { "A pipeline is one model or several steps. Upload a model, and then create a pipeline of it; or follow "
                    a href="/guide" { "the first steps" } " with a sample." }
                p { a.button.second href={ "/workspaces/" (workspace) "/models" } { "Upload a model" } }
            }))
        } @else {
            (table(&pipelines))
            nav.pages aria-label="Pages" {
                @if !after.is_empty() { a href={ "/workspaces/" (workspace) "/pipelines" } { "First page" } }
                @if let (true, Some(last)) = (has_more, pipelines.last()) {
                    a rel="next" href={ "/workspaces/" (workspace) "/pipelines?after=" (percent::encoded(&last.pipeline.name, b"")) } { "Next page" }
                }
            }
        }
    };
    let (section, workspace) = (Section::Pipelines, Some(workspace));
    page(center, asked, &Frame { title: "Pipelines", section, workspace, fault: None }, &content)
}

fn table(pipelines: &[PipelineGlance]) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Pipelines" {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" } th scope="col" { "Status" } th scope="col" { "Last publish" }
                        th.number scope="col" { "Versions" } th.number scope="col" { "Edges" } th.number scope="col" { "Inferences, last hour" } th scope="col" { "Last saved" }
                    }
                }
                tbody {
                    @for PipelineGlance { pipeline, versions, publish, edges, inferences } in pipelines {
                        tr {
                            th scope="row" { a href={ "/pipelines/" (pipeline.id) } { (pipeline.name) } }
                            td {
                                @match publish {
                                    None => span.state.idle { "Not published" },
                                    Some(publish) => (publish_state(publish.status)),
                                }
                            }
                            td { @if let Some(publish) = publish { a href={ "/publishes/" (publish.id) } { (moment(publish.updated_ms)) } } @else { span.quiet { "never" } } }
                            td.number { (versions) }
                            td.number { span title=(count(*edges, "edge")) { (edges) } }
                            td.number { (inferences) }
                            td { (moment(pipeline.updated_ms)) }
                        }
                    }
                }
            }
        }
    }
}
