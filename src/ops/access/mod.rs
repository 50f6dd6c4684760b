//! Access: who asks, by what they show, and what they may do in a workspace.

mod role;
mod secret;

pub(in crate::ops) use role::Role;
pub(in crate::ops) use secret::{NoRandomness, fresh_secret, fresh_uuid, hashed};

use super::store::{Store, StoreError, User};
use crate::http::server::Request;

/// Kinds of tokens that a program may show as `Authorization: Bearer`.
const BEARERS: [&str; 2] = ["api", "bearer"];

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Caller {
    /// The user.
    pub user: User,
}

/// Who asks, by the bearer token of the request; `None` when none is shown or it does not hold.
pub(in crate::ops) fn caller(
    request: &Request<'_, '_>,
    store: &Store,
    now_ms: i64,
) -> Result<Option<Caller>, StoreError> {
    let shown = request.header("Authorization").and_then(|value| value.split_once(' '));
    let Some((_, token)) = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Ok(None);
    };
    let user = store.read(|tx| tx.user_by_token(&hashed(token.trim()), &BEARERS, now_ms))?;
    Ok(user.map(|user| Caller { user }))
}
