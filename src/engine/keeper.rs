//! The keeper: looks what `PIPELINE_URL` leads to, fetches and loads it, and remembers how that went.

use super::config::Config;
use super::fetch::{self, Fetched, Found};
use super::slot::Slot;
use super::store::{Kept, Refused, Store};
use super::voice::Voice;
use crate::exit::{self, Exit, Failure};
use crate::logging::AT_LOAD;
use crate::oci::{Digest, Source};
use crate::registry::Retry;
use crate::runtime::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a start and every update need.
pub(super) struct Keeper {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) pool: Arc<Pool>,
}

/// The pipeline is known not to load.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline {digest} was refused before: {why}")]
struct RefusedBefore {
    digest: Digest,
    why: String,
}

impl Keeper {
    /// The pipelines that answered under this `PIPELINE_URL` before, the last one first.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.store.kept(&self.config.source)
    }

    /// What `PIPELINE_URL` is pinned to by its digest, if it is here, whole and right.
    pub(super) fn pinned(&self) -> Option<Fetched> {
        let digest = *self.config.source.digest()?;
        // Of an image index, what was chosen for this device is another manifest.
        let chosen = self.kept().into_iter().map(|kept| kept.digest);
        [digest].into_iter().chain(chosen).find_map(|digest| self.stored(digest).ok())
    }

    /// Asks what `PIPELINE_URL` leads to, and fetches it.
    ///
    /// What is known not to load is not fetched again, unless nothing else could answer.
    ///
    /// # Errors
    /// As [`fetch::find`].
    pub(super) fn fetch(&self, voice: Voice) -> Result<Fetched, Failure> {
        // Where another can answer, it does at once, and the registry is asked again later.
        let retry = if self.kept().is_empty() { Retry::EDGE } else { Retry::NEVER };
        self.bring(fetch::find(&self.config, &self.store, voice, retry)?)
    }

    /// The same, unless it is the pipeline that `answers` already: then `None`.
    ///
    /// # Errors
    /// As [`fetch::find`].
    pub(super) fn look(&self, answers: Digest, voice: Voice) -> Result<Option<Fetched>, Failure> {
        if self.config.source.digest().is_some() {
            // What answers under a digest is what it will always name.
            return Ok(None);
        }
        let found = fetch::find(&self.config, &self.store, voice, Retry::NEVER)?;
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

    /// What is in the store under this digest, verified.
    ///
    /// # Errors
    /// When a part of it is missing or damaged.
    pub(super) fn stored(&self, digest: Digest) -> Result<Fetched, Failure> {
        fetch::stored(&self.config, &self.store, digest)?.bring()
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
        // Whatever the loading of a new pipeline does, the one that answers must not mind.
        let Config { fitting, proving, .. } = *self.config;
        let graphs = Some(self.store.graphs());
        let load = || Slot::load(fetched, &self.pool, fitting, proving, graphs);
        let loaded = catch_unwind(AssertUnwindSafe(load));
        let loaded = loaded.unwrap_or_else(|_| {
            Err(Failure::new(Exit::ModelRefused, "the loading of the pipeline broke"))
        });
        if let Err(failure) = &loaded
            && is_new
            && failure.exit != Exit::Corrupt // the disk is to blame, and the pipeline may be right
            && let Err(unwritten) = self.store.refuse(digest, &exit::chain(&*failure.error))
        {
            log::warn!(target: AT_LOAD, "{}", crate::logging::quoted("msg", &unwritten.report()));
        }
        loaded
    }

    /// Writes down that this pipeline answers from now on.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn adopt(&self, digest: Digest) -> Result<(), Failure> {
        match &self.config.source {
            Source::Registry(_) => self.store.adopt(digest, &self.config.source),
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
