//! The slot: where one loaded and warmed-up pipeline lives.

use super::fetch::Fetched;
use super::proof::{Proof, Proving};
use crate::disk::Stretch;
use crate::exit::{self, Exit, Failure};
use crate::logging::AT_LOAD;
use crate::oci::Digest;
use crate::pipeline::{Definition, ModelEntry, ModelKey, RUNTIME_ONNX};
use crate::runtime::{Cache, Flow, FlowError, LoadError, Model, Pool};
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
    /// The definition as published.
    pub(super) definition: Definition,
    /// Its steps, with their models loaded.
    pub(super) flow: Flow,
    /// What its known answers came to on this device.
    pub(super) proof: Proof,
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
    #[error("the steps of the pipeline cannot run")]
    Steps(#[source] FlowError),
}

impl Slot {
    /// Loads each model of the pipeline and runs a row of zeros through them; another pipeline may
    /// be answering meanwhile.
    ///
    /// # Errors
    /// When a model does not load, or `proving` requires known answers that do not hold.
    pub(super) fn load(
        fetched: Fetched,
        pool: &Pool,
        proving: Proving,
        graphs: &Arc<Cache>,
    ) -> Result<Slot, Failure> {
        let refused = |error: SlotError| {
            Failure::new(Exit::ModelRefused, error).hint(
                "check it with `potoroo-ops publish MODEL.onnx --layout DIR`, which loads it as \
                 the engine does, and publish a version that loads",
            )
        };
        let Fetched { digest, definition, files, verification } = fetched;
        let loaded = load_all(&definition, &files, graphs, pool.threads());
        // Bytes that are not the model's may be why it does not load; nothing has run by now.
        verification.wait()?;
        let Loaded { models: loaded, fresh } = loaded.map_err(refused)?;
        let flow = Flow::new(&definition, |key| loaded[&key.sha].clone())
            .map_err(|error| refused(SlotError::Steps(error)))?;
        warm_up(&flow, pool);
        // The last moment to refuse, at a start and before a switch.
        let proof = Proof::of(&flow, &definition, pool, proving)?;
        for (sha, model) in fresh {
            model.keep(&files[&sha], &sha, graphs);
        }
        Ok(Slot { digest, definition, flow, proof })
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

/// The models of a pipeline by their files: those of two names may be one, which is not held twice.
struct Loaded {
    models: HashMap<Digest, Arc<Model>>,
    /// Those that were loaded from their files, and whose graphs are worth to be kept.
    fresh: Vec<(Digest, Arc<Model>)>,
}

fn load_all(
    definition: &Definition,
    files: &HashMap<Digest, Stretch>,
    graphs: &Arc<Cache>,
    threads: usize,
) -> Result<Loaded, SlotError> {
    let mut loaded = Loaded { models: HashMap::new(), fresh: Vec::new() };
    for entry in &definition.models {
        // A definition may list models that no step runs; their files were not fetched.
        let Some(file) = files.get(&entry.key.sha) else { continue };
        runs_here(entry)?;
        if let Entry::Vacant(place) = loaded.models.entry(entry.key.sha) {
            let ModelKey { name, version, sha } = &entry.key;
            let start = Instant::now();
            let kept = Model::kept(file, sha, graphs, threads);
            let from = if kept.is_some() { "graph" } else { "file" };
            let model = match kept {
                Some(model) => model,
                None => Model::load_stretch(file).map_err(|source| SlotError::Load {
                    model: name.clone(),
                    version: version.clone(),
                    source,
                })?,
            };
            let model = place.insert(Arc::new(model));
            let ms = start.elapsed().as_millis();
            if from == "file" && file.bytes().is_ok_and(|bytes| KEPT_BYTES_MIN <= bytes) {
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
