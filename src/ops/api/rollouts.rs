//! Rollouts: started, watched, paused, and ended before they are through.

use super::assignments::{WatchAsked, is_free, of_one_workspace, there};
use super::edges::edge_named;
use super::moment::Moment;
use super::publishes::seen;
use super::{Asked, Need, Problem, Route, answer};
use crate::fleet::Watch;
use crate::http::server::Response;
use crate::ops::access::Role;
use crate::ops::center::Center;
use crate::ops::rollouts::{Amount, Plan, advance, end, standing};
use crate::ops::store::{
    Edge, EdgesAsked, NewRollout, Publish, Rollout, RolloutEdge, RolloutState, Tx,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/api/rollouts/start", need: Need::SignedIn, answer: start },
    Route { method: "POST", path: "/v1/api/rollouts/list", need: Need::SignedIn, answer: list },
    Route { method: "POST", path: "/v1/api/rollouts/get", need: Need::SignedIn, answer: get },
    Route { method: "POST", path: "/v1/api/rollouts/pause", need: Need::SignedIn, answer: pause },
    Route { method: "POST", path: "/v1/api/rollouts/resume", need: Need::SignedIn, answer: resume },
    Route { method: "POST", path: "/v1/api/rollouts/abort", need: Need::SignedIn, answer: abort },
];

/// Edges of one rollout: each report of them may have all looked at.
const EDGES_MAX: usize = 10_000;

/// Waves that may be named; nobody steers more of them.
const WAVES_MAX: usize = 100;

/// The waves where none are named: one edge, a tenth, and then the rest.
const WAVES_DEFAULT: [Amount; 2] = [Amount::Count(1), Amount::Percent(10)];

/// How long a wave waits for edges that are not heard of, where nothing is said: an hour, seconds.
const WAVE_SECONDS_DEFAULT: i64 = 3600;

/// The longest that it may wait: a session is over by then, seconds.
const WAVE_SECONDS_MAX: i64 = 7 * 24 * 3600;

/// Rollouts in one answer.
const LISTED_MAX: i64 = 1_000;

/// A number of edges: `5`, `"5"` or `"10%"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(in crate::ops) enum AmountAsked {
    Count(u32),
    Text(String),
}

impl AmountAsked {
    fn checked(&self, what: &'static str) -> Result<Amount, Problem> {
        match self {
            AmountAsked::Count(count) => Ok(Amount::Count(*count)),
            AmountAsked::Text(text) => {
                text.parse().map_err(|error| Problem::bad(what, format!("{what}: {error}")))
            }
        }
    }
}

/// A rollout as it is asked for.
#[derive(Default, Deserialize)]
pub(in crate::ops) struct StartAsked {
    /// The publish.
    pub publish_id: i64,
    /// Edges by name.
    #[serde(default)]
    pub edges: Option<Vec<String>>,
    /// All with this tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// All that are to run this publish now.
    #[serde(default)]
    pub from_publish_id: Option<i64>,
    /// How many edges each wave has; the rest is the last.
    #[serde(default)]
    pub waves: Option<Vec<AmountAsked>>,
    /// So many edges may fail.
    #[serde(default)]
    pub failures_max: Option<AmountAsked>,
    /// Whether a halt sends back those that have settled.
    #[serde(default)]
    pub send_back: Option<bool>,
    /// How long a wave waits for edges that are not heard of.
    #[serde(default)]
    pub wave_seconds_max: Option<i64>,
    /// How each edge is watched.
    #[serde(default)]
    pub watch: Option<WatchAsked>,
}

fn start(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let order = asked.json()?;
    let (rollout, edges) = start_rollout(center, asked, order)?;
    Ok(answer(201, &RolloutView::of(&rollout, &edges).with_edges(&edges)))
}

/// A rollout with the place of each edge in it.
pub(in crate::ops) type Whole = (Rollout, Vec<RolloutEdge>);

