//! The root: where who is signed in goes on, the pipelines of a workspace or the first steps.

use super::page::{current, remembered, seen};
use super::{get, see_other};
use crate::http::server::Response;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::StoreError;

pub(super) const ROUTES: &[Route] = &[get("/", home)];

fn home(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let workspaces = seen(center, asked)?;
    let Some(workspace) = current(&workspaces, remembered(asked)) else {
        return Ok(see_other("/workspaces"));
    };
    let pipelines: Result<_, StoreError> =
        center.store.read(|tx| tx.pipeline_glances(workspace, "", 1, asked.now_ms));
    match pipelines?.is_empty() {
        true => Ok(see_other("/guide")),
        false => Ok(see_other(&format!("/workspaces/{workspace}/pipelines"))),
    }
}
