//! The MLOps API: what is asked below `/v1/api/`, by whom, and what is answered.

// Each group of paths has a file with a table of its routes; `TABLES` lists the tables. A handler
// gets the center and an `Asked`: who asks, the path's parameters, and the body.

mod about;
mod asked;
pub(in crate::ops) mod assignments;
pub(in crate::ops) mod audit;
mod auth;
pub(in crate::ops) mod drift;
pub(in crate::ops) mod edges;
mod garbage;
pub(in crate::ops) mod handouts;
mod link;
mod listed;
pub(in crate::ops) mod logs;
pub(in crate::ops) mod models;
mod moment;
mod multipart;
mod openapi;
pub(in crate::ops) mod pipelines;
mod problem;
pub(in crate::ops) mod publishes;
mod resumed;
pub(in crate::ops) mod rollouts;
pub(in crate::ops) mod tokens;
pub(in crate::ops) mod uploads;
pub(in crate::ops) mod users;
pub(in crate::ops) mod workspaces;

pub(in crate::ops) use asked::Asked;
pub(in crate::ops) use problem::Problem;

use super::access::{self, Caller};
use super::center::Center;
use super::dashboard;
use super::distribution::Distribution;
use crate::http::server::{Head, Refusal, Request, Response, Service};
use crate::logging::AT_SERVE;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// What a caller must be for a route; what they may do in a workspace is the handler's to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Need {
    /// Anyone.
    Nobody,
    /// Whoever is signed in.
    SignedIn,
    /// An administrator of the whole ops center.
    Admin,
}

/// One path with one method.
pub(in crate::ops) struct Route {
    /// `POST`
    pub method: &'static str,
    /// `/v1/api/uploads/{id}`: a name in braces stands for one part of the path.
    pub path: &'static str,
    /// Who may ask.
    pub need: Need,
    /// What answers.
    pub answer: fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>,
}

/// All routes, group by group.
const TABLES: &[&[Route]] = &[
    openapi::ROUTES,
    about::ROUTES,
    audit::ROUTES,
    garbage::ROUTES,
    auth::ROUTES,
    tokens::ROUTES,
    users::ROUTES,
    workspaces::ROUTES,
    models::ROUTES,
    uploads::ROUTES,
    resumed::ROUTES,
    pipelines::ROUTES,
    publishes::ROUTES,
    edges::ROUTES,
    handouts::ROUTES,
    assignments::ROUTES,
    rollouts::ROUTES,
    link::ROUTES,
    logs::ROUTES,
    drift::ROUTES,
];

/// The routes of the API and of the dashboard's pages.
fn routes() -> impl Iterator<Item = &'static Route> {
    TABLES.iter().chain(dashboard::TABLES).flat_map(|table| table.iter())
}

/// Answers every request to the ops center.
pub(in crate::ops) struct Api {
    center: Arc<Center>,
    /// The built-in registry, where publishes go to no other.
    registry: Option<Distribution>,
}

impl Api {
    pub(in crate::ops) fn new(center: Arc<Center>, registry: Option<Distribution>) -> Api {
        Api { center, registry }
    }

    fn route(&self, request: &mut Request<'_, '_>) -> Result<Response, Problem> {
        let path = request.path().to_owned();
        let (route, parameters) = found(request.method(), &path)?;
        let now_ms = self.center.now_ms();
        let caller = access::caller(request, &self.center.store, now_ms)?;
        admitted(route.need, caller.as_ref())?;
        let center = Arc::clone(&self.center);
        let mut asked = Asked::new(request, center, caller, parameters, now_ms);
        asked.not_forged()?;
        (route.answer)(&self.center, &mut asked)
    }
}

/// An answer with what keeps browsers from guessing its type, from keeping it, and under TLS from
/// asking without it for a year.
fn guarded(response: Response, is_tls: bool) -> Response {
    let mut response = response.with_header("X-Content-Type-Options", "nosniff".to_owned());
    if response.content_type() == Some("application/json")
        && response.header("Cache-Control").is_none()
    {
        response = response.with_header("Cache-Control", "no-store".to_owned());
    }
    if is_tls {
        let value = "max-age=31536000".to_owned();
        response = response.with_header("Strict-Transport-Security", value);
    }
    response
}

