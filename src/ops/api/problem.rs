//! Every answer that is not what was asked for: status, sentence, a stable kind, and what to do.

use crate::exit;
use crate::http::server::{BodyError, Response};
use crate::logging::AT_SERVE;
use crate::ops::access::{NoEmail, NoRandomness, PasswordError, Refused};
use crate::ops::store::StoreError;
use serde::Serialize;

/// A request that is not answered as asked; `msg` and `code` are the original's keys.
#[derive(Debug, Serialize)]
pub(in crate::ops) struct Problem {
    msg: String,
    code: u16,
    /// A stable name of the fault, for programs.
    kind: &'static str,
    #[serde(skip)]
    headers: Vec<(&'static str, String)>,
    /// What the log has beside the answer; never for the client.
    #[serde(skip)]
    cause: Option<String>,
}

impl Problem {
    /// A problem of this status; `msg` says what, where, what was expected and what to do.
    pub(in crate::ops) fn new(code: u16, kind: &'static str, msg: impl Into<String>) -> Problem {
        Problem { msg: msg.into(), code, kind, headers: Vec::new(), cause: None }
    }

    /// 400: what was sent is wrong.
    pub(in crate::ops) fn bad(kind: &'static str, msg: impl Into<String>) -> Problem {
        Problem::new(400, kind, msg)
    }

    /// 404: there is no `what` of that id, or it is not the caller's to see.
    pub(in crate::ops) fn unknown(what: &str, id: impl std::fmt::Display) -> Problem {
        Problem::new(
            404,
            "unknown",
            format!("there is no {what} {id}, or you are no member of its workspace"),
        )
    }

    /// 409: it is there already, or in the way.
    pub(in crate::ops) fn conflict(kind: &'static str, msg: impl Into<String>) -> Problem {
        Problem::new(409, kind, msg)
    }

    /// 403.
    pub(in crate::ops) fn forbidden(msg: &str) -> Problem {
        Problem::new(403, "forbidden", msg)
    }

    /// 401, with the challenge that says how to sign in.
    pub(in crate::ops) fn unauthorized() -> Problem {
        let sentence = "no token or one that does not hold was shown: send `Authorization: Bearer TOKEN`, \
                        with a token of the dashboard or of `potoroo-ops token create`";
        Problem::new(401, "unauthorized", sentence)
            .with_header("WWW-Authenticate", "Bearer realm=\"potoroo\"".to_owned())
    }

    /// 403, for a change by cookie without the session's token.
    pub(super) fn forged() -> Problem {
        let sentence = "a change by cookie needs the session's token in the header X-CSRF-Token or the \
                        form's field csrf_token: load the page again; programs send a bearer token";
        Problem::new(403, "csrf", sentence)
    }

    pub(super) fn path(path: &str) -> Problem {
        let sentence =
            format!("there is nothing at {path}: /v1/api/openapi.json lists what there is");
        Problem::new(404, "unknown_path", sentence)
    }

    pub(super) fn method(found: &str, allowed: &str) -> Problem {
        let sentence = format!("{found} is not answered here: use {allowed}");
        Problem::new(405, "method_not_allowed", sentence).with_header("Allow", allowed.to_owned())
    }

    /// The same with a header field.
    pub(in crate::ops) fn with_header(mut self, name: &'static str, value: String) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// The same with what the log has beside the answer: the error and its sources.
    pub(in crate::ops) fn because(mut self, error: &dyn std::error::Error) -> Problem {
        self.cause = Some(exit::chain(error));
        self
    }

    /// The status.
    pub(in crate::ops) fn code(&self) -> u16 {
        self.code
    }

    /// The sentence.
    pub(in crate::ops) fn msg(&self) -> &str {
        &self.msg
    }

    /// The first field of that name among those of its answer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn log(&self, method: &str, path: &str) {
        let Problem { code, kind, msg, cause, .. } = self;
        let cause = cause.as_deref().unwrap_or(msg);
        if *code >= 500 {
            log::error!(target: AT_SERVE, "method={method} path={path:?} status={code} kind={kind} msg={cause:?}");
        } else {
            log::debug!(target: AT_SERVE, "method={method} path={path:?} status={code} kind={kind} msg={cause:?}");
        }
    }

    pub(super) fn response(self) -> Response {
        let response = Response::new(self.code, "application/json", super::json(&self));
        self.dressed(response)
    }

    /// Another answer to the same fault, with the header fields of this one.
    pub(in crate::ops) fn dressed(&self, response: Response) -> Response {
        let headers = self.headers.iter().cloned();
        headers.fold(response, |response, (name, value)| response.with_header(name, value))
    }
}

/// A fault of the records says what it means for the client; the rest is for the log.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let cause = Some(exit::chain(&error));
        let problem = match &error {
            StoreError::Full(_) => Problem::new(507, "disk_full", error.to_string()),
            StoreError::Taken(_) => Problem::conflict("taken", error.to_string()),
            StoreError::Newer { .. } | StoreError::Broken(_) | StoreError::Malformed { .. } => {
                let sentence = "the records of the ops center cannot be used: nothing was changed; its log \
                                says why";
                Problem::new(500, "records", sentence)
            }
        };
        Problem { cause, ..problem }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        Problem::new(error.status(), "body", exit::chain(&error))
    }
}

impl From<NoRandomness> for Problem {
    fn from(error: NoRandomness) -> Problem {
        Problem::new(500, "randomness", error.to_string())
    }
}

impl From<NoEmail> for Problem {
    fn from(error: NoEmail) -> Problem {
        Problem::bad("email", error.to_string())
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Problem {
        let sentence = error.to_string();
        match error {
            PasswordError::Length => Problem::bad("password", sentence),
            PasswordError::Busy => {
                Problem::new(503, "busy", sentence).with_header("Retry-After", "1".to_owned())
            }
            PasswordError::NoRandomness(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let sentence = refused.to_string();
        match refused {
            Refused::Wrong => Problem::new(401, "sign_in", sentence),
            Refused::TooMany { retry_after_s } => Problem::new(429, "too_many_sign_ins", sentence)
                .with_header("Retry-After", retry_after_s.to_string()),
            Refused::Password(error) => error.into(),
            Refused::Store(error) => error.into(),
        }
    }
}
