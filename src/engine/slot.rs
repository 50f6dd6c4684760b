//! The slot: where one loaded and warmed-up pipeline lives.

use super::fetch::Fetched;
use super::journal::{Journal, Recorder};
use super::proof::{Proof, Proving};
use crate::codec::journal::Origin;
use crate::disk::Stretch;
use crate::exit::{self, Exit, Failure};
use crate::logging::{AT_LOAD, quoted};
use crate::oci::Digest;
use crate::pipeline::{Definition, ModelEntry, ModelKey, RUNTIME_ONNX, SideFiles};
use crate::runtime::{Beside, Cache, Flow, FlowError, LoadError, Model, Pool, Shortage};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of a model's file from which on its graph is kept: smaller ones load in some milliseconds,
/// which is what the reading of a graph takes.
const KEPT_BYTES_MIN: u64 = 64 << 10;

/// A pipeline that answers.
#[derive(Debug)]
pub(super) struct Slot {
    /// Of the artifact's manifest.
    pub(super) digest: Digest,
    /// The reference that it was asked for by.
    pub(super) url: String,
    /// The definition as published.
    pub(super) definition: Definition,
    /// Its steps, with their models loaded.
    pub(super) flow: Flow,
    /// What its known answers came to on this device.
    pub(super) proof: Proof,
}

/// What the expectation that a model will not fit into the memory leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitting {
    /// Nobody looks.
    Off,
    /// The model is loaded, and the log has the numbers.
    Warn,
    /// The model is not loaded.
    Require,
}

/// A model of the pipeline cannot be served.
#[derive(Debug, thiserror::Error)]
enum SlotError {
    #[error("model `{model}` (version {version}) cannot be loaded")]
    Load {
        model: String,
        version: String,
        #[source]
        source: LoadError,
    },
    #[error("model `{model}` wants the runtime `{runtime}`; this engine runs `{RUNTIME_ONNX}`")]
    Runtime { model: String, runtime: String },
    #[error("model `{model}` (version {version}) is not loaded, for lack of memory")]
    Memory {
        model: String,
        version: String,
        #[source]
        source: Shortage,
    },
    #[error("the steps of the pipeline cannot run")]
    Steps(#[source] FlowError),
}

impl Slot {
    /// What keeps its answers in a journal.
    pub(super) fn recorder(&self, journal: &Arc<Journal>) -> Recorder {
        let Definition { name, version, log, .. } = &self.definition;
        let (pipeline, version) = (name.clone(), version.clone());
        let origin = Origin { pipeline, version, digest: self.digest.to_string() };
        Recorder::new(journal.clone(), origin, log.clone())
    }

    /// Loads each model of the pipeline and runs a row of zeros through them; another pipeline may
    /// be answering meanwhile. Where there are `graphs`, they are used and kept.
    ///
    /// # Errors
    /// When a model does not load, `fitting` requires memory that is not there, or `proving` known
    /// answers that do not hold.
    pub(super) fn load(
        fetched: Fetched,
        pool: &Pool,
        fitting: Fitting,
        proving: Proving,
        graphs: Option<&Arc<Cache>>,
    ) -> Result<Slot, Failure> {
        let refused = |error: SlotError| {
            let hint = match error {
                SlotError::Memory { .. } => {
                    "give it more memory, stop other programs, publish a smaller model, or set \
                     POTOROO_MEMORY=off to try it all the same"
                }
                SlotError::Load { .. } | SlotError::Runtime { .. } | SlotError::Steps(_) => {
                    "check it with `potoroo-ops publish MODEL.onnx --layout DIR`, which loads it \
                     as the engine does, and publish a version that loads"
                }
            };
            Failure::new(Exit::ModelRefused, error).hint(hint)
        };
        let Fetched { digest, url, definition, files, beside, verification } = fetched;
        let brought = Brought { files: &files, beside: &beside };
        let loaded = load_all(&definition, brought, fitting, graphs, pool.threads());
        // Bytes that are not the model's may be why it does not load; nothing has run by now.
        verification.wait()?;
        let Loaded { models: loaded, fresh } = loaded.map_err(refused)?;
        let flow = Flow::new(&definition, |key| loaded[&(key.sha, beside.get(key))].clone())
            .map_err(|error| refused(SlotError::Steps(error)))?;
        warm_up(&flow, pool);
        // The last moment to refuse, at a start and before a switch.
        let proof = Proof::of(&flow, &definition, pool, proving)?;
        for (sha, model) in fresh {
            if let Some(graphs) = graphs {
                model.keep(&files[&sha], &sha, graphs);
            }
        }
        Ok(Slot { digest, url, definition, flow, proof })
    }
}

/// Whether the model is for the one runtime that there is here.
fn runs_here(entry: &ModelEntry) -> Result<(), SlotError> {
    if entry.runtime == RUNTIME_ONNX {
        return Ok(());
    }
    let (model, runtime) = (entry.key.name.clone(), entry.runtime.clone());
    Err(SlotError::Runtime { model, runtime })
}

/// Says that a model will hardly fit, or refuses it.
fn fits(key: &ModelKey, shortage: Option<Shortage>, fitting: Fitting) -> Result<(), SlotError> {
    let Some(shortage) = shortage else { return Ok(()) };
    let ModelKey { name, version, .. } = key;
    let refused = |shortage| {
        let (model, version) = (name.clone(), version.clone());
        Err(SlotError::Memory { model, version, source: shortage })
    };
    match fitting {
        Fitting::Off => Ok(()),
        Fitting::Warn if shortage.is_certain() => refused(shortage),
        Fitting::Warn => {
            let sentence = format!(
                "{shortage}: it is tried, and may be ended by the system; POTOROO_MEMORY=require \
                 refuses such a model, and =off says nothing of it"
            );
            let sentence = quoted("msg", &sentence);
            log::warn!(target: AT_LOAD, "model={name:?} version={version:?} {sentence}");
            Ok(())
        }
        Fitting::Require => refused(shortage),
    }
}

/// The files of a pipeline, and which of them hold weights of a model whose own file does not.
#[derive(Clone, Copy)]
struct Brought<'a> {
    files: &'a HashMap<Digest, Stretch>,
    beside: &'a HashMap<ModelKey, SideFiles>,
}

