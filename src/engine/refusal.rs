//! Every answer that is not an inference: status, sentence, and the place of the fault.

use super::gate::Busy;
use super::page::FormError;
use super::routes::json;
use crate::codec::{AnswerError, DatasetError, UnsupportedType};
use crate::exit;
use crate::http::server::{ApiKey, BodyError, Refusal, Response};
use crate::logging::AT_SERVE;
use crate::runtime::RunError;
use crate::tensor::{Misfit, MisfitKind};
use serde::Serialize;

/// A request that is not answered as asked. The first four keys are the original's.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    code: u16,
    status: &'static str,
    error: String,
    source: &'static str,
    /// A stable name of the fault, for programs.
    kind: &'static str,
    #[serde(flatten)]
    place: Option<Box<Place>>,
    #[serde(skip)]
    allow: Option<&'static str>,
    #[serde(skip)]
    retry: bool,
    /// What a browser is shown instead of JSON.
    #[serde(skip)]
    page: Option<Box<Response>>,
    #[serde(skip)]
    wants_key: bool,
}

/// Where in the request the fault is.
#[derive(Debug, Serialize)]
struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

/// When a busy engine may be asked again: a queue of small requests is gone by then.
const RETRY_AFTER_SECONDS: &str = "1";

impl Problem {
    fn new(code: u16, kind: &'static str, error: impl Into<String>) -> Problem {
        Problem {
            code,
            status: "error",
            error: error.into(),
            source: "engine",
            kind,
            place: None,
            allow: None,
            retry: false,
            page: None,
            wants_key: false,
        }
    }

    pub(super) fn path(path: &str) -> Problem {
        let sentence = format!(
            "there is nothing at {path}: the engine answers GET /, GET /pipelines, GET /models, \
             GET /healthz, GET /metrics, POST /pipelines/{{name}}, POST /infer, POST /logs and the \
             Open Inference Protocol below /v2"
        );
        Problem::new(404, "unknown_path", sentence)
    }

    pub(super) fn unknown_pipeline(found: &str, ours: &str) -> Problem {
        let sentence = format!("there is no pipeline `{found}` here: this engine runs `{ours}`");
        let mut problem = Problem::new(404, "unknown_pipeline", sentence);
        let (expected, found) = (Some(ours.to_owned()), Some(found.to_owned()));
        problem.place = Some(Box::new(Place { column: None, row: None, expected, found }));
        problem
    }

    pub(super) fn method(found: &str, allowed: &'static str) -> Problem {
        let sentence = format!("{found} is not answered here: use {allowed}");
        let mut problem = Problem::new(405, "method_not_allowed", sentence);
        problem.allow = Some(allowed);
        problem
    }

    pub(super) fn no_key() -> Problem {
        let sentence = "no API key or another one was shown: send `Authorization: Bearer KEY` or \
                        `X-API-Key: KEY`";
        Problem { wants_key: true, ..Problem::new(401, "unauthorized", sentence) }
    }

    /// The same refusal, told on a page that `render` makes of status and sentence.
    pub(super) fn on_page(mut self, render: impl FnOnce(u16, &str) -> Response) -> Problem {
        self.page = Some(Box::new(render(self.code, &self.error)));
        self
    }

    /// Whether another pipeline might have answered: the rows do not fit this one, it is not called
    /// so, or it could not compute them.
    pub(super) fn is_of_the_pipeline(&self) -> bool {
        let does_not_fit = self.place.is_some() && self.code != 413;
        does_not_fit || matches!(self.code, 422 | 500) || self.kind == "deadline"
    }

