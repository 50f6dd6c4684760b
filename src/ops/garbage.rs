//! Garbage: blobs that no record and no repository names, taken away one by one while all else goes on.

// What a kill between a blob and its record left, files of uploads that were given up, manifests that
// lost their tag. Publishing waits meanwhile, so what the repositories need is known once; uploads go
// on, so before each blob goes the records are asked again, where no upload can be about to name it.

use super::center::Center;
use super::store::StoreError;
use crate::exit;
use crate::logging::AT_SERVE;
use crate::oci::Digest;
use crate::registry::{self, Swept};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often it is looked for garbage: it is rare, and 40,000 blobs take a second or two.
pub(in crate::ops) const EVERY: Duration = Duration::from_secs(3600);

/// Blobs that one look takes away: each holds up uploads for a moment. The next look takes the rest.
const REMOVED_MAX: usize = 10_000;

/// Why garbage was not, or not all, taken away.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum GarbageError {
    /// The publisher works.
    #[error("a publish is being pushed: try again when it is there")]
    Busy,
    /// What is needed cannot be told.
    #[error("what the repositories need cannot be read, so nothing was taken away")]
    Unknown(#[source] registry::Error),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error("a blob cannot be taken away")]
    Disk(#[from] registry::Error),
}

/// Takes away what nothing names.
///
/// # Errors
/// While a publish is pushed, and when a manifest or the records cannot be read.
pub(in crate::ops) fn collect(center: &Center) -> Result<Swept, GarbageError> {
    let _idle = center.desk.idle().ok_or(GarbageError::Busy)?;
    let needed = needed(center)?;
    let blobs = center.models.blobs().blobs_there().map_err(GarbageError::Unknown)?;
    let (mut swept, mut left) = (Swept::default(), REMOVED_MAX);
    for digest in blobs.into_iter().filter(|digest| !needed.contains(digest)) {
        if left == 0 {
            break;
        }
        let path = center.models.blobs().blob_path(&digest);
        let bytes = std::fs::metadata(&path).map_or(0, |found| found.len());
        let is_named = || Ok(center.store.read(|tx| tx.names_blob(&digest.hex()))?);
        if center.models.discard::<GarbageError>(&digest, is_named)? {
            swept += Swept { files: 1, bytes };
            left -= 1;
        }
    }
    if swept.files > 0 {
        // What a power cut brings back is garbage again.
        log::info!(target: AT_SERVE, "blobs={} bytes={} msg=\"garbage was taken away\"", swept.files, swept.bytes);
    }
    Ok(swept)
}

/// The same at its time, with nobody to tell.
pub(in crate::ops) fn collect_by_itself(center: &Center) {
    match collect(center) {
        Ok(_) | Err(GarbageError::Busy) => {}
        Err(error) => log::error!(target: AT_SERVE, "msg={:?}", exit::chain(&error)),
    }
}

/// What repositories list and publishes name, with all that it is made of.
fn needed(center: &Center) -> Result<BTreeSet<Digest>, GarbageError> {
    let blobs = center.models.blobs();
    let mut manifests = Vec::new();
    for layout in center.repositories.all().map_err(GarbageError::Unknown)? {
        let listed = layout.listed().map_err(GarbageError::Unknown)?;
        manifests.extend(listed.into_iter().map(|entry| entry.digest));
    }
    // In another registry's stead these are not here at all.
    let named = center.store.read(|tx| tx.named_manifests())?;
    let named = named.iter().filter_map(|digest| digest.parse().ok());
    manifests.extend(named.filter(|digest| blobs.blob_path(digest).is_file()));
    blobs.needed_by(&manifests).map_err(GarbageError::Unknown)
}
