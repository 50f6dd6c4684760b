//! What a pipeline shows for itself: who signed it, and whether its known answers hold on this device.

use super::Found;
use super::finding::{Finding, Level};
use crate::engine::artifact::Artifact;
use crate::engine::config::{Partial, Policy, Proving, Trust};
use crate::engine::fetch::Fetched as Brought;
use crate::engine::proof::Proof;
use crate::engine::slot::{Fitting, Slot};
use crate::engine::trust;
use crate::engine::verification::Verification;
use crate::exit::{Exit, Failure, chain};
use crate::oci::{CONFIG_BYTES_MAX, Source};
use crate::registry::signature::Place;
use crate::registry::{Fetched, Remote, Shelf};
use crate::runtime::Pool;
use std::sync::mpsc;
use std::time::Duration;

/// How long loading and proving may take: a large net on a small board needs longer, and its engine
/// says in the log and on its page what came of it.
pub(super) const PROVING_MAX: Duration = Duration::from_secs(30);

/// Threads that compute: there may be an engine beside us, which has work to do.
const PROVING_CPUS: usize = 1;

/// What to do about known answers that do not hold.
const DIFFERS: &str = "compare processor and engine version with the publisher's; \
    POTOROO_KNOWN_ANSWERS says what a difference leads to";

/// The pipeline that an engine would serve, as far as it could be reached.
pub(super) struct Shown {
    pub(super) fetched: Fetched,
    /// The registry, where it answers.
    pub(super) place: Option<Remote>,
    /// Where its blobs are or would be on this device.
    pub(super) shelf: Option<Shelf>,
    /// Whether they are all there and sound.
    pub(super) is_whole: bool,
}

impl Shown {
    /// Where signatures may be found beside those that are kept.
    fn place(&self, source: &Source) -> Option<&dyn Place> {
        match source {
            Source::Registry(_) => self.place.as_ref().map(|it| it as &dyn Place),
            Source::Layout { .. } => self.shelf.as_ref().map(Shelf::place),
        }
    }
}

/// Whether somebody who is trusted has signed it.
pub(super) fn signatures(settings: &Partial, source: &Source, shown: &Shown, found: Found<'_>) {
    let (policy, keys) = match &settings.trust {
        Trust::Off => {
            let finding = "none is asked for: anything that the registry gives is run";
            return found(Finding::ok("signatures", finding));
        }
        Trust::Keys { policy, keys } => (policy, keys),
    };
    let digest = &shown.fetched.digest;
    // Without a directory nothing is kept, and there is nothing to look into.
    let persist = settings.persist.clone().unwrap_or_default();
    let looked = trust::looked_for(source, &persist, keys, digest, shown.place(source));
    found(match looked {
        Ok((by, _)) => {
            let finding = format!("{digest} is signed by the key {} ({})", by.key, by.form);
            Finding::ok("signatures", finding)
        }
        Err(failure) => {
            let level = match policy {
                Policy::Require => Level::Fail,
                Policy::Warn => Level::Warn,
            };
            told("signatures", level, failure)
        }
    });
}

/// Whether this device computes what the publisher did.
pub(super) fn answers(
    settings: &Partial,
    source: &Source,
    shown: Shown,
    fits: bool,
    found: Found<'_>,
) {
    let proving = settings.proving;
    found(match brought(source, shown) {
        Err(failure) => told("pipeline", Level::Fail, failure),
        Ok(None) => Finding::ok("answers", "the pipeline is not fetched yet, nor computed"),
        Ok(Some(brought)) => match &brought.definition.known_answers {
            None => Finding::ok(
                "answers",
                "the pipeline brings none that are known: `potoroo-ops publish --known-answers` \
                 makes them",
            ),
            Some(_) if proving == Proving::Off => {
                let finding = "they are not computed, as POTOROO_KNOWN_ANSWERS has it";
                Finding::ok("answers", finding)
            }
            Some(_) if !fits => Finding::warn(
                "answers",
                "they are not computed: the memory does not do for the models, as said above",
                "stop other programs, or look at the engine's page, which shows them",
            ),
            Some(_) => proven(brought, proving),
        },
    });
}

/// The pipeline with its files, if all are on this device.
fn brought(source: &Source, shown: Shown) -> Result<Option<Brought>, Failure> {
    let Shown { fetched, shelf, is_whole, .. } = shown;
    let (Some(shelf), true) = (shelf, is_whole) else { return Ok(None) };
    let config = shelf.read_blob(&fetched.manifest.config, CONFIG_BYTES_MAX)?;
    let Artifact { definition, layers, beside } =
        Artifact::read(source, &fetched.manifest, &config)?;
    let files = layers.iter().map(|layer| Ok((layer.digest, shelf.blob_stretch(&layer.digest)?)));
    let files = files.collect::<Result<_, crate::registry::Error>>()?;
    let verification = Verification::on(shelf, layers)?;
    let (digest, url) = (fetched.digest, source.to_string());
    Ok(Some(Brought { digest, url, definition, files, beside, verification }))
}

/// Loads the models and computes the rows, on a thread that is left behind when it takes too long.
fn proven(brought: Brought, proving: Proving) -> Finding {
    let (sender, receiver) = mpsc::channel();
    let work = move || -> Result<Proof, Failure> {
        let pool = Pool::start(PROVING_CPUS).map_err(|error| Failure::new(Exit::Failed, error))?;
        // Whether the models fit was asked before; what differs is told by us, and by its kind.
        Slot::load(brought, &pool, Fitting::Off, Proving::Warn, None).map(|slot| slot.proof)
    };
    let spawned = std::thread::Builder::new().name("prove".into()).spawn(move || {
        let _ = sender.send(work()); // nobody listens any more when it was late
    });
    if let Err(error) = spawned {
        return Finding::warn("answers", format!("they are not computed: {error}"), DIFFERS);
    }
    match receiver.recv_timeout(PROVING_MAX) {
        Ok(Err(failure)) => told("models", Level::Fail, failure),
        Ok(Ok(proof)) => match proof.sentence() {
            None => Finding::ok("answers", proof.lines().join("; ")),
            Some(sentence) => {
                let level = match proving {
                    Proving::Require => Level::Fail,
                    Proving::Warn | Proving::Off => Level::Warn,
                };
                Finding::new("answers", level, sentence, DIFFERS)
            }
        },
        Err(mpsc::RecvTimeoutError::Timeout) => {
            let seconds = PROVING_MAX.as_secs();
            let finding = format!("they were not computed within {seconds} s, and left alone then");
            Finding::ok("answers", finding)
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Finding::warn("answers", "computing them broke the thread that did it", DIFFERS)
        }
    }
}

fn told(check: &'static str, level: Level, failure: Failure) -> Finding {
    let remedy = failure.hint.unwrap_or_else(|| "see what the engine says at its start".into());
    Finding::new(check, level, chain(&*failure.error), remedy)
}
