//! The edges of a workspace: found by tag and state, page by page, and added with a bundle that is shown once.

use super::page::{Frame, Section, page};
use super::pieces::{command, copied, count, csrf_field, edge_state, empty, moment_if, tag};
use super::publish::commands;
use super::{again, field_number, get, number, post};
use crate::http::percent;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::edges::{AddAsked, Added, add_edge};
use crate::ops::api::handouts::commands_of;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::edges::State;
use crate::ops::fleet::{FleetView, gone_after_ms};
use crate::ops::store::{Deployable, Edge, EdgesAsked, StoreError, Tx};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] =
    &[get("/workspaces/{workspace}/edges", list), post("/workspaces/{workspace}/edges", added)];

/// Edges on one page: some 50 KB.
const SHOWN: usize = 100;

/// Publishes that are offered to a new edge, the newest first.
const OFFERED_MAX: i64 = 100;

/// Which edges are wanted.
#[derive(Debug, Default)]
struct Filter {
    tag: Option<String>,
    state: Option<State>,
    after: Option<String>,
}

impl Filter {
    fn of(asked: &Asked<'_, '_, '_>) -> Filter {
        let text = |name: &str| asked.query(name).filter(|text| !text.is_empty());
        let state = text("state").and_then(|name| State::of_name(&name));
        Filter { tag: text("tag"), state, after: text("after") }
    }

    /// The page's address with this filter, after that name.
    fn place(&self, workspace: i64, after: Option<&str>) -> String {
        let pairs = [
            ("tag", self.tag.as_deref()),
            ("state", self.state.map(State::name)),
            ("after", after),
        ];
        let pairs = pairs.iter().filter_map(|(name, value)| {
            value.map(|value| format!("{name}={}", percent::encoded(value, b"")))
        });
        let query = pairs.collect::<Vec<String>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/workspaces/{workspace}/edges{mark}{query}")
    }

    /// A page of edges, and whether there are more after them.
    fn find(
        &self,
        tx: &Tx<'_>,
        workspace: i64,
        now_ms: i64,
        gone_after_ms: i64,
    ) -> Result<(Vec<Edge>, bool), StoreError> {
        let mut found = tx.edges(&EdgesAsked {
            workspace: Some(workspace),
            tag: self.tag.as_deref(),
            after: self.after.as_deref(),
            fares: self.state.map(|state| state.fares(now_ms, gone_after_ms)),
            count_max: SHOWN as i64 + 1,
            ..EdgesAsked::default()
        })?;
        let has_more = found.len() > SHOWN;
        found.truncate(SHOWN);
        Ok((found, has_more))
    }
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let workspace = number(asked, "workspace")?;
    let filter = Filter::of(asked);
    let gone_ms = gone_after_ms(&center.settings);
    let state_of = |edge: &Edge| State::of(edge, asked.now_ms, gone_ms);
    let (edges, has_more, all, offered) = center.store.read(|tx| {
        asked.may(tx, workspace, Role::Viewer)?;
        let (edges, has_more) = filter.find(tx, workspace, asked.now_ms, gone_ms)?;
        let may_add = asked.may(tx, workspace, Role::Publisher).is_ok();
        let offered = if may_add { tx.deployable(workspace, OFFERED_MAX)? } else { Vec::new() };
        Ok::<_, Problem>((edges, has_more, tx.edge_count(workspace)?, offered))
    })?;
    let next =
        edges.last().filter(|_| has_more).map(|last| filter.place(workspace, Some(&last.name)));
    let content = html! {
        div.head data-edges=(workspace) {
            h1 { "Edges" }
            span.quiet { (count(all, "edge")) " in this workspace" }
        }
        @if all == 0 {
            (empty("No edge yet", &html! {
                p { "An edge is a named place where a publish runs. Publish a pipeline version, and add an edge to it." }
                p { a.button.second href={ "/workspaces/" (workspace) "/pipelines" } { "Pipelines" } " " a.button.second href="/guide" { "First steps" } }
            }))
        } @else {
            (filter_form(workspace, &filter))
            @if edges.is_empty() { p { "No edge is like that. " a href=(Filter::default().place(workspace, None)) { "Show all" } } }
            @else { (table(workspace, &edges, asked.now_ms, state_of)) }
            nav.pages aria-label="Pages" {
                @if filter.after.is_some() { a href=(filter.place(workspace, None)) { "First page" } }
                @if let Some(next) = &next { a rel="next" href=(next) { "Next page" } }
            }
        }
        @if !offered.is_empty() {
            section.card {
                h2 { "Add an edge" }
                (add_form(asked, &format!("/workspaces/{workspace}/edges"), Some(&offered)))
            }
        }
    };
    let (section, workspace) = (Section::Edges, Some(workspace));
    page(center, asked, &Frame { title: "Edges", section, workspace, fault }, &content)
}

