//! What clients ask an ops center about itself before they sign in.

use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::center::Center;
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/v1/api/config", need: Need::Nobody, answer: config },
    Route { method: "POST", path: "/v1/api/features/list", need: Need::Nobody, answer: features },
];

fn config(_: &Center, _: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Ok(answer(200, &json!({ "default_arch": "x86" })))
}

fn features(_: &Center, _: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    Ok(answer(200, &json!({ "features": {}, "name": "potoroo", "is_auth_enabled": true })))
}
