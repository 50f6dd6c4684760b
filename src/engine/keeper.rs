//! The keeper: looks what is asked for, fetches and loads it, and remembers how that went.

use super::aim::Aim;
use super::config::{Config, Proving};
use super::fetch::{self, Fetched, Found};
use super::slot::Slot;
use super::store::{Kept, Refused, Store};
use super::voice::Voice;
use crate::exit::{self, Exit, Failure};
use crate::logging::{AT_LOAD, quoted};
use crate::oci::{Digest, Source};
use crate::registry::Retry;
use crate::runtime::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What a start and every update need.
pub(super) struct Keeper {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) pool: Arc<Pool>,
    /// Where pipelines are asked for: at `PIPELINE_URL`, unless the ops center said another place.
    aim: Mutex<Aim>,
}

/// The pipeline is known not to load.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline {digest} was refused before: {why}")]
struct RefusedBefore {
    digest: Digest,
    why: String,
}

impl Keeper {
    /// The keeper of a store, which follows what the ops center last said, if anything.
    pub(super) fn new(config: Arc<Config>, store: Store, pool: Arc<Pool>) -> Keeper {
        let home = config.source.to_string();
        let followed = store.followed().filter(|it| it.instead_of == home);
        let aim = followed.map(|it| Aim::assigned(&config, &it.url)).and_then(|aim| {
            let told = |failure: Failure| log::warn!(target: AT_LOAD, "{}", quoted("msg", &failure.report()));
            aim.map_err(told).ok()
        });
        let aim = Mutex::new(aim.unwrap_or_else(|| Aim::of_settings(&config)));
        Keeper { config, store, pool, aim }
    }

    /// Where pipelines are asked for now.
    pub(super) fn aim(&self) -> Aim {
        self.aim.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on pipelines are asked for there.
    pub(super) fn set_aim(&self, aim: Aim) {
        *self.aim.lock().unwrap_or_else(PoisonError::into_inner) = aim;
    }

    /// The pipelines that answered before, the last one first: those of this `PIPELINE_URL`, and
    /// while the ops center had another one run, also what it took the place of.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let source = self.aim().source;
        if source == self.config.source {
            return self.store.kept(&source);
        }
        let (current, previous) = self.store.current_and_previous();
        [current, previous].into_iter().flatten().collect()
    }

    /// What the aim is pinned to by its digest, if it is here, whole and right.
    pub(super) fn pinned(&self) -> Option<Fetched> {
        let source = self.aim().source;
        let digest = *source.digest()?;
        let url = source.to_string();
        // Of an image index, what was chosen for this device is another manifest.
        let chosen = self.kept().into_iter().map(|kept| kept.digest);
        [digest].into_iter().chain(chosen).find_map(|digest| self.stored(&url, digest).ok())
    }

    /// Asks what the aim leads to, and fetches it.
    ///
    /// What is known not to load is not fetched again, unless nothing else could answer.
    ///
    /// # Errors
    /// As [`fetch::find`].
    pub(super) fn fetch(&self, voice: Voice) -> Result<Fetched, Failure> {
        // Where another can answer, it does at once, and the registry is asked again later.
        let retry = if self.kept().is_empty() { Retry::EDGE } else { Retry::NEVER };
        self.bring(fetch::find(&self.config, &self.store, self.aim(), voice, retry)?)
    }

    /// The same, unless it is the pipeline that `answers` already: then `None`.
    ///
    /// # Errors
    /// As [`fetch::find`].
    pub(super) fn look(&self, answers: Digest, voice: Voice) -> Result<Option<Fetched>, Failure> {
        let aim = self.aim();
        if aim.source.digest().is_some() {
            // What answers under a digest is what it will always name.
            return Ok(None);
        }
        let found = fetch::find(&self.config, &self.store, aim, voice, Retry::NEVER)?;
        if found.digest() == answers {
            return Ok(None);
        }
        // What was right on the disk when the engine started need not be so today.
        self.store.forget_proofs();
        self.bring(found).map(Some)
    }

