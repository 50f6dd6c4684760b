//! Workspaces: made, listed, and who is a member.

use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::store::StoreError;
use serde::Deserialize;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/v1/api/workspaces/create",
    need: Need::SignedIn,
    answer: create,
}];

/// Characters of a workspace's name.
const NAME_CHARS_MAX: usize = 63;

#[derive(Deserialize)]
struct Create {
    workspace_name: String,
}

fn create(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Create { workspace_name: name } = asked.json()?;
    let name = name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        let sentence =
            format!("workspace_name must have 1 to {NAME_CHARS_MAX} characters in one line");
        return Err(Problem::bad("name", sentence));
    }
    let id = center.store.write(|tx| {
        let user = &asked.caller()?.user;
        let id = match tx.add_workspace(name, &user.id, asked.now_ms) {
            Err(StoreError::Taken(_)) => {
                let sentence =
                    format!("there is a workspace `{name}` already: choose another name");
                return Err(Problem::conflict("name_taken", sentence));
            }
            other => other?,
        };
        tx.set_member(id, &user.id, Role::Admin)?;
        asked.note(tx, "workspace.create", Some(id), name, json!({}))?;
        Ok(id)
    })?;
    Ok(answer(200, &json!({ "workspace_id": id })))
}