/// The files beside a model, by location.
fn stretches(beside: &SideFiles, files: &HashMap<Digest, Stretch>) -> Beside {
    let file = |digest: &Digest| files.get(digest).cloned();
    let known =
        beside.iter().filter_map(|(location, digest)| Some((location.clone(), file(digest)?)));
    Beside::Known(known.collect())
}

/// The models of a pipeline by their files: those of two names may be one, which is not held twice.
struct Loaded<'a> {
    models: HashMap<(Digest, Option<&'a SideFiles>), Arc<Model>>,
    /// Those that were loaded from their files, and whose graphs are worth to be kept.
    fresh: Vec<(Digest, Arc<Model>)>,
}

fn load_all<'a>(
    definition: &Definition,
    Brought { files, beside }: Brought<'a>,
    fitting: Fitting,
    graphs: Option<&Arc<Cache>>,
    threads: usize,
) -> Result<Loaded<'a>, SlotError> {
    let mut loaded = Loaded { models: HashMap::new(), fresh: Vec::new() };
    for entry in &definition.models {
        // A definition may list models that no step runs; their files were not fetched.
        let Some(file) = files.get(&entry.key.sha) else { continue };
        runs_here(entry)?;
        let beside = beside.get(&entry.key);
        let weights = beside.into_iter().flat_map(|beside| beside.iter());
        let weights = weights.filter_map(|(_, digest)| files.get(digest));
        // Loading tells of those that cannot be read.
        let bytes = std::iter::once(file).chain(weights).filter_map(|it| it.bytes().ok()).sum();
        fits(&entry.key, Shortage::expected(bytes), fitting)?;
        if let Entry::Vacant(place) = loaded.models.entry((entry.key.sha, beside)) {
            let ModelKey { name, version, sha } = &entry.key;
            let start = Instant::now();
            // A graph is kept by the digest of one file, which does not tell of those beside it.
            let graphs = graphs.filter(|_| beside.is_none());
            let kept = graphs.and_then(|graphs| Model::kept(file, sha, graphs, threads));
            let side_files = beside.map(|beside| stretches(beside, files)).unwrap_or_default();
            let from = if kept.is_some() { "graph" } else { "file" };
            let model = match kept {
                Some(model) => model,
                None => Model::load_stretch(file, side_files).map_err(|source| {
                    SlotError::Load { model: name.clone(), version: version.clone(), source }
                })?,
            };
            let model = place.insert(Arc::new(model));
            let ms = start.elapsed().as_millis();
            let may_be_kept = from == "file" && graphs.is_some();
            if may_be_kept && file.bytes().is_ok_and(|bytes| KEPT_BYTES_MIN <= bytes) {
                loaded.fresh.push((*sha, model.clone()));
            }
            log::info!(
                target: AT_LOAD,
                "model={name:?} version={version:?} digest={sha} from={from} ms={ms}"
            );
        }
    }
    Ok(loaded)
}

/// A model that refuses zeros may well take real rows, so the engine serves either way.
fn warm_up(flow: &Flow, pool: &Pool) {
    let start = Instant::now();
    match flow.warm_up(pool) {
        Ok(true) => log::info!(target: AT_LOAD, "warm_up=done ms={}", start.elapsed().as_millis()),
        Ok(false) => {
            log::info!(target: AT_LOAD, "warm_up=skipped msg=\"a row has no fixed shape\"")
        }
        Err(error) => log::warn!(
            target: AT_LOAD,
            "warm_up=failed msg={:?}", format!("a row of zeros is refused: {}", exit::chain(&error))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_will_not_fit_is_refused_only_where_that_is_asked_for() {
        let key = ModelKey { name: "m".into(), version: "v".into(), sha: Digest::of(b"m") };
        let shortage =
            Shortage { file_bytes: 9 << 20, wanted_bytes: 27 << 20, free_bytes: 5 << 20 };
        for fitting in [Fitting::Off, Fitting::Warn] {
            assert!(fits(&key, Some(shortage.clone()), fitting).is_ok(), "{fitting:?}");
        }
        assert!(fits(&key, None, Fitting::Require).is_ok());
        let error = fits(&key, Some(shortage), Fitting::Require).unwrap_err();
        assert_eq!(
            exit::chain(&error),
            "model `m` (version v) is not loaded, for lack of memory: the model's file has 9 MiB, \
             loading it takes some 27 MiB, and 5 MiB of memory are free"
        );
    }
}
