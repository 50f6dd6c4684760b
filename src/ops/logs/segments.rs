//! Segments: files of frames one after the other, one row of them for each pipeline and day.

use super::OpenError;
use crate::disk::{self, Step, failed};
use crate::ops::store::{LogSegment, Store, StoreError, log_file};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A segment that has as many bytes is followed by another: what goes at once when room is made.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Files that are open at once, one for each pipeline whose edges are heard of.
const OPEN_MAX: usize = 64;

/// Where the file of a segment is.
pub(super) fn path(root: &Path, pipeline: i64, day: &str, id: i64) -> PathBuf {
    root.join(log_file(pipeline, day, id))
}

/// The segments that are written.
#[derive(Debug)]
pub(super) struct Segments {
    root: PathBuf,
    /// The last of each pipeline, by its number.
    open: BTreeMap<i64, Open>,
}

#[derive(Debug)]
struct Open {
    segment: LogSegment,
    file: File,
    /// Bytes that were written and do not count yet.
    pending: u64,
}

/// Where a frame was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the segment.
    pub segment: i64,
    /// Where it begins.
    pub at: u64,
}

impl Segments {
    /// Makes files and records agree: what no record names is cut off or removed, and frames that no
    /// file has are forgotten, which only a damaged disk or an old copy of it can bring about.
    pub(super) fn recover(root: &Path, store: &Store) -> Result<Segments, OpenError> {
        let known = store.read(|tx| tx.log_segments())?;
        let mut named = BTreeSet::new();
        for segment in &known {
            let path = path(root, segment.pipeline, &segment.day, segment.id);
            let found = match fs::metadata(&path) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(OpenError::Disk(failed(Step::Open, &path)(error))),
            };
            if segment.bytes < found {
                let file = File::options().write(true).open(&path);
                let cut = file.and_then(|file| {
                    file.set_len(segment.bytes)?;
                    file.sync_all()
                });
                cut.map_err(failed(Step::Write, &path)).map_err(OpenError::Disk)?;
                log::info!(
                    target: crate::logging::AT_LOGS,
                    "path={path:?} bytes={} msg=\"what was not taken in is cut off\"",
                    found - segment.bytes
                );
            } else if found < segment.bytes {
                log::error!(
                    target: crate::logging::AT_LOGS,
                    "path={path:?} bytes={} msg=\"logs are missing: the file is shorter than it was\"",
                    segment.bytes - found
                );
                store.write(|tx| tx.cut_log_segment(segment.id, found))?;
            }
            named.insert(path);
        }
        remove_strangers(root, &named).map_err(OpenError::Disk)?;
        Ok(Segments { root: root.to_owned(), open: BTreeMap::new() })
    }

    /// Writes a frame behind those of its pipeline; it counts once its segment does.
    pub(super) fn append(
        &mut self,
        store: &Store,
        pipeline: i64,
        frame: &[u8],
        now: (i64, &str),
    ) -> Result<Place, AppendError> {
        let root = self.root.clone();
        let open = self.opened(store, pipeline, now)?;
        let (segment, at) = (open.segment.id, open.segment.bytes + open.pending);
        let path = path_of(&root, &open.segment);
        let written = open.file.write_all_at(frame, at).map_err(failed(Step::Write, &path));
        written.map_err(AppendError::Disk)?;
        open.pending += frame.len() as u64;
        Ok(Place { segment, at })
    }

    /// The segment that a pipeline's frames go to today.
    fn opened(
        &mut self,
        store: &Store,
        pipeline: i64,
        (now_ms, day): (i64, &str),
    ) -> Result<&mut Open, AppendError> {
        let fits = |open: &Open| {
            open.segment.day == day && open.segment.bytes + open.pending < SEGMENT_BYTES_MAX
        };
        // One with frames that do not count yet stays until they do.
        if self.open.get(&pipeline).is_some_and(|open| !fits(open) && open.pending == 0) {
            self.open.remove(&pipeline);
        }
        while OPEN_MAX <= self.open.len() && !self.open.contains_key(&pipeline) {
            let idle = self.open.iter().find(|(_, open)| open.pending == 0);
            let Some(idle) = idle.map(|(pipeline, _)| *pipeline) else { break };
            self.open.remove(&idle);
        }
        match self.open.entry(pipeline) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(vacant) => {
                let segment = match last(store, pipeline, day)? {
                    Some(segment) => segment,
                    None => store.write(|tx| tx.add_log_segment(pipeline, day, now_ms))?,
                };
                let path = path_of(&self.root, &segment);
                disk::make_directory(disk::directory_of(&path)).map_err(AppendError::Disk)?;
                let file = File::options().write(true).create(true).truncate(false).open(&path);
                let file = file.map_err(failed(Step::Create, &path)).map_err(AppendError::Disk)?;
                disk::sync_directory_of(&path).map_err(AppendError::Disk)?;
                Ok(vacant.insert(Open { segment, file, pending: 0 }))
            }
        }
    }

    /// Waits until everything written is on the disk; the segments with what of them would count.
    pub(super) fn synced(&self) -> Result<Vec<(i64, u64)>, disk::Error> {
        let mut lengths = Vec::new();
        for open in self.open.values().filter(|open| 0 < open.pending) {
            let path = path_of(&self.root, &open.segment);
            open.file.sync_data().map_err(failed(Step::Sync, &path))?;
            lengths.push((open.segment.id, open.segment.bytes + open.pending));
        }
        Ok(lengths)
    }

    /// What was written counts from now on.
    pub(super) fn settle(&mut self) {
        for open in self.open.values_mut() {
            open.segment.bytes += std::mem::take(&mut open.pending);
        }
    }

    /// Forgets what was written: the next frame is written over it, after a look at the records.
    pub(super) fn give_up(&mut self) {
        self.open.clear();
    }

    /// Takes the file of a segment away that the records have forgotten.
    pub(super) fn remove(&mut self, segment: &LogSegment) -> Result<(), disk::Error> {
        if self.open.get(&segment.pipeline).is_some_and(|open| open.segment.id == segment.id) {
            self.open.remove(&segment.pipeline);
        }
        let path = path_of(&self.root, segment);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(Step::Remove, &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        // Only where they are empty now.
        let day = disk::directory_of(&path);
        let _ = fs::remove_dir(day);
        let _ = fs::remove_dir(disk::directory_of(day));
        Ok(())
    }
}

/// Why a frame was not written.
#[derive(Debug)]
pub(super) enum AppendError {
    Disk(disk::Error),
    Store(StoreError),
}

impl From<StoreError> for AppendError {
    fn from(error: StoreError) -> AppendError {
        AppendError::Store(error)
    }
}

/// The segment of a pipeline and day that has room and was begun last.
fn last(store: &Store, pipeline: i64, day: &str) -> Result<Option<LogSegment>, StoreError> {
    let found = store.read(|tx| tx.last_log_segment(pipeline, day))?;
    Ok(found.filter(|segment| segment.bytes < SEGMENT_BYTES_MAX))
}

fn path_of(root: &Path, segment: &LogSegment) -> PathBuf {
    path(root, segment.pipeline, &segment.day, segment.id)
}

/// Takes files away that no record names.
fn remove_strangers(directory: &Path, named: &BTreeSet<PathBuf>) -> Result<(), disk::Error> {
    for entry in fs::read_dir(directory).map_err(failed(Step::Read, directory))? {
        let entry = entry.map_err(failed(Step::Read, directory))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_strangers(&path, named)?;
        } else if !named.contains(&path) {
            fs::remove_file(&path).map_err(failed(Step::Remove, &path))?;
        }
    }
    Ok(())
}
