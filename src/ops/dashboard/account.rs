//! The account of who is signed in: their tokens for programs, and their password.

use super::page::{Frame, Section, page};
use super::pieces::{copied, csrf_field, empty, moment, moment_if};
use super::{again, field_number, get, post, see_other};
use crate::http::server::Response;
use crate::ops::access::PASSWORD_CHARS_MIN;
use crate::ops::api::tokens::{DAYS_DEFAULT, DAYS_MAX, make_token, revoke_token};
use crate::ops::api::users::change_own_password;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, TokenFacts};
use maud::{Markup, html};

pub(super) const ROUTES: &[Route] = &[
    get("/account", show),
    post("/account/tokens", make),
    post("/account/tokens/revoke", revoke),
    post("/account/password", password),
];

/// Tokens on the page, the newest first.
const SHOWN: usize = 150;

fn show(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    shown(center, asked, &html! {}, None)
}

fn shown(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    told: &Markup,
    fault: Option<&Problem>,
) -> Result<Response, Problem> {
    let (user, email) = (asked.caller()?.user.id.clone(), &asked.caller()?.user.email);
    let tokens: Result<Vec<TokenFacts>, StoreError> =
        center.store.read(|tx| tx.api_tokens_of(&user));
    let tokens = tokens?;
    let content = html! {
        div.head { h1 { "Account and tokens" } }
        (told)
        section {
            h2 { "Tokens for programs" }
            p.hint { "The command line, the Python package and scripts show one as " code { "Authorization: Bearer TOKEN" } ". It may do what you may." }
            @if tokens.is_empty() { (empty("No token", &html! { p { "Make one below." } })) } @else { (table(asked, &tokens)) }
        }
        section.card {
            h2 { "Make a token" }
            form method="post" action="/account/tokens" {
                (csrf_field(asked))
                div.fields {
                    div { label for="name" { "What it is for" } input id="name" name="name" required maxlength="63"; }
                    div { label for="days" { "Days that it holds" } input id="days" name="days" type="number" min="1" max=(DAYS_MAX) value=(DAYS_DEFAULT) required; }
                    div { button { "Make" } }
                }
            }
        }
        section.card {
            h2 { "Change your password" }
            form method="post" action="/account/password" {
                (csrf_field(asked))
                // For programs that keep passwords: whose this is.
                input type="text" name="username" autocomplete="username" value=(email) hidden readonly aria-label="Email";
                div.fields {
                    div { label for="current" { "Current password" } input id="current" name="current" type="password" autocomplete="current-password" required; }
                    div { label for="new" { "New password, " (PASSWORD_CHARS_MIN) " characters or more" } input id="new" name="new" type="password" autocomplete="new-password" minlength=(PASSWORD_CHARS_MIN) required; }
                    div { button.second { "Change" } }
                }
            }
            p.hint { "Your other sign-ins end with it; tokens for programs stay." }
        }
    };
    let frame =
        Frame { title: "Account and tokens", section: Section::Account, workspace: None, fault };
    page(center, asked, &frame, &content)
}

fn table(asked: &Asked<'_, '_, '_>, tokens: &[TokenFacts]) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Tokens" {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Made" } th scope="col" { "Holds until" } th scope="col" { "Last shown" } th scope="col" { "Take back" } } }
                tbody {
                    @for token in tokens.iter().take(SHOWN) {
                        tr {
                            th scope="row" { (token.name) }
                            td { (moment(token.created_ms)) }
                            td { (moment_if(token.expires_ms)) }
                            td { (moment_if(token.used_ms)) }
                            td {
                                details.ask {
                                    summary { "Take back" span.unseen { " " (token.name) } "…" }
                                    p { "Programs that show it are refused from now on." }
                                    form method="post" action="/account/tokens/revoke" {
                                        (csrf_field(asked))
                                        input type="hidden" name="id" value=(token.id);
                                        button.danger { "Take back" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn make(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let name = asked.field("name")?;
    let made =
        field_number(asked, "days").and_then(|days| make_token(center, asked, &name, Some(days)));
    match made {
        Ok((facts, secret)) => {
            let told = html! {
                div.secret role="status" {
                    p { "The token " strong { (facts.name) } ", shown this once:" }
                    (copied("token", "token", secret.reveal()))
                }
            };
            shown(center, asked, &told, None)
        }
        Err(problem) => again(problem, |problem| shown(center, asked, &html! {}, Some(problem))),
    }
}

fn revoke(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let done = field_number(asked, "id").and_then(|id| revoke_token(center, asked, id));
    match done {
        Ok(()) => Ok(see_other("/account")),
        Err(problem) => again(problem, |problem| shown(center, asked, &html! {}, Some(problem))),
    }
}

fn password(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let (current, new) = (asked.field("current")?, asked.field("new")?);
    match change_own_password(center, asked, (&current, &new)) {
        Ok(()) => {
            let told = html! { div.told role="status" { "Your password is changed." } };
            shown(center, asked, &told, None)
        }
        Err(problem) => again(problem, |problem| shown(center, asked, &html! {}, Some(problem))),
    }
}
