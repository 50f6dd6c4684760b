//! Models: files that come in whole or in parts, are kept once for each digest, and are checked at once.
//!
//! ```text
//! body ──receive──▶ blob, synced ──record──▶ version, `attempting_load_native`
//!                                              └──checker──▶ `ready` with its facts, or `error`
//! ```
//! A version is acknowledged when its blob and its record are on the disk. A kill before that leaves
//! at most a blob that no record names, and the same file uploaded again takes it.

mod checker;
mod resumed;
mod wanted;

pub(in crate::ops) use checker::start;
pub(in crate::ops) use resumed::{
    ContentRange, ResumedError, UPLOADS_MAX, append, begin, finish, forget,
};
pub(in crate::ops) use wanted::{UploadError, Wanted};

use super::access::{NoRandomness, fresh_uuid};
use super::home::Home;
use super::store::{NewModelVersion, SideRecord, StoreError, Tx};
use crate::disk;
use crate::oci::{Descriptor, Digest, media_type};
use crate::registry::{self, Layout, SPARE_BYTES, Weighed};
use crate::runtime;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of one model: what the runtime loads at most.
pub(in crate::ops) const MODEL_BYTES_MAX: u64 = runtime::FILE_BYTES_MAX;

/// Bytes that are read and written at a time.
const PIECE_BYTES: usize = 128 << 10;

/// What the requests and the checker have in common.
#[derive(Debug)]
pub(in crate::ops) struct Models {
    blobs: Layout,
    uploads: PathBuf,
    /// The program whose `trial` checks.
    program: PathBuf,
    /// Held from a blob's name to its record, so that nobody takes away a blob that another's record
    /// is about to name.
    placing: Mutex<()>,
    /// Counts what changed: versions that are to be checked, and those that were.
    changes: Mutex<u64>,
    changed: Condvar,
}

/// A version that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Recorded {
    /// The number of its model.
    pub model: i64,
    /// Its own number.
    pub id: i64,
    /// Its UUID.
    pub version: String,
    /// Its file.
    pub sha: String,
}

