//! The published artifact: an OCI image manifest in the layout that the original's engine reads.

use super::check::{CheckedModel, SideFile};
use crate::oci::{Descriptor, Digest, Manifest, TITLE, media_type};
use crate::pipeline::{Definition, FILE_TYPE, FILE_TYPE_MODEL, FILE_TYPE_SIDE};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All bytes of a publish but the models', which stay in their files.
#[derive(Debug)]
pub(super) struct Artifact {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Manifest,
    pub(super) manifest_bytes: Vec<u8>,
    files: Vec<PathBuf>,
}

impl Artifact {
    /// The digest of the manifest, which names the publish for good.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }

    /// Each layer with the file that holds it.
    pub(super) fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Path)> {
        self.manifest.layers.iter().zip(self.files.iter().map(PathBuf::as_path))
    }
}

/// The artifact of this pipeline: the same definition and files give the same bytes.
pub(super) fn build(
    definition: &Definition,
    models: &[CheckedModel],
) -> Result<Artifact, crate::oci::ManifestError> {
    let config = definition.to_json();
    let mut layers: Vec<Descriptor> = Vec::new();
    let mut files = Vec::new();
    for model in models {
        // Two models may share one file: it travels once.
        if !layers.iter().any(|layer| layer.digest == model.entry.key.sha) {
            layers.push(layer(model));
            files.push(model.path.clone());
        }
        // A blob that is named twice is one: what differs is whose it is, and by what name.
        for file in &model.side_files {
            layers.push(side_layer(model, file));
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
fn layer(model: &CheckedModel) -> Descriptor {
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
fn side_layer(model: &CheckedModel, file: &SideFile) -> Descriptor {
    let key = &model.entry.key;
    Descriptor::new(media_type::MODEL_WEIGHT, file.digest, file.size_bytes)
        .with_annotation("filename", &file.location)
        .with_annotation("name", &key.name)
        .with_annotation(TITLE, &file.location)
        .with_annotation("runtime", &model.entry.runtime)
        .with_annotation("version", &key.version)
        .with_annotation(FILE_TYPE, FILE_TYPE_SIDE)
}
