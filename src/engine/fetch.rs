//! Fetches the pipeline: from a registry into the store, or in place from an image layout.

use super::config::Config;
use super::foreign;
use super::progress::Progress;
use super::trust;
use crate::disk::Stretch;
use crate::exit::{Exit, Failure};
use crate::http::client::Timeouts;
use crate::logging::{AT_PULL, announce};
use crate::oci::{CONFIG_BYTES_MAX, Descriptor, Digest, Manifest, Reference, Source, Tag, Version};
use crate::pipeline::{Definition, DefinitionError, Step};
use crate::registry::{Action, Layout, Pushed, Remote, Shelf, Transport};
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// A pipeline whose files are on this device, whole and verified.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) definition: Definition,
    /// The file of each model that a step runs.
    pub(super) files: HashMap<Digest, Stretch>,
}

/// The artifact cannot be run, though all of it is there.
#[derive(Debug, thiserror::Error)]
enum ArtifactError {
    #[error("{pipeline_url} is no pipeline that this engine runs")]
    Definition {
        pipeline_url: String,
        #[source]
        source: DefinitionError,
    },
    #[error("the artifact has no layer for model `{model}`: no layer's digest is {digest}")]
    NoLayer { model: String, digest: Digest },
}

/// What to do about an artifact that is wrong in itself.
const PUBLISH_AGAIN: &str = "publish the pipeline again with `potoroo-ops publish`";

/// Brings the pipeline onto the device and says so in the contract's lines.
///
/// # Errors
/// Each cause with an exit code of its own: see [`Exit`].
pub(super) fn fetch(config: &Config, store: &Layout) -> Result<Fetched, Failure> {
    match &config.source {
        Source::Registry(reference) => from_registry(config, reference, store),
        Source::Layout { path, version } => {
            announce_manifest(config);
            let shelf = Shelf::open(path)?;
            let fetched = shelf.manifest(version.as_ref())?;
            trust::accept(config, store, &fetched.digest, Some(shelf.place()))?;
            let config_bytes = shelf.read_blob(&fetched.manifest.config, CONFIG_BYTES_MAX)?;
            let definition = definition(config, &config_bytes, &fetched.manifest)?;
            let layers = model_layers(&definition, &fetched.manifest)?;
            announce("Fetching model layers");
            for layer in &layers {
                announce_layer(layer);
                let _proof = shelf.verify_blob(layer)?;
                announce("Fetched");
            }
            Ok(Fetched { definition, files: files(&shelf, &layers)? })
        }
    }
}

fn from_registry(
    config: &Config,
    reference: &Reference,
    store: &Layout,
) -> Result<Fetched, Failure> {
    let transport = Transport::new(Timeouts::EDGE, config.plain_http.clone());
    let (registry, repository) = (reference.registry.clone(), reference.repository.clone());
    let remote = Remote::new(transport, registry, repository, config.credentials.clone());
    remote.login(Action::Pull)?;
    if config.credentials.is_some() {
        announce("Login Succeeded");
    }
    announce_manifest(config);
    let fetched = remote.manifest(&reference.version)?;
    log::info!(target: AT_PULL, "ref={reference} digest={}", fetched.digest);
    trust::accept(config, store, &fetched.digest, Some(&remote))?;
    let manifest = &fetched.manifest;
    store_blob(&remote, &manifest.config, store, &mut |_| ())?;
    let config_bytes = store.read_blob(&manifest.config, CONFIG_BYTES_MAX)?;
    let definition = definition(config, &config_bytes, manifest)?;
    let layers = model_layers(&definition, manifest)?;
    announce("Fetching model layers");
    for layer in &layers {
        announce_layer(layer);
        pull_layer(&remote, layer, store)?;
        announce("Fetched");
    }
    store.put_manifest(&stored_tag(&reference.version)?, &fetched.bytes)?;
    Ok(Fetched { definition, files: files(&Shelf::Directory(store.clone()), &layers)? })
}

fn pull_layer(remote: &Remote, layer: &Descriptor, store: &Layout) -> Result<(), Failure> {
    let Descriptor { digest, size, .. } = layer;
    let start = Instant::now();
    let mut progress = Progress::start(&digest.to_string(), *size);
    match store_blob(remote, layer, store, &mut |bytes| progress.at(bytes))? {
        Pushed::AlreadyThere => {
            log::info!(target: AT_PULL, "digest={digest} bytes={size} msg=\"already there\"");
        }
        Pushed::Sent => {
            progress.done();
            let ms = start.elapsed().as_millis();
            log::info!(target: AT_PULL, "digest={digest} bytes={size} ms={ms}");
        }
    }
    Ok(())
}