impl Models {
    /// The models of a data directory; what killed uploads left among the blobs is taken away.
    ///
    /// # Errors
    /// When the directory of the blobs cannot be used.
    pub(in crate::ops) fn open(home: &Home, program: PathBuf) -> Result<Models, registry::Error> {
        Ok(Models {
            blobs: Layout::create(&home.blobs())?,
            uploads: home.uploads(),
            program,
            placing: Mutex::new(()),
            changes: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    /// Where the file of a version is.
    pub(in crate::ops) fn file(&self, sha: &str) -> Option<PathBuf> {
        let digest: Digest = format!("sha256:{sha}").parse().ok()?;
        Some(self.blobs.blob_path(&digest))
    }

    /// Where the files beside a version's are, by location.
    pub(in crate::ops) fn beside(&self, files: &[SideRecord]) -> BTreeMap<String, PathBuf> {
        let place = |file: &SideRecord| Some((file.location.clone(), self.file(&file.sha)?));
        files.iter().filter_map(place).collect()
    }

    /// Where all blobs are.
    pub(in crate::ops) fn blobs(&self) -> &Layout {
        &self.blobs
    }

    /// Takes a blob away unless it is named, which no upload makes it meanwhile; tells whether it did.
    ///
    /// # Errors
    /// Those of `is_named`, and when the disk does not let it go.
    pub(in crate::ops) fn discard<E: From<registry::Error>>(
        &self,
        digest: &Digest,
        is_named: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let goes = !is_named()?;
        if goes {
            self.blobs.discard_blob(digest)?;
        }
        Ok(goes)
    }

    /// The program whose `trial` checks.
    pub(in crate::ops) fn program(&self) -> &Path {
        &self.program
    }

    /// Takes the bytes of a model onto the disk, hashed on the way; `told` are those that will come,
    /// where that is told.
    ///
    /// # Errors
    /// When they are none or too many, the disk has no room, or the body breaks: nothing is left.
    pub(in crate::ops) fn receive(
        &self,
        from: &mut dyn Read,
        told: Option<u64>,
    ) -> Result<Weighed, UploadError> {
        self.has_room(told.unwrap_or(0))?;
        let mut incoming = self.blobs.incoming()?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = from.read(&mut piece).map_err(UploadError::Read)?;
            if count == 0 {
                break;
            }
            if incoming.bytes() + count as u64 > MODEL_BYTES_MAX {
                return Err(UploadError::TooLarge);
            }
            incoming.write_all(&piece[..count]).map_err(UploadError::write)?;
        }
        match incoming.bytes() {
            0 => Err(UploadError::Empty),
            _ => Ok(incoming.weighed()),
        }
    }

    /// Gives the bytes of some files their names, and records them by `record`: all, or nothing is left.
    ///
    /// # Errors
    /// Those of `record`, and when the disk does not take a name.
    pub(in crate::ops) fn place<T, E: From<UploadError>>(
        &self,
        files: Vec<Weighed>,
        record: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let blobs: Vec<_> = files.iter().map(|file| (file.digest(), file.bytes())).collect();
        let store = || files.into_iter().try_for_each(|file| Ok(file.store()?));
        self.placed(&blobs, store, record)
    }

    /// The same for blobs, each by digest and bytes, that `store` makes.
    fn placed<T, E: From<UploadError>>(
        &self,
        blobs: &[(Digest, u64)],
        store: impl FnOnce() -> Result<(), UploadError>,
        record: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for (digest, bytes) in blobs {
            let blob = Descriptor::new(media_type::MODEL_WEIGHT, *digest, *bytes);
            if !self.blobs.has_blob(&blob).map_err(UploadError::from)? {
                new.push(*digest);
            }
        }
        let recorded = store().map_err(E::from).and_then(|()| record());
        match &recorded {
            Ok(_) => self.wake(),
            Err(_) => new.iter().for_each(|digest| {
                if let Err(error) = self.blobs.discard_blob(digest) {
                    log::warn!(target: crate::logging::AT_SERVE, "digest={digest} msg={:?}", error.to_string());
                }
            }),
        }
        recorded
    }

    /// Whether the disk has room for so many bytes more.
    fn has_room(&self, bytes: u64) -> Result<(), UploadError> {
        let free = disk::free_bytes(&self.uploads)?;
        let needed = bytes.saturating_add(SPARE_BYTES);
        if free < needed { Err(UploadError::NoRoom { free, needed }) } else { Ok(()) }
    }

    /// Tells all who wait that something changed.
    fn wake(&self) {
        *self.count() += 1;
        self.changed.notify_all();
    }

    /// How much has changed so far.
    pub(in crate::ops) fn changes(&self) -> u64 {
        *self.count()
    }

    /// Waits until more has changed than `seen`, at most so long; tells whether it has.
    pub(in crate::ops) fn wait(&self, seen: u64, most: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.count(), most, |count| *count <= seen);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *count > seen
    }

    fn count(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum RecordError {
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No UUID.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Records a file, with those beside it, as the next version of a model, which is made where there is none.
pub(in crate::ops) fn record(
    tx: &Tx<'_>,
    wanted: &Wanted,
    digest: Digest,
    size_bytes: u64,
    side_files: &[SideRecord],
    by: &str,
    now_ms: i64,
) -> Result<Recorded, RecordError> {
    let model = tx.model_named(wanted.workspace, &wanted.name, by, now_ms)?;
    let (version, sha) = (fresh_uuid()?, digest.hex());
    let id = tx.add_model_version(&NewModelVersion {
        model,
        version: &version,
        sha: &sha,
        size_bytes,
        file_name: &wanted.file_name,
        visibility: &wanted.visibility,
        by,
        now_ms,
    })?;
    for file in side_files {
        tx.add_side_file(id, file)?;
    }
    Ok(Recorded { model, id, version, sha })
}

#[cfg(test)]
mod tests;
