//! What is asked: the request with who asks and what its path names.

use super::drift::BASELINE_PATH;
use super::uploads::PAGE_PATH;
use super::{Parameters, Problem};
use crate::http::query;
use crate::http::server::Request;
use crate::ops::access::{By, Caller, Role, hashed};
use crate::ops::center::Center;
use crate::ops::proxies::client_of;
use crate::ops::store::{Change, StoreError, Tx, User};
use crate::registry::Secret;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::sync::Arc;

/// A JSON body of the API; the largest are pipeline definitions and schemas.
const JSON_BYTES_MAX: u64 = 4 << 20;

/// A form: fields that a person fills in.
const FORM_BYTES_MAX: u64 = 64 << 10;

/// The type of a form's body.
const FORM: &str = "application/x-www-form-urlencoded";

/// The field of a form, and the header, that a change by cookie has.
const CSRF_FIELD: &str = "csrf_token";
const CSRF_HEADER: &str = "X-CSRF-Token";

/// Methods that change nothing (RFC 9110, section 9.2.1).
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The fields of a form or a query, in their order.
type Fields = Vec<(String, String)>;

/// One request to a route.
pub(in crate::ops) struct Asked<'a, 'r, 'w> {
    /// The request; its body is still on its way.
    pub request: &'a mut Request<'r, 'w>,
    /// When it came, in milliseconds since the epoch.
    pub now_ms: i64,
    center: Arc<Center>,
    caller: Option<Caller>,
    parameters: Parameters,
    form: Option<Fields>,
}

impl<'a, 'r, 'w> Asked<'a, 'r, 'w> {
    pub(super) fn new(
        request: &'a mut Request<'r, 'w>,
        center: Arc<Center>,
        caller: Option<Caller>,
        parameters: Parameters,
        now_ms: i64,
    ) -> Self {
        Asked { request, now_ms, center, caller, parameters, form: None }
    }

    /// The center, for an answer that is still being made when its handler has ended.
    pub(in crate::ops) fn shared_center(&self) -> Arc<Center> {
        Arc::clone(&self.center)
    }

