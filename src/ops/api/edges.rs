//! Edges: added to publishes, listed, handed out and removed.

use super::listed::Listed;
use super::moment::Moment;
use super::publishes::{PublishView, seen, visible};
use super::{Asked, Need, Problem, Route, answer};
use crate::http::server::Response;
use crate::ops::access::{Role, fresh_secret, fresh_uuid, hashed};
use crate::ops::center::Center;
use crate::ops::edges::{JOIN_TOKEN_LIFE_MS, State, Tags, bundle, checked_name};
use crate::ops::fleet::{FleetView, gone_after_ms};
use crate::ops::publishes::Needs;
use crate::ops::rollouts::advance;
use crate::ops::store::{Edge, EdgesAsked, NewEdge, Publish, StoreError, Tx};
use crate::registry::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/api/pipelines/add_edge_to_publish",
        need: Need::SignedIn,
        answer: add,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/remove_edge",
        need: Need::SignedIn,
        answer: remove,
    },
    // The name that the original's documents give it.
    Route {
        method: "POST",
        path: "/v1/api/pipelines/remove_edge_from_publish",
        need: Need::SignedIn,
        answer: remove,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/list_edges_by_publish_id",
        need: Need::SignedIn,
        answer: list_by_publish,
    },
    Route {
        method: "POST",
        path: "/v1/api/pipelines/list_edges",
        need: Need::SignedIn,
        answer: list,
    },
];

/// Edges in one answer: some 4 MB of JSON.
const LISTED_MAX: i64 = 10_000;

/// What the passwords of edges begin with, so that a leaked one is recognised.
const PULL_PREFIX: &str = "ptp_";

/// An edge in the original's JSON, of both generations, and what is ours after it.
#[derive(Debug, Serialize)]
pub(super) struct EdgeView<'a> {
    id: &'a str,
    name: &'a str,
    tags: &'a [String],
    cpus: f64,
    memory: &'a str,
    spiffe_id: String,
    pipeline_version_id: i64,
    should_run_publish: i64,
    created_at: Moment,
    created_on_version: &'static str,
    workspace_id: i64,
    state: &'static str,
    state_reason: &'static str,
    last_seen: Option<Moment>,
    joined_at: Option<Moment>,
    #[serde(flatten)]
    fleet: FleetView,
}

impl<'a> EdgeView<'a> {
    /// The view of an edge at that time.
    pub(super) fn of<T: AsRef<str>>(
        center: &Center,
        edge: &'a Edge<T>,
        now_ms: i64,
    ) -> EdgeView<'a> {
        let state = State::of(edge, now_ms, gone_after_ms(&center.settings));
        EdgeView {
            id: edge.id.as_ref(),
            name: edge.name.as_ref(),
            tags: &edge.tags,
            cpus: edge.cpus,
            memory: edge.memory.as_ref(),
            spiffe_id: format!("wallaroo.ai/ns/deployments/edge/{}", edge.id.as_ref()),
            pipeline_version_id: edge.version_id,
            should_run_publish: edge.publish_id,
            created_at: Moment { ms: edge.created_ms },
            created_on_version: env!("CARGO_PKG_VERSION"),
            workspace_id: edge.workspace_id,
            state: state.name(),
            state_reason: state.reason(),
            last_seen: edge.seen_ms.map(|ms| Moment { ms }),
            joined_at: edge.faring.as_ref().map(|it| Moment { ms: it.joined_ms }),
            fleet: FleetView::of(edge.faring.as_ref(), now_ms),
        }
    }
}

/// An edge as it is asked for.
#[derive(Debug, Deserialize)]
pub(in crate::ops) struct AddAsked {
    /// The publish that it is to run.
    #[serde(alias = "publish_id", alias = "id")]
    pub pipeline_publish_id: i64,
    /// Its name.
    pub name: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}

/// An edge that was added, with what is told this once.
#[derive(Debug)]
pub(in crate::ops) struct Added {
    /// What it runs.
    pub publish: Publish,
    /// Its bundle.
    pub bundle: Secret,
    /// What it pulls with from the built-in registry: user name and password.
    pub pull: Option<(String, Secret)>,
}

fn add(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order = asked.json()?;
    let Added { publish, bundle, pull } = add_edge(center, asked, &order)?;
    let pull = pull.as_ref().map(|(username, password)| (username.as_str(), password));
    Ok(answer(201, &PublishView::of(&publish, None)?.with_edge(&bundle, pull)))
}

