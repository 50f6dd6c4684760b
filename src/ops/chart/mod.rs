//! The Helm chart of a publish: how Kubernetes runs it, as one archive that any registry takes.
//!
//! ```text
//! spec ──content──▶ files ──archive──▶ .tgz ──▶ manifest ──push──▶ registry, or ──put──▶ layout
//! ```
//!
//! The files are those in `files/`: what differs from publish to publish are the blanks of
//! `Chart.yaml` and `values.yaml`.

mod amounts;
mod archive;
mod content;

use crate::oci::{
    Descriptor, Digest, Manifest, ManifestError, Reference, ReferenceError, RegistryHost,
    Repository, TITLE, Tag, media_type,
};
use crate::registry::{self, Action, Layout, Remote};
use serde::Serialize;
use std::collections::BTreeMap;

pub use amounts::{AmountError, Arch, Cpus, Memory};

/// What stands before the pipeline's version in the chart's, as the original has it: Helm wants
/// three numbers, and there is nothing to count.
const VERSION_BEGIN: &str = "0.0.1-";

/// The longest name of a chart, in characters: a pipeline's.
const NAME_CHARS_MAX: usize = 63;

/// The first Kubernetes with all that the templates ask for (`autoscaling/v2`).
const KUBE_VERSION: &str = ">=1.23.0-0";

/// What a chart is made from.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The pipeline's name, which is the chart's.
    pub pipeline: String,
    /// The pipeline's version, a UUID unless its author gave another.
    pub version: String,
    /// What the engine fetches.
    pub pipeline_url: Reference,
    /// The engine's image.
    pub engine_url: Reference,
    /// The registry that the login of the values is for.
    pub registry: RegistryHost,
    /// What an engine gets.
    pub engine: EngineConfig,
    /// The engine's version, for people.
    pub app_version: String,
}

/// What an engine gets of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// CPUs, requested and no more; rounded up they are `CONFIG_CPUS`.
    pub cpus: Cpus,
    /// Memory, requested and no more.
    pub memory: Memory,
    /// The processor of its node, where it matters.
    pub arch: Option<Arch>,
}

/// A chart: the same [`Spec`] gives the same bytes.
#[derive(Debug, Clone)]
pub struct Chart {
    name: String,
    version: Tag,
    archive: Vec<u8>,
    config: Vec<u8>,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
}

