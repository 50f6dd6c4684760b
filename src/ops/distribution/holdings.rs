//! What a repository has: its tags, its manifests, and the blobs that these name, and no others.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::Repositories;
use crate::clock::{Clock, DeviceClock};
use crate::disk::{self, Step};
use crate::logging::AT_SERVE;
use crate::oci::{Digest, Repository, Version, media_type};
use crate::registry::{Error, Layout};

/// Repositories that are kept in mind: those of a fleet that pulls at one time. One with the ten
/// thousand manifests that an index holds takes some 5 MB.
const REPOSITORIES_MAX: usize = 256;

/// How old an index must be for its file's time to tell it from the next: clocks of file systems
/// go by steps of up to 10 ms, and two writes within one look alike.
const SETTLED: Duration = Duration::from_secs(1);

/// The media types of manifests; a manifest that calls itself anything else is not served as that.
const KINDS: [&str; 4] =
    [media_type::MANIFEST, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];

/// All repositories, and what is known of those that were asked for lately.
#[derive(Debug)]
pub(super) struct Catalogue {
    repositories: Repositories,
    slots: Mutex<HashMap<Repository, Arc<Slot>>>,
}

/// One repository as it was when it was last looked at.
type Slot = Mutex<Option<Seen>>;

#[derive(Debug)]
struct Seen {
    /// Of the index; `None` when it was too fresh to be told by it.
    stamp: Option<Stamp>,
    holdings: Arc<Holdings>,
}

/// A repository, ready to be served from.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) layout: Layout,
    pub(super) holdings: Arc<Holdings>,
}

impl Catalogue {
    pub(super) fn new(repositories: Repositories) -> Catalogue {
        Catalogue { repositories, slots: Mutex::default() }
    }

    /// A repository as it is now; `None` when there is none of that name.
    pub(super) fn stock(&self, repository: &Repository) -> Result<Option<Stock>, Error> {
        let Some(layout) = self.repositories.find(repository)? else { return Ok(None) };
        let slot = self.slot(repository);
        // Who comes while it is read waits for that, and other repositories do not.
        let mut seen = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&layout.index_path())?;
        let known = match seen.take() {
            Some(seen_before) if seen_before.stamp == Some(stamp) => {
                let holdings = Arc::clone(&seen_before.holdings);
                *seen = Some(seen_before);
                return Ok(Some(Stock { layout, holdings }));
            }
            Some(outdated) => outdated.holdings,
            None => Arc::default(),
        };
        let holdings = Arc::new(Holdings::read(&layout, &known)?);
        *seen = Some(Seen { stamp: stamp.settled(), holdings: Arc::clone(&holdings) });
        Ok(Some(Stock { layout, holdings }))
    }

    fn slot(&self, repository: &Repository) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(repository) {
            return Arc::clone(slot);
        }
        if slots.len() >= REPOSITORIES_MAX {
            // Any one: whoever comes again is read again.
            let one = slots.keys().next().cloned();
            one.map(|one| slots.remove(&one));
        }
        Arc::clone(slots.entry(repository.clone()).or_default())
    }
}

/// What tells one index file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: Duration,
}

impl Stamp {
    fn of(path: &Path) -> Result<Stamp, Error> {
        let found = fs::metadata(path).map_err(disk::failed(Step::Open, path))?;
        let seconds = u64::try_from(found.mtime()).unwrap_or_default();
        let nanos = u32::try_from(found.mtime_nsec()).unwrap_or_default();
        let modified = Duration::new(seconds, nanos);
        Ok(Stamp { inode: found.ino(), bytes: found.size(), modified })
    }

    /// Itself, unless another could still be made that looks the same.
    fn settled(self) -> Option<Stamp> {
        let age = DeviceClock.since_epoch().abs_diff(self.modified);
        (age >= SETTLED).then_some(self)
    }
}

