//! Assignments: a publish that one edge is to run instead of what it runs, and how that went.

use super::edges::edge_named;
use super::moment::Moment;
use super::publishes::visible;
use super::{Asked, Need, Problem, Route, answer};
use crate::fleet::Watch;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::store::{AssignmentRecord, Edge, NewAssignment, Publish, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/api/edges/assign", need: Need::SignedIn, answer: assign },
    Route {
        method: "POST",
        path: "/v1/api/edges/assignments",
        need: Need::SignedIn,
        answer: assignments,
    },
];

/// The longest watch, seconds: a week shows what a week has.
const WATCH_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// The most requests that are watched.
const WATCH_REQUESTS_MAX: u64 = 1_000_000_000;

/// Assignments in one answer: more than an edge has in years.
const LISTED_MAX: i64 = 1_000;

/// How a pipeline is watched, as far as it is said.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(in crate::ops) struct WatchAsked {
    requests: Option<u64>,
    seconds_max: Option<u64>,
    failed_share_max: Option<f64>,
    nan_share_max: Option<f64>,
    check_share_max: Option<f64>,
}

impl WatchAsked {
    /// How it is watched, with what is not said at its default.
    ///
    /// # Errors
    /// A problem of status 400 for what is no share, or too long.
    pub(super) fn checked(asked: Option<WatchAsked>) -> Result<Watch, Problem> {
        let (asked, default) = (asked.unwrap_or_default(), Watch::DEFAULT);
        let watch = Watch {
            requests: asked.requests.unwrap_or(default.requests),
            seconds_max: asked.seconds_max.unwrap_or(default.seconds_max),
            failed_share_max: asked.failed_share_max.unwrap_or(default.failed_share_max),
            nan_share_max: asked.nan_share_max.unwrap_or(default.nan_share_max),
            check_share_max: asked.check_share_max,
        };
        let shares = [
            ("failed_share_max", Some(watch.failed_share_max)),
            ("nan_share_max", Some(watch.nan_share_max)),
            ("check_share_max", watch.check_share_max),
        ];
        for (name, share) in shares {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                let sentence = format!("watch.{name} is a share of requests: give it from 0 to 1");
                return Err(Problem::bad("watch", sentence));
            }
        }
        if watch.seconds_max > WATCH_SECONDS_MAX || watch.requests > WATCH_REQUESTS_MAX {
            let sentence = format!(
                "a watch ends after {WATCH_SECONDS_MAX} seconds and {WATCH_REQUESTS_MAX} requests at \
                 the latest: give less"
            );
            return Err(Problem::bad("watch", sentence));
        }
        Ok(watch)
    }
}

#[derive(Deserialize)]
struct AssignAsked {
    name: String,
    publish_id: i64,
    #[serde(default)]
    watch: Option<WatchAsked>,
}

fn assign(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let AssignAsked { name, publish_id, watch } = asked.json()?;
    let record = assign_publish(center, asked, &name, publish_id, watch)?;
    Ok(answer(201, &AssignmentView::of(&record)))
}

/// Lets an edge run another publish.
///
/// # Errors
/// What of it cannot be, and who may not.
pub(in crate::ops) fn assign_publish(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    name: &str,
    publish_id: i64,
    watch: Option<WatchAsked>,
) -> Result<AssignmentRecord, Problem> {
    let watch = WatchAsked::checked(watch)?;
    center.store.write(|tx| {
        let edge = edge_named(tx, asked, name, Role::Publisher)?;
        let publish = there(tx, asked, publish_id)?;
        of_one_workspace(&edge, &publish)?;
        is_free(tx, &edge)?;
        let by = asked.caller()?.user.id.clone();
        let id = tx.assign(&NewAssignment {
            edge: &edge.id,
            publish: publish_id,
            rollout: None,
            watch,
            by: &by,
            now_ms: asked.now_ms,
        })?;
        let detail = json!({ "edge": edge.id, "publish": publish_id, "assignment": id });
        asked.note(tx, "edge.assign", Some(edge.workspace_id), name, detail)?;
        tx.assignment(&id)?.ok_or_else(|| Problem::unknown("assignment", id))
    })
}

/// The publish of that number, which edges can fetch.
///
/// # Errors
/// 404 and 403 as for any publish, 409 when it is not there yet.
pub(super) fn there(tx: &Tx<'_>, asked: &Asked<'_, '_, '_>, id: i64) -> Result<Publish, Problem> {
    let publish = visible(tx, asked, id, Role::Publisher)?;
    match publish.place {
        Some(_) => Ok(publish),
        None => Err(Problem::conflict(
            "not_published",
            format!(
                "publish {id} is {}: edges take it once it is Published; look with \
                 pipelines/get_publish_status",
                publish.status.name()
            ),
        )),
    }
}

/// An edge takes publishes of its own workspace alone.
///
/// # Errors
/// 409 otherwise.
pub(super) fn of_one_workspace(edge: &Edge, publish: &Publish) -> Result<(), Problem> {
    if edge.workspace_id == publish.workspace_id {
        return Ok(());
    }
    let sentence = format!(
        "`{}` is of workspace {} and publish {} of workspace {}: copy the pipeline to the edge's \
         workspace and publish it there",
        edge.name, edge.workspace_id, publish.id, publish.workspace_id
    );
    Err(Problem::conflict("another_workspace", sentence))
}

/// Two hands that steer one edge would undo each other's work.
///
/// # Errors
/// 409 for an edge in a rollout that something may still come of.
pub(super) fn is_free(tx: &Tx<'_>, edge: &Edge) -> Result<(), Problem> {
    match tx.open_rollouts_of(&edge.id)?.first() {
        None => Ok(()),
        Some(rollout) => Err(Problem::conflict(
            "in_rollout",
            format!("`{}` is in rollout {rollout}: wait for its end, or abort it", edge.name),
        )),
    }
}

#[derive(Debug, Serialize)]
struct AssignmentView<'a> {
    id: &'a str,
    publish_id: i64,
    replaces: i64,
    rollout_id: Option<i64>,
    state: &'a str,
    reason: Option<&'a str>,
    watch: Watch,
    created_at: Moment,
    updated_at: Moment,
    ended_at: Option<Moment>,
}

impl<'a> AssignmentView<'a> {
    fn of(record: &'a AssignmentRecord) -> AssignmentView<'a> {
        AssignmentView {
            id: &record.id,
            publish_id: record.publish_id,
            replaces: record.replaces,
            rollout_id: record.rollout_id,
            state: &record.state,
            reason: record.reason.as_deref(),
            watch: record.watch,
            created_at: Moment { ms: record.created_ms },
            updated_at: Moment { ms: record.updated_ms },
            ended_at: record.ended_ms.map(|ms| Moment { ms }),
        }
    }
}

#[derive(Deserialize)]
struct OfEdge {
    name: String,
}

fn assignments(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let OfEdge { name } = asked.json()?;
    let found = center.store.read(|tx| {
        let edge = edge_named(tx, asked, &name, Role::Viewer)?;
        Ok::<_, Problem>(tx.assignments_of(&edge.id, LISTED_MAX)?)
    })?;
    let views: Vec<AssignmentView<'_>> = found.iter().map(AssignmentView::of).collect();
    Ok(answer(200, &json!({ "assignments": views })))
}