/// Begins a rollout.
///
/// # Errors
/// What of it cannot be, and who may not.
pub(in crate::ops) fn start_rollout(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    order: StartAsked,
) -> Result<Whole, Problem> {
    let watch = WatchAsked::checked(order.watch)?;
    let sizes = match &order.waves {
        None => WAVES_DEFAULT.to_vec(),
        Some(waves) if waves.len() > WAVES_MAX => {
            let sentence = format!("a rollout may have {WAVES_MAX} waves: name fewer");
            return Err(Problem::bad("waves", sentence));
        }
        Some(waves) => {
            let sizes: Result<Vec<Amount>, Problem> =
                waves.iter().map(|wave| wave.checked("waves")).collect();
            sizes?
        }
    };
    let failures_max = match &order.failures_max {
        None => Amount::Count(0),
        Some(amount) => amount.checked("failures_max")?,
    };
    let wave_seconds = order.wave_seconds_max.unwrap_or(WAVE_SECONDS_DEFAULT);
    if !(1..=WAVE_SECONDS_MAX).contains(&wave_seconds) {
        let sentence = format!("wave_seconds_max takes 1 to {WAVE_SECONDS_MAX}");
        return Err(Problem::bad("wave_seconds_max", sentence));
    }
    center.store.write(|tx| {
        let publish = there(tx, asked, order.publish_id)?;
        let chosen = chosen(tx, asked, &order, &publish)?;
        let plan = Plan::of(&sizes, chosen.len());
        let by = asked.caller()?.user.id.clone();
        let id = tx.add_rollout(&NewRollout {
            workspace: publish.workspace_id,
            publish: publish.id,
            waves: i64::try_from(plan.waves()).unwrap_or(i64::MAX),
            wave_ms_max: wave_seconds.saturating_mul(1000),
            failures_max: i64::try_from(failures_max.of(chosen.len())).unwrap_or(i64::MAX),
            sends_back: order.send_back.unwrap_or(true),
            watch,
            by: &by,
            now_ms: asked.now_ms,
        })?;
        for (edge, wave) in chosen.iter().zip(plan.places()) {
            tx.add_rollout_edge(id, &edge.id, wave)?;
        }
        let detail = json!({ "publish": publish.id, "edges": chosen.len(), "waves": plan.waves() });
        let workspace = Some(publish.workspace_id);
        asked.note(tx, "rollout.start", workspace, &id.to_string(), detail)?;
        advance(tx, id, asked.now_ms)?;
        whole(tx, asked, id, Role::Viewer)
    })
}

/// The edges that are meant and do not run the publish yet, by name.
fn chosen(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    order: &StartAsked,
    publish: &Publish,
) -> Result<Vec<Edge>, Problem> {
    let mut chosen: BTreeMap<String, Edge> = BTreeMap::new();
    let named = order.edges.as_deref().unwrap_or_default();
    if named.len() > EDGES_MAX {
        return Err(too_many());
    }
    for name in named {
        let edge = edge_named(tx, asked, name, Role::Publisher)?;
        of_one_workspace(&edge, publish)?;
        chosen.insert(edge.name.clone(), edge);
    }
    if order.tag.is_some() || order.from_publish_id.is_some() {
        let found = tx.edges(&EdgesAsked {
            workspace: Some(publish.workspace_id),
            publish: order.from_publish_id,
            tag: order.tag.as_deref(),
            count_max: EDGES_MAX as i64 + 1,
            ..EdgesAsked::default()
        })?;
        chosen.extend(found.into_iter().map(|edge| (edge.name.clone(), edge)));
    } else if named.is_empty() {
        let sentence = "no edge is named: give edges by name, a tag, or the publish that they run now \
                        as from_publish_id";
        return Err(Problem::bad("edges", sentence));
    }
    if chosen.len() > EDGES_MAX {
        return Err(too_many());
    }
    chosen.retain(|_, edge| edge.publish_id != publish.id);
    if chosen.is_empty() {
        let sentence = format!(
            "no edge is left to take publish {}: those that are meant run it already, or there are \
             none of that tag or publish",
            publish.id
        );
        return Err(Problem::conflict("no_edges", sentence));
    }
    for edge in chosen.values() {
        is_free(tx, edge)?;
    }
    Ok(chosen.into_values().collect())
}

fn too_many() -> Problem {
    Problem::bad("edges", format!("a rollout may have {EDGES_MAX} edges: start several"))
}

#[derive(Debug, Serialize)]
struct RolloutView<'a> {
    id: i64,
    workspace_id: i64,
    publish_id: i64,
    state: &'static str,
    reason: Option<&'a str>,
    wave: i64,
    waves: i64,
    wave_began_at: Option<Moment>,
    wave_seconds_max: i64,
    failures_max: i64,
    send_back: bool,
    watch: Watch,
    created_at: Moment,
    created_by: &'a str,
    ended_at: Option<Moment>,
    /// How many edges fare how.
    counts: BTreeMap<&'a str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edges: Option<Vec<PlaceView<'a>>>,
}

