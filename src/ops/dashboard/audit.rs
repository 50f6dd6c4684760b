//! The audit: who changed what and when, page by page.

use super::page::{Frame, Section, page};
use super::pieces::moment;
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, Wanted};
use maud::html;

pub(super) const ROUTES: &[Route] =
    &[Route { method: "GET", path: "/audit", need: Need::Admin, answer: list }];

/// Entries on one page: some 40 KB.
const SHOWN: usize = 100;

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let before = asked.query_number("before")?;
    let action = asked.query("action").filter(|action| !action.is_empty());
    let found: Result<_, StoreError> = center.store.read(|tx| {
        tx.noted(&Wanted {
            before: before.unwrap_or(i64::MAX),
            user: None,
            workspace: None,
            action: action.as_deref(),
            limit: SHOWN as i64 + 1,
        })
    });
    let mut entries = found?;
    let has_more = entries.len() > SHOWN;
    entries.truncate(SHOWN);
    let filter = action
        .as_deref()
        .map_or(String::new(), |action| format!("action={}", percent::encoded(action, b"")));
    let content = html! {
        div.head { h1 { "Audit" } }
        form.card method="get" action="/audit" role="search" aria-label="Audit" {
            div.fields {
                div { label for="action" { "Action, such as edge.add" } input id="action" name="action" value=[action.as_deref()]; }
                div { button.second { "Filter" } }
            }
        }
        div.table tabindex="0" role="region" aria-label="Audit" {
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Action" } th scope="col" { "What" } th scope="col" { "More" } th scope="col" { "From" } } }
                tbody {
                    @for entry in &entries {
                        tr {
                            td { (moment(entry.at_ms)) }
                            td { @if let Some((_, email)) = &entry.user { (email) } @else { span.quiet { "nobody signed in" } } }
                            td { code { (entry.action) } }
                            td { (entry.subject) }
                            td.long { @if entry.detail != "{}" { code { (entry.detail) } } }
                            td { (entry.peer) }
                        }
                    }
                }
            }
        }
        @if entries.is_empty() { p { "Nothing is written down of that. " a href="/audit" { "Show all" } } }
        nav.pages aria-label="Pages" {
            @if before.is_some() { a href={ "/audit?" (filter) } { "Newest" } }
            @if let (true, Some(last)) = (has_more, entries.last()) { a rel="next" href={ "/audit?" (filter) "&before=" (last.id) } { "Earlier" } }
        }
    };
    let frame = Frame { title: "Audit", section: Section::Audit, workspace: None, fault: None };
    page(center, asked, &frame, &content)
}
