//! Fetches the pipeline: from a registry into the store, in place from an image layout, or from the store itself.

use super::aim::Aim;
use super::artifact::Artifact;
use super::config::Config;
use super::store::Store;
use super::trust;
use super::verification::Verification;
use super::voice::Voice;
use crate::disk::Stretch;
use crate::exit::Failure;
use crate::http::client::Timeouts;
use crate::logging::AT_PULL;
use crate::oci::{CONFIG_BYTES_MAX, Descriptor, Digest, Source, Version};
use crate::pipeline::{Definition, ModelKey, SideFiles};
use crate::registry::signature::Place;
use crate::registry::{self, Action, Arrival, Remote, Retry, Shelf, Transfer};
use std::collections::HashMap;
use std::time::Instant;

/// A pipeline whose files are on this device, and verified once their verification is waited for.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Of its manifest.
    pub(super) digest: Digest,
    /// What it was asked for by.
    pub(super) url: String,
    pub(super) definition: Definition,
    /// The file of each model that a step runs, and the files beside them.
    pub(super) files: HashMap<Digest, Stretch>,
    /// To be waited for before any of them runs.
    pub(super) verification: Verification,
    /// Which of the files hold weights of a model whose own file does not.
    pub(super) beside: HashMap<ModelKey, SideFiles>,
}

/// The manifest that an aim leads to at this moment, and where it was found.
pub(super) struct Found<'a> {
    config: &'a Config,
    store: &'a Store,
    aim: Aim,
    voice: Voice,
    origin: Origin,
    manifest: registry::Fetched,
}

/// Where the blobs of an artifact are.
enum Origin {
    /// In a registry: they are brought into the store.
    Remote(Box<Remote>),
    /// In an image layout of someone else's: they are read where they are.
    Shelf(Shelf),
    /// In the store, from an earlier time.
    Store,
}

/// Asks the registry or the layout what `aim` leads to, as often as `retry` says.
///
/// # Errors
/// Each cause with an exit code of its own: see [`Exit`](crate::exit::Exit).
pub(super) fn find<'a>(
    config: &'a Config,
    store: &'a Store,
    aim: Aim,
    voice: Voice,
    retry: Retry,
) -> Result<Found<'a>, Failure> {
    let (origin, manifest) = match &aim.source {
        Source::Registry(reference) => {
            let transport = config.transport(Timeouts::EDGE);
            let (registry, repository) = (reference.registry.clone(), reference.repository.clone());
            let remote = Remote::new(transport, registry, repository, aim.credentials.clone());
            remote.login(Action::Pull)?;
            if aim.credentials.is_some() {
                voice.logged_in();
            }
            voice.manifest(&aim.url);
            let manifest = retry.run(|| remote.manifest(&reference.version))?;
            voice.found(&aim.source, &manifest.digest);
            (Origin::Remote(Box::new(remote)), manifest)
        }
        Source::Layout { path, version } => {
            voice.manifest(&aim.url);
            let shelf = Shelf::open(path)?;
            let manifest = shelf.manifest(version.as_ref())?;
            (Origin::Shelf(shelf), manifest)
        }
    };
    Ok(Found { config, store, aim, voice, origin, manifest })
}

/// What is in the store under this digest, as a pipeline of `aim`; nothing is asked of a network.
///
/// # Errors
/// When a part of it is missing or damaged.
pub(super) fn stored<'a>(
    config: &'a Config,
    store: &'a Store,
    aim: Aim,
    digest: Digest,
) -> Result<Found<'a>, Failure> {
    let manifest = store.layout().manifest(&Version::Digest(digest))?;
    Ok(Found { config, store, aim, voice: Voice::Log, origin: Origin::Store, manifest })
}