/// Where a chart is, in the words of the original's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Helm {
    /// `{registry}/{prefix}/charts@sha256:…`
    pub reference: String,
    /// `{registry}/{prefix}/charts/{pipeline}`, which Helm takes after `oci://`.
    pub chart: String,
    /// `0.0.1-{pipeline's version}`
    pub version: String,
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The pipeline's name is no name of a repository.
    #[error(
        "the pipeline `{0}` cannot be the name of a chart: use at most {NAME_CHARS_MAX} of a-z, 0-9 \
         and -, with a letter or digit at both ends"
    )]
    Name(String),
    /// The pipeline's version does not make one of Helm's.
    #[error(
        "the version `{0}` cannot stand in a chart's: use letters, digits, `-` and single `.`, no \
         number that begins with 0, and at most 122 characters (https://semver.org, 9)"
    )]
    Version(String),
    /// Host, prefix and name are no reference together.
    #[error("the chart has no place in this registry")]
    Place(#[from] ReferenceError),
    /// The archive could not be written.
    #[error("the chart's archive cannot be made")]
    Archive(#[source] std::io::Error),
    /// The manifest is none.
    #[error("the chart's manifest cannot be made")]
    Manifest(#[from] ManifestError),
}

/// What Helm reads before the archive: its `Chart.yaml` as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    api_version: &'static str,
    app_version: &'a str,
    annotations: BTreeMap<&'static str, String>,
    kube_version: &'static str,
    r#type: &'static str,
}

impl Chart {
    /// The chart of a publish.
    ///
    /// # Errors
    /// When the pipeline's name or version cannot be a chart's.
    pub fn build(spec: &Spec) -> Result<Chart, ChartError> {
        let name = spec.pipeline.clone();
        let named: Result<Repository, _> = name.parse();
        if name.len() > NAME_CHARS_MAX || name.contains('/') || named.is_err() {
            return Err(ChartError::Name(name));
        }
        let version = chart_version(&spec.version)?;
        let description = format!("The pipeline {name}, served by an engine of its own");
        let metadata = Metadata {
            name: &name,
            version: version.as_str(),
            description: &description,
            api_version: "v2",
            app_version: &spec.app_version,
            annotations: BTreeMap::from([
                ("potoroo/engine-url", spec.engine_url.to_string()),
                ("potoroo/pipeline-url", spec.pipeline_url.to_string()),
            ]),
            kube_version: KUBE_VERSION,
            r#type: "application",
        };
        let files = content::files(spec, &metadata);
        let archive = archive::pack(&name, &files).map_err(ChartError::Archive)?;
        #[expect(clippy::expect_used, reason = "every key is text and the writer is memory")]
        let config = serde_json::to_vec(&metadata).expect("metadata always have a JSON form");
        let layer = Descriptor::of(media_type::HELM_CHART, &archive);
        let manifest = Manifest {
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: None, // Helm writes none, and tells a chart by its config
            config: Descriptor::of(media_type::HELM_CONFIG, &config),
            layers: vec![layer],
            annotations: annotations(&metadata),
        };
        let manifest_bytes = manifest.to_bytes();
        Manifest::parse(&manifest_bytes)?; // what we write, every reader of ours takes
        Ok(Chart { name, version, archive, config, manifest, manifest_bytes })
    }

    /// The packed chart, as `helm pull` leaves it on the disk.
    #[must_use]
    pub fn archive(&self) -> &[u8] {
        &self.archive
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }

    /// Where it is pushed to: `{host}/{prefix}/charts/{pipeline}:{version}`.
    ///
    /// # Errors
    /// [`ChartError::Place`] when that is no reference.
    pub fn place(&self, host: &RegistryHost, prefix: &str) -> Result<Reference, ChartError> {
        let Self { name, version, .. } = self;
        Ok(format!("{}/{name}:{version}", charts(host, prefix)).parse()?)
    }

    /// What people and programs are told of it, once it is there.
    #[must_use]
    pub fn helm(&self, host: &RegistryHost, prefix: &str) -> Helm {
        let charts = charts(host, prefix);
        Helm {
            reference: format!("{charts}@{}", self.digest()),
            chart: format!("{charts}/{}", self.name),
            version: self.version.to_string(),
        }
    }

    /// Pushes it to a registry, into the repository of `remote` ([`place`](Self::place)).
    ///
    /// # Errors
    /// Those of the registry.
    pub fn push(&self, remote: &Remote) -> Result<Digest, registry::Error> {
        remote.login(Action::Push)?;
        for (blob, bytes) in self.blobs() {
            remote.push_blob(blob, &mut || Ok(Box::new(std::io::Cursor::new(bytes.to_vec()))))?;
        }
        let version = crate::oci::Version::Tag(self.version.clone());
        remote.push_manifest(&version, &self.manifest_bytes)
    }

    /// Puts it into an image layout under its version.
    ///
    /// # Errors
    /// [`registry::Error::Disk`], and those of the layout.
    pub fn put(&self, layout: &Layout) -> Result<Descriptor, registry::Error> {
        for (blob, mut bytes) in self.blobs() {
            layout.put_blob_from(blob, &mut bytes)?;
        }
        layout.put_manifest(&self.version, &self.manifest_bytes)
    }

    fn blobs(&self) -> impl Iterator<Item = (&Descriptor, &[u8])> {
        let config = (&self.manifest.config, self.config.as_slice());
        let layers = self.manifest.layers.iter().map(|layer| (layer, self.archive.as_slice()));
        std::iter::once(config).chain(layers)
    }
}

/// The repositories of charts: `{host}/{prefix}/charts`.
fn charts(host: &RegistryHost, prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{host}/{prefix}{slash}charts")
}

/// `0.0.1-{version}`, where that is a version by semver and a tag.
fn chart_version(version: &str) -> Result<Tag, ChartError> {
    let right = |part: &str| {
        let number = part.bytes().all(|byte| byte.is_ascii_digit());
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !(number && part.len() > 1 && part.starts_with('0'))
    };
    if !version.split('.').all(right) {
        return Err(ChartError::Version(crate::oci::excerpt(version)));
    }
    let tag = format!("{VERSION_BEGIN}{version}").parse();
    tag.map_err(|_| ChartError::Version(crate::oci::excerpt(version)))
}

/// The notes that `helm push` makes of a chart's metadata, but for the time, which would make each
/// push another manifest.
fn annotations(metadata: &Metadata<'_>) -> BTreeMap<String, String> {
    let standard = [
        (TITLE, metadata.name),
        ("org.opencontainers.image.version", metadata.version),
        ("org.opencontainers.image.description", metadata.description),
    ];
    let standard = standard.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let own = metadata.annotations.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    standard.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests;
