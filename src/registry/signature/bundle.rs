//! A Sigstore bundle: a signed statement about an artifact, with a hint at the key, in one JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::oci::{Digest, excerpt, media_type};

/// The largest bundle that is read, in bytes: one has some 2 KB, with a log entry 10.
pub const BUNDLE_BYTES_MAX: u64 = 256 << 10;

/// How the media type of every version of a bundle begins.
const MEDIA_TYPE_BEGINS: &str = "application/vnd.dev.sigstore.bundle";
/// What the envelope of a statement holds (in-toto attestation framework).
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The form of the statement that is written.
const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// The form before it, which is read as well.
const STATEMENT_V0: &str = "https://in-toto.io/Statement/v0.1";
/// What a statement says that is a signature and nothing more.
pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// A bundle once it was read: a message, its signature, and what is claimed in it.
#[derive(Debug)]
pub(super) struct Bundle {
    /// What was signed.
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) statement: Statement,
}

/// What the signer says, and of what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    form: String,
    #[serde(default)]
    pub(super) subject: Vec<Subject>,
    pub(super) predicate_type: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subject {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    digest: Value,
}

impl Subject {
    /// The sha256 of what is spoken of; `None` for another algorithm.
    pub(super) fn digest(&self) -> Option<Digest> {
        format!("sha256:{}", self.digest.get("sha256")?.as_str()?).parse().ok()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    verification_material: WireMaterial,
    dsse_envelope: Option<WireEnvelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    public_key: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    sig: String,
}

/// Reads a bundle; the error is what is wrong with it, to follow "the bundle".
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, String> {
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
        format!("is not JSON of a bundle's shape: {}", excerpt(&error.to_string()))
    })?;
    if !wire.media_type.starts_with(MEDIA_TYPE_BEGINS) {
        return Err(format!("calls itself `{}`", excerpt(&wire.media_type)));
    }
    if wire.verification_material.public_key.is_none() {
        return Err("was signed with a certificate, and only keys are checked".to_owned());
    }
    let envelope = wire.dsse_envelope.ok_or("holds no statement in a DSSE envelope")?;
    if envelope.payload_type != STATEMENT {
        return Err(format!("holds `{}`, expected `{STATEMENT}`", excerpt(&envelope.payload_type)));
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err(format!("has {} signatures, expected one", envelope.signatures.len()));
    };
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| "has text that is not base64");
    let payload = decoded(&envelope.payload)?;
    let statement: Statement = serde_json::from_slice(&payload)
        .map_err(|_| "holds no in-toto statement, though it says so")?;
    if ![STATEMENT_V1, STATEMENT_V0].contains(&statement.form.as_str()) {
        return Err(format!("holds a statement of the form `{}`", excerpt(&statement.form)));
    }
    let message = envelope_bytes(&payload);
    Ok(Bundle { message, signature: decoded(&signature.sig)?, statement })
}

/// The statement that a manifest was signed, with the keys of cosign's and the repository's name.
#[must_use]
pub fn statement(repository: &str, digest: &Digest) -> Vec<u8> {
    to_bytes(&WrittenStatement {
        form: STATEMENT_V1,
        subject: [WrittenSubject { name: repository, digest: [("sha256", digest.hex())].into() }],
        predicate_type: SIGNED,
        predicate: BTreeMap::new(),
    })
}

/// What is signed of a statement: its type and its bytes, each with its length (DSSE, "PAE").
#[must_use]
pub fn envelope_bytes(statement: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), statement.len()).into_bytes();
    bytes.extend_from_slice(statement);
    bytes
}

/// The bundle of a statement, the signature over its [`envelope_bytes`], and the key's
/// [`id`](super::PublicKey::id).
#[must_use]
pub fn write_bundle(statement: &[u8], signature: &[u8], key: &Digest) -> Vec<u8> {
    to_bytes(&WrittenBundle {
        media_type: media_type::SIGSTORE_BUNDLE,
        verification_material: WrittenMaterial {
            public_key: WrittenHint { hint: STANDARD.encode(key.as_bytes()) },
            tlog_entries: [],
        },
        dsse_envelope: WireEnvelope {
            payload: STANDARD.encode(statement),
            payload_type: STATEMENT.to_owned(),
            signatures: vec![WireSignature { sig: STANDARD.encode(signature) }],
        },
    })
}

fn to_bytes(written: &impl Serialize) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "every key is text and the writer is memory")]
    serde_json::to_vec(written).expect("a bundle always has a JSON form")
}

/// The statement as it is written; the order of the fields is the order of the keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenStatement<'a> {
    #[serde(rename = "_type")]
    form: &'a str,
    subject: [WrittenSubject<'a>; 1],
    predicate_type: &'a str,
    predicate: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct WrittenSubject<'a> {
    name: &'a str,
    digest: BTreeMap<&'a str, String>,
}

/// The bundle as it is written, without an entry of a log.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBundle<'a> {
    media_type: &'a str,
    verification_material: WrittenMaterial,
    dsse_envelope: WireEnvelope,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMaterial {
    public_key: WrittenHint,
    tlog_entries: [(); 0],
}

#[derive(Serialize)]
struct WrittenHint {
    hint: String,
}
