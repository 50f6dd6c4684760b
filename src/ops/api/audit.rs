//! The audit: who changed what and when, and who could not sign in.

use super::moment::Moment;
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::center::Center;
use crate::ops::store::Wanted;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] =
    &[Route { method: "GET", path: "/v1/api/audit", need: Need::Admin, answer: audit }];

/// Entries of one page, unless told otherwise and at most: a screen, and some hundred KB.
const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1000;

fn audit(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let limit = asked.query_number("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad("query", format!("limit in the query must be 1 to {LIMIT_MAX}")));
    }
    let before = asked.query_number("before")?.unwrap_or(i64::MAX);
    let workspace = asked.query_number("workspace_id")?;
    let (user, action) = (asked.query("user_id"), asked.query("action"));
    let found = center.store.read(|tx| {
        // One more than wanted tells whether there is another page.
        let (user, action) = (user.as_deref(), action.as_deref());
        tx.noted(&Wanted { before, user, workspace, action, limit: limit + 1 })
    })?;
    let page = usize::try_from(limit).unwrap_or_default();
    let next = found.get(page).and(found.get(page - 1)).map(|last| last.id);
    let entries: Vec<Value> = found
        .iter()
        .take(page)
        .map(|one| {
            json!({
                "id": one.id,
                "at": Moment { ms: one.at_ms },
                "user_id": one.user.as_ref().map(|(id, _)| id),
                "email": one.user.as_ref().map(|(_, email)| email),
                "workspace_id": one.workspace,
                "action": one.action,
                "subject": one.subject,
                "detail": serde_json::from_str::<Value>(&one.detail).unwrap_or_default(),
                "peer": one.peer,
            })
        })
        .collect();
    Ok(answer(200, &json!({ "entries": entries, "next": next })))
}