#[derive(Debug, Serialize)]
struct PlaceView<'a> {
    name: &'a str,
    wave: i64,
    state: &'a str,
    reason: Option<&'a str>,
    is_late: bool,
    from_publish_id: i64,
    updated_at: Option<Moment>,
}

impl<'a> RolloutView<'a> {
    fn of(rollout: &'a Rollout, edges: &'a [RolloutEdge]) -> RolloutView<'a> {
        let mut counts = BTreeMap::new();
        for edge in edges {
            *counts.entry(standing(edge)).or_default() += 1;
        }
        RolloutView {
            id: rollout.id,
            workspace_id: rollout.workspace_id,
            publish_id: rollout.publish_id,
            state: rollout.state.name(),
            reason: rollout.reason.as_deref(),
            wave: rollout.wave,
            waves: rollout.waves,
            wave_began_at: rollout.wave_began_ms.map(|ms| Moment { ms }),
            wave_seconds_max: rollout.wave_ms_max / 1000,
            failures_max: rollout.failures_max,
            send_back: rollout.sends_back,
            watch: rollout.watch,
            created_at: Moment { ms: rollout.created_ms },
            created_by: &rollout.created_by,
            ended_at: rollout.ended_ms.map(|ms| Moment { ms }),
            counts,
            edges: None,
        }
    }

    fn with_edges(self, edges: &'a [RolloutEdge]) -> RolloutView<'a> {
        let place = |edge: &'a RolloutEdge| {
            let leg = edge.back.as_ref().or(edge.forth.as_ref());
            let forth = edge.forth.as_ref().and_then(|forth| forth.reason.as_deref());
            PlaceView {
                name: &edge.name,
                wave: edge.wave,
                state: standing(edge),
                reason: leg.and_then(|leg| leg.reason.as_deref()).or(forth),
                is_late: edge.is_late,
                from_publish_id: edge.from_publish,
                updated_at: leg.map(|leg| Moment { ms: leg.updated_ms }),
            }
        };
        RolloutView { edges: Some(edges.iter().map(place).collect()), ..self }
    }
}

/// A rollout that the caller may see in this role, with its edges.
fn whole(
    tx: &Tx<'_>,
    asked: &Asked<'_, '_, '_>,
    id: i64,
    least: Role,
) -> Result<(Rollout, Vec<RolloutEdge>), Problem> {
    let unknown = || Problem::unknown("rollout", id);
    let rollout = tx.rollout(id)?.ok_or_else(unknown)?;
    seen(asked.may(tx, rollout.workspace_id, least), unknown)?;
    let edges = tx.rollout_edges(id)?;
    Ok((rollout, edges))
}

#[derive(Deserialize)]
struct OfRollout {
    id: i64,
}

fn get(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let OfRollout { id } = asked.json()?;
    told(look_rollout(center, asked, id)?)
}