/// Whether a path is one of the distribution specification.
fn is_of_registry(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// An answer in JSON.
pub(in crate::ops) fn answer(status: u16, value: &impl Serialize) -> Response {
    Response::new(status, "application/json", json(value))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    json_into(&mut json, value);
    json
}

#[expect(clippy::expect_used, reason = "structs and values of JSON always have a JSON form")]
fn json_into(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect("an answer has a JSON form");
}

/// The values of the names in braces of a path.
type Parameters = Vec<(&'static str, String)>;

/// The route of that method and path, with the values of the names in braces.
fn found(method: &str, path: &str) -> Result<(&'static Route, Parameters), Problem> {
    let mut allowed = Vec::new();
    for route in routes() {
        if let Some(parameters) = matched(route.path, path) {
            if route.method == method || (route.method == "GET" && method == "HEAD") {
                return Ok((route, parameters));
            }
            allowed.push(route.method);
        }
    }
    match allowed.is_empty() {
        true => Err(Problem::path(path)),
        false => Err(Problem::method(method, &allowed.join(", "))),
    }
}

/// The values of the names in braces, if `path` has the form of `pattern`.
fn matched(pattern: &'static str, path: &str) -> Option<Parameters> {
    let mut values = Vec::new();
    let (mut forms, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (forms.next(), parts.next()) {
            (None, None) => return Some(values),
            (Some(form), Some(part)) => {
                match form.strip_prefix('{').and_then(|form| form.strip_suffix('}')) {
                    Some(name) => {
                        let decoded = crate::http::percent::decoded(part)?;
                        values.push((name, String::from_utf8(decoded).ok()?));
                    }
                    None if form == part => {}
                    None => return None,
                }
            }
            (None, Some(_)) | (Some(_), None) => return None,
        }
    }
}

fn admitted(need: Need, caller: Option<&Caller>) -> Result<(), Problem> {
    match (need, caller) {
        (Need::Nobody, _) | (Need::SignedIn, Some(_)) => Ok(()),
        (Need::Admin, Some(caller)) if caller.user.is_admin => Ok(()),
        (Need::Admin, Some(_)) => {
            Err(Problem::forbidden("only an administrator of the ops center may do this: ask one"))
        }
        (Need::SignedIn | Need::Admin, None) => Err(Problem::unauthorized()),
    }
}

impl Service for Api {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        let start = Instant::now();
        let registry = self.registry.as_ref().filter(|_| is_of_registry(request.path()));
        let response = match registry {
            Some(registry) => registry.answer(request),
            None => self.route(request).unwrap_or_else(|problem| {
                problem.log(request.method(), request.path());
                match dashboard::is_page(request.path()) {
                    true => dashboard::refused(&problem, request),
                    false => problem.response(),
                }
            }),
        };
        log::debug!(
            target: AT_SERVE,
            "method={} path={:?} status={} us={}",
            request.method(),
            request.path(),
            response.status(),
            start.elapsed().as_micros()
        );
        guarded(response, self.center.settings.tls.is_some())
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Problem::new(refusal.status(), "refused", refusal.to_string()).response()
    }

    fn body_bytes_max(&self, head: &Head<'_>, limit_bytes: u64) -> u64 {
        if uploads::takes_a_file(head.method(), head.path()) {
            return uploads::BODY_BYTES_MAX;
        }
        match drift::takes_a_file(head.method(), head.path()) {
            true => drift::BODY_BYTES_MAX,
            false => limit_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_the_values_of_its_names() {
        assert_eq!(
            matched("/v1/api/uploads/{id}", "/v1/api/uploads/a%20b"),
            Some(vec![("id", "a b".to_owned())])
        );
        for other in ["/v1/api/uploads", "/v1/api/uploads/a/b", "/v1/api/upload/a"] {
            assert_eq!(matched("/v1/api/uploads/{id}", other), None, "{other}");
        }
    }
}
