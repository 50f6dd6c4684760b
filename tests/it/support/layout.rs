//! An artifact in an image layout, written by hand: what no publisher of ours would make.

use potoroo::oci::{Descriptor, Digest, Manifest, media_type};
use potoroo::registry::Layout;
use std::path::Path;

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
        let layout = Layout::create(directory).unwrap();
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
        let config = config.to_string();
        let config_descriptor = Descriptor::of("application/json", config.as_bytes());
        let layer = Descriptor::of("application/octet-stream", &model);
        layout.put_blob_from(&config_descriptor, &mut config.as_bytes()).unwrap();
        layout.put_blob_from(&layer, &mut model.as_slice()).unwrap();
        let manifest = Manifest {
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: None,
            config: config_descriptor,
            layers: vec![layer],
            annotations: Default::default(),
        };
        layout.put_manifest(&"v1".parse().unwrap(), &manifest.to_bytes()).unwrap();
        format!("oci-layout:{}:v1", directory.display())
    }
}
