//! One rollout: its waves with how each edge fares, and how it is paused, resumed and ended.

use super::page::{Frame, Section, page};
use super::pieces::{count, csrf_field, moment, moment_if};
use super::rollouts::state;
use super::{again, get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::rollouts::{
    Whole, abort_rollout, look_rollout, pause_rollout, resume_rollout,
};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::rollouts::standing;
use crate::ops::store::{Rollout, RolloutEdge, RolloutState};
use maud::{Markup, html};
use std::collections::BTreeMap;

pub(super) const ROUTES: &[Route] = &[
    get("/rollouts/{rollout}", show),
    post("/rollouts/{rollout}/pause", pause),
    post("/rollouts/{rollout}/resume", resume),
    post("/rollouts/{rollout}/abort", abort),
];

/// Edges that are named for a wave; all are counted.
const NAMED_MAX: usize = 100;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let (rollout, edges) = look_rollout(center, asked, number(asked, "rollout")?)?;
    let may_change = center.store.read(|tx| {
        Ok::<_, Problem>(asked.may(tx, rollout.workspace_id, Role::Publisher).is_ok())
    })?;
    let content = html! {
        div.head data-reload=[rollout.state.is_open().then_some("10")] {
            div { p.crumb { a href={ "/workspaces/" (rollout.workspace_id) "/rollouts" } { "Rollouts" } } h1 { "Rollout " (rollout.id) } }
            (state(rollout.state))
        }
        @if let Some(reason) = &rollout.reason { div.told { (reason) } }
        section.card {
            h2 { "How far it is" }
            dl.facts {
                div { dt { "Publish" } dd { a href={ "/publishes/" (rollout.publish_id) } { "Check Info of publish " (rollout.publish_id) } } }
                div { dt { "Wave" } dd { (rollout.wave) " of " (rollout.waves) } }
                div { dt { "Edges" } dd { (tally(edges.iter())) } }
                div { dt { "May fail" } dd { (count(rollout.failures_max, "edge")) } }
                div { dt { "When it halts" } dd { @if rollout.sends_back { "edges that took it go back" } @else { "edges that took it keep it" } } }
                div { dt { "Begun" } dd { (moment(rollout.created_ms)) } }
                div { dt { "Ended" } dd { (moment_if(rollout.ended_ms)) } }
            }
            @if may_change { (changes(asked, &rollout)) }
        }
        @for wave in 1..=rollout.waves { (wave_shown(wave, &rollout, &edges)) }
    };
    let title = format!("Rollout {}", rollout.id);
    let (section, workspace) = (Section::Rollouts, Some(rollout.workspace_id));
    page(center, asked, &Frame { title: &title, section, workspace, fault }, &content)
}

/// `3 settled, 1 waiting`
fn tally<'a>(edges: impl Iterator<Item = &'a RolloutEdge>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    edges.for_each(|edge| *counts.entry(standing(edge)).or_default() += 1);
    let words: Vec<String> =
        counts.iter().map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect();
    words.join(", ")
}

fn wave_shown(wave: i64, rollout: &Rollout, edges: &[RolloutEdge]) -> Markup {
    let of_it: Vec<&RolloutEdge> = edges.iter().filter(|edge| edge.wave == wave).collect();
    let is_now = wave == rollout.wave && rollout.state.is_open();
    html! {
        section {
            h2 { "Wave " (wave) @if is_now { ", under way" } }
            p.hint { (count(i64::try_from(of_it.len()).unwrap_or(i64::MAX), "edge")) ": " (tally(of_it.iter().copied())) }
            div.table tabindex="0" role="region" aria-label={ "Wave " (wave) } {
                table {
                    thead { tr { th scope="col" { "Edge" } th scope="col" { "State" } th scope="col" { "Why" } th scope="col" { "Ran before" } th scope="col" { "Since" } } }
                    tbody {
                        @for edge in of_it.iter().take(NAMED_MAX) {
                            @let leg = edge.back.as_ref().or(edge.forth.as_ref());
                            tr {
                                th scope="row" { a href={ "/edges/" (edge.name) } { (edge.name) } }
                                td { (standing(edge).replace('_', " ")) @if edge.is_late { ", late" } }
                                td { (leg.and_then(|leg| leg.reason.as_deref()).or(edge.forth.as_ref().and_then(|forth| forth.reason.as_deref())).unwrap_or_default()) }
                                td { a href={ "/publishes/" (edge.from_publish) } { "publish " (edge.from_publish) } }
                                td { (moment_if(leg.map(|leg| leg.updated_ms))) }
                            }
                        }
                    }
                }
            }
            @if of_it.len() > NAMED_MAX { p.hint { "The first " (NAMED_MAX) " by name." } }
        }
    }
}

fn changes(asked: &Asked<'_, '_, '_>, rollout: &Rollout) -> Markup {
    let button = |what: &str, words: &str| {
        html! {
            form method="post" action={ "/rollouts/" (rollout.id) "/" (what) } {
                (csrf_field(asked))
                button.second { (words) }
            }
        }
    };
    html! {
        div.row {
            @match rollout.state {
                RolloutState::Running => (button("pause", "Pause")),
                RolloutState::Paused => (button("resume", "Resume")),
                RolloutState::Done | RolloutState::Halted | RolloutState::Aborted => {},
            }
            @if rollout.state.is_open() {
                details.ask {
                    summary { "End it…" }
                    p { "No further wave begins, and edges that are under way go back." @if rollout.sends_back { " Those that have settled go back, too." } }
                    form method="post" action={ "/rollouts/" (rollout.id) "/abort" } {
                        (csrf_field(asked))
                        button.danger { "End the rollout" }
                    }
                }
            }
        }
    }
}

fn pause(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "rollout")?;
    let done = pause_rollout(center, asked, id);
    changed(center, asked, done)
}

fn resume(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "rollout")?;
    let done = resume_rollout(center, asked, id);
    changed(center, asked, done)
}

fn abort(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let id = number(asked, "rollout")?;
    let done = abort_rollout(center, asked, id, None);
    changed(center, asked, done)
}

fn changed(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    done: Result<Whole, Problem>,
) -> Result<Response, Problem> {
    match done {
        Ok((rollout, _)) => Ok(see_other(&format!("/rollouts/{}", rollout.id))),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}
