//! Signing in and out with a browser: forms, and a session in a cookie.

use super::page::plain;
use super::see_other;
use crate::http::server::Response;
use crate::ops::access::{By, Cookie, Refused, open_session, sign_in};
use crate::ops::api::{Asked, Need, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::StoreError;
use maud::html;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/sign-in", need: Need::Nobody, answer: form },
    Route { method: "POST", path: "/sign-in", need: Need::Nobody, answer: posted },
    Route { method: "POST", path: "/sign-out", need: Need::SignedIn, answer: sign_out },
];

fn form(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let has_users: Result<bool, StoreError> = center.store.read(|tx| tx.has_users());
    if !has_users? {
        let content = html! {
            p { "This ops center has no user yet. Open the link that it printed when it started: it begins \
                 with " code { "Set the first password here:" } "." }
            p.hint { "Started again without a user, it prints a new one." }
        };
        return Ok(plain(200, "Not set up yet", None, &content));
    }
    Ok(form_page(200, &asked.query("next").unwrap_or_default(), "", None))
}

fn posted(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    asked.is_of_our_page()?;
    let (email, password) = (asked.field("email")?, asked.field("password")?);
    let next = asked.field("next")?;
    let shown = (email.as_str(), password.as_str());
    let user = match sign_in(&center.store, &center.guard, shown, asked.peer(), asked.now_ms) {
        Ok(user) => user,
        Err(refused @ Refused::Wrong) => {
            return Ok(form_page(401, &next, &email, Some(&refused.to_string())));
        }
        Err(refused @ Refused::TooMany { retry_after_s }) => {
            let page = form_page(429, &next, &email, Some(&refused.to_string()));
            return Ok(page.with_header("Retry-After", retry_after_s.to_string()));
        }
        Err(other @ (Refused::Password(_) | Refused::Store(_))) => return Err(other.into()),
    };
    let cookie = center.store.write(|tx| {
        let cookie = open_session::<Problem>(tx, &user.id, center.is_secure(), asked.now_ms)?;
        asked.note_by(tx, Some(&user), "sign_in", None, &user.email, json!({ "by": "form" }))?;
        Ok::<_, Problem>(cookie)
    })?;
    Ok(see_other(inside(&next)).with_header("Set-Cookie", cookie.set()))
}

fn sign_out(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let caller = asked.caller()?;
    if let By::Session { token, .. } = caller.by {
        let email = caller.user.email.clone();
        center.store.write(|tx| {
            tx.revoke_token(token, asked.now_ms)?;
            asked.note(tx, "sign_out", None, &email, json!({}))
        })?;
    }
    Ok(see_other("/sign-in").with_header("Set-Cookie", Cookie::unset(center.is_secure())))
}

fn form_page(status: u16, next: &str, email: &str, sentence: Option<&str>) -> Response {
    let content = html! {
        form method="post" action="/sign-in" {
            input type="hidden" name="next" value=(inside(next));
            div {
                label for="email" { "Email" }
                input id="email" name="email" type="email" autocomplete="username" required value=(email);
            }
            div {
                label for="password" { "Password" }
                input id="password" name="password" type="password" autocomplete="current-password" required;
            }
            button { "Sign in" }
        }
    };
    plain(status, "Sign in", sentence, &content)
}

/// Where to go on, if it is within this site; its first page otherwise, so that no link to us leads
/// elsewhere.
fn inside(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_goes_on_within_this_site_alone() {
        assert_eq!(inside("/edges?tag=a"), "/edges?tag=a");
        for next in
            ["", "edges", "//evil.example", "/\\evil.example", "https://evil.example", "/a b"]
        {
            assert_eq!(inside(next), "/", "{next}");
        }
    }
}
