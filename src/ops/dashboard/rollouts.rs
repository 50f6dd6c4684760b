//! The rollouts of a workspace: listed, and begun for the edges of a tag or of another publish.

use super::page::{Frame, Section, page};
use super::pieces::{csrf_field, empty, moment, moment_if};
use super::{again, field_number, get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::rollouts::{AmountAsked, StartAsked, start_rollout};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{Deployable, RolloutState};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/workspaces/{workspace}/rollouts", list),
    post("/workspaces/{workspace}/rollouts", begin),
];

/// Rollouts on one page: some 30 KB.
const SHOWN: i64 = 50;

/// Publishes that are offered, the newest first.
const OFFERED_MAX: i64 = 100;

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let workspace = number(asked, "workspace")?;
    let before = asked.query_number("before")?;
    let (mut rollouts, offered) = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Viewer)?;
        let may_begin = asked.may(tx, workspace, Role::Publisher).is_ok();
        let offered = if may_begin { tx.deployable(workspace, OFFERED_MAX)? } else { Vec::new() };
        Ok::<_, Problem>((tx.rollouts(None, Some(workspace), before, SHOWN + 1)?, offered))
    })?;
    let count = usize::try_from(SHOWN).unwrap_or_default();
    let has_more = rollouts.len() > count;
    rollouts.truncate(count);
    let place = format!("/workspaces/{workspace}/rollouts");
    let content = html! {
        div.head { h1 { "Rollouts" } }
        p.lead { "A rollout brings one publish to many edges, wave by wave, and halts when too many fail: then those that took it go back." }
        @if rollouts.is_empty() && before.is_none() {
            (empty("No rollout yet", &html! { p { "When edges are to run another publish than they do, begin one below." } }))
        } @else {
            div.table tabindex="0" role="region" aria-label="Rollouts" {
                table {
                    thead { tr { th scope="col" { "Rollout" } th scope="col" { "State" } th scope="col" { "Publish" } th.number scope="col" { "Wave" } th scope="col" { "Begun" } th scope="col" { "Ended" } } }
                    tbody {
                        @for rollout in &rollouts {
                            tr {
                                th scope="row" { a href={ "/rollouts/" (rollout.id) } { "Rollout " (rollout.id) } }
                                td { (state(rollout.state)) }
                                td { a href={ "/publishes/" (rollout.publish_id) } { "publish " (rollout.publish_id) } }
                                td.number { (rollout.wave) " of " (rollout.waves) }
                                td { (moment(rollout.created_ms)) }
                                td { (moment_if(rollout.ended_ms)) }
                            }
                        }
                    }
                }
            }
            nav.pages aria-label="Pages" {
                @if before.is_some() { a href=(place) { "Newest" } }
                @if let (true, Some(last)) = (has_more, rollouts.last()) { a rel="next" href={ (place) "?before=" (last.id) } { "Earlier" } }
            }
        }
        @if !offered.is_empty() { (form(asked, &place, &offered, asked.query_number("from")?)) }
    };
    let (section, workspace) = (Section::Rollouts, Some(workspace));
    page(center, asked, &Frame { title: "Rollouts", section, workspace, fault }, &content)
}

/// The word about a rollout.
pub(super) fn state(state: RolloutState) -> Markup {
    let class = match state {
        RolloutState::Running => "state warn",
        RolloutState::Paused => "state idle",
        RolloutState::Done => "state good",
        RolloutState::Halted | RolloutState::Aborted => "state wrong",
    };
    html! { span class=(class) { (state.name()) } }
}

fn form(
    asked: &Asked<'_, '_, '_>,
    place: &str,
    offered: &[Deployable],
    from: Option<i64>,
) -> Markup {
    let choices = |first: Option<&str>, chosen: Option<i64>| {
        html! {
            @if let Some(first) = first { option value="" { (first) } }
            @for one in offered {
                option value=(one.publish) selected[Some(one.publish) == chosen] { (one.pipeline) " " (one.version.get(..8).unwrap_or(&one.version)) ", publish " (one.publish) }
            }
        }
    };
    html! {
        section.card id="begin" {
            h2 { "Begin a rollout" }
            form method="post" action=(place) {
                (csrf_field(asked))
                div.fields {
                    div { label for="publish" { "Publish that edges are to run" } select id="publish" name="publish" { (choices(None, None)) } }
                    div { label for="from" { "Edges that run now" } select id="from" name="from" { (choices(Some("any publish"), from)) } }
                    div { label for="tag" { "Edges with the tag" } input id="tag" name="tag"; }
                    div { label for="waves" { "Waves" } input id="waves" name="waves" value="1, 10%" aria-describedby="waves-hint"; }
                    div { label for="failures" { "Edges that may fail" } input id="failures" name="failures" value="0"; }
                    div { button { "Begin" } }
                }
                p.hint id="waves-hint" { "Numbers or shares of the edges, with commas between; the rest is the last wave. Name a tag, a publish, or both." }
            }
        }
    }
}

fn begin(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let done = order(asked).and_then(|order| start_rollout(center, asked, order));
    match done {
        Ok((rollout, _)) => Ok(see_other(&format!("/rollouts/{}", rollout.id))),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}

/// What the form asks for.
fn order(asked: &mut Asked<'_, '_, '_>) -> Result<StartAsked, Problem> {
    let text = |asked: &mut Asked<'_, '_, '_>, name: &str| {
        Ok::<_, Problem>(Some(asked.field(name)?.trim().to_owned()).filter(|it| !it.is_empty()))
    };
    let waves = text(asked, "waves")?.map(|waves| {
        waves.split(',').map(|wave| AmountAsked::Text(wave.trim().to_owned())).collect()
    });
    let from_publish_id = match text(asked, "from")? {
        None => None,
        Some(_) => Some(field_number(asked, "from")?),
    };
    Ok(StartAsked {
        publish_id: field_number(asked, "publish")?,
        tag: text(asked, "tag")?,
        from_publish_id,
        waves,
        failures_max: text(asked, "failures")?.map(AmountAsked::Text),
        ..StartAsked::default()
    })
}
