//! An artifact in an image layout, put together by hand: what no publisher of ours would make.

use potoroo::oci::{Descriptor, Digest, Manifest, TITLE, media_type};
use potoroo::registry::Layout;
use std::path::Path;
use tempfile::TempDir;

/// One model under names of the test's choice.
pub struct Artifact<'a> {
    /// Of the pipeline.
    pub pipeline: &'a str,
    /// Of the model.
    pub model: &'a str,
    /// The ONNX file.
    pub file: &'a Path,
    /// The columns for the model's inputs.
    pub fields: &'a [&'a str],
}

impl Artifact<'_> {
    /// Writes it into a new layout, without annotations, and gives its `PIPELINE_URL`.
    pub fn write(&self, directory: &Path) -> String {
        let model = std::fs::read(self.file).unwrap();
        let sha = Digest::of(&model).hex();
        let key = serde_json::json!({
            "name": self.model, "version": "v", "sha": sha, "runtime": "onnx",
            "tensor_fields": self.fields,
        });
        let config = serde_json::json!({
            "id": self.pipeline,
            "steps": [{"ModelInference": {"models": [&key]}}],
            "models": [&key],
        });
        write(directory, config.to_string().as_bytes(), &[(&model, None)])
    }
}

/// A layout that goes with this value.
pub struct ByHand {
    /// What `PIPELINE_URL` is to be.
    pub url: String,
    _directory: TempDir,
}

/// A layout of this config and these layers, each with its title if it has one.
pub fn by_hand(config: &[u8], layers: &[(&[u8], Option<&str>)]) -> ByHand {
    let directory = tempfile::tempdir().unwrap();
    let url = write(directory.path(), config, layers);
    ByHand { url, _directory: directory }
}

fn write(directory: &Path, config: &[u8], layers: &[(&[u8], Option<&str>)]) -> String {
    let layout = Layout::create(directory).unwrap();
    let config_descriptor = Descriptor::of("application/json", config);
    layout.put_blob_from(&config_descriptor, &mut &*config).unwrap();
    let mut descriptors = Vec::new();
    for (bytes, title) in layers {
        let mut descriptor = Descriptor::of("application/octet-stream", bytes);
        if let Some(title) = title {
            descriptor = descriptor.with_annotation(TITLE, title);
        }
        layout.put_blob_from(&descriptor, &mut &**bytes).unwrap();
        descriptors.push(descriptor);
    }
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: None,
        config: config_descriptor,
        layers: descriptors,
        annotations: Default::default(),
    };
    layout.put_manifest(&"v1".parse().unwrap(), &manifest.to_bytes()).unwrap();
    format!("oci-layout:{}:v1", directory.display())
}
