//! Across an air gap: an artifact and its signatures into one tar file, and out of it again.

use super::login::Login;
use crate::exit::Failure;
use crate::logging::AT_PUBLISH;
use crate::oci::{Descriptor, Digest, Reference, Source, Tag, Version};
use crate::registry::signature::{Attached, Place, attached};
use crate::registry::{Action, Contents, Fetched, Pushed, Remote, Shelf, write_archive};
use std::path::Path;

/// The annotation that has a pipeline's version, which is its tag where it was published.
const VERSION: &str = "org.opencontainers.image.version";

/// What went over.
#[derive(Debug)]
pub struct Moved {
    /// The digest of the manifest.
    pub digest: Digest,
    /// What it is called where it is now.
    pub tag: Option<Tag>,
    /// The bytes of its config and its layers.
    pub bytes: u64,
    /// How many manifests of signatures went with it.
    pub signatures: usize,
}

/// Where an artifact comes from.
enum From {
    Remote(Box<Remote>),
    Shelf(Shelf),
}

/// Writes an artifact, from a registry or a layout, into a tar file: the same artifact gives the
/// same bytes.
///
/// # Errors
/// Those of the registry or the layout, and of the disk; a file that was there is then untouched.
pub fn export(source: &Source, file: &Path, login: &Login) -> Result<Moved, Failure> {
    let (from, artifact, version) = match source {
        Source::Registry(reference) => {
            let remote = login.remote(reference);
            remote.login(Action::Pull)?;
            let artifact = remote.manifest(&reference.version)?;
            (From::Remote(Box::new(remote)), artifact, Some(&reference.version))
        }
        Source::Layout { path, version } => {
            let shelf = Shelf::open(path)?;
            let artifact = shelf.manifest(version.as_ref())?;
            (From::Shelf(shelf), artifact, version.as_ref())
        }
    };
    let tag = version.and_then(Version::tag).cloned().or_else(|| {
        artifact.manifest.annotations.get(VERSION).and_then(|version| version.parse().ok())
    });
    let signatures = match &from {
        From::Remote(remote) => signatures(remote.as_ref(), &artifact.digest)?,
        From::Shelf(shelf) => signatures(shelf.place(), &artifact.digest)?,
    };
    let contents = Contents { artifact: &artifact, tag: tag.as_ref(), signatures: &signatures };
    write_archive(file, &contents, &mut |blob, into| {
        log::info!(target: AT_PUBLISH, "digest={} bytes={} msg=reading", blob.digest, blob.size);
        match &from {
            From::Remote(remote) => remote.blob(blob, into, &mut |_| {}),
            From::Shelf(shelf) => shelf.copy_blob(blob, into),
        }
    })?;
    Ok(moved(&artifact, tag, &signatures))
}

/// Sends an artifact from a tar file or a layout's directory to a registry.
///
/// # Errors
/// Those of the file and of the registry.
pub fn import(source: &Source, to: &Reference, login: &Login) -> Result<Moved, Failure> {
    let Source::Layout { path, version } = source else {
        return Err(Failure::new(crate::exit::Exit::Usage, format!("{source} is no file"))
            .hint("name a tar file or `oci-layout:DIRECTORY:TAG`"));
    };
    let shelf = Shelf::open(path)?;
    let artifact = shelf.manifest(version.as_ref())?;
    let remote = login.remote(to);
    remote.login(Action::Push)?;
    for blob in blobs(&artifact) {
        let Descriptor { digest, size, .. } = blob;
        let stretch = shelf.blob_stretch(digest)?;
        match remote.push_blob(blob, &mut || Ok(Box::new(stretch.open()?)))? {
            Pushed::Sent => log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=sent"),
            Pushed::AlreadyThere => {
                log::info!(target: AT_PUBLISH, "digest={digest} bytes={size} msg=\"already there\"");
            }
        }
    }
    remote.push_manifest(&to.version, &artifact.bytes)?;
    let signatures = signatures(shelf.place(), &artifact.digest)?;
    for signature in &signatures {
        remote.push_attached(&artifact.digest, signature)?;
    }
    Ok(moved(&artifact, to.version.tag().cloned(), &signatures))
}

/// The signatures that can be read; those that cannot would be of no use on the other side.
fn signatures(place: &dyn Place, digest: &Digest) -> Result<Vec<Attached>, Failure> {
    let (found, flaws) = attached(place, digest)?;
    for flaw in flaws {
        log::warn!(target: AT_PUBLISH, "digest={digest} msg={:?}", format!("left behind: {flaw}"));
    }
    Ok(found)
}

fn blobs(artifact: &Fetched) -> impl Iterator<Item = &Descriptor> {
    std::iter::once(&artifact.manifest.config).chain(&artifact.manifest.layers)
}

fn moved(artifact: &Fetched, tag: Option<Tag>, signatures: &[Attached]) -> Moved {
    Moved {
        digest: artifact.digest,
        tag,
        bytes: blobs(artifact).map(|blob| blob.size).sum(),
        signatures: signatures.len(),
    }
}
