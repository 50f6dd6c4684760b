//! The slot: where one loaded and warmed-up pipeline lives.

use super::fetch::Fetched;
use super::proof::{Proof, Proving};
use crate::disk::Stretch;
use crate::exit::{self, Exit, Failure};
use crate::logging::AT_LOAD;
use crate::oci::Digest;
use crate::pipeline::{Definition, ModelEntry, ModelKey, RUNTIME_ONNX, SideFiles};
use crate::runtime::{Beside, Flow, FlowError, LoadError, Model, Pool};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

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
    pub(super) fn load(fetched: Fetched, pool: &Pool, proving: Proving) -> Result<Slot, Failure> {
        let refused = |error: SlotError| {
            Failure::new(Exit::ModelRefused, error).hint(
                "check it with `potoroo-ops publish MODEL.onnx --layout DIR`, which loads it as \
                 the engine does, and publish a version that loads",
            )
        };
        let Fetched { digest, definition, files, beside } = fetched;
        // By the files: models of two names may be one, which is not held twice.
        let mut loaded: HashMap<(Digest, Option<&SideFiles>), Arc<Model>> = HashMap::new();
        for entry in &definition.models {
            // A definition may list models that no step runs; their files were not fetched.
            let Some(file) = files.get(&entry.key.sha) else { continue };
            runs_here(entry).map_err(refused)?;
            let beside = beside.get(&entry.key);
            if let Entry::Vacant(place) = loaded.entry((entry.key.sha, beside)) {
                let beside = beside.map(|beside| stretches(beside, &files)).unwrap_or_default();
                place.insert(Arc::new(load(&entry.key, file, beside).map_err(refused)?));
            }
        }
        let flow = Flow::new(&definition, |key| loaded[&(key.sha, beside.get(key))].clone())
            .map_err(|error| refused(SlotError::Steps(error)))?;
        warm_up(&flow, pool);
        // The last moment to refuse, at a start and before a switch.
        let proof = Proof::of(&flow, &definition, pool, proving)?;
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

/// The files beside a model, by location.
fn stretches(beside: &SideFiles, files: &HashMap<Digest, Stretch>) -> Beside {
    let file = |digest: &Digest| files.get(digest).cloned();
    let known =
        beside.iter().filter_map(|(location, digest)| Some((location.clone(), file(digest)?)));
    Beside::Known(known.collect())
}

fn load(key: &ModelKey, file: &Stretch, beside: Beside) -> Result<Model, SlotError> {
    let ModelKey { name, version, sha } = key;
    let start = Instant::now();
    let model = Model::load_stretch(file, beside).map_err(|source| SlotError::Load {
        model: name.clone(),
        version: version.clone(),
        source,
    })?;
    let ms = start.elapsed().as_millis();
    log::info!(target: AT_LOAD, "model={name:?} version={version:?} digest={sha} ms={ms}");
    Ok(model)
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
