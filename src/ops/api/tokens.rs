//! Tokens for programs: made by name, shown once, listed, and taken back.

use super::moment::Moment;
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::issue_api;
use crate::ops::center::Center;
use crate::ops::store::TokenFacts;
use crate::registry::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/api/tokens/create", need: Need::SignedIn, answer: create },
    Route { method: "POST", path: "/v1/api/tokens/list", need: Need::SignedIn, answer: list },
    Route { method: "POST", path: "/v1/api/tokens/revoke", need: Need::SignedIn, answer: revoke },
];

/// Characters of a token's name.
const NAME_CHARS_MAX: usize = 63;

/// How long a token lives unless told otherwise: a quarter.
pub(in crate::ops) const DAYS_DEFAULT: i64 = 90;

/// How long a token may live: what runs for five years without anybody is forgotten.
pub(in crate::ops) const DAYS_MAX: i64 = 5 * 366;

/// Tokens of one user, so that a script that makes one at each run is noticed.
const TOKENS_MAX: usize = 1000;

const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(Deserialize)]
struct Create {
    name: String,
    expires_in_days: Option<i64>,
}

fn create(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Create { name, expires_in_days } = asked.json()?;
    let (facts, secret) = make_token(center, asked, &name, expires_in_days)?;
    let mut shown = told(&facts);
    shown["token"] = secret.reveal().into();
    Ok(answer(200, &shown))
}

/// Makes a token of the caller's; what is known of it, and itself.
///
/// # Errors
/// A name or a life that cannot be, and too many tokens.
pub(in crate::ops) fn make_token(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    name: &str,
    expires_in_days: Option<i64>,
) -> Result<(TokenFacts, Secret), Problem> {
    let name = name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        let sentence = format!("name must have 1 to {NAME_CHARS_MAX} characters in one line");
        return Err(Problem::bad("name", sentence));
    }
    let days = expires_in_days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        let sentence = format!("expires_in_days must be 1 to {DAYS_MAX}");
        return Err(Problem::bad("expires_in_days", sentence));
    }
    let (now_ms, life_ms) = (asked.now_ms, days * DAY_MS);
    let user = asked.caller()?.user.clone();
    let (id, secret) = center.store.write(|tx| {
        if tx.api_tokens_of(&user.id)?.len() >= TOKENS_MAX {
            let sentence = format!(
                "{} has {TOKENS_MAX} tokens: take some back with tokens/revoke",
                user.email
            );
            return Err(Problem::conflict("too_many_tokens", sentence));
        }
        let made = issue_api::<Problem>(tx, &user.id, name, now_ms, life_ms)?;
        asked.note(tx, "token.create", None, name, json!({ "id": made.0, "days": days }))?;
        Ok(made)
    })?;
    let facts = TokenFacts {
        id,
        user: user.id,
        name: name.to_owned(),
        created_ms: now_ms,
        expires_ms: Some(now_ms + life_ms),
        used_ms: None,
    };
    Ok((facts, secret))
}

#[derive(Deserialize)]
struct List {
    user_id: Option<String>,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let List { user_id } = asked.json()?;
    let user = &asked.caller()?.user;
    let of = user_id.unwrap_or_else(|| user.id.clone());
    if of != user.id && !user.is_admin {
        return Err(Problem::forbidden("only an administrator sees the tokens of others: ask one"));
    }
    let found = center.store.read(|tx| tx.api_tokens_of(&of))?;
    let tokens: Vec<Value> = found.iter().map(told).collect();
    Ok(answer(200, &json!({ "tokens": tokens })))
}

#[derive(Deserialize)]
struct Revoke {
    id: i64,
}

fn revoke(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Revoke { id } = asked.json()?;
    revoke_token(center, asked, id)?;
    Ok(answer(200, &json!({})))
}

/// Takes back a token of the caller's, or of anyone where an administrator asks.
///
/// # Errors
/// Where there is none.
pub(in crate::ops) fn revoke_token(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<(), Problem> {
    let user = asked.caller()?.user.clone();
    center.store.write(|tx| {
        let found = tx.api_token(id)?.filter(|token| token.user == user.id || user.is_admin);
        let Some(token) = found else {
            let sentence = format!("there is no token {id} of yours: tokens/list has them");
            return Err(Problem::new(404, "unknown_token", sentence));
        };
        tx.revoke_token(id, asked.now_ms)?;
        asked.note(tx, "token.revoke", None, &token.name, json!({ "id": id }))?;
        Ok(())
    })
}

/// A token as its owner sees it.
fn told(token: &TokenFacts) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "user_id": token.user,
        "created_at": Moment { ms: token.created_ms },
        "expires_at": token.expires_ms.map(|ms| Moment { ms }),
        "last_used_at": token.used_ms.map(|ms| Moment { ms }),
    })
}
