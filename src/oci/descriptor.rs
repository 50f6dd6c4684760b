//! A descriptor: the label on a blob, telling its kind, its digest and its size.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Digest, DigestError, excerpt, media_type};

/// The largest blob that is fetched or stored, in bytes: 64 GiB.
///
/// Models are loaded into memory, and no device this engine is made for has more of it.
pub const BLOB_BYTES_MAX: u64 = 64 << 30;

/// The annotation that gives a manifest its tag in an image layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that tells the file name of a layer, for people and for other tools.
pub const TITLE: &str = "org.opencontainers.image.title";

/// What a manifest says of one blob ([image specification, descriptor]).
///
/// [image specification, descriptor]: https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The kind of the blob; `application/octet-stream` where none was given.
    pub media_type: String,
    /// The sha256 of the blob.
    pub digest: Digest,
    /// The size of the blob in bytes, at most [`BLOB_BYTES_MAX`] when it was read from outside.
    pub size: u64,
    /// The kind of the artifact, where the descriptor is of a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Notes by key; those that were null are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The blob itself where it is small enough to be embedded; base64 on the wire.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_base64")]
    pub data: Option<Vec<u8>>,
}

fn as_base64<S: serde::Serializer>(data: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    data.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(to)
}

impl Descriptor {
    /// The descriptor of these bytes, without annotations.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// The descriptor of a blob whose digest and size in bytes are known, without annotations.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            data: None,
        }
    }

    /// The same descriptor with one more annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// A descriptor as it may come: any key absent, null, or of a wrong type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDescriptor {
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) size: Option<serde_json::Number>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Option<BTreeMap<String, Value>>,
    pub(super) data: Option<String>,
}

impl WireDescriptor {
    /// The descriptor meant, of a blob of at most `bytes_max` bytes.
    pub(super) fn read(self, bytes_max: u64) -> Result<Descriptor, DescriptorError> {
        let digest: Digest = self.digest.ok_or(DescriptorError::NoDigest)?.parse()?;
        let size = self.size.ok_or(DescriptorError::NoSize)?;
        let size = size
            .as_u64()
            .ok_or_else(|| DescriptorError::NotASize { found: excerpt(&size.to_string()) })?;
        if size > bytes_max {
            return Err(DescriptorError::TooLarge { size, bytes_max });
        }
        let data = self.data.map(|text| embedded(&text, digest, size)).transpose()?;
        Ok(Descriptor {
            media_type: self.media_type.unwrap_or_else(|| media_type::OCTET_STREAM.to_owned()),
            digest,
            size,
            artifact_type: self.artifact_type,
            annotations: read_annotations(self.annotations)?,
            data,
        })
    }
}

/// The embedded blob, which the specification asks every reader to check.
fn embedded(text: &str, digest: Digest, size: u64) -> Result<Vec<u8>, DescriptorError> {
    let data = STANDARD.decode(text).map_err(|_| DescriptorError::DataOff { digest })?;
    if data.len() as u64 != size || Digest::of(&data) != digest {
        return Err(DescriptorError::DataOff { digest });
    }
    Ok(data)
}

/// Annotations without those that are null, which publishers in the field do write.
pub(super) fn read_annotations(
    found: Option<BTreeMap<String, Value>>,
) -> Result<BTreeMap<String, String>, DescriptorError> {
    let mut annotations = BTreeMap::new();
    for (key, value) in found.unwrap_or_default() {
        match value {
            Value::String(text) => _ = annotations.insert(key, text),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(DescriptorError::Annotation { key: excerpt(&key) });
            }
        }
    }
    Ok(annotations)
}

/// Why a descriptor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The key `digest` is absent.
    #[error("it has no digest")]
    NoDigest,
    /// The digest is not one we take.
    #[error("its digest cannot be used")]
    Digest(#[from] DigestError),
    /// The key `size` is absent.
    #[error("it has no size")]
    NoSize,
    /// A size that is negative, fractional or past 64 bits.
    #[error("its size is {found}, expected a whole number of bytes")]
    NotASize {
        /// The size as it stood.
        found: String,
    },
    /// A size over the limit for this kind of blob.
    #[error("its size is {size} bytes, and at most {bytes_max} are accepted")]
    TooLarge {
        /// The size in bytes.
        size: u64,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// An annotation that is a number, a list or the like.
    #[error("its annotation `{key}` is not text")]
    Annotation {
        /// The key of the annotation, shortened.
        key: String,
    },
    /// Embedded data that are not the blob.
    #[error("its embedded data are not the blob {digest}")]
    DataOff {
        /// The digest that the data should have.
        digest: Digest,
    },
}
