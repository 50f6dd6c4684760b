//! Transfers: blobs brought into a layout, some at a time, over a link that may be cut at any byte.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use super::coming::{Coming, End};
use super::{Error, Layout, Pushed, Remote, Retry};
use crate::disk;
use crate::logging::AT_PULL;
use crate::oci::Descriptor;

/// How many blobs are fetched at once.
///
/// A second connection fills the pauses of the first, a third those of both; more would take
/// memory and bring nothing on the links of an edge.
pub const BLOBS_AT_ONCE: usize = 3;

/// How many arrivals may wait to be told, in messages: the fetching never runs far ahead.
const ARRIVALS_MAX: usize = 16;

/// The room that is left free on the disk, in bytes: 4 MiB for the manifest, the index, and
/// what else a device writes meanwhile.
pub const SPARE_BYTES: u64 = 4 << 20;

/// What is told of a blob while it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// So many of its bytes are there; fewer than before when it had to begin anew.
    Bytes(u64),
    /// It is whole, verified and in the layout.
    Whole(Pushed),
}

/// What a transfer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Brought {
    /// The blobs that were not there before.
    pub blobs: usize,
    /// The bytes that came over the network, those that came twice included.
    pub bytes: u64,
    /// The failures that were overcome.
    pub retries: u64,
}

/// Brings blobs of a remote repository into a layout.
///
/// What has come stays in the layout's directory `partial`, so a transfer that failed, or whose
/// process was killed, goes on from there when it is made again.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Where the blobs are.
    pub remote: &'a Remote,
    /// Where they go to.
    pub layout: &'a Layout,
    /// When to give up.
    pub retry: Retry,
}

impl Transfer<'_> {
    /// Brings the blobs that are not there, or not any more what their digests say.
    ///
    /// `progress` is called on the caller's thread. After an error each blob is either whole in
    /// the layout or not in it, and the call may be repeated.
    ///
    /// # Errors
    /// [`Error::NoSpace`] before the first byte when the disk is too small, otherwise the first
    /// error that is not [transient](Error::is_transient), or the last of those that are when
    /// [`Retry::attempts_max`] attempts brought nothing.
    pub fn bring(
        &self,
        blobs: &[Descriptor],
        progress: &mut dyn FnMut(&Descriptor, Arrival),
    ) -> Result<Brought, Error> {
        let mut missing = Vec::new();
        for blob in once_each(blobs) {
            if self.is_there(blob)? {
                // Another tool may have brought it while a part of it lay here.
                self.layout.discard_partial(&blob.digest)?;
                progress(blob, Arrival::Whole(Pushed::AlreadyThere));
            } else {
                missing.push(blob);
            }
        }
        self.see_room_for(&missing)?;
        // The largest come first, so that the others come beside it and not after it.
        missing.sort_by_key(|blob| Reverse(blob.size));
        let workers = BLOBS_AT_ONCE.min(missing.len());
        let (queue, over) = (Mutex::new(missing.iter().copied()), Over::default());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (sender, arrivals) = sync_channel(ARRIVALS_MAX);
        let work = |sender: SyncSender<_>| {
            let mut brought = Brought::default();
            while let Some(blob) = next().filter(|_| !over.is_so()) {
                let tell = |arrival| _ = sender.send((blob, arrival));
                let came = Coming::new(self, blob, &over, &tell).bring();
                brought.add(&came.inspect_err(|_| over.say())?);
            }
            Ok(brought)
        };
        std::thread::scope(|scope| {
            let mut sum = Ok(Brought::default());
            let mut started = Vec::new();
            for number in 1..=workers {
                let (work, sender) = (&work, sender.clone());
                let thread = Builder::new().name(format!("pull-{number}"));
                match thread.spawn_scoped(scope, move || work(sender)) {
                    Ok(worker) => started.push(worker),
                    Err(source) => {
                        over.say();
                        sum = Err(Error::NoThread { source });
                    }
                }
            }
            drop(sender);
            for (blob, arrival) in arrivals {
                progress(blob, arrival);
            }
            for worker in started {
                match worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                    Ok(brought) => _ = sum.as_mut().map(|sum| sum.add(&brought)),
                    // Who stopped since another failed has nothing to say.
                    Err(End::Over) => {}
                    Err(End::Failed(error)) => sum = sum.and(Err(self.named(error, &missing))),
                }
            }
            sum
        })
    }

    /// Whether the blob is there and still what its digest says.
    fn is_there(&self, blob: &Descriptor) -> Result<bool, Error> {
        if !self.layout.has_blob(blob)? {
            return Ok(false);
        }
        let verified = self.layout.verify_blob(blob);
        if verified.is_err() {
            let digest = blob.digest;
            log::warn!(target: AT_PULL, "digest={digest} msg=\"damaged on disk, fetched again\"");
        }
        Ok(verified.is_ok())
    }

    /// Sees that the disk has room for what is still to come of these blobs.
    fn see_room_for(&self, blobs: &[&Descriptor]) -> Result<(), Error> {
        let (needed_bytes, free_bytes) = self.room(blobs)?;
        if needed_bytes > 0 && free_bytes < needed_bytes {
            let directory = self.layout.root().to_owned();
            return Err(Error::NoSpace { directory, needed_bytes, free_bytes });
        }
        Ok(())
    }

    /// The bytes that these blobs still need, and those that are free.
    fn room(&self, blobs: &[&Descriptor]) -> Result<(u64, u64), Error> {
        let mut missing: u64 = 0;
        for blob in blobs {
            let have = self.layout.partial_bytes(&blob.digest)?;
            missing = missing.saturating_add(blob.size.saturating_sub(have));
        }
        // Whoever needs nothing needs no spare room either.
        let needed = if missing > 0 { missing.saturating_add(SPARE_BYTES) } else { 0 };
        Ok((needed, disk::free_bytes(self.layout.root())?))
    }

    /// The error of a disk that became full meanwhile, told as what it is.
    fn named(&self, error: Error, blobs: &[&Descriptor]) -> Error {
        if !matches!(&error, Error::Disk(disk) if disk.is_full()) {
            return error;
        }
        let is_missing = |blob: &&&Descriptor| !self.layout.has_blob(blob).unwrap_or(false);
        let missing: Vec<_> = blobs.iter().filter(is_missing).copied().collect();
        let directory = self.layout.root().to_owned();
        self.room(&missing).map_or(error, |(needed_bytes, free_bytes)| Error::NoSpace {
            directory,
            needed_bytes,
            free_bytes,
        })
    }
}

