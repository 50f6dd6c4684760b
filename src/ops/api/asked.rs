//! What is asked: the request with who asks and what its path names.

use super::Problem;
use crate::http::server::Request;
use crate::ops::access::{Caller, Role};
use crate::ops::store::{Change, StoreError, Tx};
use serde::de::DeserializeOwned;

/// A JSON body of the API; the largest are pipeline definitions and schemas.
const JSON_BYTES_MAX: u64 = 4 << 20;

/// One request to a route.
pub(in crate::ops) struct Asked<'a, 'r, 'w> {
    /// The request; its body is still on its way.
    pub request: &'a mut Request<'r, 'w>,
    /// When it came, in milliseconds since the epoch.
    pub now_ms: i64,
    caller: Option<Caller>,
    parameters: Vec<(&'static str, String)>,
}

impl<'a, 'r, 'w> Asked<'a, 'r, 'w> {
    pub(super) fn new(
        request: &'a mut Request<'r, 'w>,
        caller: Option<Caller>,
        parameters: Vec<(&'static str, String)>,
        now_ms: i64,
    ) -> Self {
        Asked { request, now_ms, caller, parameters }
    }

    /// Who asks.
    ///
    /// # Errors
    /// On a route that anyone may ask, when nobody is signed in.
    pub(in crate::ops) fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::unauthorized)
    }

    /// What the path has for the name in braces; empty for a name that the route has not.
    pub(in crate::ops) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The JSON body. Keys that are not known are passed over, as the original does.
    ///
    /// # Errors
    /// A problem of status 400 that says what is missing or of another type, 413 when it is too large.
    pub(in crate::ops) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        if self.request.content_length().is_some_and(|bytes| bytes > JSON_BYTES_MAX) {
            let sentence =
                format!("a JSON body may have {JSON_BYTES_MAX} bytes: send less at once");
            return Err(Problem::new(413, "too_large", sentence));
        }
        let body = self.request.body()?;
        let body = if body.is_empty() { b"{}".as_slice() } else { &body };
        serde_json::from_slice(body).map_err(|error| {
            Problem::bad("body", format!("the body is not the JSON of this path: {error}"))
        })
    }

    /// Whether the caller may act in the workspace with at least this role.
    ///
    /// # Errors
    /// 404 for a workspace that is not there or not the caller's to see, 403 for a lesser role.
    pub(in crate::ops) fn may(
        &self,
        tx: &Tx<'_>,
        workspace: i64,
        least: Role,
    ) -> Result<(), Problem> {
        let user = &self.caller()?.user;
        let unknown = || Problem::unknown("workspace", workspace);
        if tx.workspace(workspace)?.is_none() {
            return Err(unknown());
        }
        if user.is_admin {
            return Ok(());
        }
        match tx.role(workspace, &user.id)? {
            None => Err(unknown()),
            Some(role) if role >= least => Ok(()),
            Some(role) => Err(Problem::forbidden(&format!(
                "this needs the role {}, and {} is {} in workspace {workspace}: ask one of its \
                 administrators",
                least.name(),
                user.email,
                role.name()
            ))),
        }
    }

    /// Writes a change into the audit, in the transaction that makes it.
    pub(in crate::ops) fn note(
        &self,
        tx: &Tx<'_>,
        action: &str,
        workspace: Option<i64>,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        tx.note(&Change {
            at_ms: self.now_ms,
            user: self.caller.as_ref().map(|caller| caller.user.id.as_str()),
            workspace,
            action,
            subject,
            detail,
            peer: &self.request.peer().ip().to_string(),
        })
    }
}
