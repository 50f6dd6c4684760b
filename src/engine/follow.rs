//! Follows what the ops center assigns: fetched beside what answers, proven, switched to, watched, and taken back.

use super::aim::Aim;
use super::keeper::Keeper;
use super::live::Live;
use super::orders::Orders;
use super::slot::Slot;
use super::store::{Adopted, Before};
use super::updates::{Outcome, RETRY, caught, let_go};
use super::watch::{Rates, Tally, Verdict};
use crate::exit::{self, Exit, Failure};
use crate::fleet::{Assignment, AssignmentState};
use crate::logging::{AT_UPDATE, quoted};
use crate::oci::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a watched pipeline is looked at: a limit that is exceeded costs a few requests more.
const LOOK: Duration = Duration::from_millis(250);

/// What follows the ops center, on the thread of updates.
pub(super) struct Follower<'a> {
    keeper: &'a Keeper,
    live: Arc<Live>,
    orders: Arc<Orders>,
    watched: Option<Watched>,
    /// The assignment whose registry did not answer, and when it is asked again.
    later: Option<Later>,
}

/// A pipeline that is watched.
struct Watched {
    assignment: Assignment,
    tally: Arc<Tally>,
    usual: Rates,
    since: Instant,
    /// How often the way back failed, and when it is tried again.
    failures: u32,
    next: Instant,
}

struct Later {
    id: String,
    failures: u32,
    next: Instant,
}

/// How an attempt at an assignment ended.
enum Attempt {
    /// It answers, whether it is watched or was there before.
    Done,
    /// Something newer is wanted.
    Overtaken,
    /// The registry may answer later.
    Later(Failure),
}

