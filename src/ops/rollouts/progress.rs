//! The progress of a rollout: when a wave is over, when too many edges failed, and who is sent back.

use crate::fleet::{AssignmentState, Watch};
use crate::ops::store::{
    Change, NewAssignment, Rollout, RolloutEdge, RolloutState, StoreError, Tx,
};
use serde_json::json;

/// How an edge fares in a rollout, in one word.
pub(in crate::ops) fn standing(edge: &RolloutEdge) -> &str {
    match (&edge.back, &edge.forth) {
        (Some(back), _) if back.state == AssignmentState::Settled.name() => "sent_back",
        (Some(back), _) if back.is_ended => &back.state,
        (Some(_), _) => "going_back",
        (None, _) if edge.is_removed => "removed",
        (None, Some(forth)) => &forth.state,
        (None, None) => "waiting",
    }
}

/// Moves a rollout as far as it goes at this moment: halts it when too many edges failed, begins the
/// next wave when the one under way is over, and ends it after the last.
///
/// # Errors
/// When the records cannot be used.
pub(in crate::ops) fn advance(tx: &Tx<'_>, id: i64, now_ms: i64) -> Result<(), StoreError> {
    loop {
        let Some(rollout) = tx.rollout(id)?.filter(|it| it.state.is_open()) else { return Ok(()) };
        // Each edge of thousands has a report that may move it, and hardly any does: all of them are
        // only looked at when something is to be done.
        let pulse = tx.rollout_pulse(id, rollout.wave)?;
        let began_ms = rollout.wave_began_ms.unwrap_or(now_ms);
        let waits = pulse.is_waited_for && now_ms.saturating_sub(began_ms) < rollout.wave_ms_max;
        if pulse.failures <= rollout.failures_max
            && (waits || rollout.state == RolloutState::Paused)
        {
            return Ok(());
        }
        let edges = tx.rollout_edges(id)?;
        let failures = edges.iter().filter(|edge| has_failed(edge)).count();
        if i64::try_from(failures).unwrap_or(i64::MAX) > rollout.failures_max {
            let reason = format!(
                "{failures} edges failed, and {} may: the first is {}",
                rollout.failures_max,
                edges.iter().find_map(why).unwrap_or_default()
            );
            let (halted, back) = (RolloutState::Halted, rollout.sends_back);
            return end(tx, &rollout, halted, &reason, back, None, now_ms);
        }
        if rollout.state == RolloutState::Paused || !is_over(tx, &rollout, &edges, now_ms)? {
            return Ok(());
        }
        if rollout.wave >= rollout.waves {
            tx.set_rollout_state(id, RolloutState::Done, None, now_ms)?;
            return note(tx, &rollout, RolloutState::Done, None, None, now_ms);
        }
        begin(tx, &rollout, &edges, now_ms)?;
    }
}

/// Ends a rollout before it is through: those that are under way go back in any case, and those that
/// have settled where `sends_back` says so.
///
/// # Errors
/// When the records cannot be used.
pub(in crate::ops) fn end(
    tx: &Tx<'_>,
    rollout: &Rollout,
    state: RolloutState,
    reason: &str,
    sends_back: bool,
    by: Option<&str>,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.set_rollout_state(rollout.id, state, Some(reason), now_ms)?;
    for edge in tx.rollout_edges(rollout.id)? {
        let Some(forth) = edge.forth.as_ref().filter(|_| !edge.is_removed) else { continue };
        let has_settled = forth.state == AssignmentState::Settled.name();
        let is_its =
            !forth.is_ended || (has_settled && sends_back && still_runs(tx, rollout, &edge)?);
        if is_its {
            let back = tx.assign(&NewAssignment {
                edge: &edge.edge_id,
                publish: edge.from_publish,
                rollout: Some(rollout.id),
                watch: Watch::NONE,
                by: by.unwrap_or(&rollout.created_by),
                now_ms,
            })?;
            tx.went_back(rollout.id, &edge.edge_id, &back)?;
        }
    }
    note(tx, rollout, state, Some(reason), by, now_ms)
}

/// Whether an edge is still to run what the rollout brought it, and was not given another since.
fn still_runs(tx: &Tx<'_>, rollout: &Rollout, edge: &RolloutEdge) -> Result<bool, StoreError> {
    let found = tx.edge_by_name(&edge.name)?;
    Ok(found.is_some_and(|it| it.id == edge.edge_id && it.publish_id == rollout.publish_id))
}

fn has_failed(edge: &RolloutEdge) -> bool {
    let failed = [AssignmentState::Failed.name(), AssignmentState::Reverted.name()];
    edge.forth.as_ref().is_some_and(|forth| failed.contains(&forth.state.as_str()))
}

fn why(edge: &RolloutEdge) -> Option<String> {
    let reason = edge.forth.as_ref().filter(|_| has_failed(edge))?.reason.as_deref();
    Some(format!("`{}`, {}", edge.name, reason.unwrap_or("without a reason")))
}

/// Whether nobody of the wave under way is waited for any more; who is not heard of in its time is
/// late from then on.
fn is_over(
    tx: &Tx<'_>,
    rollout: &Rollout,
    edges: &[RolloutEdge],
    now_ms: i64,
) -> Result<bool, StoreError> {
    let is_waited_for = |edge: &&RolloutEdge| {
        let is_open = edge.forth.as_ref().is_some_and(|forth| !forth.is_ended);
        edge.wave == rollout.wave && is_open && !edge.is_late && !edge.is_removed
    };
    let waited_for: Vec<&RolloutEdge> = edges.iter().filter(is_waited_for).collect();
    let began_ms = rollout.wave_began_ms.unwrap_or(now_ms);
    if !waited_for.is_empty() && now_ms.saturating_sub(began_ms) < rollout.wave_ms_max {
        return Ok(false);
    }
    for edge in waited_for {
        tx.set_late(rollout.id, &edge.edge_id)?;
    }
    Ok(true)
}

fn begin(
    tx: &Tx<'_>,
    rollout: &Rollout,
    edges: &[RolloutEdge],
    now_ms: i64,
) -> Result<(), StoreError> {
    let wave = rollout.wave + 1;
    tx.begin_wave(rollout.id, wave, now_ms)?;
    for edge in edges.iter().filter(|edge| edge.wave == wave && !edge.is_removed) {
        let assignment = tx.assign(&NewAssignment {
            edge: &edge.edge_id,
            publish: rollout.publish_id,
            rollout: Some(rollout.id),
            watch: rollout.watch,
            by: &rollout.created_by,
            now_ms,
        })?;
        tx.went_forth(rollout.id, &edge.edge_id, &assignment)?;
    }
    Ok(())
}

/// What a rollout did by itself stands in the audit beside what people did.
fn note(
    tx: &Tx<'_>,
    rollout: &Rollout,
    state: RolloutState,
    reason: Option<&str>,
    by: Option<&str>,
    now_ms: i64,
) -> Result<(), StoreError> {
    tx.note(&Change {
        at_ms: now_ms,
        user: by,
        workspace: Some(rollout.workspace_id),
        action: match state {
            RolloutState::Halted => "rollout.halt",
            RolloutState::Aborted => "rollout.abort",
            RolloutState::Done => "rollout.done",
            RolloutState::Running | RolloutState::Paused => "rollout.change",
        },
        subject: &rollout.id.to_string(),
        detail: json!({ "publish": rollout.publish_id, "reason": reason }),
        peer: "",
    })
}
