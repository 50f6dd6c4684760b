//! An artifact on its way: into an image layout, or to a registry with somebody who watches the bytes.

use super::artifact::Artifact;
use crate::logging::AT_PUBLISH;
use crate::oci::{Descriptor, Digest, Tag, Version};
use crate::registry::{Action, Error, Layout, Pushed, Remote};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Somebody who is told how far it has come, and may end it.
pub(in crate::ops) trait Watch: Send + Sync {
    /// So many more bytes are on their way, or fewer where some have to be sent again.
    ///
    /// # Errors
    /// Whatever is to end the delivery.
    fn moved(&self, bytes: i64) -> io::Result<()>;
}

/// Nobody who watches.
pub(in crate::ops) fn unwatched() -> Arc<dyn Watch> {
    Arc::new(Unwatched)
}

struct Unwatched;

impl Watch for Unwatched {
    fn moved(&self, _: i64) -> io::Result<()> {
        Ok(())
    }
}

/// Stores all parts, then the manifest that names them.
///
/// # Errors
/// [`Error::Source`] when a file cannot be read, and those of the layout.
pub(in crate::ops) fn into_layout(
    artifact: &Artifact,
    layout: &Layout,
    tag: &Tag,
) -> Result<(), Error> {
    layout.put_blob_from(&artifact.manifest.config, &mut artifact.config.as_slice())?;
    for (layer, path) in artifact.layers() {
        layout.put_blob_from(layer, &mut opened(&layer.digest, path)?)?;
    }
    layout.put_manifest(tag, &artifact.manifest_bytes)?;
    Ok(())
}

/// Pushes all parts that are not there, then the manifest that names them.
///
/// # Errors
/// [`Error::Source`] when a file cannot be read or `watch` ends it, and those of the registry.
pub(in crate::ops) fn into_registry(
    artifact: &Artifact,
    remote: &Remote,
    version: &Version,
    watch: &Arc<dyn Watch>,
) -> Result<(), Error> {
    remote.login(Action::Push)?;
    let config = &artifact.config;
    let in_memory = |bytes: Vec<u8>| Ok(Box::new(io::Cursor::new(bytes)) as Box<dyn Read>);
    sent(remote, &artifact.manifest.config, &mut || in_memory(config.clone()), watch)?;
    for (layer, path) in artifact.layers() {
        let mut open = || Ok(Box::new(File::open(path)?) as Box<dyn Read>);
        let Descriptor { digest, size, .. } = layer;
        match sent(remote, layer, &mut open, watch)? {
            Pushed::Sent => log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=sent"),
            Pushed::AlreadyThere => {
                log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=\"already there\"");
            }
        }
    }
    remote.push_manifest(version, &artifact.manifest_bytes)?;
    Ok(())
}

/// Pushes one blob; one that is there counts as moved.
fn sent(
    remote: &Remote,
    blob: &Descriptor,
    open: &mut dyn FnMut() -> io::Result<Box<dyn Read>>,
    watch: &Arc<dyn Watch>,
) -> Result<Pushed, Error> {
    let told = Arc::new(AtomicI64::new(0));
    let mut watched = || {
        watch.moved(-told.swap(0, Ordering::Relaxed))?; // it begins anew after another login
        let (bytes, watch, told) = (open()?, Arc::clone(watch), Arc::clone(&told));
        Ok(Box::new(Watched { bytes, watch, told }) as Box<dyn Read>)
    };
    let pushed = remote.push_blob(blob, &mut watched)?;
    let size = i64::try_from(blob.size).unwrap_or(i64::MAX);
    let rest = size - told.load(Ordering::Relaxed);
    watch.moved(rest).map_err(|source| Error::Source { digest: blob.digest, source })?;
    Ok(pushed)
}

/// The bytes of a blob, told to whoever watches while they are read.
struct Watched {
    bytes: Box<dyn Read>,
    watch: Arc<dyn Watch>,
    told: Arc<AtomicI64>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        let moved = i64::try_from(count).unwrap_or(i64::MAX);
        self.told.fetch_add(moved, Ordering::Relaxed);
        self.watch.moved(moved)?;
        Ok(count)
    }
}

fn opened(digest: &Digest, path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Source { digest: *digest, source })
}
