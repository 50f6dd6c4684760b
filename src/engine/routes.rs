//! The engine's endpoints: what is asked, by method and path, and what is answered.

use super::infer::{Generation, Inferences};
use super::link::{Link, Status};
use super::live::{Live, Serving};
use super::log_pages;
use super::metrics::{self, Metrics};
use super::open_inference;
use super::refusal::Problem;
use super::serve::Readiness;
use crate::http::percent;
use crate::http::server::{ApiKey, Refusal, Request, Response, Service};
use crate::logging::AT_SERVE;
use serde::Serialize;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// `Content-Type` of lists and errors.
pub(super) const JSON: &str = "application/json";

/// The header that names a request in answers and in error lines.
const REQUEST_ID: &str = "X-Request-Id";

/// Answers for the pipeline that is live when a request begins.
pub(super) struct Routes {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    ids: RequestIds,
    api_key: Option<ApiKey>,
    link: Option<Link>,
}

impl Service for Routes {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        let start = Instant::now();
        let id = self.ids.next();
        // One look: a request is answered by one pipeline, whatever takes its place meanwhile.
        let serving = self.live.now();
        let response = match self.route(request, &serving) {
            Ok(response) => response,
            Err(problem) => {
                self.metrics.refused(problem.kind(), problem.is_ours());
                if problem.is_of_the_pipeline() {
                    serving.inferences.tally.failed();
                }
                problem.log(&id);
                problem.response()
            }
        };
        self.metrics.answered(response.status(), response.body().len());
        log::debug!(
            target: AT_SERVE,
            "id={id} method={} path={:?} status={} bytes={} us={}",
            request.method(),
            request.path(),
            response.status(),
            response.body().len(),
            start.elapsed().as_micros()
        );
        response.with_header(REQUEST_ID, id)
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let problem = Problem::from(refusal);
        self.metrics.refused(problem.kind(), problem.is_ours());
        let response = problem.response();
        self.metrics.answered(response.status(), response.body().len());
        response
    }
}

/// Names for requests: one random part for the process, and a count.
#[derive(Debug)]
struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> RequestIds {
        // The standard library seeds it from the system's randomness.
        RequestIds { process: RandomState::new().hash_one(0), count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{}", self.process >> 32, self.count.fetch_add(1, Relaxed))
    }
}

/// `GET /pipelines`.
#[derive(Serialize)]
struct PipelineList<'a> {
    pipelines: [PipelineStatus<'a>; 1],
}

#[derive(Serialize)]
struct PipelineStatus<'a> {
    id: &'a str,
    status: &'static str,
}

/// `GET /models`, keys in the contract's order.
#[derive(Serialize)]
struct ModelList<'a> {
    models: Vec<ModelStatus<'a>>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ModelStatus<'a> {
    name: &'a str,
    sha: String,
    status: &'static str,
    version: &'a str,
}

/// Where probes look, which have no key and are told nothing but whether the engine serves.
const HEALTH: [&str; 3] = ["/healthz", "/v2/health/live", "/v2/health/ready"];

/// What is loaded answers: a pipeline that does not load never listens.
const RUNNING: &str = "Running";

impl Routes {
    pub(super) fn new(
        live: Arc<Live>,
        readiness: Readiness,
        api_key: Option<ApiKey>,
        link: Option<Link>,
    ) -> Routes {
        let metrics = live.now().inferences.metrics.clone();
        Routes { live, metrics, readiness, ids: RequestIds::new(), api_key, link }
    }

    fn route(&self, request: &mut Request<'_, '_>, serving: &Serving) -> Result<Response, Problem> {
        let Serving { inferences, page } = serving;
        let path = request.path().to_owned();
        // Before anything else is told, and before a byte of the body is taken.
        let is_open = HEALTH.contains(&path.as_str())
            || self.api_key.as_ref().is_none_or(|key| key.admits(request));
        if !is_open {
            return Err(Problem::no_key());
        }
        match path.as_str() {
            "/" => page.answer(request, inferences, self.readiness.is_ready(), self.link()),
            "/pipelines" => get(request, || Response::new(200, JSON, pipelines(inferences))),
            "/models" => get(request, || Response::new(200, JSON, models(inferences))),
            "/healthz" => get(request, || self.health()),
            "/metrics" => get(request, || metrics(inferences, self.link().as_ref())),
            "/infer" => infer(request, inferences, Generation::Rows),
            "/logs" => log_pages::answer(request, inferences),
            path if path == "/v2" || path.starts_with("/v2/") => {
                let readiness = self.readiness.open_inference();
                open_inference::answer(&path[3..], request, inferences, readiness)
            }
            path => match path.strip_prefix("/pipelines/") {
                Some(name) => {
                    let ours = &inferences.slot.definition.name;
                    if percent::decoded(name).as_deref() != Some(ours.as_bytes()) {
                        return Err(Problem::unknown_pipeline(name, ours));
                    }
                    infer(request, inferences, Generation::Record)
                }
                None => Err(Problem::path(path)),
            },
        }
    }

    /// How the link to the ops center stands, which is told and never keeps an answer back.
    fn link(&self) -> Option<Status> {
        self.link.as_ref().map(Link::status)
    }

    fn health(&self) -> Response {
        if self.readiness.is_ready() {
            Response::new(200, JSON, br#"{"status":"ok"}"#.to_vec())
        } else {
            Response::new(503, JSON, br#"{"status":"stopping"}"#.to_vec())
        }
    }
}

fn infer(
    request: &mut Request<'_, '_>,
    inferences: &Inferences,
    default: Generation,
) -> Result<Response, Problem> {
    match request.method() {
        "POST" => inferences.answer(request, default),
        method => Err(Problem::method(method, "POST")),
    }
}

fn pipelines(inferences: &Inferences) -> Vec<u8> {
    let id = &inferences.slot.definition.name;
    json(&PipelineList { pipelines: [PipelineStatus { id, status: RUNNING }] })
}

fn models(inferences: &Inferences) -> Vec<u8> {
    let links = inferences.slot.flow.links();
    let models: BTreeSet<ModelStatus<'_>> = links
        .map(|(key, _)| ModelStatus {
            name: &key.name,
            sha: key.sha.hex(),
            status: RUNNING,
            version: &key.version,
        })
        .collect();
    json(&ModelList { models: models.into_iter().collect() })
}

fn metrics(inferences: &Inferences, link: Option<&Status>) -> Response {
    let Inferences { metrics, slot, gate, journal, .. } = inferences;
    let journal = journal.as_ref().map(|recorder| recorder.journal().state());
    let text = metrics.text(slot, gate.load(), journal.as_ref(), link);
    Response::new(200, metrics::CONTENT_TYPE, text.into_bytes())
}

pub(super) fn get(
    request: &Request<'_, '_>,
    answer: impl FnOnce() -> Response,
) -> Result<Response, Problem> {
    match request.method() {
        "GET" | "HEAD" => Ok(answer()),
        method => Err(Problem::method(method, "GET, HEAD")),
    }
}

#[expect(clippy::expect_used, reason = "structs of strings always have a JSON form")]
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("an answer has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_another_id() {
        let ids = RequestIds::new();
        assert_ne!(ids.next(), ids.next());
    }
}