    /// Whether a request was right and not answered all the same: for want of a turn or of time, by a
    /// fault of ours, or because the models could not compute it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.code, 422 | 500..)
    }

    /// The stable name of the fault.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Says what is our fault, under the id that the client has too. What clients do wrong, and
    /// how often it is too much for us, is counted: a line for each would wear an SD card out.
    pub(super) fn log(&self, id: &str) {
        let Problem { code, kind, error, .. } = self;
        if *code == 500 {
            log::error!(target: AT_SERVE, "id={id} status={code} kind={kind} msg={error:?}");
        } else {
            log::debug!(target: AT_SERVE, "id={id} status={code} kind={kind} msg={error:?}");
        }
    }

    pub(super) fn answer_form(found: &str) -> Problem {
        let sentence = format!(
            "the query parameter `answer` is `{found}`: expected `record` for one record of the \
             whole request, or `rows` for one element for each row"
        );
        Problem::new(400, "query", sentence)
    }

    pub(super) fn no_journal() -> Problem {
        let sentence = "no log is kept here: set LOCAL_INFERENCE_STORAGE to the room that it may \
                        take, as `512Mi`, or start the engine with an EDGE_BUNDLE";
        Problem::new(404, "no_logs", sentence)
    }

    pub(super) fn logs(what: &str) -> Problem {
        let sentence = format!(
            "the body asks for no page of the log: {what}; expected `{{}}`, or an object with \
             `order` (`asc` or `desc`), `page_size` and `cursor`"
        );
        Problem::new(400, "logs", sentence)
    }

    pub(super) fn header_length(found: &str) -> Problem {
        let sentence = format!(
            "the header Inference-Header-Content-Length is `{found}`: expected the bytes of JSON \
             at the beginning of the body"
        );
        Problem::new(400, "header_length", sentence)
    }

    pub(super) fn response(mut self) -> Response {
        let mut response = match self.page.take() {
            Some(page) => *page,
            None => Response::new(self.code, "application/json", json(&self)),
        };
        if let Some(methods) = self.allow {
            response = response.with_header("Allow", methods.to_owned());
        }
        if self.retry {
            response = response.with_header("Retry-After", RETRY_AFTER_SECONDS.to_owned());
        }
        if self.wants_key {
            response = ApiKey::challenge(response);
        }
        response
    }
}

impl From<Misfit> for Problem {
    fn from(misfit: Misfit) -> Problem {
        let code = match misfit.kind {
            MisfitKind::OverLimit => 413,
            MisfitKind::MissingColumn
            | MisfitKind::NoRows
            | MisfitKind::NotANumber
            | MisfitKind::Null
            | MisfitKind::Unreadable
            | MisfitKind::ValueRange
            | MisfitKind::WrongShape
            | MisfitKind::WrongType => 400,
        };
        let Misfit { kind, sentence, column, row, expected, found } = misfit;
        let mut problem = Problem::new(code, kind.code(), sentence);
        problem.place = Some(Box::new(Place { column, row, expected, found }));
        problem
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Problem {
        let sentence = exit::chain(&error);
        match error {
            RunError::Misfit(misfit) => misfit.into(),
            RunError::Refused(_) => Problem::new(422, "model_refused", sentence),
            RunError::Uneven { .. } => Problem::new(422, "uneven_outputs", sentence),
            RunError::Late => {
                let mut problem = Problem::new(503, "deadline", sentence);
                problem.retry = true;
                problem
            }
            RunError::Broke(_) | RunError::Unread => Problem::new(500, "runtime_broke", sentence),
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Problem {
        let kind = match busy {
            Busy::Full { .. } => "queue_full",
            Busy::Waited => "queue_timeout",
            Busy::NoRoom { .. } => "memory",
            Busy::ClientLeft => "client_left",
        };
        let mut problem = Problem::new(503, kind, busy.to_string());
        problem.retry = true;
        problem
    }
}

impl From<UnsupportedType> for Problem {
    fn from(error: UnsupportedType) -> Problem {
        Problem::new(415, "unsupported_content_type", error.to_string())
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Problem {
        let (code, kind) = match error {
            FormError::OtherSite => (403, "form_of_another_site"),
            FormError::Type => (415, "unsupported_content_type"),
            FormError::NoLength => (411, "form_without_length"),
            FormError::TooLarge { .. } => (413, "form_too_large"),
            FormError::NoRows => (400, "form_without_rows"),
        };
        Problem::new(code, kind, error.to_string())
    }
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Problem {
        match error {
            AnswerError::Dataset(error) => error.into(),
            AnswerError::NotInRows { .. }
            | AnswerError::TooLarge { .. }
            | AnswerError::Arrow(_) => Problem::new(422, "not_in_rows", exit::chain(&error)),
        }
    }
}

impl From<DatasetError> for Problem {
    fn from(error: DatasetError) -> Problem {
        Problem::new(400, "query", exit::chain(&error))
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        let kind = match error {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::Truncated { .. } => "body_truncated",
            BodyError::TooSlow { .. } => "body_too_slow",
            BodyError::Malformed { .. } => "body_malformed",
            BodyError::Busy { .. } => "busy",
            BodyError::Io(_) => "body_unreadable",
        };
        let mut problem = Problem::new(error.status(), kind, exit::chain(&error));
        problem.retry = problem.code == 503;
        problem
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let mut problem = Problem::new(refusal.status(), "http", refusal.to_string());
        problem.retry = problem.code == 503;
        problem
    }
}
