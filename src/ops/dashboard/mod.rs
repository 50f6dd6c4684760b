//! The dashboard: the ops center in a browser, as pages that the server writes and forms that it reads.

// Each page has a file with its routes, which stand in the API's tables: who may ask, and that a
// change is not forged, is seen to in one place for both. What a form asks for is done by the same
// functions as the JSON of the API. Everything can be read and sent without JavaScript; the one
// script makes it handier.

mod account;
mod assets;
mod audit;
mod chart;
mod drift;
mod edge;
mod edges;
mod events;
mod first_run;
mod guide;
mod history;
mod home;
mod logs;
mod model;
mod models;
mod page;
mod picture;
mod pieces;
mod pipelines;
mod plot;
mod publish;
mod rollout;
mod rollouts;
mod settings;
mod sign_in;
mod steps;
mod users;
mod workspaces;

pub(in crate::ops) use events::Streams;
pub(in crate::ops) use page::refused;

use super::api::{Asked, Problem, Route};
use super::center::Center;
use crate::http::server::Response;

/// All pages, group by group.
pub(in crate::ops) const TABLES: &[&[Route]] = &[
    home::ROUTES,
    assets::ROUTES,
    sign_in::ROUTES,
    first_run::ROUTES,
    workspaces::ROUTES,
    pipelines::ROUTES,
    history::ROUTES,
    steps::ROUTES,
    logs::ROUTES,
    drift::ROUTES,
    publish::ROUTES,
    events::ROUTES,
    models::ROUTES,
    model::ROUTES,
    edges::ROUTES,
    edge::ROUTES,
    rollouts::ROUTES,
    rollout::ROUTES,
    users::ROUTES,
    account::ROUTES,
    audit::ROUTES,
    settings::ROUTES,
    guide::ROUTES,
];

/// Whether what is asked there is shown to a person.
pub(in crate::ops) fn is_page(path: &str) -> bool {
    !["/v1/", "/v2", "/auth/", "/edge/", "/events"].iter().any(|other| path.starts_with(other))
}

/// A handler of one page.
type Handler = fn(&Center, &mut Asked<'_, '_, '_>) -> Result<Response, Problem>;

/// A page that is looked at by whoever is signed in.
const fn get(path: &'static str, answer: Handler) -> Route {
    Route { method: "GET", path, need: super::api::Need::SignedIn, answer }
}

/// A form that whoever is signed in sends.
const fn post(path: &'static str, answer: Handler) -> Route {
    Route { method: "POST", path, need: super::api::Need::SignedIn, answer }
}

/// The browser goes on to another page of ours, and does not send the form again when it is loaded.
fn see_other(place: &str) -> Response {
    Response::empty(303).with_header("Location", place.to_owned())
}

/// The number in the path under that name.
fn number(asked: &Asked<'_, '_, '_>, name: &str) -> Result<i64, Problem> {
    let text = asked.parameter(name);
    text.parse().map_err(|_| Problem::unknown(name, crate::oci::excerpt(text)))
}

/// The number in that field of the form.
fn field_number(asked: &mut Asked<'_, '_, '_>, name: &str) -> Result<i64, Problem> {
    let text = asked.field(name)?;
    let wrong = |_| Problem::bad("form", format!("{name} in the form must be a whole number"));
    text.trim().parse().map_err(wrong)
}

/// What is asked a form for again, with what was wrong about it; a fault of ours is none of its.
fn again(
    problem: Problem,
    show: impl FnOnce(&Problem) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    if problem.code() >= 500 { Err(problem) } else { show(&problem) }
}
