//! The store: the pipelines in the persistent directory, which of them answers, and which did before.

mod assigned;
mod lock;
mod state;

pub(super) use assigned::{Assigned, Before, Followed};
pub(super) use lock::FILE as LOCK;
pub(super) use state::{COPY as STATE_COPY, FILE as STATE, Kept, Refused};

use super::watch::Rates;
use crate::clock::{Clock, rfc3339};
use crate::disk;
use crate::exit::{Exit, Failure};
use crate::fleet::Assignment;
use crate::logging::AT_START;
use crate::oci::{Descriptor, Digest, Source, Tag};
use crate::registry::{self, Layout, Swept};
use crate::runtime::Cache;
use lock::Lock;
use state::{State, Trying};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The image layout with everything that was fetched.
pub(super) const LAYOUT: &str = "store";

/// The graphs of models, as they were loaded; all of it may be deleted at any time.
pub(super) const GRAPHS: &str = "graphs";

/// How often a new pipeline may end the engine while it is loaded, before the one that did answer
/// is served instead: once and twice may be a power cut, three times is the pipeline.
const TRIES_MAX: u32 = 3;

/// The pipeline of an assignment, which answers.
#[derive(Debug)]
pub(super) struct Adopted<'a> {
    pub(super) digest: Digest,
    pub(super) source: &'a Source,
    pub(super) assignment: &'a Assignment,
    /// `PIPELINE_URL`.
    pub(super) home: &'a Source,
    /// What the pipeline before it came to.
    pub(super) usual: Rates,
}

/// The persistent directory, held by one engine at a time.
pub(super) struct Store {
    directory: PathBuf,
    layout: Layout,
    state: Mutex<State>,
    /// Whether the state file could be read: without it, it is not known what is of use.
    is_known: bool,
    /// What the loading of models came to, for the next start.
    graphs: Arc<Cache>,
    /// Blobs that were read through and found right since the engine started.
    proven: Mutex<BTreeSet<Digest>>,
    clock: Arc<dyn Clock>,
    _lock: Option<Lock>,
}

impl Store {
    /// Takes the directory for this process, until it ends; what is missing is made.
    ///
    /// # Errors
    /// When another engine has it, or it cannot be used.
    pub(super) fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Store, Failure> {
        let lock = lock::take(directory)?;
        let layout = sound(&directory.join(LAYOUT))?;
        Store::with(directory, layout, clock, Some(lock))
    }