    /// Who asks.
    ///
    /// # Errors
    /// On a route that anyone may ask, when nobody is signed in.
    pub(in crate::ops) fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(Problem::unauthorized)
    }

    /// All values of that name in a form, decoded, in their order.
    ///
    /// # Errors
    /// Those of [`field`](Self::field).
    pub(in crate::ops) fn fields(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        self.field(name)?; // reads the form
        let form = self.form.iter().flatten();
        Ok(form.filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect())
    }

    /// What the path has for the name in braces; empty for a name that the route has not.
    pub(in crate::ops) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The first value of that name in the query, decoded; `None` where it is missing or broken.
    pub(in crate::ops) fn query(&self, name: &str) -> Option<String> {
        query::value(self.request.query(), name)
    }

    /// The value of that name in the query as a number.
    ///
    /// # Errors
    /// A problem of status 400 when it is there and none.
    pub(in crate::ops) fn query_number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Problem::bad("query", format!("{name} in the query must be a whole number"))
        })
    }

    /// From where it is asked; a proxy's address where one is between that is not trusted.
    pub(in crate::ops) fn peer(&self) -> IpAddr {
        client_of(self.request, &self.center.settings.trusted_proxies)
    }

    /// The field of that name of a form, decoded; empty where the form has none.
    ///
    /// # Errors
    /// A problem of status 415 when the body is no form, 413 when it is too large, 400 when it is
    /// broken.
    pub(in crate::ops) fn field(&mut self, name: &str) -> Result<String, Problem> {
        let form = match self.form.take() {
            Some(form) => form,
            None => self.read_form()?,
        };
        let found = form.iter().find(|(known, _)| known == name);
        let value = found.map_or_else(String::new, |(_, value)| value.clone());
        self.form = Some(form);
        Ok(value)
    }

    fn read_form(&mut self) -> Result<Fields, Problem> {
        if !self.is_form() {
            let sentence = format!("the body of this path is a form: send Content-Type: {FORM}");
            return Err(Problem::new(415, "content_type", sentence));
        }
        let body = self.body(FORM_BYTES_MAX, "a form")?;
        fields(&body).ok_or_else(|| {
            Problem::bad(
                "body",
                "the form is not percent-encoded text in UTF-8: send it as browsers do",
            )
        })
    }

    fn is_form(&self) -> bool {
        let content_type = self.request.header("Content-Type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(FORM)
    }

    /// The session's token against forged changes, where a session asks.
    pub(in crate::ops) fn csrf(&self) -> Option<Secret> {
        match &self.caller.as_ref()?.by {
            By::Session { csrf, .. } => Some(csrf.clone()),
            By::Bearer { .. } => None,
        }
    }

    /// Whether a part of the body has still to show that token, since no header does.
    pub(super) fn owes_csrf(&self) -> bool {
        self.csrf().is_some() && self.request.header(CSRF_HEADER).is_none()
    }

    /// A change that comes by a cookie has the session's token beside it: a browser sends the cookie
    /// whoever wrote the page, and the token only who could read ours.
    pub(super) fn not_forged(&mut self) -> Result<(), Problem> {
        let Some(Caller { by: By::Session { csrf, .. }, .. }) = &self.caller else { return Ok(()) };
        if SAFE.contains(&self.request.method()) {
            return Ok(());
        }
        let csrf = csrf.clone();
        let shown = match self.request.header(CSRF_HEADER) {
            Some(shown) => shown.to_owned(),
            None if self.is_form() => self.field(CSRF_FIELD)?,
            // They have the token in a part, which is read with the others.
            None if [PAGE_PATH, BASELINE_PATH].contains(&self.request.path()) => return Ok(()),
            None => String::new(),
        };
        if is_csrf(&shown, Some(&csrf)) { Ok(()) } else { Err(Problem::forged()) }
    }

    /// A form that makes a session comes from a page of ours, as far as the browser tells.
    ///
    /// # Errors
    /// 403 when it says that it comes from elsewhere.
    pub(in crate::ops) fn is_of_our_page(&self) -> Result<(), Problem> {
        let is_foreign =
            match (self.request.header("Sec-Fetch-Site"), self.request.header("Origin")) {
                (Some(site), _) => !["same-origin", "none"].contains(&site),
                (None, Some(origin)) => {
                    let host = self.request.header("Host").unwrap_or_default();
                    origin.split_once("://").is_none_or(|(_, from)| from != host)
                }
                // No browser of today: nothing that could be led to send a form.
                (None, None) => false,
            };
        match is_foreign {
            false => Ok(()),
            true => Err(Problem::new(
                403,
                "csrf",
                "the form comes from another site: open the page of this ops center",
            )),
        }
    }

    /// The JSON body. Keys that are not known are passed over, as the original does.
    ///
    /// # Errors
    /// A problem of status 400 that says what is missing or of another type, 413 when it is too large.
    pub(in crate::ops) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let body = self.body(JSON_BYTES_MAX, "a JSON body")?;
        let body = if body.is_empty() { b"{}".as_slice() } else { body.trim_ascii_start() };
        // A list would be read as an object's values in the order of our fields.
        if body.first() != Some(&b'{') {
            return Err(Problem::bad(
                "body",
                "the body is not the JSON of this path: send an object",
            ));
        }
        serde_json::from_slice(body).map_err(|error| {
            Problem::bad("body", format!("the body is not the JSON of this path: {error}"))
        })
    }

    /// The whole body, of so many bytes at most, whether or not it says how long it is.
    pub(super) fn body(&mut self, bytes_max: u64, what: &str) -> Result<Vec<u8>, Problem> {
        let too_large = || {
            let sentence = format!("{what} may have {bytes_max} bytes: send less at once");
            Problem::new(413, "too_large", sentence)
        };
        if self.request.content_length().is_some_and(|bytes| bytes > bytes_max) {
            return Err(too_large());
        }
        let body = self.request.body()?;
        if body.len() as u64 > bytes_max { Err(too_large()) } else { Ok(body) }
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
        let user = self.caller.as_ref().map(|caller| &caller.user);
        self.note_by(tx, user, action, workspace, subject, detail)
    }

    /// The same for what somebody did who has only just shown who they are.
    pub(in crate::ops) fn note_by(
        &self,
        tx: &Tx<'_>,
        user: Option<&User>,
        action: &str,
        workspace: Option<i64>,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        tx.note(&Change {
            at_ms: self.now_ms,
            user: user.map(|user| user.id.as_str()),
            workspace,
            action,
            subject,
            detail,
            peer: &self.peer().to_string(),
        })
    }
}

/// Whether this is the session's token; compared as hashes, so that the time tells nothing of it.
pub(super) fn is_csrf(shown: &str, csrf: Option<&Secret>) -> bool {
    csrf.is_some_and(|csrf| hashed(shown) == hashed(csrf.reveal()))
}

/// The fields of a form's body; `None` when an escape is broken or no UTF-8.
fn fields(text: &[u8]) -> Option<Fields> {
    query::pairs(std::str::from_utf8(text).ok()?).collect()
}
