//! Users: who there is, who may come, who administers the ops center, and new passwords.

use super::page::{Frame, Section, page};
use super::pieces::{copied, csrf_field, moment};
use super::{again, see_other};
use crate::http::server::Response;
use crate::ops::api::users::{Invite, give_password, invite_user, let_in, make_admin, shut_out};
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, User};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/users", need: Need::Admin, answer: list },
    Route { method: "POST", path: "/users", need: Need::Admin, answer: invite },
    Route { method: "POST", path: "/users/change", need: Need::Admin, answer: change },
];

/// Users on the page, the last that came: an ops center has dozens.
const SHOWN: usize = 150;

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, &html! {}, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    told: &Markup,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let users: Result<Vec<User>, StoreError> = center.store.read(|tx| tx.users());
    let mut users = users?;
    users.reverse();
    let content = html! {
        div.head { h1 { "Users" } }
        (told)
        section.card {
            h2 { "Invite a user" }
            form method="post" action="/users" {
                (csrf_field(asked))
                div.fields {
                    div { label for="email" { "Email" } input id="email" name="email" type="email" required autocomplete="off"; }
                    div { label.check { input type="checkbox" name="is_admin" value="yes"; "administers the ops center" } }
                    div { button { "Invite" } }
                }
            }
            p.hint { "They get a password that is shown once. What they see, a workspace's owner says." }
        }
        div.table tabindex="0" role="region" aria-label="Users" {
            table {
                thead { tr { th scope="col" { "Email" } th scope="col" { "Role" } th scope="col" { "State" } th scope="col" { "Since" } th scope="col" { "Change" } } }
                tbody { @for user in users.iter().take(SHOWN) { (row(asked, user)) } }
            }
        }
        @if users.len() > SHOWN { p.hint { "The last " (SHOWN) " of " (users.len()) " users; the API's " code { "users/query" } " has all." } }
    };
    let frame = Frame { title: "Users", section: Section::Users, workspace: None, fault };
    page(center, asked, &frame, &content)
}

fn row(asked: &Asked<'_, '_, '_>, user: &User) -> Markup {
    let button = |what: &str, words: &str, is_grave: bool| {
        html! {
            form method="post" action="/users/change" {
                (csrf_field(asked))
                input type="hidden" name="email" value=(user.email);
                input type="hidden" name="what" value=(what);
                button.small.second[!is_grave].danger[is_grave] { (words) span.unseen { " " (user.email) } }
            }
        }
    };
    html! {
        tr {
            th scope="row" { (user.email) }
            td { @if user.is_admin { "administrator" } @else { "user" } }
            td { @if user.is_enabled { span.state.good { "may sign in" } } @else { span.state.idle { "shut out" } } }
            td { (moment(user.created_ms)) }
            td {
                details.ask {
                    summary { "Change" span.unseen { " " (user.email) } "…" }
                    p { "A new password ends all their sign-ins. Who is shut out loses every token, too." }
                    div.row {
                        (button("password", "New password", true))
                        @if user.is_admin { (button("no-admin", "Make a user", true)) } @else { (button("admin", "Make an administrator", false)) }
                        @if user.is_enabled { (button("out", "Shut out", true)) } @else { (button("in", "Let in again", false)) }
                    }
                }
            }
        }
    }
}

/// A password that is shown this once.
fn password_told(email: &str, password: &str) -> Markup {
    html! {
        div.secret role="status" {
            p { "The password of " strong { (email) } ", shown this once:" }
            (copied("password", "password", password))
        }
    }
}

fn invite(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let email = asked.field("email")?;
    let is_admin = !asked.field("is_admin")?.is_empty();
    let order = Invite { email: email.clone(), is_admin, ..Invite::default() };
    match invite_user(center, asked, order) {
        Ok((_, password)) => shown(center, asked, &password_told(&email, &password), None),
        Err(problem) => again(problem, |problem| shown(center, asked, &html! {}, Some(problem))),
    }
}

fn change(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let (email, what) = (asked.field("email")?, asked.field("what")?);
    let done = match what.as_str() {
        "in" => let_in(center, asked, &email),
        "out" => shut_out(center, asked, &email),
        "admin" => make_admin(center, asked, &email, true),
        "no-admin" => make_admin(center, asked, &email, false),
        "password" => match give_password(center, asked, &email, None) {
            Ok((_, password)) => {
                return shown(center, asked, &password_told(&email, &password), None);
            }
            Err(problem) => Err(problem),
        },
        _ => {
            Err(Problem::bad("form", "the form says no change that there is: load the page again"))
        }
    };
    match done {
        Ok(()) => Ok(see_other("/users")),
        Err(problem) => again(problem, |problem| shown(center, asked, &html! {}, Some(problem))),
    }
}