    /// Looks into the directory without taking it; `None` when nothing was ever stored there.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub(super) fn look(directory: &Path, clock: Arc<dyn Clock>) -> Result<Option<Store>, Failure> {
        let path = directory.join(LAYOUT);
        if !path.exists() {
            return Ok(None);
        }
        Store::with(directory, Layout::open(&path)?, clock, None).map(Some)
    }

    fn with(
        directory: &Path,
        layout: Layout,
        clock: Arc<dyn Clock>,
        lock: Option<Lock>,
    ) -> Result<Store, Failure> {
        let read = State::read(directory);
        let is_known = read.is_ok();
        let state = read.unwrap_or_else(|error| {
            // What is stored can still be told by its digest, so this costs a look at the registry.
            log::warn!(
                target: AT_START,
                "msg={:?}",
                format!("it is not known which pipelines were served: {}", crate::exit::chain(&error))
            );
            State::default()
        });
        Ok(Store {
            directory: directory.to_owned(),
            graphs: Arc::new(Cache::new(directory.join(GRAPHS))),
            layout,
            state: Mutex::new(state),
            is_known,
            proven: Mutex::default(),
            clock,
            _lock: lock,
        })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn graphs(&self) -> &Arc<Cache> {
        &self.graphs
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The pipeline that answered last, and the one before it.
    pub(super) fn current_and_previous(&self) -> (Option<Kept>, Option<Kept>) {
        let state = self.state();
        (state.current.clone(), state.previous.clone())
    }

    /// The pipelines that answered under this URL, the last one first.
    pub(super) fn kept(&self, source: &Source) -> Vec<Kept> {
        let url = source.to_string();
        let (current, previous) = self.current_and_previous();
        [current, previous].into_iter().flatten().filter(|kept| kept.url == url).collect()
    }

    /// Sees that a blob is there and right; what was read through once is not read again.
    ///
    /// Whoever asks for a blob that is being read waits for that.
    ///
    /// # Errors
    /// As [`Layout::verify_blob`].
    pub(super) fn verify(&self, blob: &Descriptor) -> Result<(), registry::Error> {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if !proven.contains(&blob.digest) {
            let proof = self.layout.verify_blob(blob)?;
            proven.insert(*proof.digest());
        }
        Ok(())
    }

    /// Whether the blob was read through since the engine started, and was right.
    pub(super) fn has_proven(&self, digest: &Digest) -> bool {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// These blobs were verified while they came.
    pub(super) fn brought(&self, blobs: &[Descriptor]) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.extend(blobs.iter().map(|blob| blob.digest));
    }

    /// Forgets what was read through: a disk that was right an hour ago is asked again.
    pub(super) fn forget_proofs(&self) {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the blob is there and right; one that is damaged is taken away.
    ///
    /// # Errors
    /// When the disk does not do its part.
    pub(super) fn has(&self, blob: &Descriptor) -> Result<bool, registry::Error> {
        if !self.layout.has_blob(blob)? {
            return Ok(false);
        }
        match self.verify(blob) {
            Ok(()) => Ok(true),
            Err(error) => {
                log::warn!(
                    target: AT_START,
                    "digest={} msg=\"damaged on disk, to be fetched again\" cause={:?}",
                    blob.digest, crate::exit::chain(&error)
                );
                self.layout.discard_blob(&blob.digest)?;
                Ok(false)
            }
        }
    }

    /// Stores a manifest, under a tag made of its digest, since tags of two repositories may be the
    /// same, and for people also under the `tag` that they know.
    ///
    /// # Errors
    /// As [`Layout::put_manifest`].
    pub(super) fn put_manifest(
        &self,
        manifest: &registry::Fetched,
        tag: Option<&Tag>,
    ) -> Result<(), Failure> {
        let blob = Descriptor::of(&manifest.manifest.media_type, &manifest.bytes);
        self.has(&blob)?;
        let own = format!("pipeline-{}", blob.digest.hex());
        let own: Tag = own.parse().map_err(|error| Failure::new(Exit::Failed, error))?;
        for tag in [Some(&own), tag].into_iter().flatten() {
            self.layout.put_manifest(tag, &manifest.bytes)?;
        }
        Ok(())
    }

    /// Writes down that this pipeline is the one that answers; the one before it is kept.
    ///
    /// # Errors
    /// When that cannot be written; then nothing has changed.
    pub(super) fn adopt(&self, digest: Digest, source: &Source) -> Result<(), Failure> {
        let kept = self.kept_now(digest, source);
        self.change(|state| state.adopt(kept))
    }

    fn kept_now(&self, digest: Digest, source: &Source) -> Kept {
        Kept { digest, url: source.to_string(), since: rfc3339(self.clock.since_epoch()) }
    }

    /// Where pipelines are asked for, if not at `PIPELINE_URL`.
    pub(super) fn followed(&self) -> Option<Followed> {
        self.state().followed.clone()
    }

    /// The newest assignment, and how it stands.
    pub(super) fn assigned(&self) -> Option<Assigned> {
        self.state().assigned.clone()
    }

    /// Writes down what the start with this `PIPELINE_URL` means for what was assigned before.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn started(&self, home: &Source) -> Result<(), Failure> {
        self.change(|state| state.started(&home.to_string()))
    }

    /// Writes down that an assignment is about to be loaded, or that it ended the engine too often;
    /// gives how it stands.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn attempt(
        &self,
        assignment: &Assignment,
        home: &Source,
    ) -> Result<Option<Assigned>, Failure> {
        self.change(|state| state.attempt(assignment, &home.to_string()))?;
        Ok(self.assigned())
    }

    /// Writes down, in one, that the pipeline of an assignment answers from now on, and the way back
    /// to the one that did until now; where that is one of the store.
    ///
    /// # Errors
    /// When that cannot be written; then nothing has changed.
    pub(super) fn switch(&self, new: Adopted<'_>, live: Digest) -> Result<(), Failure> {
        let Adopted { digest, source, assignment, home, usual } = new;
        let kept = self.kept_now(digest, source);
        self.change(|state| {
            let live = state.current.clone().filter(|it| it.digest == live);
            state.switch(kept, live, assignment, &home.to_string(), usual);
        })
    }

    /// Writes down that the pipeline of an assignment is the one that answers already.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn unchanged(&self, new: Adopted<'_>) -> Result<(), Failure> {
        let Adopted { digest, source, assignment, home, .. } = new;
        let kept = self.kept_now(digest, source);
        self.change(|state| state.unchanged(kept, assignment, &home.to_string()))
    }

    /// Writes down why an assignment came to nothing.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn fail(
        &self,
        assignment: &Assignment,
        home: &Source,
        reason: &str,
    ) -> Result<(), Failure> {
        self.change(|state| state.fail(assignment, &home.to_string(), reason))
    }

    /// Writes down that what was watched works.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        self.change(State::settle)
    }

    /// Writes down that what was before an assignment answers again, and why.
    ///
    /// # Errors
    /// When that cannot be written; then nothing has changed.
    pub(super) fn revert(&self, reason: &str) -> Result<(), Failure> {
        self.change(|state| state.revert(reason))
    }

    /// What is known against a pipeline: this engine could not load it before.
    pub(super) fn refused(&self, digest: &Digest) -> Option<Refused> {
        let state = self.state();
        if let Some(Trying { times, .. }) =
            state.trying.as_ref().filter(|it| it.digest == *digest && it.times >= TRIES_MAX)
        {
            let why = format!("the engine ended {times} times while it loaded it");
            return Some(Refused { digest: *digest, engine: state::ENGINE.to_owned(), why });
        }
        state.refused.clone().filter(|it| it.digest == *digest && it.engine == state::ENGINE)
    }

    /// Writes down that a pipeline does not load, so that no start tries it again.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn refuse(&self, digest: Digest, why: &str) -> Result<(), Failure> {
        self.change(|state| state.refuse(digest, why))
    }

    /// Writes down that a pipeline is being loaded for the first time: if that ends the engine,
    /// by lack of memory for one, it is to be known at the next start.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn try_out(&self, digest: Digest) -> Result<(), Failure> {
        self.change(|state| state.try_out(digest))
    }

    /// Lifts what is known against any pipeline: a person asked for another try.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(super) fn pardon(&self) -> Result<(), Failure> {
        self.change(State::pardon)
    }

    /// Takes away what neither the current nor the previous pipeline needs.
    ///
    /// Nothing may be fetched into the store meanwhile.
    ///
    /// # Errors
    /// When the current pipeline cannot be read, or the disk does not do its part.
    pub(super) fn collect(&self) -> Result<Swept, Failure> {
        let (current, previous) = self.current_and_previous();
        if current.is_none() && !self.is_known {
            let sentence = "it is not known which pipelines are of use: nothing is taken away";
            return Err(Failure::new(Exit::Corrupt, sentence).hint(
                "start the engine with the registry in reach, or run `potoroo-engine pull`",
            ));
        }
        let mut needed = BTreeSet::new();
        if let Some(current) = current {
            needed.extend(self.layout.needed_by(&[current.digest])?);
        }
        if let Some(previous) = previous {
            match self.layout.needed_by(&[previous.digest]) {
                Ok(more) => needed.extend(more),
                Err(error) => {
                    // What it needs cannot be told any more, so it is of no use to anyone.
                    let why = crate::exit::chain(&error);
                    log::warn!(target: AT_START, "digest={} msg=\"the previous pipeline is given up\" cause={why:?}", previous.digest);
                    self.change(State::forget_previous)?;
                }
            }
        }
        let assigned = self.assigned();
        let before = assigned.as_ref().and_then(Assigned::before).and_then(|it| it.kept.as_ref());
        if let Some(before) = before {
            // Where what is watched may have to go back to.
            needed.extend(self.layout.needed_by(&[before.digest])?);
        }
        let mut swept = self.layout.sweep(&needed)?;
        let (files, bytes) = self.graphs.sweep(&needed).map_err(disk_failure)?;
        swept += Swept { files, bytes };
        swept.files += disk::sweep(&self.directory).map_err(disk_failure)? as u64;
        Ok(swept)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state on disk, then in memory; a change that changes nothing writes nothing.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Failure> {
        let mut state = self.state();
        let mut changed = state.clone();
        change(&mut changed);
        if changed != *state {
            changed.write(&self.directory).map_err(disk_failure)?;
            *state = changed;
        }
        Ok(())
    }
}

/// The layout; where what makes it one is damaged, that is made anew, and the blobs are kept.
fn sound(path: &Path) -> Result<Layout, Failure> {
    match Layout::create(path).and_then(|layout| layout.needed_by(&[]).map(|_| layout)) {
        Ok(layout) => Ok(layout),
        Err(error @ registry::Error::NotALayout { .. }) => {
            log::warn!(
                target: AT_START,
                "cause={:?} msg=\"the store is made anew around its blobs\"",
                crate::exit::chain(&error)
            );
            Ok(Layout::renew(path)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn disk_failure(error: disk::Error) -> Failure {
    registry::Error::from(error).into()
}
