//! A contact of an edge: what it says of its assignment is written down, and what it is to run is said.

use super::advance;
use crate::fleet::{Assignment, AssignmentReport, AssignmentState};
use crate::ops::store::{AssignmentRecord, StoreError, Tx};

/// The longest reason that is kept, in characters; an engine sends 500.
const REASON_CHARS_MAX: usize = 1_000;

/// Takes what an edge says of its assignment, and gives what it is to run: `None` while what it was
/// told last is right.
///
/// # Errors
/// When the records cannot be used.
pub(in crate::ops) fn contact(
    tx: &Tx<'_>,
    edge: &str,
    said: Option<&AssignmentReport>,
    now_ms: i64,
) -> Result<Option<Assignment>, StoreError> {
    let has_ended = match said {
        Some(said) => take(tx, edge, said, now_ms)?,
        None => false,
    };
    // A whole rollout is looked at only when this report may move it.
    for rollout in tx.open_rollouts_of(edge)? {
        if has_ended || is_due(tx, rollout, now_ms)? {
            advance(tx, rollout, now_ms)?;
        }
    }
    Ok(tx.open_assignment(edge)?.and_then(wanted))
}

fn is_due(tx: &Tx<'_>, rollout: i64, now_ms: i64) -> Result<bool, StoreError> {
    let Some(rollout) = tx.rollout(rollout)? else { return Ok(false) };
    let began_ms = rollout.wave_began_ms.unwrap_or(0);
    Ok(now_ms.saturating_sub(began_ms) >= rollout.wave_ms_max)
}

/// Writes down what is new of it, and tells whether it has come to its end with that. What came to its end is not changed any more, and what is another
/// edge's is not its to speak of.
fn take(tx: &Tx<'_>, edge: &str, said: &AssignmentReport, now_ms: i64) -> Result<bool, StoreError> {
    let known = tx.assignment(&said.id)?.filter(|it| it.edge_id == edge && it.ended_ms.is_none());
    let Some(known) = known else { return Ok(false) };
    let reason: Option<String> =
        said.reason.as_ref().map(|text| text.chars().take(REASON_CHARS_MAX).collect());
    if known.state == said.state.name() && known.reason == reason {
        return Ok(false);
    }
    let (name, is_ended) = (said.state.name(), said.state.is_ended());
    tx.tell_assignment(&known.id, name, reason.as_deref(), is_ended, now_ms)?;
    match said.state {
        AssignmentState::Failed | AssignmentState::Reverted => tx.put_back(&known)?,
        AssignmentState::Received
        | AssignmentState::Fetching
        | AssignmentState::Proving
        | AssignmentState::Switched
        | AssignmentState::Watching
        | AssignmentState::Settled => {}
    }
    Ok(is_ended)
}

/// As the edge is told.
fn wanted(record: AssignmentRecord) -> Option<Assignment> {
    Some(Assignment {
        id: record.id,
        pipeline_url: record.pipeline_url?,
        publish_id: record.publish_id,
        replaces: Some(record.replaces),
        watch: record.watch,
    })
}
