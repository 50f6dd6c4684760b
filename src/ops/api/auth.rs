//! Bearer tokens for a password, in the form of OAuth 2 that the original's clients speak (RFC 6749, 4.3 and 6).

use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::{BEARER_MS, Pair, REFRESH_MS, Refused, hashed, issue_pair, sign_in};
use crate::ops::center::Center;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/auth/realms/master/protocol/openid-connect/token",
        need: Need::Nobody,
        answer: token,
    },
    Route {
        method: "POST",
        path: "/auth/realms/master/protocol/openid-connect/logout",
        need: Need::Nobody,
        answer: logout,
    },
];

/// A refusal in the form of RFC 6749, section 5.2.
struct OAuthError {
    status: u16,
    error: &'static str,
    description: String,
    retry_after: Option<String>,
}

impl OAuthError {
    fn new(status: u16, error: &'static str, description: impl Into<String>) -> OAuthError {
        OAuthError { status, error, description: description.into(), retry_after: None }
    }

    fn response(self) -> Response {
        let OAuthError { status, error, description, retry_after } = self;
        let response = answer(status, &json!({ "error": error, "error_description": description }));
        retry_after
            .into_iter()
            .fold(response, |response, after| response.with_header("Retry-After", after))
    }
}

impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> OAuthError {
        let error = match problem.code() {
            500.. => "server_error",
            _ => "invalid_request",
        };
        let retry_after = problem.header("Retry-After").map(str::to_owned);
        OAuthError { retry_after, ..OAuthError::new(problem.code(), error, problem.msg()) }
    }
}

impl From<Refused> for OAuthError {
    fn from(refused: Refused) -> OAuthError {
        let sentence = refused.to_string();
        match refused {
            // 401, as the original's identity service has it, and not the 400 of the RFC.
            Refused::Wrong => OAuthError::new(401, "invalid_grant", sentence),
            other @ (Refused::TooMany { .. } | Refused::Password(_) | Refused::Store(_)) => {
                Problem::from(other).into()
            }
        }
    }
}

fn token(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let granted = match asked.field("grant_type") {
        Err(problem) => Err(problem.into()),
        Ok(grant) => match grant.as_str() {
            "password" => by_password(center, asked),
            "refresh_token" => by_refresh(center, asked),
            other => {
                let sentence = format!(
                    "grant_type must be password or refresh_token, and is {}",
                    crate::oci::excerpt(other)
                );
                Err(OAuthError::new(400, "unsupported_grant_type", sentence))
            }
        },
    };
    Ok(granted.map_or_else(OAuthError::response, |pair| answer(200, &told(&pair))))
}

fn by_password(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Pair, OAuthError> {
    let (username, password) = (asked.field("username")?, asked.field("password")?);
    let shown = (username.as_str(), password.as_str());
    let user = sign_in(&center.store, &center.guard, shown, asked.peer(), asked.now_ms)?;
    let pair = center.store.write(|tx| {
        let pair = issue_pair::<Problem>(tx, &user.id, None, asked.now_ms)?;
        asked.note_by(tx, Some(&user), "sign_in", None, &user.email, json!({ "by": "token" }))?;
        Ok::<_, Problem>(pair)
    })?;
    Ok(pair)
}

/// A refresh token holds once. Shown again it has been copied, by whom nobody can tell, and all that
/// came of its sign-in ends (RFC 9700, section 4.14.2).
fn by_refresh(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Pair, OAuthError> {
    let shown = hashed(asked.field("refresh_token")?.trim());
    let now_ms = asked.now_ms;
    let pair = center.store.write(|tx| {
        let Some(refresh) = tx.refresh(&shown, now_ms)? else { return Ok(None) };
        if refresh.is_revoked {
            tx.revoke_family(&refresh.family, now_ms)?;
            let user = Some(&refresh.user);
            asked.note_by(tx, user, "refresh.reused", None, &refresh.user.email, json!({}))?;
            return Ok(None);
        }
        tx.revoke_token(refresh.id, now_ms)?;
        issue_pair::<Problem>(tx, &refresh.user.id, Some(refresh.family), now_ms).map(Some)
    })?;
    pair.ok_or_else(|| {
        let sentence = "the refresh token has ended, was used or was taken back: sign in again";
        OAuthError::new(400, "invalid_grant", sentence)
    })
}

fn logout(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let shown = hashed(asked.field("refresh_token")?.trim());
    let now_ms = asked.now_ms;
    center.store.write(|tx| match tx.refresh(&shown, now_ms)? {
        Some(refresh) => tx.revoke_family(&refresh.family, now_ms),
        // Nothing to take back, and nothing told about it.
        None => Ok(()),
    })?;
    Ok(Response::empty(204))
}

fn told(pair: &Pair) -> serde_json::Value {
    json!({
        "access_token": pair.bearer.reveal(),
        "expires_in": BEARER_MS / 1000,
        "refresh_expires_in": REFRESH_MS / 1000,
        "refresh_token": pair.refresh.reveal(),
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": "profile email",
    })
}
