//! Workspaces: chosen, made, and who is a member of each.

use super::page::{Frame, Section, page, seen};
use super::pieces::{csrf_field, empty, moment};
use super::{again, get, number, post, see_other};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::api::workspaces::{
    Member, USER_TYPES, add_member, drop_member, make_workspace, user_type,
};
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use maud::html;

pub(super) const ROUTES: &[Route] = &[
    get("/workspaces", list),
    post("/workspaces", make),
    get("/workspaces/open", open),
    get("/workspaces/{workspace}/members", members),
    post("/workspaces/{workspace}/members", add),
    post("/workspaces/{workspace}/members/remove", remove),
];

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    show_list(center, asked, None)
}

fn show_list(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let workspaces = seen(center, asked)?;
    let content = html! {
        div.head { h1 { "Workspaces" } }
        p.lead { "Models, pipelines, publishes and edges belong to a workspace, and so do the people who may see them." }
        @if workspaces.is_empty() {
            (empty("You are no member of a workspace yet", &html! { p { "Make one below, or ask an owner to add you." } }))
        } @else {
            div.table {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Made" } th scope="col" { "Members" } } }
                    tbody {
                        @for workspace in &workspaces {
                            tr {
                                th scope="row" { a href={ "/workspaces/" (workspace.id) "/pipelines" } { (workspace.name) } }
                                td { (moment(workspace.created_ms)) }
                                td { a href={ "/workspaces/" (workspace.id) "/members" } { "Members of " (workspace.name) } }
                            }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { "Make a workspace" }
            form method="post" action="/workspaces" {
                (csrf_field(asked))
                div.fields {
                    div { label for="name" { "Name" } input id="name" name="name" required maxlength="63"; }
                    div { button { "Make" } }
                }
            }
        }
    };
    let frame = Frame { title: "Workspaces", section: Section::Workspaces, workspace: None, fault };
    page(center, asked, &frame, &content)
}

fn make(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.field("name")?;
    match make_workspace(center, asked, &name) {
        Ok(id) => Ok(see_other(&format!("/workspaces/{id}/pipelines"))),
        Err(problem) => again(problem, |problem| show_list(center, asked, Some(problem))),
    }
}

/// Where the selector leads.
fn open(_: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Ok(match asked.query_number("workspace")? {
        Some(id) => see_other(&format!("/workspaces/{id}/pipelines")),
        None => see_other("/workspaces"),
    })
}

fn members(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    show_members(center, asked, None)
}

fn show_members(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let id = number(asked, "workspace")?;
    let (workspace, members, may_change) = center.store.read(|tx| {
        asked.may(tx, id, Role::Viewer)?;
        let workspace = tx.workspace(id)?.ok_or_else(|| Problem::unknown("workspace", id))?;
        let may_change = asked.may(tx, id, Role::Admin).is_ok();
        Ok::<_, Problem>((workspace, tx.members(id)?, may_change))
    })?;
    let content = html! {
        div.head { div { p.crumb { a href="/workspaces" { "Workspaces" } } h1 { "Members of " (workspace.name) } } }
        p.lead { "An owner also says who is a member, a collaborator uploads, publishes and adds edges, a viewer looks." }
        div.table {
            table {
                thead { tr { th scope="col" { "Email" } th scope="col" { "Role" } @if may_change { th scope="col" { "Remove" } } } }
                tbody {
                    @for (user, role) in &members {
                        tr {
                            th scope="row" { (user.email) }
                            td { (user_type(*role).to_lowercase()) }
                            @if may_change {
                                td {
                                    details.ask {
                                        summary { "Remove" span.unseen { " " (user.email) } "…" }
                                        p { "They see nothing of this workspace any more. What they made stays." }
                                        form method="post" action={ "/workspaces/" (id) "/members/remove" } {
                                            (csrf_field(asked))
                                            input type="hidden" name="email" value=(user.email);
                                            button.danger { "Remove" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if may_change {
            section.card {
                h2 { "Add a member, or change a role" }
                form method="post" action={ "/workspaces/" (id) "/members" } {
                    (csrf_field(asked))
                    div.fields {
                        div { label for="email" { "Email of a user" } input id="email" name="email" type="email" required; }
                        div {
                            label for="role" { "Role" }
                            select id="role" name="role" {
                                @for (_, name) in USER_TYPES { option value=(name) selected[name == "COLLABORATOR"] { (name.to_lowercase()) } }
                            }
                        }
                        div { button { "Add" } }
                    }
                }
            }
        }
    };
    let frame =
        Frame { title: "Members", section: Section::Workspaces, workspace: Some(id), fault };
    page(center, asked, &frame, &content)
}

/// The member that a form names.
fn named(asked: &mut Asked<'_, '_, '_>) -> Result<Member, Problem> {
    let workspace_id = number(asked, "workspace")?;
    let (email, role) = (asked.field("email")?, asked.field("role")?);
    let user_type = Some(role).filter(|role| !role.is_empty());
    Ok(Member { workspace_id, email: Some(email), user_id: None, user_type })
}

fn add(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let member = named(asked)?;
    let done = add_member(center, asked, &member);
    changed(center, asked, &member, done)
}

fn remove(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let member = named(asked)?;
    let done = drop_member(center, asked, &member).map(drop);
    changed(center, asked, &member, done)
}

fn changed(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    member: &Member,
    done: Result<(), Problem>,
) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(see_other(&format!("/workspaces/{}/members", member.workspace_id))),
        Err(problem) => again(problem, |problem| show_members(center, asked, Some(problem))),
    }
}
