//! Access: who asks, by what they show, and what they may do in a workspace.

mod attempts;
mod email;
mod first_run;
mod issue;
mod kind;
mod password;
mod role;
mod secret;
mod session;
mod sign_in;

pub(in crate::ops) use email::{Email, NoEmail};
pub(in crate::ops) use first_run::{Founder, found, link};
pub(in crate::ops) use issue::{BEARER_MS, Pair, REFRESH_MS, issue_api, issue_pair};
pub(in crate::ops) use kind::TokenKind;
pub(in crate::ops) use password::{NewPassword, PASSWORD_CHARS_MIN, PasswordError};
pub(in crate::ops) use role::Role;
pub(in crate::ops) use secret::{NoRandomness, fresh_secret, fresh_uuid, hashed};
pub(in crate::ops) use session::{Cookie, open_session};
pub(in crate::ops) use sign_in::{Guard, Refused, is_password_of, sign_in};

use super::store::{Store, StoreError, User};
use crate::http::server::Request;
use crate::logging::AT_SERVE;
use crate::registry::Secret;

/// Kinds of tokens that a program may show as `Authorization: Bearer`.
const BEARERS: [TokenKind; 2] = [TokenKind::Api, TokenKind::Bearer];

/// How exactly it is known when a token was last shown: not each request is a write to the disk.
const TOUCH_MS: i64 = 60_000;

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Caller {
    /// The user.
    pub user: User,
    /// By what they are known.
    pub by: By,
}

/// What a caller showed.
#[derive(Debug, Clone)]
pub(in crate::ops) enum By {
    /// A token in the header, which no page of another site can make a browser send.
    Bearer {
        /// The number of the token.
        token: i64,
    },
    /// A cookie, which a browser sends whoever wrote the page.
    Session {
        /// The number of the session's token.
        token: i64,
        /// What a page of ours has beside it, and no other.
        csrf: Secret,
    },
}

impl By {
    /// The number of the token that was shown.
    pub(in crate::ops) fn token(&self) -> i64 {
        match self {
            By::Bearer { token } | By::Session { token, .. } => *token,
        }
    }
}

/// Who asks, by the bearer token or the cookie of the request; `None` when none is shown or it does
/// not hold. A token that does not hold is not made up for by a cookie.
pub(in crate::ops) fn caller(
    request: &Request<'_, '_>,
    store: &Store,
    now_ms: i64,
) -> Result<Option<Caller>, StoreError> {
    if let Some(header) = request.header("Authorization") {
        let shown = header.split_once(' ');
        let Some((_, token)) = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        else {
            return Ok(None);
        };
        let hash = hashed(token.trim());
        let Some(holder) = store.read(|tx| tx.token_holder(&hash, &BEARERS, now_ms))? else {
            return Ok(None);
        };
        touch(store, holder.token, holder.used_ms, now_ms);
        return Ok(Some(Caller { user: holder.user, by: By::Bearer { token: holder.token } }));
    }
    let Some(cookie) = request.header("Cookie").and_then(Cookie::read) else { return Ok(None) };
    let hash = cookie.hash();
    let found = store.read(|tx| tx.token_holder(&hash, &[TokenKind::Session], now_ms))?;
    let Some(holder) = found.filter(|holder| !session::is_idle(holder, now_ms)) else {
        return Ok(None);
    };
    touch(store, holder.token, holder.used_ms, now_ms);
    let by = By::Session { token: holder.token, csrf: cookie.csrf() };
    Ok(Some(Caller { user: holder.user, by }))
}

/// Writes down that a token was shown. What is only looked at can be looked at on a full disk, too.
fn touch(store: &Store, token: i64, used_ms: Option<i64>, now_ms: i64) {
    if used_ms.is_some_and(|used_ms| now_ms - used_ms < TOUCH_MS) {
        return;
    }
    let touched: Result<(), StoreError> = store.write(|tx| tx.touch_token(token, now_ms));
    if let Err(error) = touched {
        let msg = crate::exit::chain(&error);
        log::warn!(target: AT_SERVE, "token={token} msg={msg:?}");
    }
}
