//! The published artifact: an OCI image manifest in the layout that the original's engine reads.

use super::check::{CheckedModel, SideFile};
use crate::oci::{Descriptor, Digest, Manifest, TITLE, media_type};
use crate::pipeline::{Definition, FILE_TYPE, FILE_TYPE_MODEL, FILE_TYPE_SIDE, ModelEntry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All bytes of a publish but the models', which stay in their files.
#[derive(Debug)]
pub(in crate::ops) struct Artifact {
    pub(in crate::ops) config: Vec<u8>,
    pub(in crate::ops) manifest: Manifest,
    pub(in crate::ops) manifest_bytes: Vec<u8>,
    files: Vec<PathBuf>,
}

/// A model's file, as a layer is made of it.
#[derive(Debug)]
pub(in crate::ops) struct ModelFile<'a> {
    /// Name, version, sha256 and how it is run.
    pub(in crate::ops) entry: &'a ModelEntry,
    /// The file.
    pub(in crate::ops) path: PathBuf,
    /// Bytes of the file.
    pub(in crate::ops) size_bytes: u64,
    /// The files beside it that hold weights of it.
    pub(in crate::ops) side_files: &'a [SideFile],
}

impl<'a> From<&'a CheckedModel> for ModelFile<'a> {
    fn from(model: &'a CheckedModel) -> ModelFile<'a> {
        let CheckedModel { entry, path, size_bytes, side_files, .. } = model;
        ModelFile { entry, path: path.clone(), size_bytes: *size_bytes, side_files }
    }
}

impl Artifact {
    /// The digest of the manifest, which names the publish for good.
    pub(in crate::ops) fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }

    /// Each layer with the file that holds it.
    pub(in crate::ops) fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Path)> {
        self.manifest.layers.iter().zip(self.files.iter().map(PathBuf::as_path))
    }

    /// The manifest as signatures name it.
    pub(in crate::ops) fn descriptor(&self) -> Descriptor {
        let bytes = self.manifest_bytes.len() as u64;
        Descriptor::new(media_type::MANIFEST, self.digest(), bytes)
    }

    /// Bytes of all its parts.
    pub(in crate::ops) fn bytes(&self) -> u64 {
        let layers: u64 = self.manifest.layers.iter().map(|layer| layer.size).sum();
        layers + self.manifest.config.size + self.manifest_bytes.len() as u64
    }
}

/// The artifact of this pipeline, whose `config` is the definition's JSON: the same definition and
/// files give the same bytes.
pub(in crate::ops) fn build<'a>(
    definition: &Definition,
    config: Vec<u8>,
    models: impl IntoIterator<Item = ModelFile<'a>>,
) -> Result<Artifact, crate::oci::ManifestError> {
    let mut layers: Vec<Descriptor> = Vec::new();
    let mut files = Vec::new();
    for model in models {
        // Two models may share one file: it travels once.
        if !layers.iter().any(|layer| layer.digest == model.entry.key.sha) {
            layers.push(layer(&model));
            files.push(model.path.clone());
        }
        // A blob that is named twice is one: what differs is whose it is, and by what name.
        for file in model.side_files {
            layers.push(side_layer(model.entry, file));
            files.push(file.path.clone());
        }
    }
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: Descriptor::of(media_type::PIPELINE_CONFIG, &config),
        layers,
        annotations: BTreeMap::from([
            (TITLE.to_owned(), definition.name.clone()),
            ("org.opencontainers.image.version".to_owned(), definition.version.clone()),
        ]),
    };
    let manifest_bytes = manifest.to_bytes();
    Manifest::parse(&manifest_bytes)?; // what we write, every engine of ours reads
    Ok(Artifact { config, manifest, manifest_bytes, files })
}

/// One model file as it is: not packed, so that the layer's digest is the file's sha256.
fn layer(model: &ModelFile<'_>) -> Descriptor {
    let key = &model.entry.key;
    Descriptor::new(media_type::MODEL_WEIGHT, key.sha, model.size_bytes)
        .with_annotation("filename", &key.sha.hex())
        .with_annotation("name", &key.name)
        .with_annotation(TITLE, &format!("{}.onnx", key.name))
        .with_annotation("runtime", &model.entry.runtime)
        .with_annotation("version", &key.version)
        .with_annotation(FILE_TYPE, FILE_TYPE_MODEL)
}

/// A file beside a model's own, under the name that the model has for it.
fn side_layer(entry: &ModelEntry, file: &SideFile) -> Descriptor {
    let key = &entry.key;
    Descriptor::new(media_type::MODEL_WEIGHT, file.digest, file.size_bytes)
        .with_annotation("filename", &file.location)
        .with_annotation("name", &key.name)
        .with_annotation(TITLE, &file.location)
        .with_annotation("runtime", &entry.runtime)
        .with_annotation("version", &key.version)
        .with_annotation(FILE_TYPE, FILE_TYPE_SIDE)
}