/// What one repository has.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    pub(super) tags: BTreeMap<String, Digest>,
    manifests: HashMap<Digest, Arc<Bill>>,
    /// With their sizes in bytes.
    blobs: HashMap<Digest, u64>,
}

/// What is kept in mind of a manifest.
#[derive(Debug)]
struct Bill {
    subject: Option<Digest>,
    blobs: Vec<(Digest, u64)>,
    manifests: Vec<Digest>,
}

impl Holdings {
    /// Reads the index and every manifest below it that is not `known` already: a manifest with
    /// the same digest is the same.
    ///
    /// One that cannot be read is left out, and so is what it alone names.
    fn read(layout: &Layout, known: &Holdings) -> Result<Holdings, Error> {
        let mut holdings = Holdings::default();
        let mut open = Vec::new();
        for listed in layout.listed()? {
            open.push(listed.digest);
            // Of several with one tag the last counts, as everywhere.
            listed.tag.map(|tag| holdings.tags.insert(tag.to_string(), listed.digest));
        }
        while let Some(digest) = open.pop() {
            if holdings.manifests.contains_key(&digest) {
                continue;
            }
            let bill = match known.manifests.get(&digest) {
                Some(bill) => Arc::clone(bill),
                None => match layout.whole_manifest(&digest) {
                    Ok(bytes) => Arc::new(Bill::of(&bytes)),
                    // An index may name platforms that were never fetched.
                    Err(Error::UnknownBlob { .. }) => continue,
                    Err(error) => {
                        log::error!(target: AT_SERVE, "digest={digest} msg={:?}", crate::exit::chain(&error));
                        continue;
                    }
                },
            };
            open.extend(&bill.manifests);
            holdings.blobs.extend(bill.blobs.iter().copied());
            holdings.manifests.insert(digest, bill);
        }
        Ok(holdings)
    }

    /// The digest of a manifest that the repository has.
    pub(super) fn find(&self, version: &Version) -> Option<Digest> {
        let digest = match version {
            Version::Tag(tag) => *self.tags.get(tag.as_str())?,
            Version::Digest(digest) | Version::Pinned { digest, .. } => *digest,
        };
        self.manifests.contains_key(&digest).then_some(digest)
    }

    /// The size of a blob that one of the manifests names, in bytes.
    pub(super) fn blob_bytes(&self, digest: &Digest) -> Option<u64> {
        self.blobs.get(digest).copied()
    }

    /// The manifests that say they are about that one, in the order of their digests.
    pub(super) fn referrers(&self, subject: &Digest) -> Vec<Digest> {
        let about = |(digest, bill): (&Digest, &Arc<Bill>)| {
            (bill.subject.as_ref() == Some(subject)).then_some(*digest)
        };
        let mut found: Vec<Digest> = self.manifests.iter().filter_map(about).collect();
        found.sort_unstable();
        found
    }
}

impl Bill {
    /// Something that is no manifest names nothing.
    fn of(bytes: &[u8]) -> Bill {
        let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let digest = |it: &Value| it.get("digest")?.as_str()?.parse::<Digest>().ok();
        let blob = |it: &Value| Some((digest(it)?, it.get("size")?.as_u64()?));
        let list = |key: &str| manifest.get(key).and_then(Value::as_array).into_iter().flatten();
        let blobs = list("layers").chain(manifest.get("config")).filter_map(blob).collect();
        let manifests = list("manifests").filter_map(digest).collect();
        Bill { subject: manifest.get("subject").and_then(digest), blobs, manifests }
    }
}

/// The media type of a manifest: its own where it is that of a manifest, else by its shape.
pub(super) fn kind(manifest: &Value) -> &'static str {
    let own = manifest.get("mediaType").and_then(Value::as_str);
    let known = KINDS.into_iter().find(|kind| Some(*kind) == own);
    known.unwrap_or(match manifest.get("manifests") {
        Some(_) => media_type::INDEX,
        None => media_type::MANIFEST,
    })
}

/// Whether a file is gone that was there a moment ago.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
