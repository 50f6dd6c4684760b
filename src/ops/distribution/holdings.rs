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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{Catalogue, Holdings, REPOSITORIES_MAX, Repositories, kind};
    use crate::oci::{Digest, REF_NAME, Version, media_type};
    use crate::registry::Layout;

    /// Stores some bytes and gives a descriptor of them.
    fn store(layout: &Layout, bytes: &str) -> Value {
        let digest = Digest::of(bytes.as_bytes());
        fs::write(layout.blob_path(&digest), bytes).unwrap();
        json!({ "digest": digest, "size": bytes.len() })
    }

    /// A manifest of one layer, stored.
    fn manifest(layout: &Layout, layer: &str, subject: Option<&Value>) -> Value {
        let layers = [store(layout, layer)];
        let manifest = json!({ "schemaVersion": 2, "layers": layers, "subject": subject });
        store(layout, &manifest.to_string())
    }

    /// Makes these the entries of the index, each under its tag.
    fn list(layout: &Layout, entries: &[(&str, &Value)]) {
        let entries = entries.iter().map(|(tag, entry)| {
            let mut entry = (*entry).clone();
            entry["annotations"] = json!({ REF_NAME: tag });
            entry
        });
        let index = json!({ "schemaVersion": 2, "manifests": entries.collect::<Vec<_>>() });
        crate::disk::write_durably(&layout.index_path(), index.to_string().as_bytes()).unwrap();
    }

    fn digest(of: &Value) -> Digest {
        serde_json::from_value(of["digest"].clone()).unwrap()
    }

    fn holdings(layout: &Layout) -> Holdings {
        Holdings::read(layout, &Holdings::default()).unwrap()
    }

    #[test]
    fn what_an_index_names_is_had_as_far_as_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let (ours, loose) = (manifest(&layout, "ours", None), manifest(&layout, "loose", None));
        let absent = json!({ "digest": Digest::of(b"absent"), "size": 6 });
        let index = json!({ "schemaVersion": 2, "manifests": [ours, absent, ours] }).to_string();
        let index = store(&layout, &index);
        list(&layout, &[("v1", &index), ("v0", &loose), ("v0", &ours)]);
        let holdings = holdings(&layout);
        let find = |it: &Value| holdings.find(&Version::Digest(digest(it))).is_some();
        assert!(find(&index) && find(&ours) && find(&loose) && !find(&absent));
        let by_tag = |tag: &str| holdings.find(&Version::Tag(tag.parse().unwrap()));
        assert_eq!(by_tag("v1"), Some(digest(&index)));
        assert_eq!(by_tag("v0"), Some(digest(&ours)), "the last of several counts");
        assert_eq!(holdings.blob_bytes(&Digest::of(b"ours")), Some(4));
        assert_eq!(holdings.blob_bytes(&digest(&ours)), None, "a manifest is no blob");
    }

    #[test]
    fn referrers_are_found_alone_and_below_an_index_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let subject = manifest(&layout, "model", None);
        let first = manifest(&layout, "first", Some(&subject));
        let second = manifest(&layout, "second", Some(&subject));
        let other = manifest(&layout, "other", Some(&first));
        let index = json!({ "schemaVersion": 2, "manifests": [second] }).to_string();
        let index = store(&layout, &index);
        list(&layout, &[("v1", &subject), ("a", &first), ("b", &other), ("sha256-x", &index)]);
        let mut expected = [digest(&first), digest(&second)];
        expected.sort_unstable();
        assert_eq!(holdings(&layout).referrers(&digest(&subject)), expected);
    }

    #[test]
    fn what_is_known_is_not_read_again_until_the_index_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::create(directory.path()).unwrap();
        let name = "a/b".parse().unwrap();
        let layout = repositories.layout(&name).unwrap();
        let first = manifest(&layout, "first", None);
        list(&layout, &[("v1", &first)]);
        // An hour ago, so that its time tells it from the next.
        let index = fs::File::options().write(true).open(layout.index_path()).unwrap();
        let modified = index.metadata().unwrap().modified().unwrap();
        index.set_modified(modified - std::time::Duration::from_secs(3600)).unwrap();
        let catalogue = Catalogue::new(repositories);
        let look = || catalogue.stock(&name).unwrap().unwrap().holdings;
        let before = look();
        assert!(Arc::ptr_eq(&before, &look()));
        let second = manifest(&layout, "second", None);
        list(&layout, &[("v1", &second), ("v0", &first)]);
        // Known by its digest, it is not missed though it cannot be read any more.
        fs::remove_file(layout.blob_path(&digest(&first))).unwrap();
        let after = look();
        let v1 = Version::Tag("v1".parse().unwrap());
        assert_eq!(after.find(&v1), Some(digest(&second)));
        assert!(after.find(&Version::Digest(digest(&first))).is_some());
    }

    #[test]
    fn no_crowd_of_repositories_is_kept_in_mind() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::create(directory.path()).unwrap();
        let catalogue = Catalogue::new(repositories.clone());
        for number in 0..REPOSITORIES_MAX + 5 {
            let name = format!("a/{number}").parse().unwrap();
            assert!(catalogue.stock(&name).unwrap().is_none());
            repositories.layout(&name).unwrap();
            assert!(catalogue.stock(&name).unwrap().is_some());
        }
        assert_eq!(catalogue.slots.lock().unwrap().len(), REPOSITORIES_MAX);
    }

    #[test]
    fn a_manifest_is_never_served_as_a_kind_of_its_own_choice() {
        let cases = [
            (json!({ "mediaType": "text/html" }), media_type::MANIFEST),
            (json!({ "mediaType": "text/html", "manifests": [] }), media_type::INDEX),
            (json!({ "mediaType": media_type::DOCKER_LIST }), media_type::DOCKER_LIST),
            (json!({}), media_type::MANIFEST),
            (json!("text"), media_type::MANIFEST),
        ];
        for (manifest, expected) in cases {
            assert_eq!(kind(&manifest), expected, "{manifest}");
        }
    }
}
