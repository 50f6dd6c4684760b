//! Signatures as manifests that are ready to be sent, in the shapes that cosign gives them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::attached::Attached;
use super::bundle::SIGNED;
use super::simple::SIGNATURE;
use super::verdict::Form;
use crate::oci::{Descriptor, Manifest, media_type};

/// The time that stands where a signature tells none, so that nothing depends on a clock.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The manifest of a bundle that refers to `subject`: the same bundle gives the same bytes.
#[must_use]
pub fn bundle_manifest(subject: &Descriptor, bundle: Vec<u8>) -> Attached {
    const EMPTY: &[u8] = b"{}";
    let kind = media_type::SIGSTORE_BUNDLE;
    let config = Descriptor::of(media_type::EMPTY, EMPTY);
    let layer = Descriptor::of(kind, &bundle);
    let manifest = to_bytes(&WrittenManifest {
        schema_version: 2,
        media_type: media_type::MANIFEST,
        artifact_type: kind,
        config: &config,
        layers: [&layer],
        subject: &Descriptor::new(&subject.media_type, subject.digest, subject.size),
        annotations: [
            ("dev.sigstore.bundle.content", "dsse-envelope"),
            ("dev.sigstore.bundle.predicateType", SIGNED),
        ]
        .into(),
    });
    let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
    descriptor.artifact_type = Some(kind.to_owned());
    Attached {
        form: Form::Bundle,
        descriptor,
        config: (config, EMPTY.to_vec()),
        layers: vec![(layer, bundle)],
        manifest,
    }
}

/// The manifest for the tag, with the signatures that are there already before the new one.
#[must_use]
pub fn tag_manifest(there: Option<&Attached>, payload: Vec<u8>, signature: &[u8]) -> Attached {
    let mut layers = there.map_or_else(Vec::new, |there| there.layers.clone());
    let layer = Descriptor::of(media_type::SIMPLE_SIGNING, &payload)
        .with_annotation(SIGNATURE, &STANDARD.encode(signature));
    layers.push((layer, payload));
    // Nobody reads this config, but tools that copy images want the shape of an image's.
    let config = to_bytes(&WrittenConfig {
        architecture: "",
        created: NO_TIME,
        history: layers.iter().map(|_| [("created", NO_TIME)].into()).collect(),
        os: "",
        rootfs: WrittenRoot {
            kind: "layers",
            diff_ids: layers.iter().map(|(layer, _)| layer.digest.to_string()).collect(),
        },
        config: BTreeMap::new(),
    });
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: None,
        config: Descriptor::of(media_type::IMAGE_CONFIG, &config),
        layers: layers.iter().map(|(layer, _)| layer.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let bytes = manifest.to_bytes();
    Attached {
        form: Form::Tag,
        descriptor: Descriptor::of(media_type::MANIFEST, &bytes),
        config: (manifest.config, config),
        layers,
        manifest: bytes,
    }
}

fn to_bytes(written: &impl Serialize) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "every key is text and the writer is memory")]
    serde_json::to_vec(written).expect("what is written here always has a JSON form")
}

/// A manifest with a subject as it is written; the order of the fields is that of the keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    artifact_type: &'a str,
    config: &'a Descriptor,
    layers: [&'a Descriptor; 1],
    subject: &'a Descriptor,
    annotations: BTreeMap<&'a str, &'a str>,
}

/// An image's config with nothing in it but its layers.
#[derive(Serialize)]
struct WrittenConfig<'a> {
    architecture: &'a str,
    created: &'a str,
    history: Vec<BTreeMap<&'a str, &'a str>>,
    os: &'a str,
    rootfs: WrittenRoot<'a>,
    config: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct WrittenRoot<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: Vec<String>,
}
