//! Garbage: blobs that nothing names are taken away at once, where an administrator asks for it.

use super::{Asked, Need, Problem, Route, answer};
use crate::exit;
use crate::http::server::Response;
use crate::ops::center::Center;
use crate::ops::garbage::{GarbageError, collect};
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/v1/api/garbage/collect",
    need: Need::Admin,
    answer: collected,
}];

fn collected(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let swept = collect(center)?;
    let told = json!({ "blobs": swept.files, "bytes": swept.bytes });
    center.store.write(|tx| asked.note(tx, "garbage.collect", None, "blobs", told.clone()))?;
    Ok(answer(200, &told))
}

impl From<GarbageError> for Problem {
    fn from(error: GarbageError) -> Problem {
        match error {
            GarbageError::Busy => Problem::conflict("publishing", error.to_string()),
            GarbageError::Store(error) => error.into(),
            GarbageError::Unknown(_) | GarbageError::Disk(_) => {
                Problem::new(500, "disk", exit::chain(&error))
            }
        }
    }
}
