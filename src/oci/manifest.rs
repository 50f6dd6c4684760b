//! A manifest: the bill of one artifact, naming its config and its layers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::{WireDescriptor, read_annotations};
use super::{BLOB_BYTES_MAX, Descriptor, DescriptorError, Digest, excerpt, media_type};

/// The largest manifest that is read, in bytes: 4 MiB.
///
/// The size the distribution specification asks every registry to accept, so no portable
/// manifest is larger.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// The largest config that is read, in bytes: 4 MiB.
///
/// A config is a pipeline definition with schemas and known answers, and is held in memory
/// whole; a manifest of the same size describes far more.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The most layers a manifest may have.
///
/// One a model file: a pipeline has tens of them at most, a container image 127.
pub const LAYERS_MAX: usize = 1024;

const _: () = assert!(CONFIG_BYTES_MAX <= BLOB_BYTES_MAX, "a config is a blob");

/// An artifact: one config, its layers, and notes ([image specification, manifest]).
///
/// [image specification, manifest]: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The kind of the manifest; the OCI image manifest where none was given.
    pub media_type: String,
    /// The kind of the artifact, where it is not told by the config's.
    pub artifact_type: Option<String>,
    /// The blob that says what the layers are, at most [`CONFIG_BYTES_MAX`] bytes.
    pub config: Descriptor,
    /// The blobs of the artifact in order, at most [`LAYERS_MAX`].
    pub layers: Vec<Descriptor>,
    /// Notes by key; those that were null are left out.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest, lenient about media types and unknown keys, strict about the rest.
    ///
    /// # Errors
    /// A sentence of its own for each thing that is not a manifest or is over a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge { size: bytes.len() });
        }
        let wire: WireManifest = serde_json::from_slice(bytes).map_err(|e| not_json(&e))?;
        wire.check_kind()?;
        let config = wire.config.ok_or(ManifestError::NoConfig)?;
        let layers = wire.layers.unwrap_or_default();
        if layers.len() > LAYERS_MAX {
            return Err(ManifestError::TooManyLayers { found: layers.len() });
        }
        let layers = layers.into_iter().enumerate().map(|(at, layer)| {
            let broken = |source| ManifestError::Broken { part: Part::Layer(at + 1), source };
            layer.read(BLOB_BYTES_MAX).map_err(broken)
        });
        let broken = |part| move |source| ManifestError::Broken { part, source };
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let config = config.read(CONFIG_BYTES_MAX).map_err(broken(Part::Config))?;
        one_size_each(&config, &layers)?;
        Ok(Self {
            media_type: wire.media_type.unwrap_or_else(|| media_type::MANIFEST.to_owned()),
            artifact_type: wire.artifact_type,
            config,
            layers,
            annotations: read_annotations(wire.annotations).map_err(broken(Part::Whole))?,
        })
    }

    /// The manifest as JSON: the same manifest always gives the same bytes, and so one digest.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = WrittenManifest {
            schema_version: 2,
            media_type: &self.media_type,
            artifact_type: self.artifact_type.as_deref(),
            config: &self.config,
            layers: &self.layers,
            annotations: &self.annotations,
        };
        #[expect(clippy::expect_used, reason = "every key is text and the writer is memory")]
        serde_json::to_vec(&wire).expect("a manifest always has a JSON form")
    }
}

/// Sees that a blob that is named twice is said to have one size.
fn one_size_each(config: &Descriptor, layers: &[Descriptor]) -> Result<(), ManifestError> {
    let mut sizes = BTreeMap::new();
    for blob in layers.iter().chain([config]) {
        let digest = blob.digest;
        let first = *sizes.entry(digest).or_insert(blob.size);
        if first != blob.size {
            return Err(ManifestError::TwoSizes { digest, first, second: blob.size });
        }
    }
    Ok(())
}

/// The manifest as it is written; the order of the fields is the order of the keys.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// The manifest as it may come, with the keys that betray something else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManifest {
    schema_version: Option<Value>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<WireDescriptor>,
    // Go writes an empty list as null.
    layers: Option<Vec<WireDescriptor>>,
    annotations: Option<BTreeMap<String, Value>>,
    manifests: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
    signatures: Option<serde::de::IgnoredAny>,
}