impl Found<'_> {
    /// Of the manifest.
    pub(super) fn digest(&self) -> Digest {
        self.manifest.digest
    }

    /// Sees to it that every blob that the pipeline needs is on this device and right.
    ///
    /// # Errors
    /// As [`find`]; what has come by then stays, and is not fetched again.
    pub(super) fn bring(self) -> Result<Fetched, Failure> {
        let Artifact { definition, layers, beside } = self.accept()?;
        let mut told = self.voice.layers(&layers);
        let own = Shelf::Directory(self.store.layout().clone());
        let shelf = match &self.origin {
            Origin::Remote(remote) => {
                self.pull(remote, &layers, &mut |layer| told.whole(layer))?;
                self.store.put_manifest(&self.manifest, self.aim.source.tag())?;
                &own
            }
            Origin::Shelf(shelf) => {
                layers.iter().for_each(|layer| told.whole(layer));
                shelf
            }
            Origin::Store => {
                for layer in &layers {
                    if !self.store.layout().has_blob(layer)? {
                        self.store.verify(layer)?; // says what is missing
                    }
                }
                &own
            }
        };
        let unproven: Vec<Descriptor> =
            layers.iter().filter(|layer| !self.store.has_proven(&layer.digest)).cloned().collect();
        let verification = match (&self.origin, unproven.is_empty()) {
            (Origin::Remote(_), _) | (Origin::Store, true) => Verification::right(),
            (Origin::Shelf(_), _) => Verification::on(shelf.clone(), layers.clone())?,
            (Origin::Store, false) => Verification::on(shelf.clone(), unproven)?,
        };
        let mut files = HashMap::new();
        for layer in &layers {
            files.insert(layer.digest, shelf.blob_stretch(&layer.digest)?);
        }
        let url = self.aim.source.to_string();
        Ok(Fetched { digest: self.manifest.digest, url, definition, files, beside, verification })
    }

    /// Decides whether this artifact may run here, before any of its models is fetched.
    ///
    /// Every artifact comes by, at each start and each update, also one that was stored before.
    fn accept(&self) -> Result<Artifact, Failure> {
        let place: Option<&dyn Place> = match &self.origin {
            Origin::Remote(remote) => Some(remote.as_ref()),
            Origin::Shelf(shelf) => Some(shelf.place()),
            Origin::Store => None,
        };
        trust::accept(
            self.config,
            &self.aim.source,
            self.store.layout(),
            &self.manifest.digest,
            place,
        )?;
        let config = &self.manifest.manifest.config;
        let bytes = match &self.origin {
            Origin::Remote(remote) => {
                self.pull(remote, std::slice::from_ref(config), &mut |_| ())?;
                self.store.layout().read_blob(config, CONFIG_BYTES_MAX)?
            }
            Origin::Shelf(shelf) => shelf.read_blob(config, CONFIG_BYTES_MAX)?,
            Origin::Store => self.store.layout().read_blob(config, CONFIG_BYTES_MAX)?,
        };
        Artifact::read(&self.aim.source, &self.manifest.manifest, &bytes)
    }

    /// Brings blobs into the store, those left out that are there and right.
    fn pull(
        &self,
        remote: &Remote,
        blobs: &[Descriptor],
        whole: &mut dyn FnMut(&Descriptor),
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let mut missing = Vec::new();
        for blob in blobs {
            if self.store.has(blob)? {
                log::debug!(target: AT_PULL, "digest={} msg=\"already there\"", blob.digest);
                whole(blob);
            } else {
                missing.push(blob.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut progress = super::progress::Progress::start(&missing);
        let transfer = Transfer { remote, layout: self.store.layout(), retry: Retry::EDGE };
        let brought = transfer.bring(&missing, &mut |blob, arrival| match arrival {
            Arrival::Bytes(bytes) => progress.at(&blob.digest, bytes),
            Arrival::Whole(_) => {
                progress.at(&blob.digest, blob.size);
                whole(blob);
            }
        })?;
        progress.done();
        self.store.brought(&missing);
        log::info!(
            target: AT_PULL,
            "blobs={} bytes={} retries={} ms={}",
            brought.blobs, brought.bytes, brought.retries, start.elapsed().as_millis()
        );
        Ok(())
    }
}
