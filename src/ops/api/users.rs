//! Users: who there is, who may come, and who may not any more.

use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::{
    By, Caller, Email, NewPassword, TokenKind, fresh_secret, fresh_uuid, is_password_of,
};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, Tx, User};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/v1/api/users/me", need: Need::SignedIn, answer: me },
    Route { method: "POST", path: "/v1/api/users/query", need: Need::SignedIn, answer: query },
    Route { method: "POST", path: "/v1/api/users/invite", need: Need::Admin, answer: invite },
    Route { method: "POST", path: "/v1/api/users/activate", need: Need::Admin, answer: activate },
    Route {
        method: "POST",
        path: "/v1/api/users/deactivate",
        need: Need::Admin,
        answer: deactivate,
    },
    Route { method: "POST", path: "/v1/api/users/set_admin", need: Need::Admin, answer: set_admin },
    Route {
        method: "POST",
        path: "/v1/api/users/reset_password",
        need: Need::Admin,
        answer: reset_password,
    },
    Route {
        method: "POST",
        path: "/v1/api/users/change_password",
        need: Need::SignedIn,
        answer: change_password,
    },
];

/// Characters of a first or last name.
const NAME_CHARS_MAX: usize = 100;

/// Everything that someone holds instead of a password.
const ALL_TOKENS: [TokenKind; 4] =
    [TokenKind::Api, TokenKind::Bearer, TokenKind::Refresh, TokenKind::Session];

/// What a password got. Tokens for programs were made by name, and are taken back by name.
const SIGN_INS: [TokenKind; 3] = [TokenKind::Bearer, TokenKind::Refresh, TokenKind::Session];

fn me(_: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Caller { user, by } = asked.caller()?;
    let (kind, csrf) = match by {
        By::Bearer { .. } => ("bearer", None),
        By::Session { csrf, .. } => ("session", Some(csrf.reveal())),
    };
    let User { id, email, is_admin, .. } = user;
    let facts =
        json!({ "id": id, "email": email, "is_admin": is_admin, "by": kind, "csrf_token": csrf });
    Ok(answer(200, &facts))
}

#[derive(Deserialize)]
struct Query {
    user_ids: Option<Vec<String>>,
}

fn query(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Query { user_ids } = asked.json()?;
    let users = center.store.read(|tx| -> Result<Map<String, Value>, StoreError> {
        let mut users = tx.users()?;
        if let Some(wanted) = &user_ids {
            users.retain(|user| wanted.contains(&user.id));
        }
        let facts = |user: User| Ok((user.id.clone(), facts(tx, &user)?));
        users.into_iter().map(facts).collect()
    })?;
    Ok(answer(200, &json!({ "users": users })))
}

/// A user as the original's identity service shows one.
fn facts(tx: &Tx<'_>, user: &User) -> Result<Value, StoreError> {
    let (first, last) = tx.names(&user.id)?;
    let User { id, email, is_admin, is_enabled, created_ms } = user;
    Ok(json!({
        "id": id,
        "username": email,
        "email": email,
        "firstName": first,
        "lastName": last,
        "enabled": is_enabled,
        "createdTimestamp": created_ms,
        "access": { "admin": is_admin },
    }))
}

/// Someone who is to come.
#[derive(Default, Deserialize)]
pub(in crate::ops) struct Invite {
    pub email: String,
    /// A new one is made without it.
    pub password: Option<String>,
    #[serde(default)]
    pub is_admin: bool,
    #[serde(default, alias = "firstName")]
    pub first_name: String,
    #[serde(default, alias = "lastName")]
    pub last_name: String,
}

fn invite(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order: Invite = asked.json()?;
    let (id, password) = invite_user(center, asked, order)?;
    Ok(answer(200, &json!({ "id": id, "password": password })))
}

/// Adds a user; their id and their password.
///
/// # Errors
/// What of it cannot be.
pub(in crate::ops) fn invite_user(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    order: Invite,
) -> Result<(String, String), Problem> {
    let email: Email = order.email.parse()?;
    for name in [&order.first_name, &order.last_name] {
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            let sentence = format!("a name has at most {NAME_CHARS_MAX} characters in one line");
            return Err(Problem::bad("name", sentence));
        }
    }
    let (password, kept) = password_for(center, order.password)?;
    let (is_admin, is_enabled, created_ms) = (order.is_admin, true, asked.now_ms);
    let (id, email) = (fresh_uuid()?, email.as_str().to_owned());
    let user = User { id, email, is_admin, is_enabled, created_ms };
    center.store.write(|tx| {
        match tx.add_user(&user, Some(&kept)) {
            Err(StoreError::Taken(_)) => {
                let sentence =
                    format!("{} is a user already: users/activate lets them in again", user.email);
                return Err(Problem::conflict("email_taken", sentence));
            }
            other => other?,
        }
        tx.set_names(&user.id, &order.first_name, &order.last_name)?;
        asked.note(tx, "user.invite", None, &user.email, json!({ "is_admin": is_admin }))?;
        Ok(())
    })?;
    Ok((user.id, password))
}

/// The password that was given, or a new one, and what is kept of it.
fn password_for(center: &Center, given: Option<String>) -> Result<(String, String), Problem> {
    let password = match given.filter(|given| !given.is_empty()) {
        Some(given) => given,
        None => fresh_secret("")?.reveal().to_owned(),
    };
    let kept = center.guard.hash(&NewPassword::new(&password)?)?;
    Ok((password, kept))
}

#[derive(Deserialize)]
struct Whom {
    email: String,
}