    fn bring(&self, found: Found<'_>) -> Result<Fetched, Failure> {
        let digest = found.digest();
        match self.store.refused(&digest) {
            Some(Refused { why, .. }) if self.could_answer_without(digest) => {
                let error = RefusedBefore { digest, why };
                Err(Failure::new(Exit::ModelRefused, error)
                    .hint("publish one that loads, or send SIGHUP to try this one again"))
            }
            Some(_) | None => found.bring(),
        }
    }

    /// What is in the store under this digest and was asked for by this URL, verified.
    ///
    /// # Errors
    /// When a part of it is missing or damaged.
    pub(super) fn stored(&self, url: &str, digest: Digest) -> Result<Fetched, Failure> {
        let aim = match url == self.config.source.to_string() {
            true => Aim::of_settings(&self.config),
            false => Aim::assigned(&self.config, url)?,
        };
        fetch::stored(&self.config, &self.store, aim, digest)?.bring()
    }

    /// Loads a pipeline and warms it up; one that does not load is remembered.
    ///
    /// # Errors
    /// When it does not load.
    pub(super) fn load(&self, fetched: Fetched) -> Result<Slot, Failure> {
        let digest = fetched.digest;
        let is_new = self.could_answer_without(digest) && !self.answered_before(digest);
        if is_new {
            self.store.try_out(digest)?;
        }
        let loaded = self.loaded(fetched, self.config.proving);
        if let Err(failure) = &loaded
            && is_new
            && failure.exit != Exit::Corrupt // the disk is to blame, and the pipeline may be right
            && let Err(unwritten) = self.store.refuse(digest, &exit::chain(&*failure.error))
        {
            log::warn!(target: AT_LOAD, "{}", quoted("msg", &unwritten.report()));
        }
        loaded
    }

    /// What an assignment is asked for by, before it is the aim.
    ///
    /// # Errors
    /// As [`fetch::find`].
    pub(super) fn find(&self, aim: Aim) -> Result<Found<'_>, Failure> {
        let found = fetch::find(&self.config, &self.store, aim, Voice::Log, Retry::NEVER)?;
        // What was right on the disk when the engine started need not be so today.
        self.store.forget_proofs();
        Ok(found)
    }

    /// Loads the pipeline of an assignment. Nobody stands beside it, so its known answers must hold,
    /// unless a person on the device does not want them looked at.
    ///
    /// # Errors
    /// When it does not load.
    pub(super) fn load_assigned(&self, fetched: Fetched) -> Result<Slot, Failure> {
        let proving = match self.config.proving {
            Proving::Off => Proving::Off,
            Proving::Warn | Proving::Require => Proving::Require,
        };
        self.loaded(fetched, proving)
    }

    /// Whatever the loading of a pipeline does, the one that answers must not mind.
    fn loaded(&self, fetched: Fetched, proving: Proving) -> Result<Slot, Failure> {
        let (fitting, graphs) = (self.config.fitting, Some(self.store.graphs()));
        let load = || Slot::load(fetched, &self.pool, fitting, proving, graphs);
        let loaded = catch_unwind(AssertUnwindSafe(load));
        loaded.unwrap_or_else(|_| {
            Err(Failure::new(Exit::ModelRefused, "the loading of the pipeline broke"))
        })
    }

    /// Writes down that this pipeline answers from now on.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn adopt(&self, digest: Digest) -> Result<(), Failure> {
        let source = self.aim().source;
        match &source {
            Source::Registry(_) => self.store.adopt(digest, &source),
            // Its files are not ours to keep.
            Source::Layout { .. } => Ok(()),
        }
    }

    fn could_answer_without(&self, digest: Digest) -> bool {
        self.kept().iter().any(|kept| kept.digest != digest)
    }

    fn answered_before(&self, digest: Digest) -> bool {
        self.kept().iter().any(|kept| kept.digest == digest)
    }
}
