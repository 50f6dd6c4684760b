//! The first run: the link that the start printed, and the first administrator.

use super::page::plain;
use super::pieces::copied;
use crate::http::server::Response;
use crate::ops::access::{
    Cookie, Email, Founder, NewPassword, PASSWORD_CHARS_MIN, found, hashed, issue_api, open_session,
};
use crate::ops::api::{Asked, Need, Problem, Route, answer};
use crate::ops::center::Center;
use crate::registry::Secret;
use maud::html;
use serde::Deserialize;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/api/first_run", need: Need::Nobody, answer: first_run },
    Route { method: "GET", path: "/first-run", need: Need::Nobody, answer: form },
    Route { method: "POST", path: "/first-run", need: Need::Nobody, answer: posted },
];

/// How long the API token lives that the first run gives: a quarter, as any other.
const TOKEN_DAYS: i64 = 90;

#[derive(Deserialize)]
struct FirstRun {
    token: String,
    email: String,
    password: String,
}

/// What came of it.
struct Done {
    email: String,
    user: String,
    workspace: i64,
    token: Secret,
    cookie: Cookie,
}

fn first_run(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order: FirstRun = asked.json()?;
    let done = set_up(center, asked, &order)?;
    Ok(answer(
        200,
        &json!({ "user_id": done.user, "workspace_id": done.workspace, "token": done.token.reveal() }),
    ))
}

fn form(_: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let token = asked.query("token").unwrap_or_default();
    Ok(form_page(200, &token, "", None))
}

fn posted(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    asked.is_of_our_page()?;
    let (token, email) = (asked.field("token")?, asked.field("email")?);
    let order = FirstRun { token, email, password: asked.field("password")? };
    let done = match set_up(center, asked, &order) {
        Ok(done) => done,
        Err(problem) if problem.code() < 500 => {
            let sentence = Some(problem.msg());
            return Ok(form_page(problem.code(), &order.token, &order.email, sentence));
        }
        Err(problem) => return Err(problem),
    };
    let content = html! {
        p { (done.email) " administers this ops center now." }
        p { "A token for programs, which is shown once:" }
        div.secret { (copied("token", "token", done.token.reveal())) }
        p { a.button href="/guide" { "Go on to the first steps" } }
    };
    Ok(plain(200, "Set up", None, &content).with_header("Set-Cookie", done.cookie.set()))
}

fn set_up(center: &Center, asked: &Asked<'_, '_, '_>, order: &FirstRun) -> Result<Done, Problem> {
    let late = || {
        let sentence = "this link does not hold any more: sign in, or start the ops center again for \
                        another one if it has no user yet";
        Problem::new(403, "first_run_over", sentence)
    };
    let hash = hashed(order.token.trim());
    // Before the password is hashed, so that a stranger costs nothing.
    if center.store.read(|tx| tx.first_run(&hash))?.is_none() {
        return Err(late());
    }
    let email: Email = order.email.parse()?;
    let password = center.guard.hash(&NewPassword::new(&order.password)?)?;
    let peer = asked.peer().to_string();
    let founder = Founder { email: &email, password: &password, peer: &peer };
    let now_ms = asked.now_ms;
    center.store.write(|tx| {
        if tx.first_run(&hash)?.is_none() {
            return Err(late());
        }
        let (user, workspace) = found::<Problem>(tx, &founder, now_ms)?.ok_or_else(late)?;
        let life_ms = TOKEN_DAYS * 24 * 3600 * 1000;
        let (_, token) = issue_api::<Problem>(tx, &user.id, "first run", now_ms, life_ms)?;
        let cookie = open_session::<Problem>(tx, &user.id, center.is_secure(), now_ms)?;
        Ok(Done { email: user.email, user: user.id, workspace, token, cookie })
    })
}

fn form_page(status: u16, token: &str, email: &str, sentence: Option<&str>) -> Response {
    let content = html! {
        p { "Who sets the first password administers this ops center." }
        form method="post" action="/first-run" {
            input type="hidden" name="token" value=(token);
            div {
                label for="email" { "Email" }
                input id="email" name="email" type="email" autocomplete="username" required value=(email);
            }
            div {
                label for="password" { "Password, " (PASSWORD_CHARS_MIN) " characters or more" }
                input id="password" name="password" type="password" autocomplete="new-password"
                    minlength=(PASSWORD_CHARS_MIN) required;
            }
            button { "Set up" }
        }
    };
    plain(status, "First run", sentence, &content)
}
