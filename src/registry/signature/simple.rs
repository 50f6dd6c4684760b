//! The payload of a signature under a tag: a small JSON text that says what was signed.

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// The annotation of a payload's layer that holds its signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What a payload calls itself.
pub const SIGNATURE_TYPE: &str = "cosign container image signature";
/// The largest payload that is read, in bytes: one has some 250, with annotations a few KB.
pub const PAYLOAD_BYTES_MAX: u64 = 64 << 10;

/// The payload; the order of the fields is the order of the keys, as cosign writes them.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) critical: Critical,
    // Notes of the signer, which decide nothing here.
    #[serde(default)]
    optional: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Critical {
    pub(super) identity: Identity,
    pub(super) image: Image,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Identity {
    /// The repository of the artifact, as the signer names it.
    pub(super) docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Image {
    pub(super) docker_manifest_digest: String,
}

/// The payload for a manifest, byte for byte as cosign writes it.
#[must_use]
pub fn write_payload(repository: &str, digest: &Digest) -> Vec<u8> {
    let payload = Payload {
        critical: Critical {
            identity: Identity { docker_reference: repository.to_owned() },
            image: Image { docker_manifest_digest: digest.to_string() },
            kind: SIGNATURE_TYPE.to_owned(),
        },
        optional: serde_json::Value::Null,
    };
    #[expect(clippy::expect_used, reason = "every key is text and the writer is memory")]
    serde_json::to_vec(&payload).expect("a payload always has a JSON form")
}

/// The payload in these bytes.
pub(super) fn read(bytes: &[u8]) -> Option<Payload> {
    serde_json::from_slice(bytes).ok()
}
