//! The persistent directory: whether it keeps, how much, how surely, and whether it kept well.

use super::finding::{Finding, Level};
use super::{Found, enough, size};
use crate::clock::DeviceClock;
use crate::disk::{self, UNFINISHED};
use crate::engine::store::{Kept, LAYOUT, LOCK, Store};
use crate::oci::{Descriptor, Digest, Manifest, Source, Version, media_type};
use crate::registry::{Fetched, Layout, Shelf};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the probe writes, in bytes: a page, which is what the smallest file takes.
const PROBE: [u8; 4096] = [0; 4096];

/// Above this, syncing one page tells of a worn or overloaded medium.
const SYNC_SLOW: Duration = Duration::from_millis(500);

/// File systems that are gone with the power, and the one that is gone with a container.
const PASSING: [&str; 2] = ["tmpfs", "ramfs"];
const OF_A_CONTAINER: &str = "overlay";

/// What was found in the directory.
pub(super) struct Stored {
    /// The directory, or the nearest above it that is there.
    place: PathBuf,
    sound: BTreeSet<Digest>,
}

impl Stored {
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.sound.contains(digest)
    }

    /// The pipeline of this URL that answered before, if it is there, whole: then an engine starts
    /// without its registry.
    pub(super) fn keeps(&self, source: &Source, found: Found<'_>) -> Option<Fetched> {
        let store = Store::look(&self.place, Arc::new(DeviceClock)).ok().flatten()?;
        let whole = |kept: Kept| {
            let fetched = store.layout().manifest(&Version::Digest(kept.digest)).ok()?;
            self.has_all(&fetched.manifest).then_some(fetched)
        };
        let followed = store.followed().filter(|it| it.instead_of == source.to_string());
        let kept = match followed {
            None => store.kept(source),
            Some(followed) => {
                let finding = format!(
                    "the ops center had {} run here: a start begins with that, and not with PIPELINE_URL",
                    followed.url
                );
                found(Finding::ok("assigned", finding));
                let (current, previous) = store.current_and_previous();
                [current, previous].into_iter().flatten().collect()
            }
        };
        let kept = kept.into_iter().find_map(whole)?;
        let finding = format!("{} is kept: an engine starts without the registry", kept.digest);
        found(Finding::ok("pipeline", finding));
        Some(kept)
    }

    /// Whether each blob of an artifact is here and sound.
    pub(super) fn has_all(&self, manifest: &Manifest) -> bool {
        manifest.layers.iter().chain([&manifest.config]).all(|blob| self.has(&blob.digest))
    }

    /// Where the blobs are, if there are any.
    pub(super) fn shelf(&self) -> Option<Shelf> {
        Layout::open(&self.place.join(LAYOUT)).ok().map(Shelf::Directory)
    }

    /// Whether there is room for what has to be fetched.
    pub(super) fn space(&self, needed: u64, found: Found<'_>) {
        let path = self.place.display();
        found(match disk::free_bytes(&self.place) {
            Err(error) => {
                let remedy = "see that the directory is on a file system that tells its room";
                Finding::warn("space", crate::exit::chain(&error), remedy)
            }
            Ok(free) => Finding::new(
                "space",
                enough(free, needed, Level::Fail),
                format!(
                    "{} are free at {path}, and {} have to be fetched",
                    size(free),
                    size(needed)
                ),
                "make room there, or name a larger place in POTOROO_PERSIST",
            ),
        });
    }
}

/// Examines the directory that is or would be used.
pub(super) fn examine(directory: &Path, found: Found<'_>) -> Stored {
    let place = directory.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let nothing = Stored { place: place.to_owned(), sound: BTreeSet::new() };
    found(mounted(directory, place));
    if place != directory {
        let (directory, place) = (directory.display(), place.display());
        let finding = format!("{directory} is not there yet; an engine makes it in {place}");
        found(Finding::ok("persist", finding));
        return nothing;
    }
    let path = directory.display();
    match probe(directory) {
        Err(error) => found(Finding::fail(
            "persist",
            format!("{path} cannot be written: {error}"),
            "mount a volume there that this user may write, or name another in POTOROO_PERSIST",
        )),
        Ok(took) => found(Finding::new(
            "persist",
            if took > SYNC_SLOW { Level::Warn } else { Level::Ok },
            format!("{path} can be written; a page is synced in {} ms", took.as_millis()),
            "expect slow starts and updates; a worn card should be changed before it fails",
        )),
    }
    found(locked(directory));
    Stored { sound: verified(&directory.join(LAYOUT), found), ..nothing }
}

/// Writes a page, waits until it is safe, and takes it away again.
fn probe(directory: &Path) -> io::Result<Duration> {
    // By its ending any engine knows it for litter, should the power go right now.
    let path = directory.join(format!(".doctor-{}{UNFINISHED}", std::process::id()));
    let written = || {
        let mut file = File::create(&path)?;
        file.write_all(&PROBE)?;
        let start = Instant::now();
        file.sync_all()?;
        File::open(directory)?.sync_all()?;
        Ok(start.elapsed())
    };
    let took = written();
    let _ = fs::remove_file(&path);
    took
}