/// Adds an edge to a publish that is there.
///
/// # Errors
/// What of it cannot be, and by whom not.
pub(in crate::ops) fn add_edge(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    order: &AddAsked,
) -> Result<Added, Problem> {
    let handed = Handed::fresh(center)?;
    center.store.write(|tx| added(center, asked, tx, order, handed))
}

/// What a new edge is handed.
struct Handed {
    edge_id: String,
    token: String,
    /// User name and password for the built-in registry; another one's are the operator's to hand out.
    pull: Option<(String, Secret)>,
}

impl Handed {
    fn fresh(center: &Center) -> Result<Handed, Problem> {
        let (edge_id, token) = (fresh_uuid()?, fresh_uuid()?);
        let pull = match center.settings.registry {
            Some(_) => None,
            None => Some((format!("edge-{edge_id}"), fresh_secret(PULL_PREFIX)?)),
        };
        Ok(Handed { edge_id, token, pull })
    }
}

fn added(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    tx: &Tx<'_>,
    order: &AddAsked,
    handed: Handed,
) -> Result<Added, Problem> {
    let AddAsked { pipeline_publish_id: publish_id, name, tags } = order;
    let publish_id = *publish_id;
    let name = checked_name(name)?;
    let tags = Tags::checked(tags.as_deref().unwrap_or_default())?;
    let Handed { edge_id, token, pull } = handed;
    let publish = visible(tx, asked, publish_id, Role::Publisher)?;
    let Some(place) = &publish.place else {
        let status = publish.status.name();
        let sentence = format!(
            "publish {publish_id} is {status}: edges are added once it is Published; look with \
                 pipelines/get_publish_status, and publish again where it is Error"
        );
        return Err(Problem::conflict("not_published", sentence));
    };
    let needs = Needs::read(&publish.engine_config)
        .map_err(|error| Problem::new(500, "records", crate::exit::chain(&error)))?;
    let by = asked.caller()?.user.id.clone();
    let memory = needs.memory.to_string();
    let added = tx.add_edge(&NewEdge {
        id: &edge_id,
        name,
        publish_id,
        tags: tags.as_slice(),
        cpus: needs.cpus_shown,
        memory: &memory,
        by: &by,
        now_ms: asked.now_ms,
    });
    match added {
        Err(StoreError::Taken(_)) => {
            let sentence = format!(
                "there is an edge `{name}` already, here or in another workspace: choose another \
                     name, or remove that edge to add it anew"
            );
            return Err(Problem::conflict("name_taken", sentence));
        }
        other => other?,
    }
    let expires_ms = asked.now_ms.saturating_add(JOIN_TOKEN_LIFE_MS);
    tx.add_join_token(&hashed(&token), &edge_id, asked.now_ms, expires_ms)?;
    if let Some((username, password)) = &pull {
        let hash = hashed(password.reveal());
        tx.add_pull_credential(username, &hash, &edge_id, asked.now_ms)?;
    }
    let bundle = bundle(&center.address, name, &token, place, publish.workspace_id)?;
    let detail = json!({ "edge": edge_id, "publish": publish_id, "tags": tags.as_slice() });
    asked.note(tx, "edge.add", Some(publish.workspace_id), name, detail)?;
    Ok(Added { publish, bundle, pull })
}

#[derive(Deserialize)]
struct RemoveAsked {
    name: String,
}

fn remove(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let RemoveAsked { name } = asked.json()?;
    remove_edge(center, asked, &name)?;
    Ok(answer(200, &()))
}

/// Takes an edge away, with its tokens; the edge as it was.
///
/// # Errors
/// Where there is none of that name, or it is not the caller's to remove.
pub(in crate::ops) fn remove_edge(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    name: &str,
) -> Result<Edge, Problem> {
    center.store.write(|tx| removed(asked, tx, name))
}

/// Removes an edge and adds it again under its name, both or neither: it gets a new bundle.
///
/// # Errors
/// As [`remove_edge`] and [`add_edge`].
pub(in crate::ops) fn renew_edge(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    name: &str,
) -> Result<Added, Problem> {
    let handed = Handed::fresh(center)?;
    center.store.write(|tx| {
        let Edge { name, tags, publish_id, .. } = removed(asked, tx, name)?;
        let order = AddAsked { pipeline_publish_id: publish_id, name, tags: Some(tags) };
        added(center, asked, tx, &order, handed)
    })
}

