//! The Open Inference Protocol v2 below `/v2`: the pipeline is its one model, by the pipeline's name.

use super::infer::Inferences;
use super::metrics::Stage;
use super::refusal::Problem;
use super::routes::{JSON, get};
use crate::codec::open_inference::{
    self as protocol, CONTENT_TYPE_BINARY, HEADER_LENGTH_NAME, Readiness,
};
use crate::http::server::{Request, Response};
use crate::runtime::Flow;
use std::time::Instant;

/// The name of this server in its metadata.
const SERVER: &str = "potoroo";

/// Answers what is asked below `/v2`; `rest` is the path after it.
///
/// # Errors
/// When nothing is there, or an inference is refused.
pub(super) fn answer(
    rest: &str,
    request: &mut Request<'_, '_>,
    inferences: &Inferences,
    readiness: Readiness,
) -> Result<Response, Problem> {
    let status = match readiness {
        Readiness::Ready => 200,
        Readiness::NotReady => 503,
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => get(request, || {
            Response::new(200, JSON, protocol::server_metadata(SERVER, env!("CARGO_PKG_VERSION")))
        }),
        ["health", "live"] => get(request, || Response::new(200, JSON, protocol::server_live())),
        ["health", "ready"] => {
            get(request, || Response::new(status, JSON, protocol::server_ready(readiness)))
        }
        ["models", model, "versions", version, rest @ ..] => {
            known(model, Some(version), inferences)?;
            of_model(rest, request, inferences, status, readiness)
        }
        ["models", model, rest @ ..] => {
            known(model, None, inferences)?;
            of_model(rest, request, inferences, status, readiness)
        }
        _ => Err(Problem::path(request.path())),
    }
}

/// Refuses a model that is not the pipeline, or not this version of it.
fn known(model: &str, version: Option<&str>, inferences: &Inferences) -> Result<(), Problem> {
    let definition = &inferences.slot.definition;
    if model != definition.name {
        return Err(Problem::unknown_pipeline(model, &definition.name));
    }
    match version {
        Some(version) if version != definition.version => {
            let ours = format!("{} in version {}", definition.name, definition.version);
            Err(Problem::unknown_pipeline(&format!("{model} in version {version}"), &ours))
        }
        Some(_) | None => Ok(()),
    }
}

fn of_model(
    rest: &[&str],
    request: &mut Request<'_, '_>,
    inferences: &Inferences,
    status: u16,
    readiness: Readiness,
) -> Result<Response, Problem> {
    let slot = &inferences.slot;
    let (name, version) = (&slot.definition.name, &slot.definition.version);
    match rest {
        [] => get(request, || {
            let (inputs, outputs) = (slot.flow.inputs(), slot.flow.outputs());
            let metadata = protocol::model_metadata(name, version, inputs, outputs);
            Response::new(200, JSON, metadata)
        }),
        ["ready"] => {
            get(request, || Response::new(status, JSON, protocol::model_ready(name, readiness)))
        }
        ["infer"] => match request.method() {
            "POST" => infer(request, inferences),
            method => Err(Problem::method(method, "POST")),
        },
        _ => Err(Problem::path(request.path())),
    }
}

fn infer(request: &mut Request<'_, '_>, inferences: &Inferences) -> Result<Response, Problem> {
    let start = Instant::now();
    let header_length = match request.header(HEADER_LENGTH_NAME) {
        None => None,
        Some(text) => match text.parse() {
            Ok(length) => Some(length),
            Err(_) => return Err(Problem::header_length(text)),
        },
    };
    let body = inferences.body(request)?;
    let read = Instant::now();
    let flow = &inferences.slot.flow;
    let asked = protocol::read_infer(body, header_length, flow.inputs(), flow.companions())?;
    asked.check_outputs(flow.outputs(), &beside(flow))?;
    let record = inferences.compute(&asked.table(), read, &mut || request.client_has_left())?;
    let write = Instant::now();
    let (answer, length) =
        protocol::write_infer(&record, &asked, &inferences.slot.definition.name)?;
    inferences.timed(Stage::Write, write);
    inferences.timed(Stage::Whole, start);
    let response = match length {
        None => Response::new(200, JSON, answer),
        Some(length) => Response::new(200, CONTENT_TYPE_BINARY, answer)
            .with_header(HEADER_LENGTH_NAME, length.to_string()),
    };
    Ok(inferences.keep(record, asked.into_decoded(), response))
}

/// What can be asked for by name beside the outputs: those of challengers, and the model that a row
/// went to.
fn beside(flow: &Flow) -> Vec<String> {
    let outputs = flow.challengers().flat_map(|(key, link)| {
        link.outputs().iter().map(|port| protocol::challenger_output(&key.name, &port.name))
    });
    outputs.chain(flow.is_split().then(|| protocol::CHOSEN_MODEL.to_owned())).collect()
}
