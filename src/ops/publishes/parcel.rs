//! All that one publish pushes, made before anything is sent: the pipeline's artifact and its chart.

use super::Needs;
use super::destination::Destination;
use crate::exit::{Exit, Failure};
use crate::oci::{Digest, Reference, ReferenceError, Tag};
use crate::ops::center::Center;
use crate::ops::chart::{Chart, Spec};
use crate::ops::publish::SideFile;
use crate::ops::publish::artifact::{self, Artifact, ModelFile};
use crate::ops::publish::deliver::{Watch, into_layout, into_registry};
use crate::ops::sign::sign;
use crate::ops::store::{Publish, PublishPlace, SideRecord, StoreError, VersionToPublish};
use crate::pipeline::{Definition, ModelEntry, ModelKey};
use crate::registry::Layout;
use std::path::Path;
use std::sync::Arc;

/// A publish, packed.
#[derive(Debug)]
pub(super) struct Parcel {
    destination: Destination,
    artifact: Artifact,
    pipeline: Reference,
    tag: Tag,
    engine: Reference,
    chart: Chart,
    chart_place: Reference,
}

impl Parcel {
    /// Packs a publish: the same version gives the same bytes.
    ///
    /// # Errors
    /// When a part of it is missing or cannot be published, with what to do.
    pub(super) fn pack(
        center: &Center,
        publish: &Publish,
        version: &VersionToPublish,
    ) -> Result<Parcel, Failure> {
        let config = version.config.clone().into_bytes();
        let definition = Definition::parse(&config).map_err(|error| {
            Failure::new(Exit::Failed, error)
                .hint("save the pipeline anew and publish that version")
        })?;
        let layout = Layout::create(&center.home.blobs())?;
        let beside: Result<Vec<Vec<SideFile>>, Failure> =
            definition.models.iter().map(|entry| beside(center, &layout, entry)).collect();
        let beside = beside?;
        let models = definition.models.iter().zip(&beside);
        let files: Result<Vec<ModelFile<'_>>, Failure> =
            models.map(|(entry, beside)| model_file(&layout, entry, beside)).collect();
        let artifact = artifact::build(&definition, config.clone(), files?)
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        let destination = Destination::of(center, version.workspace_id);
        let wrong = |error: ReferenceError| {
            Failure::new(Exit::Usage, error).hint(
                "correct the registry or the engine image that the ops center was started with",
            )
        };
        let pipeline = destination.pipeline(&version.pipeline, &version.version).map_err(wrong)?;
        let engine = destination.engine(center).map_err(wrong)?;
        let tag = version.version.parse().map_err(wrong)?;
        let needs = Needs::read(&publish.engine_config).map_err(|error| {
            Failure::new(Exit::Usage, error).hint("publish again with another engine_config")
        })?;
        let unfit = |error| {
            Failure::new(Exit::Usage, error).hint("copy the pipeline under a name that fits")
        };
        let chart = Chart::build(&Spec {
            pipeline: version.pipeline.clone(),
            version: version.version.clone(),
            pipeline_url: pipeline.clone(),
            app_version: match engine.version.tag() {
                Some(tag) => tag.to_string(),
                None => format!("v{}", env!("CARGO_PKG_VERSION")),
            },
            engine_url: engine.clone(),
            registry: destination.host.clone(),
            engine: needs.for_chart(),
        })
        .map_err(unfit)?;
        let chart_place = chart.place(&destination.host, &destination.prefix).map_err(unfit)?;
        Ok(Parcel { destination, artifact, pipeline, tag, engine, chart, chart_place })
    }

    /// Bytes of all that is pushed.
    pub(super) fn bytes(&self) -> u64 {
        self.artifact.bytes() + self.chart.archive().len() as u64
    }

    /// Brings it where it belongs, signed where there is a key; what is there already stays.
    ///
    /// # Errors
    /// Those of the registry or the disk.
    pub(super) fn deliver(
        &self,
        center: &Center,
        watch: &Arc<dyn Watch>,
    ) -> Result<PublishPlace, Failure> {
        match &center.settings.registry {
            Some(external) => {
                let remote = external.login.remote(&self.pipeline);
                into_registry(&self.artifact, &remote, &self.pipeline.version, watch)?;
                if let Some(signing) = &center.settings.signing {
                    let manifest = self.artifact.descriptor();
                    sign(signing, &self.signed_name(), &manifest, &remote, &mut |signature| {
                        remote.push_attached(&manifest.digest, signature)
                    })?;
                }
                self.chart.push(&external.login.remote(&self.chart_place))?;
            }
            None => {
                let layout = center.repositories.layout(&self.pipeline.repository)?;
                into_layout(&self.artifact, &layout, &self.tag)?;
                if let Some(signing) = &center.settings.signing {
                    let manifest = self.artifact.descriptor();
                    sign(signing, &self.signed_name(), &manifest, &layout, &mut |signature| {
                        layout.put_attached(&manifest.digest, signature)
                    })?;
                }
                self.chart.put(&center.repositories.layout(&self.chart_place.repository)?)?;
            }
        }
        let helm = self.chart.helm(&self.destination.host, &self.destination.prefix);
        Ok(PublishPlace {
            pipeline_url: self.pipeline.to_string(),
            engine_url: self.engine.to_string(),
            chart_reference: helm.reference,
            chart: helm.chart,
            chart_version: helm.version,
            digest: self.artifact.digest().to_string(),
        })
    }

    /// What a signature says that it is of.
    fn signed_name(&self) -> String {
        format!("{}/{}", self.pipeline.registry, self.pipeline.repository)
    }
}

fn model_file<'a>(
    layout: &Layout,
    entry: &'a ModelEntry,
    side_files: &'a [SideFile],
) -> Result<ModelFile<'a>, Failure> {
    let path = layout.blob_path(&entry.key.sha);
    let size_bytes = bytes_of(&path, &format!("the file of model `{}`", entry.key.name))?;
    Ok(ModelFile { entry, path, size_bytes, side_files })
}

/// The files beside the one of a model, with weights of it.
fn beside(center: &Center, layout: &Layout, entry: &ModelEntry) -> Result<Vec<SideFile>, Failure> {
    let failed = |error: StoreError| Failure::new(Exit::Failed, error);
    let ModelKey { name, version, .. } = &entry.key;
    let files = center.store.read(|tx| tx.side_files_by_uuid(version)).map_err(failed)?;
    let side_file = |SideRecord { location, sha, .. }: SideRecord| {
        let malformed = |_| failed(StoreError::Malformed { what: "a file beside a model" });
        let digest: Digest = format!("sha256:{sha}").parse().map_err(malformed)?;
        let path = layout.blob_path(&digest);
        let size_bytes = bytes_of(&path, &format!("the file `{location}` beside model `{name}`"))?;
        Ok(SideFile { location, path, digest, size_bytes })
    };
    files.into_iter().map(side_file).collect()
}

fn bytes_of(path: &Path, what: &str) -> Result<u64, Failure> {
    let found = std::fs::metadata(path).map_err(|error| {
        Failure::new(Exit::Disk, format!("{what} cannot be read: {error}"))
            .hint("upload that model again, which brings its files back, and publish again")
    })?;
    Ok(found.len())
}
