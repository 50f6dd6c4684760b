//! Updates: another look at what is asked for, or what the ops center assigns, and the switch without losing a request.

use super::fetch::Fetched;
use super::follow::Follower;
use super::keeper::Keeper;
use super::live::{Live, Serving};
use super::orders::Orders;
use super::voice::Voice;
use crate::exit::{self, Exit, Failure};
use crate::logging::{AT_UPDATE, quoted};
use crate::registry::Retry;
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender, SyncSender};
use std::time::{Duration, Instant};

/// When a registry that did not answer is asked again: soon at first, since a router comes up
/// later than the board, then ever less, and every ten minutes for as long as it takes.
pub(super) const RETRY: Retry =
    Retry { wait: Duration::from_secs(2), wait_max: Duration::from_secs(600), ..Retry::EDGE };

/// How often it is seen whether the last request of the old pipeline is answered.
const GONE_LOOK: Duration = Duration::from_millis(20);

/// How an update ended, as `/metrics` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `PIPELINE_URL` still leads to the pipeline that answers.
    Unchanged,
    /// Another one answers now.
    Switched,
    /// Another one was there and does not load.
    Refused,
    /// The registry did not give it, or the disk did not keep it.
    Failed,
    /// The one before answers again, since another did not do well.
    Reverted,
}

/// What the thread of updates is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A person wants another look, by SIGHUP.
    Look,
    /// The ops center wants something.
    Assigned,
}

impl Outcome {
    pub(super) const ALL: [Outcome; 5] = [
        Outcome::Unchanged,
        Outcome::Switched,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Reverted,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::Unchanged => "unchanged",
            Outcome::Switched => "switched",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Reverted => "reverted",
        }
    }

    /// That of a failure.
    pub(super) fn of(failure: &Failure) -> Outcome {
        match failure.exit {
            Exit::ModelRefused => Outcome::Refused,
            Exit::Done
            | Exit::Failed
            | Exit::Usage
            | Exit::CredentialsRefused
            | Exit::NotFound
            | Exit::Unreachable
            | Exit::Corrupt
            | Exit::Disk
            // It may be signed later on.
            | Exit::Unsigned => Outcome::Failed,
        }
    }

    /// Whether there is nothing to ask again before someone wishes it.
    fn is_settled(self) -> bool {
        match self {
            Outcome::Unchanged | Outcome::Switched | Outcome::Refused | Outcome::Reverted => true,
            Outcome::Failed => false,
        }
    }
}

/// Hears SIGHUP from now on, once for each; what is sent beside it is heard as well.
///
/// # Errors
/// When the system does not let us.
pub(super) fn wishes() -> std::io::Result<(Sender<Wish>, Receiver<Wish>)> {
    let mut signals = Signals::new([SIGHUP])?;
    let (sender, wishes) = mpsc::channel();
    let hangups = sender.clone();
    let hear = move || {
        for _ in signals.forever() {
            if hangups.send(Wish::Look).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("hangups".to_owned()).spawn(hear)?;
    Ok((sender, wishes))
}

/// The thread that looks for updates, until it is told what answers.
pub(super) struct Updates {
    begin: Sender<Begin>,
    first: Option<Ended>,
}

/// How the look of the start ended, where the start did not take what it brought.
struct Ended {
    outcome: Outcome,
    why: String,
}

/// What answers, and how the look before it ended.
struct Begin {
    live: Arc<Live>,
    first: Option<Ended>,
}

impl Updates {
    /// Starts the thread. With `first`, it fetches the pipeline for the start at once, and keeps
    /// what the start does not wait for any more.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn spawn(
        keeper: &Arc<Keeper>,
        orders: &Arc<Orders>,
        wishes: Receiver<Wish>,
        first: Option<SyncSender<Result<Fetched, Failure>>>,
    ) -> Result<Updates, Failure> {
        let (begin, begun) = mpsc::channel();
        let (keeper, orders) = (keeper.clone(), orders.clone());
        let run = move || {
            let late = first.and_then(|first| {
                let fetched = caught(|| keeper.fetch(Voice::Contract));
                first.send(fetched).err().map(|SendError(fetched)| fetched)
            });
            // The start failed, and with it the process.
            let Ok(Begin { live, first }) = begun.recv() else { return };
            let (last, why) =
                first.map_or((Outcome::Unchanged, String::new()), |it| (it.outcome, it.why));
            // The start has told why; it is not told again.
            let follower = Follower::begin(&keeper, live.clone(), orders);
            let mut updater = Updater { keeper: &keeper, live, follower, last_failure: why };
            updater.run(&wishes, last, late);
        };
        let thread = std::thread::Builder::new().name("updates".to_owned()).spawn(run);
        thread.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Updates { begin, first: None })
    }

    /// The start did not take what the registry has: its look ended so.
    pub(super) fn after(self, outcome: Outcome, why: String) -> Updates {
        Updates { first: Some(Ended { outcome, why }), ..self }
    }

    /// The pipeline of `live` answers: from now on others may take its place.
    pub(super) fn begin(self, live: Arc<Live>) {
        let Updates { begin, first } = self;
        if let Some(Ended { outcome, .. }) = first {
            live.now().inferences.metrics.updated(outcome);
        }
        if begin.send(Begin { live, first }).is_err() {
            log::error!(target: AT_UPDATE, "msg=\"the thread that looks for updates is gone\"");
        }
    }
}

struct Updater<'a> {
    keeper: &'a Keeper,
    live: Arc<Live>,
    follower: Follower<'a>,
    /// What was said last of a failure: a registry that is away for a week is told once.
    last_failure: String,
}