/// A rollout as it is at this moment.
///
/// # Errors
/// Where it is not there or not the caller's to see.
pub(in crate::ops) fn look_rollout(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<Whole, Problem> {
    center.store.write(|tx| {
        // First whether it is the caller's to see, then whether its wave is over by now.
        whole(tx, asked, id, Role::Viewer)?;
        advance(tx, id, asked.now_ms)?;
        whole(tx, asked, id, Role::Viewer)
    })
}

fn told((rollout, edges): Whole) -> Result<Response, Problem> {
    Ok(answer(200, &RolloutView::of(&rollout, &edges).with_edges(&edges)))
}

#[derive(Deserialize)]
struct ListAsked {
    #[serde(default)]
    workspace_id: Option<i64>,
    #[serde(default)]
    limit: Option<i64>,
    /// Those older than this one.
    #[serde(default)]
    before: Option<i64>,
}

fn list(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let ListAsked { workspace_id, limit, before } = asked.json()?;
    let count = limit.unwrap_or(LISTED_MAX);
    if !(1..=LISTED_MAX).contains(&count) {
        return Err(Problem::bad("limit", format!("limit is {count}: it takes 1 to {LISTED_MAX}")));
    }
    let caller = asked.caller()?;
    let member = (!caller.user.is_admin).then_some(caller.user.id.as_str());
    let mut found = center.store.read(|tx| {
        let rollouts = tx.rollouts(member, workspace_id, before, count + 1)?;
        let with_edges = rollouts.into_iter().map(|rollout| {
            let edges = tx.rollout_edges(rollout.id)?;
            Ok::<_, Problem>((rollout, edges))
        });
        with_edges.collect::<Result<Vec<_>, _>>()
    })?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let has_more = found.len() > count;
    found.truncate(count);
    let next_before = found.last().filter(|_| has_more).map(|(last, _)| last.id);
    let views: Vec<RolloutView<'_>> =
        found.iter().map(|(rollout, edges)| RolloutView::of(rollout, edges)).collect();
    Ok(answer(200, &json!({ "rollouts": views, "next_before": next_before })))
}

fn pause(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let OfRollout { id } = asked.json()?;
    told(pause_rollout(center, asked, id)?)
}

/// No further wave begins.
///
/// # Errors
/// Where it is not running, or not the caller's to change.
pub(in crate::ops) fn pause_rollout(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<Whole, Problem> {
    change(center, asked, id, |tx, rollout, asked| {
        must_be(rollout, RolloutState::Running)?;
        tx.set_rollout_state(id, RolloutState::Paused, None, asked.now_ms)?;
        let workspace = Some(rollout.workspace_id);
        Ok(asked.note(tx, "rollout.pause", workspace, &id.to_string(), json!({}))?)
    })
}

fn resume(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let OfRollout { id } = asked.json()?;
    told(resume_rollout(center, asked, id)?)
}

/// A paused rollout goes on.
///
/// # Errors
/// Where it is not paused, or not the caller's to change.
pub(in crate::ops) fn resume_rollout(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
) -> Result<Whole, Problem> {
    change(center, asked, id, |tx, rollout, asked| {
        must_be(rollout, RolloutState::Paused)?;
        tx.set_rollout_state(id, RolloutState::Running, None, asked.now_ms)?;
        let workspace = Some(rollout.workspace_id);
        asked.note(tx, "rollout.resume", workspace, &id.to_string(), json!({}))?;
        Ok(advance(tx, id, asked.now_ms)?)
    })
}

#[derive(Deserialize)]
struct AbortAsked {
    id: i64,
    /// Whether those that have settled go back, too; what the start said where this is missing.
    #[serde(default)]
    send_back: Option<bool>,
}

fn abort(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let AbortAsked { id, send_back } = asked.json()?;
    told(abort_rollout(center, asked, id, send_back)?)
}

/// Ends a rollout before it is through; those that have settled go back where `send_back` says so,
/// or where the start said so.
///
/// # Errors
/// Where it has ended, or is not the caller's to change.
pub(in crate::ops) fn abort_rollout(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
    send_back: Option<bool>,
) -> Result<Whole, Problem> {
    change(center, asked, id, |tx, rollout, asked| {
        if !rollout.state.is_open() {
            return Err(not_so(rollout, "running or paused"));
        }
        let user = &asked.caller()?.user;
        let reason = format!("aborted by {}", user.email);
        let back = send_back.unwrap_or(rollout.sends_back);
        let aborted = RolloutState::Aborted;
        Ok(end(tx, rollout, aborted, &reason, back, Some(&user.id), asked.now_ms)?)
    })
}

/// Changes a rollout by somebody who may; how it is then.
fn change(
    center: &Center,
    asked: &Asked<'_, '_, '_>,
    id: i64,
    change: impl FnOnce(&Tx<'_>, &Rollout, &Asked<'_, '_, '_>) -> Result<(), Problem>,
) -> Result<Whole, Problem> {
    center.store.write(|tx| {
        let (rollout, _) = whole(tx, asked, id, Role::Publisher)?;
        change(tx, &rollout, asked)?;
        whole(tx, asked, id, Role::Viewer)
    })
}

fn must_be(rollout: &Rollout, state: RolloutState) -> Result<(), Problem> {
    if rollout.state == state { Ok(()) } else { Err(not_so(rollout, state.name())) }
}

fn not_so(rollout: &Rollout, expected: &str) -> Problem {
    let sentence = format!(
        "rollout {} is {}, and this needs one that is {expected}: start another for the edges that \
         are left",
        rollout.id,
        rollout.state.name()
    );
    Problem::conflict("rollout_state", sentence)
}
