//! The engine's endpoints: what is asked, by method and path, and what is answered.

use super::refusal::Problem;
use super::slot::Slot;
use crate::clock::{Clock, unix_ms};
use crate::codec::{self, InputFormat, OutputFormat};
use crate::http::server::{ApiKey, Refusal, Request, Response, Service};
use crate::logging::AT_SERVE;
use crate::pipeline::{Record, Step};
use crate::runtime::Pool;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// `Content-Type` of everything but an Arrow answer and a record list.
const JSON: &str = "application/json";

/// Answers for one pipeline.
pub(super) struct Routes {
    slot: Slot,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    api_key: Option<ApiKey>,
}

impl Service for Routes {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        let start = Instant::now();
        let response = self.route(request).unwrap_or_else(Problem::response);
        log::debug!(
            target: AT_SERVE,
            "method={} path={:?} status={} us={}",
            request.method(), request.path(), response.status(), start.elapsed().as_micros()
        );
        response
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Problem::from(refusal).response()
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

/// Asked by what watches over containers, which has no key.
const HEALTH: &str = "/healthz";

/// What is loaded answers: a pipeline that does not load never listens.
const RUNNING: &str = "Running";

impl Routes {
    pub(super) fn new(
        slot: Slot,
        pool: Arc<Pool>,
        clock: Arc<dyn Clock>,
        api_key: Option<ApiKey>,
    ) -> Routes {
        Routes { slot, pool, clock, api_key }
    }

    fn route(&self, request: &mut Request<'_, '_>) -> Result<Response, Problem> {
        let path = request.path().to_owned();
        // Before anything else is told, and before a byte of the body is taken.
        let is_open = path == HEALTH || self.api_key.as_ref().is_none_or(|key| key.admits(request));
        if !is_open {
            return Err(Problem::no_key());
        }
        let get = |answer: Vec<u8>| match request.method() {
            "GET" | "HEAD" => Ok(Response::new(200, JSON, answer)),
            method => Err(Problem::method(method, "GET, HEAD")),
        };
        match path.as_str() {
            "/pipelines" => get(self.pipelines()),
            "/models" => get(self.models()),
            HEALTH => get(br#"{"status":"ok"}"#.to_vec()),
            path => match path.strip_prefix("/pipelines/") {
                Some(name) => match request.method() {
                    "POST" => self.infer(name, request),
                    method => Err(Problem::method(method, "POST")),
                },
                None => Err(Problem::path(path)),
            },
        }
    }

    fn pipelines(&self) -> Vec<u8> {
        let id = &self.slot.definition.name;
        json(&PipelineList { pipelines: [PipelineStatus { id, status: RUNNING }] })
    }

    fn models(&self) -> Vec<u8> {
        let steps = self.slot.definition.steps.iter();
        let keys = steps.flat_map(|Step::ModelInference(keys)| keys.first());
        let models: BTreeSet<ModelStatus<'_>> = keys
            .map(|key| ModelStatus {
                name: &key.name,
                sha: key.sha.hex(),
                status: RUNNING,
                version: &key.version,
            })
            .collect();
        json(&ModelList { models: models.into_iter().collect() })
    }

    fn infer(&self, name: &str, request: &mut Request<'_, '_>) -> Result<Response, Problem> {
        let ours = &self.slot.definition.name;
        if percent_decoded(name).as_deref() != Some(ours.as_bytes()) {
            return Err(Problem::unknown_pipeline(name, ours));
        }
        let format = InputFormat::of_content_type(request.header("content-type"))?;
        let wanted = OutputFormat::of_accept(request.header("accept"));
        let body = request.body()?;
        let time_ms = unix_ms(&*self.clock);
        let start = Instant::now();
        let decoded = codec::decode(format, body, self.slot.chain.inputs())?;
        let table = decoded.table();
        let mut elapsed_ns = vec![nanoseconds(start.elapsed())];
        let outcome = self.slot.chain.run(&self.pool, &table)?;
        elapsed_ns.extend(outcome.elapsed.into_iter().map(nanoseconds));
        let record = Record {
            check_failures: Vec::new(),
            elapsed_ns,
            model_name: self.slot.last.name.clone(),
            model_version: self.slot.last.version.clone(),
            model_sha: self.slot.last.sha.hex(),
            outputs: outcome.outputs,
            pipeline_name: ours.clone(),
            pipeline_version: self.slot.definition.version.clone(),
            time_ms,
        };
        let body = match wanted {
            OutputFormat::Records => codec::write_records(&record),
            OutputFormat::ArrowFile => codec::write_arrow(&record, &table)?,
        };
        Ok(Response::new(200, wanted.content_type(), body))
    }
}

fn nanoseconds(elapsed: std::time::Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::expect_used, reason = "structs of strings always have a JSON form")]
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("an answer has a JSON form")
}

/// RFC 3986, section 2.1; `None` where an escape is broken.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let value = digit(bytes.next())? << 4 | digit(bytes.next())?;
                u8::try_from(value).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_are_decoded() {
        let cases: [(&str, Option<&[u8]>); 4] = [
            ("edge-cv", Some(b"edge-cv")),
            ("a%20b%2F", Some(b"a b/")),
            ("a%2", None),
            ("a%zz", None),
        ];
        for (text, decoded) in cases {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
    }
}
