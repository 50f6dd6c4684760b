//! The artifact as the engine reads it: the pipeline that its config defines, and the layers that its steps run.

use super::foreign;
use crate::exit::{Exit, Failure};
use crate::logging::AT_PULL;
use crate::oci::{Descriptor, Digest, Manifest, Source, excerpt, media_type};
use crate::pipeline::{
    Definition, DefinitionError, FILE_TYPE, FILE_TYPE_SIDE, ModelKey, SideFiles, Step,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What an artifact holds, by its manifest and its config; its layers need not be here yet.
#[derive(Debug)]
pub(super) struct Artifact {
    pub(super) definition: Definition,
    /// The layers that hold the models of the steps, in the manifest's order, each once.
    pub(super) layers: Vec<Descriptor>,
    /// The files beside those of models that keep weights elsewhere; they are among the layers.
    pub(super) beside: HashMap<ModelKey, SideFiles>,
}

/// The artifact cannot be run, though all of it is there.
#[derive(Debug, thiserror::Error)]
enum ArtifactError {
    #[error("{source_url} is no pipeline that this engine runs")]
    Definition {
        source_url: String,
        #[source]
        source: DefinitionError,
    },
    #[error("the artifact has no layer for model `{model}`: no layer's digest is {digest}")]
    NoLayer { model: String, digest: Digest },
    #[error(
        "the layer {digest} is packed ({packing}: {media_type}), and a model is taken as the plain \
         file that it is"
    )]
    Packed { digest: Digest, packing: &'static str, media_type: String },
}

/// What to do about an artifact that is wrong in itself.
const PUBLISH_AGAIN: &str = "publish the pipeline again with `potoroo-ops publish`";

impl Artifact {
    /// Reads what `manifest` and its config say.
    ///
    /// # Errors
    /// When that is no pipeline, or one that names a model which is no layer.
    pub(super) fn read(
        source: &Source,
        manifest: &Manifest,
        config: &[u8],
    ) -> Result<Artifact, Failure> {
        let definition = definition(source, config, manifest)?;
        let beside = beside(&definition, manifest);
        let layers = model_layers(&definition, manifest, &beside)?;
        Ok(Artifact { definition, layers, beside })
    }
}

/// The pipeline that the config defines; for a single ONNX file of another tool, one made for it.
fn definition(source: &Source, bytes: &[u8], manifest: &Manifest) -> Result<Definition, Failure> {
    let error = match Definition::parse(bytes) {
        Ok(definition) => return Ok(definition),
        Err(error) => error,
    };
    if matches!(error, DefinitionError::NotADefinition(_))
        && let Some(definition) = foreign::definition(name(source), manifest)
    {
        log::info!(
            target: AT_PULL,
            "pipeline={:?} msg=\"no pipeline definition: the one ONNX file is served as it is\"",
            definition.name
        );
        return Ok(definition);
    }
    let error = ArtifactError::Definition { source_url: source.to_string(), source: error };
    Err(Failure::new(Exit::ModelRefused, error).hint(PUBLISH_AGAIN))
}

/// What an artifact without a name of its own is called: its repository, or its directory.
fn name(source: &Source) -> &str {
    match source {
        Source::Registry(reference) => reference.repository.last_part(),
        Source::Layout { path, .. } => {
            path.file_name().and_then(|name| name.to_str()).unwrap_or("pipeline")
        }
    }
}

/// Which layers are files beside those of the steps' models, as their annotations say.
fn beside(definition: &Definition, manifest: &Manifest) -> HashMap<ModelKey, SideFiles> {
    let mut beside: HashMap<ModelKey, SideFiles> = HashMap::new();
    let keys: HashSet<&ModelKey> = definition.steps.iter().flat_map(Step::models).collect();
    for layer in &manifest.layers {
        let annotation = |key: &str| layer.annotations.get(key).map(String::as_str);
        if annotation(FILE_TYPE) != Some(FILE_TYPE_SIDE) {
            continue;
        }
        // The location is looked up by the runtime, and never becomes a name on the disk.
        let Some(location) = annotation("filename") else { continue };
        let whose = (annotation("name"), annotation("version"));
        let of = |key: &&&ModelKey| whose == (Some(&key.name), Some(&key.version));
        for key in keys.iter().filter(of) {
            let files = beside.entry((**key).clone()).or_default();
            files.insert(location.to_owned(), layer.digest);
        }
    }
    beside
}

fn model_layers(
    definition: &Definition,
    manifest: &Manifest,
    beside: &HashMap<ModelKey, SideFiles>,
) -> Result<Vec<Descriptor>, Failure> {
    let mut wanted: BTreeSet<Digest> =
        beside.values().flat_map(SideFiles::values).copied().collect();
    for key in definition.steps.iter().flat_map(Step::models) {
        wanted.insert(key.sha);
        if !manifest.layers.iter().any(|layer| layer.digest == key.sha) {
            let error = ArtifactError::NoLayer { model: key.name.clone(), digest: key.sha };
            return Err(Failure::new(Exit::ModelRefused, error).hint(PUBLISH_AGAIN));
        }
    }
    let layers = manifest.layers.iter().filter(|layer| wanted.remove(&layer.digest));
    layers.cloned().map(unpacked).collect()
}

/// The layer, unless its media type says that it is an archive or compressed.
///
/// The original calls some plain files a tar, for tools that take no other layer.
fn unpacked(layer: Descriptor) -> Result<Descriptor, Failure> {
    let is_original = layer.annotations.contains_key(FILE_TYPE);
    match media_type::packing(&layer.media_type) {
        Some(packing) if packing != "tar" || !is_original => {
            let media_type = excerpt(&layer.media_type);
            let error = ArtifactError::Packed { digest: layer.digest, packing, media_type };
            Err(Failure::new(Exit::ModelRefused, error).hint(PUBLISH_AGAIN))
        }
        Some(_) | None => Ok(layer),
    }
}
