//! Signing in and out with a browser: forms, and a session in a cookie.

use super::page::{escaped, fault, page};
use super::{Asked, Need, Problem, Route};
use crate::http::server::Response;
use crate::ops::access::{By, Cookie, Refused, open_session, sign_in};
use crate::ops::center::Center;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/sign-in", need: Need::Nobody, answer: form },
    Route { method: "POST", path: "/sign-in", need: Need::Nobody, answer: posted },
    Route { method: "POST", path: "/sign-out", need: Need::SignedIn, answer: sign_out },
];

fn form(_: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
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

/// Where to go on, if it is within this site; its first page otherwise, so that no link to us leads
/// elsewhere.
fn inside(next: &str) -> &str {
    let is_path = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path { next } else { "/" }
}

fn see_other(location: &str) -> Response {
    Response::empty(303)
        .with_header("Location", location.to_owned())
        .with_header("Cache-Control", "no-store".to_owned())
}

fn form_page(status: u16, next: &str, email: &str, sentence: Option<&str>) -> Response {
    let body = format!(
        "{}<form method=\"post\" action=\"/sign-in\">\n\
         <input type=\"hidden\" name=\"next\" value=\"{}\">\n\
         <label for=\"email\">Email</label>\n\
         <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"username\" required value=\"{}\">\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" \
         required>\n<button>Sign in</button>\n</form>",
        fault(sentence),
        escaped(inside(next)),
        escaped(email)
    );
    page(status, "Sign in", &body)
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
