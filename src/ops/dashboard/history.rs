//! A pipeline: its steps as a picture, and its Version History, whose black boxes publish.

use super::page::{Frame, Section, page};
use super::picture::picture;
use super::pieces::{copied, count, csrf_field, moment, size};
use super::{again, field_number, get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::pipelines::readable;
use crate::ops::api::publishes::{PublishAsked, order_publish};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::publishes::Progress;
use crate::ops::store::{Pipeline, PublishStatus, VersionGlance};
use crate::pipeline::Definition;
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] =
    &[get("/pipelines/{pipeline}", show), post("/pipelines/{pipeline}/publish", publish)];

/// Versions on one page: some 30 KB.
const SHOWN: i64 = 25;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    let before = asked.query_number("before")?;
    let (pipeline, newest, mut versions, may_publish) = center.store.read(|tx| {
        let pipeline = readable(asked, tx, id)?;
        let newest = tx.newest_pipeline_version(id)?;
        let versions = tx.version_glances(id, before.unwrap_or(i64::MAX), SHOWN + 1)?;
        let may_publish = asked.may(tx, pipeline.workspace, Role::Publisher).is_ok();
        Ok::<_, Problem>((pipeline, newest, versions, may_publish))
    })?;
    let count_shown = usize::try_from(SHOWN).unwrap_or_default();
    let has_more = versions.len() > count_shown;
    versions.truncate(count_shown);
    let definition =
        newest.as_ref().and_then(|version| Definition::parse(version.config.as_bytes()).ok());
    let place = format!("/workspaces/{}/pipelines", pipeline.workspace);
    let content = html! {
        div.head {
            div { p.crumb { a href=(place) { "Pipelines" } } h1 { (pipeline.name) } }
            div.row {
                a.button.second href={ "/pipelines/" (id) "/logs" } { "Logs" }
                a.button.second href={ "/pipelines/" (id) "/drift" } { "Drift" }
                a.button.second href={ (place) "/new?name=" (pipeline.name) } { "Save another version" }
            }
        }
        @if let Some(definition) = &definition {
            section.card {
                h2 { "Steps of the newest version" }
                (picture(definition))
            }
        }
        section {
            h2 { "Version History" }
            p.hint { "A black box is a version that is not published: press it, and it is. A gray box is published; Check Info has where it is and how it is run." }
            (history(center, asked, &pipeline, &versions, may_publish))
            nav.pages aria-label="Pages of the Version History" {
                @if before.is_some() { a href={ "/pipelines/" (id) } { "Newest versions" } }
                @if let (true, Some(last)) = (has_more, versions.last()) {
                    a rel="next" href={ "/pipelines/" (id) "?before=" (last.version.id) } { "Older versions" }
                }
            }
        }
    };
    let frame = Frame {
        title: &pipeline.name,
        section: Section::Pipelines,
        workspace: Some(pipeline.workspace),
        fault,
    };
    page(center, asked, &frame, &content)
}

fn history(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    versions: &[VersionGlance],
    may_publish: bool,
) -> Markup {
    html! {
        div.table.versions.dense tabindex="0" role="region" aria-label="Version History" {
            table {
                thead {
                    tr {
                        th scope="col" { "Pipeline version" } th scope="col" { "Publish" } th scope="col" { "Saved" }
                        th scope="col" { "By" } th.number scope="col" { "Edges" }
                    }
                }
                tbody {
                    @for glance in versions {
                        tr id={ "version-" (glance.version.id) } {
                            th scope="row" { (copied(&format!("uuid-{}", glance.version.id), "version", &glance.version.version)) }
                            td.act { (boxed(center, asked, pipeline, glance, may_publish)) }
                            td { (moment(glance.version.created_ms)) }
                            td.name { (glance.by) }
                            td.number { span title=(count(glance.edges, "edge")) { (glance.edges) } }
                        }
                    }
                }
            }
        }
    }
}

/// The box beside a version.
fn boxed(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    pipeline: &Pipeline,
    glance: &VersionGlance,
    may_publish: bool,
) -> Markup {
    let button = |words: &str| {
        html! {
            @if may_publish {
                form method="post" action={ "/pipelines/" (pipeline.id) "/publish" } {
                    (csrf_field(asked))
                    input type="hidden" name="version" value=(glance.version.id);
                    button.box aria-label={ (words) " version " (glance.version.version) } { (words) }
                }
            } @else { span.state.idle { "Not published" } }
        }
    };
    let Some(publish) = &glance.publish else { return button("Publish") };
    let info = format!("/publishes/{}", publish.id);
    match publish.status {
        PublishStatus::Published => html! {
            span.box.gray { "Published" } a href=(info) aria-label={ "Check Info of version " (glance.version.version) } { "Check Info" }
        },
        PublishStatus::Pending | PublishStatus::Publishing => {
            under_way(publish.id, publish.status, center.desk.progress(publish.id))
        }
        PublishStatus::Error => html! {
            (button("Publish again")) a.wrongly href=(info) { "Why it failed" }
        },
    }
}

/// How far a publish is, which the script keeps up to date.
pub(super) fn under_way(id: i64, status: PublishStatus, progress: Option<Progress>) -> Markup {
    let words = match progress {
        None => status.name().to_owned(),
        Some(it) => {
            format!("{}: {} of {}", status.name(), size(it.bytes_done), size(it.bytes_total))
        }
    };
    html! {
        div.progress data-publish=(id) {
            progress aria-label={ "Publish " (id) } value=[progress.map(|it| it.bytes_done)] max=[progress.map(|it| it.bytes_total.max(1))] {}
            span data-words role="status" { (words) }
            a href={ "/publishes/" (id) } { "Look" }
            noscript { p.hint { "Load the page again to see how far it is." } }
        }
    }
}

fn publish(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "pipeline")?;
    let version = field_number(asked, "version")?;
    let order = PublishAsked { pipeline_version_id: version, ..PublishAsked::default() };
    match order_publish(center, asked, order) {
        Ok(_) => Ok(see_other(&format!("/pipelines/{id}#version-{version}"))),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}