fn filter_form(workspace: i64, filter: &Filter) -> Markup {
    html! {
        form.card method="get" action={ "/workspaces/" (workspace) "/edges" } role="search" aria-label="Edges" {
            div.fields {
                div { label for="tag" { "Tag" } input id="tag" name="tag" value=[filter.tag.as_deref()]; }
                div {
                    label for="state" { "State" }
                    select id="state" name="state" {
                        option value="" { "any" }
                        @for name in State::names().split(", ") {
                            option value=(name) selected[filter.state.map(State::name) == Some(name)] { (name) }
                        }
                    }
                }
                div { button.second { "Filter" } }
            }
        }
    }
}

fn table(workspace: i64, edges: &[Edge], now_ms: i64, state_of: impl Fn(&Edge) -> State) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Edges" {
            table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "State" } th scope="col" { "Last contact" }
                    th scope="col" { "Wanted" } th scope="col" { "Running" } th.number scope="col" { "Backlog" }
                    th.number scope="col" { "Session" } th scope="col" { "Tags" }
                } }
                tbody {
                    @for edge in edges {
                        @let fleet = FleetView::of(edge.faring.as_ref(), now_ms);
                        tr {
                            th scope="row" { a href={ "/edges/" (edge.name) } { (edge.name) } }
                            td { (edge_state(state_of(edge))) }
                            td { (moment_if(edge.seen_ms)) }
                            td { a href={ "/publishes/" (edge.publish_id) } { "publish " (edge.publish_id) } }
                            td { (running(&fleet)) }
                            td.number { @match fleet.backlog_records { Some(records) => (records), None => span.quiet { "-" } } }
                            td.number { @match fleet.session_days_left { Some(days) => { (days) " days" }, None => span.quiet { "-" } } }
                            td { @for one in &edge.tags { (tag(workspace, one)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The version that an edge says it runs, as far as a list has room for it.
fn running(fleet: &FleetView) -> Markup {
    html! {
        @match &fleet.running_version {
            Some(version) => code title=(version) { (version.get(..8).unwrap_or(version)) },
            None => span.quiet { "not told" },
        }
    }
}

/// The form that adds an edge: to the page's own publish, or to one of these.
pub(super) fn add_form(
    asked: &Asked<'_, '_, '_>,
    place: &str,
    offered: Option<&[Deployable]>,
) -> Markup {
    html! {
        form method="post" action=(place) {
            (csrf_field(asked))
            div.fields {
                @if let Some(offered) = offered {
                    div {
                        label for="publish" { "Publish" }
                        select id="publish" name="publish" {
                            @for one in offered {
                                option value=(one.publish) { (one.pipeline) " " (one.version.get(..8).unwrap_or(&one.version)) ", publish " (one.publish) }
                            }
                        }
                    }
                }
                div { label for="edge-name" { "Name of the edge" } input id="edge-name" name="name" required maxlength="63" placeholder="till-7" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?"; }
                div { label for="edge-tags" { "Tags, with commas between" } input id="edge-tags" name="tags" placeholder="berlin, floor 2"; }
                div { button { "Add edge" } }
            }
        }
    }
}

/// Adds the edge of a form to a publish.
pub(super) fn add(
    center: &Center,
    asked: &mut Asked<'_, '_, '_>,
    publish: i64,
) -> Result<Named, Problem> {
    let name = asked.field("name")?.trim().to_owned();
    let tags = asked.field("tags")?;
    let tags = tags.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty());
    let tags = Some(tags.collect());
    let order = AddAsked { pipeline_publish_id: publish, name, tags };
    let added = add_edge(center, asked, &order)?;
    Ok(Named { name: order.name, added })
}

fn added(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let done = field_number(asked, "publish").and_then(|publish| add(center, asked, publish));
    match done {
        Ok(added) => bundle_page(center, asked, &added),
        Err(problem) => again(problem, |problem| shown(center, asked, Some(problem))),
    }
}

/// An edge that was added, with its name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) added: Added,
}

/// The page that shows, this once, what an edge was given.
pub(super) fn bundle_page(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    Named { name, added }: &Named,
) -> Result<Response, Problem> {
    let Added { publish, bundle, pull } = added;
    let view = commands_of(publish, Some(bundle))?;
    let login = pull.as_ref().map(|(username, password)| {
        format!("export REGISTRYUSERNAME={username}\nexport REGISTRYPASSWORD={}", password.reveal())
    });
    let content = html! {
        div.head { h1 { "Edge " (name) " is added" } a.button.second href={ "/edges/" (name) } { "To the edge" } }
        div.told role="status" { "What stands on this page is shown this once: copy it before you go on." }
        section.card {
            h2 { "Its bundle" }
            p.hint { "It holds for 24 hours, for one device, once. Without a volume for " code { "/persist" } " the device cannot come back after a restart." }
            div.secret { p { code { "EDGE_BUNDLE" } } (copied("bundle", "bundle", bundle.reveal())) }
        }
        @if let Some(login) = &login {
            section.card {
                h2 { "Its login at the built-in registry" }
                p.hint { "In the shell of the device, before the commands below." }
                div.secret { (command("login", "login", login)) }
            }
        }
        section.card {
            h2 { "Run it on the device" }
            (commands(&view))
        }
    };
    let title = format!("Edge {name}");
    let workspace = Some(publish.workspace_id);
    page(
        center,
        asked,
        &Frame { title: &title, section: Section::Edges, workspace, fault: None },
        &content,
    )
}
