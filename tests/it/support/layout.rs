//! An image layout put together by hand, as some other tool might have written it.

use potoroo::oci::{Descriptor, Manifest, TITLE, media_type};
use potoroo::registry::Layout;
use tempfile::TempDir;

/// A layout with one manifest, which goes with this value.
pub struct ByHand {
    /// What `PIPELINE_URL` is to be.
    pub url: String,
    _directory: TempDir,
}

/// A layout of this config and these layers, each with its title if it has one.
pub fn by_hand(config: &[u8], layers: &[(&[u8], Option<&str>)]) -> ByHand {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
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
    let url = format!("oci-layout:{}:v1", directory.path().display());
    ByHand { url, _directory: directory }
}
