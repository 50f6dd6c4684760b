//! Workspaces: made, listed, and who is a member.

use super::moment::Moment;
use super::users::user_of;
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::store::{StoreError, Tx, User};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/api/workspaces/create",
        need: Need::SignedIn,
        answer: create,
    },
    Route { method: "POST", path: "/v1/api/workspaces/list", need: Need::SignedIn, answer: list },
    Route {
        method: "POST",
        path: "/v1/api/workspaces/list_users",
        need: Need::SignedIn,
        answer: list_users,
    },
    Route {
        method: "POST",
        path: "/v1/api/workspaces/add_user",
        need: Need::SignedIn,
        answer: add_user,
    },
    Route {
        method: "POST",
        path: "/v1/api/workspaces/remove_user",
        need: Need::SignedIn,
        answer: remove_user,
    },
];

/// Characters of a workspace's name.
const NAME_CHARS_MAX: usize = 63;

/// Our roles by the original's names, and one more.
pub(in crate::ops) const USER_TYPES: [(Role, &str); 3] =
    [(Role::Admin, "OWNER"), (Role::Publisher, "COLLABORATOR"), (Role::Viewer, "VIEWER")];

#[derive(Deserialize)]
struct Create {
    workspace_name: String,
}

fn create(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Create { workspace_name: name } = asked.json()?;
    let id = make_workspace(center, asked, &name)?;
    Ok(answer(200, &json!({ "workspace_id": id })))
}

/// Makes a workspace whose owner is the caller; its number.
///
/// # Errors
/// A name that cannot be, or is another's.
pub(in crate::ops) fn make_workspace(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    name: &str,
) -> Result<i64, Problem> {
    let name = name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_CHARS_MAX
        || name.chars().any(char::is_control)
    {
        let sentence =
            format!("workspace_name must have 1 to {NAME_CHARS_MAX} characters in one line");
        return Err(Problem::bad("name", sentence));
    }
    center.store.write(|tx| {
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
    })
}

/// Nothing is asked for yet; keys are passed over as everywhere.
#[derive(Deserialize)]
struct List {}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let List {} = asked.json()?;
    let user = &asked.caller()?.user;
    let member = (!user.is_admin).then_some(user.id.as_str());
    let workspaces = center.store.read(|tx| -> Result<Vec<Value>, StoreError> {
        let mut told = Vec::new();
        for workspace in tx.workspaces(member)? {
            let (models, pipelines) = tx.contents(workspace.id)?;
            told.push(json!({
                "id": workspace.id,
                "name": workspace.name,
                "created_at": Moment { ms: workspace.created_ms },
                "created_by": workspace.created_by,
                "archived": workspace.is_archived,
                "models": models,
                "pipelines": pipelines,
            }));
        }
        Ok(told)
    })?;
    Ok(answer(200, &json!({ "workspaces": workspaces })))
}

#[derive(Deserialize)]
struct Which {
    workspace_id: i64,
}

fn list_users(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Which { workspace_id } = asked.json()?;
    let users = center.store.read(|tx| -> Result<Vec<Value>, Problem> {
        asked.may(tx, workspace_id, Role::Viewer)?;
        let told = |(user, role): (User, Role)| {
            json!({ "user_id": user.id, "email": user.email, "user_type": user_type(role) })
        };
        Ok(tx.members(workspace_id)?.into_iter().map(told).collect())
    })?;
    Ok(answer(200, &json!({ "users": users })))
}

/// A user in a workspace, named by email or id.
#[derive(Debug, Default, Deserialize)]
pub(in crate::ops) struct Member {
    pub workspace_id: i64,
    pub email: Option<String>,
    pub user_id: Option<String>,
    pub user_type: Option<String>,
}

impl Member {
    fn user(&self, tx: &Tx<'_>) -> Result<User, Problem> {
        match (&self.user_id, &self.email) {
            (Some(id), _) => tx.user(id)?.ok_or_else(|| {
                let sentence = "there is no user of this user_id: users/query lists them";
                Problem::new(404, "unknown_user", sentence)
            }),
            (None, Some(email)) => user_of(tx, email),
            (None, None) => {
                Err(Problem::bad("body", "the body names nobody: send email or user_id"))
            }
        }
    }
}

fn add_user(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let member: Member = asked.json()?;
    add_member(center, asked, &member)?;
    Ok(answer(200, &json!({})))
}

/// Makes a user a member, whatever they were before.
///
/// # Errors
/// Who is not there, what nobody can be, and who may not say so.
pub(in crate::ops) fn add_member(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    member: &Member,
) -> Result<(), Problem> {
    let wanted = member.user_type.as_deref().unwrap_or("COLLABORATOR");
    let role = USER_TYPES.iter().find(|(_, name)| name.eq_ignore_ascii_case(wanted));
    let Some((role, name)) = role else {
        let sentence = "user_type must be OWNER, COLLABORATOR or VIEWER";
        return Err(Problem::bad("user_type", sentence));
    };
    let workspace = member.workspace_id;
    center.store.write(|tx| {
        asked.may(tx, workspace, Role::Admin)?;
        let user = member.user(tx)?;
        if *role != Role::Admin {
            not_the_last(tx, workspace, &user)?;
        }
        tx.set_member(workspace, &user.id, *role)?;
        let detail = json!({ "user_type": name });
        asked.note(tx, "workspace.add_user", Some(workspace), &user.email, detail)?;
        Ok(())
    })
}

fn remove_user(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let member: Member = asked.json()?;
    let is_removed = drop_member(center, asked, &member)?;
    Ok(answer(200, &json!({ "affected_rows": i64::from(is_removed) })))
}

/// Takes a member out of a workspace; whether they were one.
///
/// # Errors
/// The last owner, and who may not do so.
pub(in crate::ops) fn drop_member(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    member: &Member,
) -> Result<bool, Problem> {
    let workspace = member.workspace_id;
    center.store.write(|tx| {
        asked.may(tx, workspace, Role::Admin)?;
        let user = member.user(tx)?;
        not_the_last(tx, workspace, &user)?;
        let is_removed = tx.remove_member(workspace, &user.id)?;
        if is_removed {
            asked.note(tx, "workspace.remove_user", Some(workspace), &user.email, json!({}))?;
        }
        Ok(is_removed)
    })
}

/// A workspace keeps an owner, so that its members need not ask an administrator of everything.
fn not_the_last(tx: &Tx<'_>, workspace: i64, user: &User) -> Result<(), Problem> {
    let members = tx.members(workspace)?;
    let owners = || members.iter().filter(|(_, role)| *role == Role::Admin);
    if owners().count() == 1 && owners().any(|(owner, _)| owner.id == user.id) {
        let sentence = format!(
            "{} is the last owner of workspace {workspace}: make another member OWNER first",
            user.email
        );
        return Err(Problem::conflict("last_owner", sentence));
    }
    Ok(())
}

/// The original's name of a role.
pub(in crate::ops) fn user_type(role: Role) -> &'static str {
    match role {
        Role::Admin => "OWNER",
        Role::Publisher => "COLLABORATOR",
        Role::Viewer => "VIEWER",
    }
}
