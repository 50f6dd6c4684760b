//! Checks each model by loading and running it as the engine does, and writes the definition.

use super::fit;
use super::recipe::{ModelRecipe, Recipe};
use crate::exit::{Exit, Failure};
use crate::oci::{Digest, Hasher};
use crate::pipeline::{
    Definition, KnownAnswers, ModelEntry, ModelKey, RUNTIME_ONNX, derived_version,
};
use crate::runtime::{Model, Shortage};
use crate::tensor::Port;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that the engine's runtime loads, with what it takes and gives.
#[derive(Debug)]
pub struct CheckedModel {
    /// Name, version, sha256 and how it is run.
    pub entry: ModelEntry,
    /// The file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// The files beside it that hold weights of the model.
    pub side_files: Vec<SideFile>,
    /// What it takes.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
}

/// A file beside a model's own, with weights that the model keeps there.
#[derive(Debug)]
pub struct SideFile {
    /// What the model calls it.
    pub location: String,
    /// The file.
    pub path: PathBuf,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes of the file.
    pub size_bytes: u64,
}

/// Loads every model, runs a row of zeros through the steps, and derives the versions.
pub(super) fn check(
    recipe: &Recipe<PathBuf>,
    known: Option<KnownAnswers>,
) -> Result<(Definition, Vec<CheckedModel>), Failure> {
    let mut checked = Vec::new();
    let mut loaded = Vec::new();
    for model in &recipe.models {
        let (model, runnable) = checked_model(model)?;
        checked.push(model);
        loaded.push(Arc::new(runnable));
    }
    let keys: Vec<ModelKey> = checked.iter().map(|model| model.entry.key.clone()).collect();
    let mut definition = Definition {
        name: recipe.name.clone(),
        version: String::new(),
        steps: recipe.steps.iter().flat_map(|step| step.published(&keys)).collect(),
        models: checked.iter().map(|model| model.entry.clone()).collect(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        known_answers: known,
        log: recipe.log.clone(),
        created: recipe.created.clone(),
    };
    let place = |key: &ModelKey| keys.iter().position(|known| known == key);
    fit::fit(&mut definition, |key| loaded[place(key).unwrap_or_default()].clone())?;
    definition.version = match &recipe.version {
        Some(version) => version.clone(),
        None => derived_version(&Digest::of(&definition.to_json())),
    };
    Ok((definition, checked))
}

fn checked_model(recipe: &ModelRecipe<PathBuf>) -> Result<(CheckedModel, Model), Failure> {
    let ModelRecipe { name, place: path, .. } = recipe;
    let digest_of = |path: &Path| {
        digest_of(path).map_err(|error| {
            let sentence =
                format!("the file of model `{name}`, {}, cannot be read: {error}", path.display());
            Failure::new(Exit::Usage, sentence)
        })
    };
    let (sha, size_bytes) = digest_of(path)?;
    if let Some(shortage) = Shortage::expected(size_bytes) {
        log::warn!("model `{name}`: {shortage}: it is tried, and may be ended by the system");
    }
    let model = Model::load(path).map_err(|source| {
        let model = name.clone();
        Failure::new(Exit::ModelRefused, CheckError::Load { model, source })
            .hint("nothing was published; export a model that loads, and publish again")
    })?;
    let mut side_files = Vec::new();
    for (location, file) in model.side_files() {
        let (location, path) = (location.clone(), file.path().to_owned());
        let (digest, size_bytes) = digest_of(&path)?;
        side_files.push(SideFile { location, path, digest, size_bytes });
    }
    let content = content(&sha, &side_files);
    let version = recipe.version.clone().unwrap_or_else(|| derived_version(&content));
    let entry = ModelEntry {
        key: ModelKey { name: name.clone(), version, sha },
        runtime: RUNTIME_ONNX.to_owned(),
        tensor_fields: recipe.tensor_fields.clone(),
    };
    fit::fields_match(&entry, &model)?;
    let (inputs, outputs) = (model.inputs().to_vec(), model.outputs().to_vec());
    let path = path.clone();
    Ok((CheckedModel { entry, path, size_bytes, side_files, inputs, outputs }, model))
}

/// What a model is: its file, and where its weights are in others, those too. Two trainings of one
/// net may have the same file, and weights of their own beside it.
fn content(sha: &Digest, side_files: &[SideFile]) -> Digest {
    if side_files.is_empty() {
        return *sha;
    }
    let mut hasher = Hasher::new();
    hasher.update(sha.hex().as_bytes());
    for SideFile { location, digest, .. } in side_files {
        hasher.update(format!("\n{} {location}", digest.hex()).as_bytes());
    }
    hasher.finish()
}

/// Why a model is not published.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("model `{model}` cannot be loaded by the engine's runtime")]
    Load {
        model: String,
        #[source]
        source: crate::runtime::LoadError,
    },
}

fn digest_of(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size_bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher.finish(), size_bytes));
        }
        hasher.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}
