//! The publish worker: one thread that pushes what was asked for, one publish at a time.
//!
//! ```text
//! API ──record, ring──▶ desk ──next──▶ parcel ──deliver──▶ registry ──finish──▶ record
//!                                        └──fault: passing ─▶ again later, lasting ─▶ Error
//! ```
//!
//! What it does is in the records before and after, and what it pushes is the same each time, so
//! that a process that ends in the middle is followed by one that begins that publish anew.

mod desk;
mod destination;
mod fault;
mod needs;
mod parcel;

pub(in crate::ops) use desk::{Desk, Progress};
pub(in crate::ops) use destination::{Destination, built_in};
pub(in crate::ops) use needs::{ENGINE_CONFIG_BYTES_MAX, ENGINE_CONFIG_DEFAULT, Needs};

use super::center::Center;
use super::publish::deliver::Watch;
use super::store::{Publish, PublishPlace, PublishStatus, StoreError};
use crate::exit::{self, Exit, Failure};
use crate::logging::{AT_PUBLISH, quoted};
use crate::registry::Retry;
use fault::Fault;
use parcel::Parcel;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// When a registry that fails is tried again: after 1, 2, 4, … 60 s, eight times in about four
/// minutes, which is within the ten that the original's clients wait.
const RETRY: Retry = Retry {
    attempts_max: 8,
    wait: Duration::from_secs(1),
    wait_max: Duration::from_secs(60),
    asked_wait_max: Duration::from_secs(600),
};

/// How long the worker waits when the records cannot be used.
const RECORDS_WAIT: Duration = Duration::from_secs(10);

/// How long it sleeps when nothing is to be done; the bell wakes it.
const IDLE_WAIT: Duration = Duration::from_secs(3600);

/// The worker, running.
pub(in crate::ops) struct Worker {
    center: Arc<Center>,
    ended: Receiver<()>,
}

impl Worker {
    /// Starts the thread; it picks up what a process before it left unfinished.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(in crate::ops) fn start(center: Arc<Center>) -> io::Result<Worker> {
        let (end, ended) = channel();
        let its = Arc::clone(&center);
        std::thread::Builder::new().name("publisher".into()).spawn(move || {
            work(&its);
            let _ = end.send(()); // nobody may be waiting any more
        })?;
        Ok(Worker { center, ended })
    }

    /// Stops it, and tells whether it has stopped within that time. A publish on its way stays
    /// unfinished in the records, to be picked up at the next start.
    pub(in crate::ops) fn stop(self, time: Duration) -> bool {
        self.center.desk.stop();
        self.ended.recv_timeout(time).is_ok()
    }
}

fn work(center: &Arc<Center>) {
    while !center.desk.is_stopping() {
        let wait = match center.store.read(|tx| tx.next_publish()) {
            Ok(None) => IDLE_WAIT,
            Ok(Some(publish)) => match until_due(&publish, center.now_ms()) {
                Some(wait) => wait,
                None => match attempt(center, &publish) {
                    Ok(()) => continue,
                    Err(error) => records_failed(&error),
                },
            },
            Err(error) => records_failed(&error),
        };
        center.desk.wait(wait);
    }
}

fn records_failed(error: &StoreError) -> Duration {
    log::error!(target: AT_PUBLISH, "{}", quoted("msg", &exit::chain(error)));
    RECORDS_WAIT
}

/// How long a publish is to wait; not at all when it is due, or when the clock was set back.
fn until_due(publish: &Publish, now_ms: i64) -> Option<Duration> {
    let wait = u64::try_from(publish.next_ms.saturating_sub(now_ms)).unwrap_or_default();
    let wait = Duration::from_millis(wait);
    (!wait.is_zero() && wait <= RETRY.asked_wait_max).then_some(wait)
}

/// Works on one publish and writes down what came of it.
fn attempt(center: &Arc<Center>, publish: &Publish) -> Result<(), StoreError> {
    let id = publish.id;
    if publish.status == PublishStatus::Publishing {
        log::info!(target: AT_PUBLISH, "publish={id} msg=\"picked up again\"");
    }
    center.store.write(|tx| tx.begin_publish(id, center.now_ms()))?;
    // A panic ends this publish and not the worker, which all others wait for.
    let done = {
        let _pushing = center.desk.pushing();
        catch_unwind(AssertUnwindSafe(|| push(center, publish)))
    };
    center.desk.end();
    let done = done.unwrap_or_else(|_| {
        Err(Failure::new(Exit::Failed, "the publisher broke off, which is a fault of its own")
            .hint("look into the log of the ops center, and report what it says"))
    });
    let now_ms = center.now_ms();
    let failure = match done {
        Ok((place, bytes)) => {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            let moved = center.store.write(|tx| tx.finish_publish(id, &place, bytes, now_ms))?;
            let PublishPlace { pipeline_url, digest, .. } = &place;
            log::info!(
                target: AT_PUBLISH,
                "publish={id} pipeline_url={pipeline_url} digest={digest} bytes={bytes} edges_moved={moved} \
                 msg=published"
            );
            return Ok(());
        }
        Err(failure) => failure,
    };
    if center.desk.is_stopping() {
        log::info!(target: AT_PUBLISH, "publish={id} msg=\"left for the next start\"");
        return Ok(());
    }
    let failures = u32::try_from(publish.attempts).unwrap_or(u32::MAX).saturating_add(1);
    match Fault::of(&failure) {
        Fault::Passing { sentence, asked } if failures < RETRY.attempts_max => {
            let wait = RETRY.wait_after(failures, asked);
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            log::warn!(target: AT_PUBLISH, "publish={id} again_in_ms={wait_ms} {}", quoted("cause", &sentence));
            let next_ms = now_ms.saturating_add(wait_ms);
            center.store.write(|tx| tx.postpone_publish(id, &sentence, now_ms, next_ms))
        }
        Fault::Passing { sentence, .. } | Fault::Lasting { sentence } => {
            log::error!(target: AT_PUBLISH, "publish={id} msg=\"given up\" {}", quoted("cause", &sentence));
            center.store.write(|tx| tx.give_up_publish(id, &sentence, now_ms))
        }
    }
}

/// Packs and delivers; where everything is, and how many bytes that were.
fn push(center: &Arc<Center>, publish: &Publish) -> Result<(PublishPlace, u64), Failure> {
    let version = center.store.read(|tx| tx.version_to_publish(publish.version_id));
    let version = version.map_err(|error| Failure::new(Exit::Disk, error))?;
    let version = version.ok_or_else(|| {
        Failure::new(Exit::Failed, "the pipeline version is gone").hint("publish another one")
    })?;
    let parcel = Parcel::pack(center, publish, &version)?;
    center.desk.begin(publish.id, parcel.bytes());
    let watch: Arc<dyn Watch> = Arc::new(AtDesk(Arc::clone(center)));
    let place = parcel.deliver(center, &watch)?;
    Ok((place, parcel.bytes()))
}

/// Tells the desk of every byte.
struct AtDesk(Arc<Center>);

impl Watch for AtDesk {
    fn moved(&self, bytes: i64) -> io::Result<()> {
        self.0.desk.moved(bytes)
    }
}

#[cfg(test)]
mod tests;