fn activate(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Whom { email } = asked.json()?;
    let_in(center, asked, &email)?;
    Ok(answer(200, &json!({})))
}

/// Lets a user sign in again.
///
/// # Errors
/// Where there is none of that email.
pub(in crate::ops) fn let_in(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    email: &str,
) -> Result<(), Problem> {
    center.store.write(|tx| {
        let user = user_of(tx, email)?;
        if !user.is_enabled {
            tx.set_enabled(&user.id, true)?;
            asked.note(tx, "user.activate", None, &user.email, json!({}))?;
        }
        Ok(())
    })
}

fn deactivate(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let Whom { email } = asked.json()?;
    shut_out(center, asked, &email)?;
    Ok(answer(200, &json!({})))
}

/// Ends all that a user holds, and lets them in no more.
///
/// # Errors
/// Where there is none of that email, or it is the last administrator.
pub(in crate::ops) fn shut_out(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    email: &str,
) -> Result<(), Problem> {
    center.store.write(|tx| {
        let user = user_of(tx, email)?;
        if user.is_enabled {
            not_the_last(tx, &user)?;
            tx.set_enabled(&user.id, false)?;
            tx.revoke_tokens_of(&user.id, &ALL_TOKENS, None, asked.now_ms)?;
            asked.note(tx, "user.deactivate", None, &user.email, json!({}))?;
        }
        Ok(())
    })
}

#[derive(Deserialize)]
struct SetAdmin {
    email: String,
    is_admin: bool,
}

fn set_admin(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let SetAdmin { email, is_admin } = asked.json()?;
    make_admin(center, asked, &email, is_admin)?;
    Ok(answer(200, &json!({})))
}

/// Makes a user an administrator of the ops center, or takes that away.
///
/// # Errors
/// Where there is none of that email, or it is the last administrator.
pub(in crate::ops) fn make_admin(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    email: &str,
    is_admin: bool,
) -> Result<(), Problem> {
    center.store.write(|tx| {
        let user = user_of(tx, email)?;
        if user.is_admin != is_admin {
            if !is_admin && user.is_enabled {
                not_the_last(tx, &user)?;
            }
            tx.set_admin(&user.id, is_admin)?;
            let detail = json!({ "is_admin": is_admin });
            asked.note(tx, "user.set_admin", None, &user.email, detail)?;
        }
        Ok(())
    })
}

/// Someone must be left who can let others in.
fn not_the_last(tx: &Tx<'_>, user: &User) -> Result<(), Problem> {
    if user.is_admin && tx.admins()? <= 1 {
        let sentence = format!(
            "{} is the last administrator of this ops center: make another one with users/set_admin first",
            user.email
        );
        return Err(Problem::conflict("last_admin", sentence));
    }
    Ok(())
}

#[derive(Deserialize)]
struct ResetPassword {
    email: String,
    password: Option<String>,
}

fn reset_password(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ResetPassword { email, password } = asked.json()?;
    let (id, password) = give_password(center, asked, &email, password)?;
    Ok(answer(200, &json!({ "id": id, "password": password })))
}

/// Gives a user another password, the one that is told or a new one; their id and that password.
///
/// # Errors
/// Where there is none of that email, or the password cannot be one.
pub(in crate::ops) fn give_password(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    email: &str,
    password: Option<String>,
) -> Result<(String, String), Problem> {
    let (password, kept) = password_for(center, password)?;
    let id = center.store.write(|tx| {
        let user = user_of(tx, email)?;
        tx.set_password(&user.id, &kept)?;
        tx.revoke_tokens_of(&user.id, &SIGN_INS, None, asked.now_ms)?;
        asked.note(tx, "user.reset_password", None, &user.email, json!({}))?;
        Ok::<_, Problem>(user.id)
    })?;
    Ok((id, password))
}

#[derive(Deserialize)]
struct ChangePassword {
    current_password: String,
    new_password: String,
}

fn change_password(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ChangePassword { current_password, new_password } = asked.json()?;
    change_own_password(center, asked, (&current_password, &new_password))?;
    Ok(answer(200, &json!({})))
}

/// Gives the caller another password; theirs and the one that they want.
///
/// # Errors
/// When the first is wrong, or the second cannot be one.
pub(in crate::ops) fn change_own_password(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    (current_password, new_password): (&str, &str),
) -> Result<(), Problem> {
    let Caller { user, by } = asked.caller()?.clone();
    let new_password = NewPassword::new(new_password)?;
    let shown = (&user, current_password);
    if !is_password_of(&center.store, &center.guard, shown, asked.peer(), asked.now_ms)? {
        let sentence = "current_password is not the password: type it again, or ask an administrator for \
                        users/reset_password";
        return Err(Problem::new(403, "wrong_password", sentence));
    }
    let kept = center.guard.hash(&new_password)?;
    center.store.write(|tx| {
        tx.set_password(&user.id, &kept)?;
        // Who knew the old one is out; who changed it stays.
        tx.revoke_tokens_of(&user.id, &SIGN_INS, Some(by.token()), asked.now_ms)?;
        asked.note(tx, "user.change_password", None, &user.email, json!({}))
    })?;
    Ok(())
}

/// The user of that email.
pub(super) fn user_of(tx: &Tx<'_>, email: &str) -> Result<User, Problem> {
    let email: Email = email.parse()?;
    tx.user_by_email(email.as_str())?.ok_or_else(|| {
        let sentence =
            format!("there is no user {email}: users/query lists them, users/invite adds one");
        Problem::new(404, "unknown_user", sentence)
    })
}