fn locked(directory: &Path) -> Finding {
    let path = directory.display();
    let taken = match File::open(directory.join(LOCK)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    };
    if taken {
        let finding = format!("an engine runs with {path}");
        Finding::ok("lock", finding)
    } else {
        Finding::ok("lock", format!("no engine holds {path}"))
    }
}

/// Reads every blob of the store through; gives those that are what their name says.
fn verified(store: &Path, found: Found<'_>) -> BTreeSet<Digest> {
    let mut sound = BTreeSet::new();
    if !store.is_dir() {
        found(Finding::ok("store", "nothing was fetched yet"));
        return sound;
    }
    let layout = match Layout::open(store) {
        Ok(layout) => layout,
        Err(error) => {
            found(Finding::fail("store", crate::exit::chain(&error), error.hint()));
            return sound;
        }
    };
    let mut damaged = Vec::new();
    let mut bytes = 0;
    for (digest, length) in blobs(store) {
        match layout.verify_blob(&Descriptor::new(media_type::OCTET_STREAM, digest, length)) {
            Ok(_proof) => {
                sound.insert(digest);
                bytes += length;
            }
            Err(_) => damaged.push(digest.to_string()),
        }
    }
    found(if damaged.is_empty() {
        let count = sound.len();
        Finding::ok("store", format!("{count} blobs of {} are what they were", size(bytes)))
    } else {
        Finding::warn(
            "store",
            format!("{} of the blobs are damaged: {}", damaged.len(), damaged.join(", ")),
            "start the engine with the registry in reach: it fetches them again; a medium that \
             damages files should be changed",
        )
    });
    sound
}

/// The blobs by their names, with their lengths; what has another name is none.
fn blobs(store: &Path) -> Vec<(Digest, u64)> {
    let Ok(entries) = fs::read_dir(store.join("blobs/sha256")) else { return Vec::new() };
    let blob = |entry: fs::DirEntry| {
        let digest = format!("sha256:{}", entry.file_name().to_str()?).parse().ok()?;
        Some((digest, entry.metadata().ok()?.len()))
    };
    entries.flatten().filter_map(blob).collect()
}

/// Whether what is written there outlives the container and the power.
fn mounted(directory: &Path, place: &Path) -> Finding {
    let real = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = directory.display();
    match mount_of(&real, &mounts) {
        None => Finding::ok("mount", format!("the system does not tell where {path} is mounted")),
        Some(Mount { kind, .. }) if PASSING.contains(&kind) => Finding::warn(
            "mount",
            format!("{path} is in memory ({kind}): what is kept there is gone with the power"),
            "put it on a disk: mount a volume, or name a directory in POTOROO_PERSIST",
        ),
        Some(Mount { at: "/", kind }) if kind == OF_A_CONTAINER || is_container() => Finding::warn(
            "mount",
            format!("{path} is in the container itself and goes with it: no volume is mounted"),
            "mount a volume there, as with `-v ./data:/persist`",
        ),
        Some(Mount { at, kind }) => {
            Finding::ok("mount", format!("{path} is on {kind}, mounted at {at}"))
        }
    }
}

/// Whether this is a container, by the files that docker and podman put into theirs.
fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists())
}

/// One line of `/proc/self/mountinfo`.
struct Mount<'a> {
    at: &'a str,
    kind: &'a str,
}

/// The mount that a path is on: the last of those with the longest way to it (proc(5)).
fn mount_of<'a>(path: &Path, mounts: &'a str) -> Option<Mount<'a>> {
    let mount = |line: &'a str| {
        let (left, right) = line.split_once(" - ")?;
        let at = left.split(' ').nth(4)?;
        path.starts_with(at).then_some(Mount { at, kind: right.split(' ').next()? })
    };
    mounts.lines().filter_map(mount).max_by_key(|mount| mount.at.len())
}

#[cfg(test)]
mod tests {
    use super::{mount_of, probe};
    use std::path::Path;

    const MOUNTS: &str = "\
        22 1 0:1 / / rw,relatime - overlay overlay rw\n\
        23 22 8:1 /data /persist rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        24 22 0:5 / /run rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_mount_with_the_longest_way_counts() {
        for (path, at, kind) in [
            ("/persist", "/persist", "ext4"),
            ("/persist/store", "/persist", "ext4"),
            ("/persistent", "/", "overlay"),
            ("/run/x", "/run", "tmpfs"),
        ] {
            let mount = mount_of(Path::new(path), MOUNTS).unwrap();
            assert_eq!((mount.at, mount.kind), (at, kind), "{path}");
        }
        assert!(mount_of(Path::new("/a"), "").is_none());
    }

    #[test]
    fn the_probe_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        probe(directory.path()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(probe(&directory.path().join("none")).is_err());
    }
}
