//! The start: with what the registry gives, or at once with a pipeline that answered before.

use super::fetch::Fetched;
use super::keeper::Keeper;
use super::orders::Orders;
use super::slot::Slot;
use super::store::Kept;
use super::updates::{Outcome, Updates, Wish};
use crate::exit::{self, Exit, Failure};
use crate::logging::{AT_START, announce, quoted};
use crate::oci::Digest;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// How long a start waits for the registry while a pipeline that answered before is at hand: a
/// registry in reach says in a second what there is, and no sensor should wait for one that is not.
const REGISTRY_WAIT: Duration = Duration::from_secs(5);

/// Why what the registry has is not served.
enum Cause {
    /// It gave nothing yet, and may still.
    Silence,
    /// It gave nothing, or nothing that can be used.
    Failed(Failure),
    /// It gave a pipeline that does not load.
    Refused(Digest, Failure),
}

/// Finds a pipeline that loads; the updates go on from there.
///
/// # Errors
/// What keeps this device from serving: nothing kept on it can, and the registry gave nothing.
pub(super) fn start(
    keeper: &Arc<Keeper>,
    orders: &Arc<Orders>,
    wishes: Receiver<Wish>,
) -> Result<(Slot, Updates), Failure> {
    if let Some(fetched) = keeper.pinned() {
        // No network has a say in what a digest names.
        say_starting();
        match adopted(keeper, fetched) {
            Err(failure) if failure.exit == Exit::Corrupt => {
                // As if it were not there: what is damaged is fetched again.
                log::warn!(target: AT_START, "{}", quoted("msg", &failure.report()));
            }
            adopted => return Ok((adopted?, Updates::spawn(keeper, orders, wishes, None)?)),
        }
    }
    let kept = keeper.kept();
    // Of no room: who sends learns whether this start still waits for it.
    let (sender, first) = sync_channel(0);
    let updates = Updates::spawn(keeper, orders, wishes, Some(sender))?;
    let answer = if kept.is_empty() {
        Some(Ok(first.recv().map_err(|_| lost())??))
    } else {
        first.recv_timeout(REGISTRY_WAIT).ok()
    };
    say_starting();
    let cause = match answer {
        None => Cause::Silence,
        Some(Err(failure)) => Cause::Failed(failure),
        Some(Ok(fetched)) => {
            let digest = fetched.digest;
            match adopted(keeper, fetched) {
                Ok(slot) => return Ok((slot, updates)),
                Err(failure) => Cause::Refused(digest, failure),
            }
        }
    };
    if let Some(slot) = last_good(keeper, &kept, &cause) {
        return Ok((slot, updates.after(cause.outcome(), cause.sentence())));
    }
    match cause {
        // Nothing is left to serve but what may still come.
        Cause::Silence => {
            let slot = adopted(keeper, first.recv().map_err(|_| lost())??)?;
            Ok((slot, updates))
        }
        Cause::Failed(failure) | Cause::Refused(_, failure) => Err(failure),
    }
}

/// The first of the pipelines that answered before which still does.
fn last_good(keeper: &Keeper, kept: &[Kept], cause: &Cause) -> Option<Slot> {
    for Kept { digest, url, since } in kept.iter().filter(|kept| !cause.is_of(kept.digest)) {
        match keeper.stored(url, *digest).and_then(|fetched| keeper.load(fetched)) {
            Ok(slot) => {
                log::warn!(
                    target: AT_START,
                    "pipeline={:?} version={:?} digest={digest} since={since} cause={:?} \
                     msg=\"serving the pipeline that is kept on this device\"",
                    slot.definition.name, slot.definition.version, cause.sentence()
                );
                return Some(slot);
            }
            Err(failure) => log::warn!(
                target: AT_START,
                "digest={digest} cause={:?} msg=\"a pipeline kept on this device cannot be served\"",
                exit::chain(&*failure.error)
            ),
        }
    }
    None
}

impl Cause {
    /// The same as the end of an update.
    fn outcome(&self) -> Outcome {
        match self {
            Cause::Silence => Outcome::Failed,
            Cause::Failed(failure) | Cause::Refused(_, failure) => Outcome::of(failure),
        }
    }

    fn is_of(&self, digest: Digest) -> bool {
        match self {
            Cause::Silence | Cause::Failed(_) => false,
            Cause::Refused(refused, _) => *refused == digest,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Cause::Silence => {
                format!("the registry gave no pipeline within {} s", REGISTRY_WAIT.as_secs())
            }
            Cause::Failed(failure) | Cause::Refused(_, failure) => exit::chain(&*failure.error),
        }
    }
}

/// Loads the pipeline and writes down that it answers.
fn adopted(keeper: &Keeper, fetched: Fetched) -> Result<Slot, Failure> {
    let slot = keeper.load(fetched)?;
    if let Err(failure) = keeper.adopt(slot.digest) {
        // A disk that takes nothing any more is told; what is loaded can answer all the same.
        log::error!(
            target: AT_START,
            "cause={:?} msg=\"the next start will not know this pipeline\"",
            exit::chain(&*failure.error)
        );
    }
    Ok(slot)
}

fn lost() -> Failure {
    Failure::new(Exit::Failed, "the thread that asks the registry is gone")
}

/// The original looks for files that are baked into its image. There are none here, but the lines
/// are part of what scripts wait for.
fn say_starting() {
    announce("Starting engine");
    announce("Looking for preexisting `yaml` files in //modelconfigs");
    announce("Looking for preexisting `yaml` files in //pipelines");
}