impl WireManifest {
    /// Refuses what has another shape than a manifest, by its media type or by its keys.
    fn check_kind(&self) -> Result<(), ManifestError> {
        let kind = self.media_type.as_deref();
        let is = |names: [&str; 2]| kind.is_some_and(|kind| names.contains(&kind));
        if is([media_type::INDEX, media_type::DOCKER_LIST])
            || (self.manifests.is_some() && self.config.is_none())
        {
            return Err(ManifestError::Index);
        }
        let version = self.schema_version.as_ref();
        if is([media_type::DOCKER_SCHEMA_1, media_type::DOCKER_SIGNED])
            || version.and_then(Value::as_u64) == Some(1)
            || self.fs_layers.is_some()
            || self.signatures.is_some()
        {
            return Err(ManifestError::SchemaOne);
        }
        match version {
            Some(version) if version.as_u64() == Some(2) => Ok(()),
            Some(version) => {
                Err(ManifestError::SchemaVersion { found: excerpt(&version.to_string()) })
            }
            None => Err(ManifestError::SchemaVersion { found: "absent".to_owned() }),
        }
    }
}

/// The refusal of text that does not parse; its own words may be long, since they quote the text.
pub(super) fn not_json(error: &serde_json::Error) -> ManifestError {
    use serde_json::error::Category::{Data, Eof, Io, Syntax};
    match error.classify() {
        Data => ManifestError::Shape { why: excerpt(&error.to_string()) },
        Io | Syntax | Eof => ManifestError::NotJson { line: error.line(), column: error.column() },
    }
}

/// The part of a manifest that a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The manifest's own keys.
    Whole,
    /// The config.
    Config,
    /// A layer, counted from 1.
    Layer(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("manifest"),
            Self::Config => f.write_str("config"),
            Self::Layer(at) => write!(f, "layer {at}"),
        }
    }
}

/// Why bytes are not a [`Manifest`] that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than [`MANIFEST_BYTES_MAX`].
    #[error("it has {size} bytes, and at most {MANIFEST_BYTES_MAX} are accepted")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not JSON at all, an HTML page for instance.
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson {
        /// The line of the fault, from 1.
        line: usize,
        /// The column of the fault, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("it is JSON without the shape of a manifest: {why}")]
    Shape {
        /// What did not fit, shortened.
        why: String,
    },
    /// A list of manifests.
    #[error("it is an image index, not a manifest")]
    Index,
    /// A list of manifests with none for this device.
    #[error("it is an image index without a manifest for {wanted}; it holds {found}")]
    NoPlatform {
        /// The platform of this device.
        wanted: String,
        /// The platforms that there are, shortened.
        found: String,
    },
    /// A list of manifests whose entry for this device cannot be used.
    #[error("it is an image index, and its entry for this device is broken")]
    IndexEntry {
        /// What is wrong with it.
        source: DescriptorError,
    },
    /// One blob with two sizes.
    #[error("it says that the blob {digest} has {first} bytes, and that it has {second}")]
    TwoSizes {
        /// The digest of the blob.
        digest: Digest,
        /// The size said first, in bytes.
        first: u64,
        /// The size said then, in bytes.
        second: u64,
    },
    /// The form of before 2016, whose layers have neither size nor kind.
    #[error("it is a manifest of schema version 1, which was given up; expected version 2")]
    SchemaOne,
    /// A version that nobody has defined, or none.
    #[error("its schemaVersion is {found}, expected 2")]
    SchemaVersion {
        /// What stood there, shortened.
        found: String,
    },
    /// The key `config` is absent.
    #[error("it has no config")]
    NoConfig,
    /// More layers than [`LAYERS_MAX`].
    #[error("it has {found} layers, and at most {LAYERS_MAX} are accepted")]
    TooManyLayers {
        /// The number of layers.
        found: usize,
    },
    /// A descriptor or an annotation that cannot be used.
    #[error("its {part} is broken")]
    Broken {
        /// Which part.
        part: Part,
        /// What is wrong with it.
        source: DescriptorError,
    },
}

#[cfg(test)]
mod tests;