/// Brings a blob into the store, unless it is there and still what its digest says.
fn store_blob(
    remote: &Remote,
    blob: &Descriptor,
    store: &Layout,
    progress: &mut dyn FnMut(u64),
) -> Result<Pushed, Failure> {
    if store.has_blob(blob)? && store.verify_blob(blob).is_err() {
        log::warn!(target: AT_PULL, "digest={} msg=\"damaged on disk, fetched again\"", blob.digest);
        store.discard_blob(&blob.digest)?;
    }
    Ok(store.put_blob(blob, &mut |into| remote.blob(blob, into, progress))?)
}

/// The name of a manifest in the store: its tag, or one made of the digest that pins it.
fn stored_tag(version: &Version) -> Result<Tag, Failure> {
    let tag = match version {
        Version::Tag(tag) | Version::Pinned { tag, .. } => return Ok(tag.clone()),
        Version::Digest(digest) => format!("sha256-{}", digest.hex()),
    };
    tag.parse().map_err(|error| Failure::new(Exit::Failed, error))
}

/// The pipeline that the config defines; for a single ONNX file of another tool, one made for it.
fn definition(config: &Config, bytes: &[u8], manifest: &Manifest) -> Result<Definition, Failure> {
    let error = match Definition::parse(bytes) {
        Ok(definition) => return Ok(definition),
        Err(error) => error,
    };
    if matches!(error, DefinitionError::NotADefinition(_))
        && let Some(definition) = foreign::definition(artifact_name(&config.source), manifest)
    {
        log::info!(
            target: AT_PULL,
            "pipeline={:?} msg=\"no pipeline definition: the one ONNX file is served as it is\"",
            definition.name
        );
        return Ok(definition);
    }
    let pipeline_url = config.pipeline_url.clone();
    let error = ArtifactError::Definition { pipeline_url, source: error };
    Err(Failure::new(Exit::ModelRefused, error).hint(PUBLISH_AGAIN))
}

/// What an artifact without a name of its own is called: its repository, or its directory.
fn artifact_name(source: &Source) -> &str {
    match source {
        Source::Registry(reference) => reference.repository.last_part(),
        Source::Layout { path, .. } => {
            path.file_name().and_then(|name| name.to_str()).unwrap_or("pipeline")
        }
    }
}

/// The layers that hold the models of the steps, in the manifest's order, each once.
fn model_layers(definition: &Definition, manifest: &Manifest) -> Result<Vec<Descriptor>, Failure> {
    let mut wanted = BTreeSet::new();
    for Step::ModelInference(keys) in &definition.steps {
        let Some(key) = keys.first() else { continue };
        wanted.insert(key.sha);
        if !manifest.layers.iter().any(|layer| layer.digest == key.sha) {
            let error = ArtifactError::NoLayer { model: key.name.clone(), digest: key.sha };
            return Err(Failure::new(Exit::ModelRefused, error).hint(PUBLISH_AGAIN));
        }
    }
    let layers = manifest.layers.iter().filter(|layer| wanted.remove(&layer.digest));
    Ok(layers.cloned().collect())
}

fn files(shelf: &Shelf, layers: &[Descriptor]) -> Result<HashMap<Digest, Stretch>, Failure> {
    let file = |layer: &Descriptor| Ok((layer.digest, shelf.blob_stretch(&layer.digest)?));
    layers.iter().map(file).collect()
}

fn announce_manifest(config: &Config) {
    announce(&format!("Fetching manifest and config for pipeline: {}", config.pipeline_url));
}

/// The contract's lines for a layer, the empty one at their end included.
fn announce_layer(layer: &Descriptor) {
    announce(&layer_lines(layer));
}

fn layer_lines(layer: &Descriptor) -> String {
    let annotation = |key: &str| layer.annotations.get(key).map_or("null", String::as_str);
    format!(
        "digest: {}\n  filename: {}\n  name: {}\n  type: {}\n  runtime: {}\n  version: {}\n",
        layer.digest,
        annotation("filename"),
        annotation("name"),
        annotation("wallaroo_file_type"),
        annotation("runtime"),
        annotation("version"),
    )
}