impl<'a> Follower<'a> {
    /// Goes on where the engine ended.
    pub(super) fn begin(keeper: &'a Keeper, live: Arc<Live>, orders: Arc<Orders>) -> Follower<'a> {
        let mut follower = Follower { keeper, live, orders, watched: None, later: None };
        let Some(assigned) = keeper.store.assigned().filter(super::store::Assigned::is_watched)
        else {
            return follower;
        };
        let answers = follower.live.now().inferences.slot.digest;
        let (current, _) = keeper.store.current_and_previous();
        if current.is_none_or(|current| current.digest == answers) {
            follower.watch(assigned.assignment, assigned.usual);
        } else {
            // The start could not use it, and serves what was before.
            follower.write_back(&assigned.assignment, "it could not be served after a restart");
        }
        follower
    }

    /// How long until something is to be done; `None` until somebody asks.
    pub(super) fn wait(&self) -> Option<Duration> {
        let now = Instant::now();
        let look = self.watched.as_ref().map(|_| LOOK);
        let later = self.later.as_ref().map(|it| it.next.saturating_duration_since(now));
        [look, later].into_iter().flatten().min()
    }

    /// Whether nothing is on its way and nothing is on trial.
    pub(super) fn is_idle(&self) -> bool {
        self.watched.is_none() && self.orders.wanted().is_none()
    }

    /// Whether a pipeline is on trial.
    pub(super) fn watches(&self) -> bool {
        self.watched.is_some()
    }

    /// Does what is due.
    pub(super) fn turn(&mut self) {
        self.look();
        let Some(assignment) = self.orders.wanted() else { return };
        let later = self.later.take_if(|it| it.id != assignment.id || it.next <= Instant::now());
        if self.later.is_some() {
            return;
        }
        let failures = later.filter(|it| it.id == assignment.id).map_or(0, |it| it.failures);
        let id = assignment.id.clone();
        match caught(|| self.attempt(&assignment)) {
            Ok(Attempt::Done | Attempt::Overtaken) => {}
            Ok(Attempt::Later(failure)) => {
                let failures = failures.saturating_add(1);
                if failures == 1 {
                    complain(&id, &failure, "the assignment waits for its registry");
                }
                let next = Instant::now() + RETRY.wait_after(failures, None);
                self.later = Some(Later { id, failures, next });
            }
            Err(failure) => self.fail(&assignment, &failure),
        }
    }

    fn attempt(&mut self, assignment: &Assignment) -> Result<Attempt, Failure> {
        let (id, keeper) = (assignment.id.as_str(), self.keeper);
        self.tell(id, AssignmentState::Fetching);
        let aim = Aim::assigned(&keeper.config, &assignment.pipeline_url)?;
        let before = self.live.now();
        let answers = before.inferences.slot.digest;
        let fetched = match keeper.find(aim.clone()) {
            Ok(found) if found.digest() == answers => {
                let source = &aim.source;
                keeper.store.unchanged(self.adopted(
                    answers,
                    source,
                    assignment,
                    Rates::default(),
                ))?;
                keeper.set_aim(aim);
                self.watched = None;
                self.end(id, AssignmentState::Settled, "it answers already");
                return Ok(Attempt::Done);
            }
            Ok(found) => found.bring(),
            Err(failure) => Err(failure),
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(failure) if may_come_later(&failure) => return Ok(Attempt::Later(failure)),
            Err(failure) => return Err(failure),
        };
        if !self.orders.is_newest(id) {
            return Ok(Attempt::Overtaken);
        }
        self.tell(id, AssignmentState::Proving);
        let attempted = keeper.store.attempt(assignment, &keeper.config.source)?;
        if let Some(why) = attempted.and_then(|it| it.report().reason) {
            return Err(Failure::new(Exit::ModelRefused, why));
        }
        let slot = keeper.load_assigned(fetched)?;
        if !self.orders.is_newest(id) {
            return Ok(Attempt::Overtaken);
        }
        // What was on trial is no measure; what was usual before it still is.
        let usual = match &self.watched {
            Some(watched) => watched.usual,
            None => before.inferences.tally.counts().rates(),
        };
        drop(before);
        self.switch(assignment, aim, slot, usual)?;
        Ok(Attempt::Done)
    }

    /// Lets the pipeline of an assignment answer.
    fn switch(
        &mut self,
        assignment: &Assignment,
        aim: Aim,
        slot: Slot,
        usual: Rates,
    ) -> Result<(), Failure> {
        let answers = self.live.now().inferences.slot.digest;
        let digest = slot.digest;
        // On disk first: whatever happens now, the next start begins with it.
        self.keeper.store.switch(self.adopted(digest, &aim.source, assignment, usual), answers)?;
        self.keeper.set_aim(aim);
        let old = self.live.switch(slot);
        self.count(Outcome::Switched);
        self.tell(&assignment.id, AssignmentState::Switched);
        log::info!(
            target: AT_UPDATE,
            "assignment={} publish={} digest={digest} before={answers} msg=switched",
            assignment.id, assignment.publish_id
        );
        self.watch(assignment.clone(), usual);
        let_go(old);
        Ok(())
    }

    fn watch(&mut self, assignment: Assignment, usual: Rates) {
        self.orders.tell(&assignment.id, AssignmentState::Watching, None);
        let (tally, now) = (self.live.now().inferences.tally.clone(), Instant::now());
        self.watched =
            Some(Watched { assignment, tally, usual, since: now, failures: 0, next: now });
    }

    /// Looks at what is watched, and acts when its time is over or a limit is exceeded.
    fn look(&mut self) {
        let Some(watched) = &self.watched else { return };
        let seconds = watched.since.elapsed().as_secs();
        let counts = watched.tally.counts();
        match counts.judge(&watched.assignment.watch, watched.usual, seconds) {
            Verdict::Undecided => {}
            Verdict::Settled => {
                let id = watched.assignment.id.clone();
                match self.keeper.store.settle() {
                    Ok(()) => {
                        self.watched = None;
                        self.end(&id, AssignmentState::Settled, "it does well");
                    }
                    Err(failure) => self.put_off(&failure),
                }
            }
            Verdict::Over(why) if watched.next <= Instant::now() => {
                if let Err(failure) = caught(|| self.go_back(&why)) {
                    self.put_off(&failure);
                }
            }
            Verdict::Over(_) => {}
        }
    }

    /// Lets answer what did before.
    fn go_back(&mut self, why: &str) -> Result<(), Failure> {
        let Some(watched) = &self.watched else { return Ok(()) };
        let assignment = watched.assignment.clone();
        let assigned = self.keeper.store.assigned();
        let Some(before) = assigned.as_ref().and_then(|it| it.before().cloned()) else {
            // A person, or a newer assignment, has taken the way back away.
            self.watched = None;
            return Ok(());
        };
        log::warn!(
            target: AT_UPDATE,
            "assignment={} {} msg=\"goes back to the pipeline before\"",
            assignment.id, quoted("cause", why)
        );
        let aim = self.aim_of(&before)?;
        let slot = self.slot_of(&before, &aim)?;
        let digest = slot.digest;
        self.write_back(&assignment, why);
        self.keeper.set_aim(aim);
        let old = self.live.switch(slot);
        self.count(Outcome::Reverted);
        self.watched = None;
        log::info!(target: AT_UPDATE, "assignment={} digest={digest} msg=reverted", assignment.id);
        let_go(old);
        Ok(())
    }

    fn aim_of(&self, before: &Before) -> Result<Aim, Failure> {
        match &before.followed {
            Some(followed) => Aim::assigned(&self.keeper.config, &followed.url),
            None => Ok(Aim::of_settings(&self.keeper.config)),
        }
    }

    /// What answered before, from the store; from where it came where it is not whole there.
    fn slot_of(&self, before: &Before, aim: &Aim) -> Result<Slot, Failure> {
        if let Some(kept) = &before.kept {
            let stored =
                self.keeper.stored(&kept.url, kept.digest).and_then(|it| self.keeper.load(it));
            match stored {
                Ok(slot) => return Ok(slot),
                Err(failure) => {
                    complain("-", &failure, "what is kept cannot be used: fetched anew")
                }
            }
        }
        self.keeper.find(aim.clone())?.bring().and_then(|fetched| self.keeper.load(fetched))
    }

    /// Writes down that the pipeline before answers again. It does so even where that cannot be
    /// written: then the next start tries the other one once more.
    fn write_back(&self, assignment: &Assignment, why: &str) {
        if let Err(failure) = self.keeper.store.revert(why) {
            complain(&assignment.id, &failure, "the next start will not know of the way back");
        }
        self.orders.tell(&assignment.id, AssignmentState::Reverted, Some(why));
    }

    fn put_off(&mut self, failure: &Failure) {
        let Some(watched) = &mut self.watched else { return };
        if watched.failures == 0 {
            complain(&watched.assignment.id, failure, "tried again");
        }
        watched.failures = watched.failures.saturating_add(1);
        watched.next = Instant::now() + RETRY.wait_after(watched.failures, None);
    }

    fn fail(&mut self, assignment: &Assignment, failure: &Failure) {
        self.count(Outcome::of(failure));
        let reason = exit::chain(&*failure.error);
        complain(&assignment.id, failure, "the assignment failed: the pipeline that answers stays");
        let home = &self.keeper.config.source;
        if let Err(unwritten) = self.keeper.store.fail(assignment, home, &reason) {
            complain(&assignment.id, &unwritten, "the next start may try the assignment again");
        }
        self.orders.tell(&assignment.id, AssignmentState::Failed, Some(&reason));
    }

    fn adopted<'b>(
        &'b self,
        digest: crate::oci::Digest,
        source: &'b Source,
        assignment: &'b Assignment,
        usual: Rates,
    ) -> Adopted<'b> {
        Adopted { digest, source, assignment, home: &self.keeper.config.source, usual }
    }

    fn tell(&self, id: &str, state: AssignmentState) {
        log::info!(target: AT_UPDATE, "assignment={id} state={}", state.name());
        self.orders.tell(id, state, None);
    }

    fn end(&self, id: &str, state: AssignmentState, how: &str) {
        log::info!(target: AT_UPDATE, "assignment={id} state={} msg={how:?}", state.name());
        self.orders.tell(id, state, None);
    }

    fn count(&self, outcome: Outcome) {
        self.live.now().inferences.metrics.updated(outcome);
    }
}

/// A registry that does not answer may do so later; whatever else it says it will say again.
fn may_come_later(failure: &Failure) -> bool {
    match failure.exit {
        Exit::Unreachable | Exit::Failed => true,
        Exit::Done
        | Exit::Usage
        | Exit::ModelRefused
        | Exit::CredentialsRefused
        | Exit::NotFound
        | Exit::Corrupt
        | Exit::Disk
        | Exit::Unsigned => false,
    }
}

fn complain(id: &str, failure: &Failure, what: &str) {
    log::warn!(
        target: AT_UPDATE,
        "assignment={id} {} {} {}",
        quoted("cause", &exit::chain(&*failure.error)),
        quoted("next", failure.hint.as_deref().unwrap_or_default()),
        quoted("msg", what)
    );
}