fn removed(asked: &Asked<'_, '_, '_>, tx: &Tx<'_>, name: &str) -> Result<Edge, Problem> {
    let edge = edge_named(tx, asked, name, Role::Publisher)?;
    let rollouts = tx.open_rollouts_of(&edge.id)?;
    tx.remove_edge(&edge.id, asked.now_ms)?;
    for rollout in rollouts {
        // Its wave need not wait for it.
        advance(tx, rollout, asked.now_ms)?;
    }
    let detail = json!({ "edge": edge.id, "publish": edge.publish_id });
    asked.note(tx, "edge.remove", Some(edge.workspace_id), name, detail)?;
    Ok(edge)
}

/// The edge of that name, if the caller has at least this role in its workspace.
///
/// # Errors
/// 404 where it is not there or not the caller's to see, 403 for a lesser role.
pub(in crate::ops) fn edge_named(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    name: &str,
    least: Role,
) -> Result<Edge, Problem> {
    let unknown = || Problem::unknown("edge", crate::oci::excerpt(name));
    let edge = tx.edge_by_name(name)?.ok_or_else(unknown)?;
    seen(asked.may(tx, edge.workspace_id, least), unknown)?;
    Ok(edge)
}

#[derive(Deserialize)]
struct ByPublish {
    #[serde(alias = "id", alias = "pipeline_publish_id")]
    publish_id: i64,
}

fn list_by_publish(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ByPublish { publish_id } = asked.json()?;
    center.store.read(|tx| {
        visible(tx, asked, publish_id, Role::Viewer)?;
        let of_this = EdgesAsked {
            publish: Some(publish_id),
            count_max: LISTED_MAX,
            ..EdgesAsked::default()
        };
        let mut listed = Listed::of("edges");
        tx.each_edge(&of_this, |edge| {
            listed.push(&EdgeView::of(center, edge, asked.now_ms));
            Ok::<_, Problem>(())
        })?;
        Ok(listed.answer("next_after", None::<&String>))
    })
}

#[derive(Deserialize)]
struct ListAsked {
    #[serde(default)]
    pipeline_id: Option<i64>,
    #[serde(default)]
    workspace_id: Option<i64>,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    state: Option<String>,
    /// As many are looked at, by name.
    #[serde(default)]
    limit: Option<i64>,
    /// Those whose names come after this one.
    #[serde(default)]
    after: Option<String>,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ListAsked { pipeline_id, workspace_id, tag, state, limit, after } = asked.json()?;
    let count = limit.unwrap_or(LISTED_MAX);
    if !(1..=LISTED_MAX).contains(&count) {
        return Err(Problem::bad("limit", format!("limit is {count}: it takes 1 to {LISTED_MAX}")));
    }
    let wanted = match &state {
        None => None,
        Some(name) => Some(State::of_name(name).ok_or_else(|| {
            let found = crate::oci::excerpt(name);
            Problem::bad(
                "state",
                format!("`{found}` is no state of an edge: use {}", State::names()),
            )
        })?),
    };
    let caller = asked.caller()?;
    let member = (!caller.user.is_admin).then_some(caller.user.id.as_str());
    let gone_after_ms = gone_after_ms(&center.settings);
    let is_wanted = |edge: &Edge<&str>| {
        wanted.is_none_or(|state| State::of(edge, asked.now_ms, gone_after_ms) == state)
    };
    center.store.read(|tx| {
        let looked_at = EdgesAsked {
            member,
            pipeline: pipeline_id,
            workspace: workspace_id,
            tag: tag.as_deref(),
            after: after.as_deref(),
            count_max: count + 1,
            ..EdgesAsked::default()
        };
        let mut listed = Listed::of("edges");
        // One more is looked at: whether `after` is needed for the rest.
        let (mut left, mut last, mut next_after) = (count, String::new(), None);
        tx.each_edge(&looked_at, |edge| {
            if left == 0 {
                next_after = Some(std::mem::take(&mut last));
                return Ok(());
            }
            left -= 1;
            if left == 0 {
                edge.name.clone_into(&mut last);
            }
            if is_wanted(edge) {
                listed.push(&EdgeView::of(center, edge, asked.now_ms));
            }
            Ok::<_, Problem>(())
        })?;
        Ok(listed.answer("next_after", next_after.as_ref()))
    })
}