impl Brought {
    fn add(&mut self, other: &Self) {
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.retries += other.retries;
    }
}

/// Each blob once, in order: two layers may be the same file.
fn once_each(blobs: &[Descriptor]) -> impl Iterator<Item = &Descriptor> {
    let mut seen = BTreeSet::new();
    blobs.iter().filter(move |blob| seen.insert(blob.digest))
}

/// Whether the transfer is over for all, since one blob failed.
#[derive(Default)]
pub(super) struct Over {
    is_so: Mutex<bool>,
    said: Condvar,
}

impl Over {
    pub(super) fn is_so(&self) -> bool {
        *self.is_so.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self) {
        *self.is_so.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.said.notify_all();
    }

    /// Waits, but no longer than until it is over.
    pub(super) fn wait(&self, wait: Duration) {
        let is_so = self.is_so.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.said.wait_timeout_while(is_so, wait, |is_so| !*is_so));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Error, Layout, Remote, Retry, SPARE_BYTES, Transfer};
    use crate::disk::{Step, failed};
    use crate::http::client::Timeouts;
    use crate::oci::{Descriptor, media_type};
    use crate::registry::Transport;

    #[test]
    fn a_disk_that_becomes_full_meanwhile_is_told_with_what_is_still_to_come() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let transport = Transport::new(Timeouts::EDGE, Vec::new());
        let host = "127.0.0.1:1".parse().unwrap();
        let remote = Remote::new(transport, host, "a/b".parse().unwrap(), None);
        let transfer = Transfer { remote: &remote, layout: &layout, retry: Retry::NEVER };
        let blob = Descriptor::of(media_type::OCTET_STREAM, &[0; 5000]);
        let error = |kind: io::ErrorKind| {
            let error = failed(Step::Write, directory.path())(kind.into());
            transfer.named(error.into(), &[&blob])
        };
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = error(kind);
            assert!(matches!(error, Error::NoSpace { needed_bytes, .. }
                if needed_bytes == 5000 + SPARE_BYTES));
        }
        assert!(matches!(error(io::ErrorKind::PermissionDenied), Error::Disk(_)));
    }
}