impl Updater<'_> {
    fn run(
        &mut self,
        wishes: &Receiver<Wish>,
        mut last: Outcome,
        late: Option<Result<Fetched, Failure>>,
    ) {
        if let Some(late) = late {
            last = self.take(|_| late.map(Some));
        }
        let mut failures = 0;
        let mut next = None;
        // A person asked, while what the ops center assigned was watched.
        let mut is_put_off = false;
        loop {
            self.follower.turn();
            if last.is_settled() {
                (failures, next) = (0, None);
                if self.follower.is_idle() {
                    self.collect();
                }
            } else if next.is_none() {
                failures += 1;
                next = Some(Instant::now() + RETRY.wait_after(failures, None));
            }
            let look = next.map(|next| next.saturating_duration_since(Instant::now()));
            let put_off = (is_put_off && !self.follower.watches()).then_some(Duration::ZERO);
            let wait = [look, put_off, self.follower.wait()].into_iter().flatten().min();
            let wish = match wait {
                None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => wishes.recv_timeout(wait),
            };
            match wish {
                Ok(Wish::Look) => {
                    failures = 0;
                    self.last_failure.clear();
                    log::info!(target: AT_UPDATE, "msg=\"asked by SIGHUP to look for an update\"");
                    if let Err(failure) = self.keeper.store.pardon() {
                        self.complain(&failure);
                    }
                }
                Ok(Wish::Assigned) => continue,
                Err(RecvTimeoutError::Timeout) if put_off.is_some() => {}
                Err(RecvTimeoutError::Timeout) if next.is_some_and(|it| it <= Instant::now()) => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.follower.watches() {
                // Another pipeline now would take the way back away.
                is_put_off = true;
                next = None;
                log::info!(
                    target: AT_UPDATE,
                    "msg=\"what the ops center assigned is watched: the look is taken after that\""
                );
                continue;
            }
            (is_put_off, next) = (false, None);
            last = self.take(|updater| {
                let answers = updater.live.now().inferences.slot.digest;
                updater.keeper.look(answers, Voice::Log)
            });
        }
    }

    /// Takes what a look brings, tells how it ended, and counts it.
    fn take(
        &mut self,
        look: impl FnOnce(&Updater<'_>) -> Result<Option<Fetched>, Failure>,
    ) -> Outcome {
        match caught(|| self.switch(look(self)?)) {
            Ok(outcome) => {
                self.last_failure.clear();
                outcome
            }
            Err(failure) => {
                let outcome = Outcome::of(&failure);
                self.count(outcome);
                self.complain(&failure);
                outcome
            }
        }
    }

    /// Counts the end of a look, before its line is in the log.
    fn count(&self, outcome: Outcome) {
        self.live.now().inferences.metrics.updated(outcome);
    }

    /// Loads the other pipeline beside the one that answers, and lets it answer.
    fn switch(&self, found: Option<Fetched>) -> Result<Outcome, Failure> {
        let before = self.live.now().inferences.slot.digest;
        let Some(fetched) = found.filter(|fetched| fetched.digest != before) else {
            self.count(Outcome::Unchanged);
            log::info!(target: AT_UPDATE, "digest={before} msg=\"the pipeline is up to date\"");
            return Ok(Outcome::Unchanged);
        };
        let start = Instant::now();
        let slot = self.keeper.load(fetched)?;
        // On disk first: whatever happens now, the next start begins with it.
        self.keeper.adopt(slot.digest)?;
        let (name, version) = (slot.definition.name.clone(), slot.definition.version.clone());
        let digest = slot.digest;
        let old = self.live.switch(slot);
        self.count(Outcome::Switched);
        log::info!(
            target: AT_UPDATE,
            "pipeline={name:?} version={version:?} digest={digest} before={before} ms={} msg=switched",
            start.elapsed().as_millis()
        );
        let_go(old);
        Ok(Outcome::Switched)
    }

    fn complain(&mut self, failure: &Failure) {
        let sentence = exit::chain(&*failure.error);
        let next = quoted("next", failure.hint.as_deref().unwrap_or_default());
        let line =
            format!("cause={sentence:?} {next} msg=\"no update: the pipeline that answers stays\"");
        if self.last_failure == sentence {
            log::debug!(target: AT_UPDATE, "{line}");
        } else {
            log::warn!(target: AT_UPDATE, "{line}");
            self.last_failure = sentence;
        }
    }

    /// Nothing is on its way now, so what nobody needs can go.
    fn collect(&mut self) {
        match self.keeper.store.collect() {
            Ok(swept) if swept.files > 0 => log::info!(
                target: AT_UPDATE,
                "files={} bytes={} msg=\"took away what no pipeline needs\"",
                swept.files, swept.bytes
            ),
            Ok(_) => {}
            Err(failure) => log::warn!(
                target: AT_UPDATE,
                "{} msg=\"nothing was taken away\"",
                quoted("cause", &exit::chain(&*failure.error))
            ),
        }
    }
}

/// Waits for the last request of the old pipeline, and lets it go here: to give back a large
/// model's memory takes a while, and no client should wait for that.
pub(super) fn let_go(old: Arc<Serving>) {
    let request_max = old.inferences.request_max;
    let end = Instant::now() + request_max;
    while Arc::strong_count(&old) > 1 && Instant::now() < end {
        std::thread::sleep(GONE_LOOK);
    }
}

/// What broke is a failure like any other: the thread goes on.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "the look for an update broke")))
}
