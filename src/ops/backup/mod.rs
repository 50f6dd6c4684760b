//! Backup: records, keys and blobs of a running ops center in one tar file, and a directory from it.

// The records are copied first, at one moment. What they name was on the disk before they named it,
// and stays; so whatever is copied after them is at least as much as they need. Indexes go before
// blobs for the same reason. At the end stands a list of all files with their digests: a backup that
// was cut has none, and is refused.

mod contents;
mod restore;

pub use restore::restore;

use super::home::{BLOBS, KEYS, LOGS, RECORDS};
use super::store::{self, StoreError};
use crate::disk::{self, DurableFile, Step, UNFINISHED, failed};
use crate::exit::{Exit, Failure};
use crate::oci::Digest;
use contents::{CONTENTS, Contents, Entry, Hashing};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Only who owns the data reads a copy of it.
const OWNER_ONLY: u32 = 0o600;

/// The directory of blobs, in a layout: each file is named by its digest.
const SHA256: &str = "sha256";

/// Blobs on their way, which a pull begins anew.
const PARTIAL: &str = "partial";

/// Where a repository's layout has its blobs; no other link is copied or made.
const LINK_TARGET: &str = "../../blobs";

/// How much was saved or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What a backup is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// Everything but what edges inferred: a restored ops center has none of it, and asks no edge for
    /// it again.
    WithoutLogs,
}

/// Writes a data directory into a tar file, whole or not at all.
///
/// # Errors
/// When there are no records, a blob is missing or damaged, or the file cannot be written.
pub fn backup(data: &Path, file: &Path, extent: Extent) -> Result<Saved, Failure> {
    let records = data.join(RECORDS);
    if !records.is_file() {
        let sentence = format!("{} is no data directory of an ops center", data.display());
        return Err(Failure::new(Exit::Usage, sentence).hint("name it with --data"));
    }
    let beside = disk::directory_of(file);
    let copy = private(beside)?;
    store::snapshot(&records, copy.path()).map_err(broken)?;
    let mut named: BTreeSet<String> =
        store::named_blobs(copy.path()).map_err(broken)?.into_iter().collect();
    let out = private(beside)?;
    let at = out.path().to_owned();
    let mut tar = Tar {
        builder: tar::Builder::new(io::BufWriter::new(out)),
        contents: Contents::default(),
        at,
    };
    tar.file(Path::new(RECORDS), copy.path(), None)?;
    for path in ordered(data)? {
        let digest = digest_of(&path);
        let is_there = match fs::read_link(data.join(&path)) {
            Ok(target) if target == Path::new(LINK_TARGET) => tar.link(&path)?,
            Ok(_) => false,
            Err(_) => tar.file(&path, &data.join(&path), digest)?,
        };
        if let Some(digest) = digest.filter(|_| is_there) {
            named.remove(&digest.hex());
        }
    }
    if extent == Extent::Whole {
        for (path, bytes) in store::named_logs(copy.path()).map_err(broken)? {
            tar.log(&Path::new(LOGS).join(path), data, bytes)?;
        }
    }
    if let Some(missing) = named.first() {
        let sentence = format!("the records name the model file {missing}, which is not there");
        return Err(Failure::new(Exit::Corrupt, sentence)
            .hint("upload that model again, or restore an earlier backup"));
    }
    tar.end(file)
}

/// A file that only its owner reads, without a name yet.
fn private(beside: &Path) -> Result<DurableFile, Failure> {
    let file = DurableFile::create(beside).map_err(unwritable)?;
    fs::set_permissions(file.path(), Permissions::from_mode(OWNER_ONLY))
        .map_err(failed(Step::Write, file.path()))
        .map_err(unwritable)?;
    Ok(file)
}

/// Everything below keys and blobs, with the blobs themselves after all that may name them.
fn ordered(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for top in [KEYS, BLOBS] {
        walk(data, Path::new(top), &mut found)?;
    }
    found.sort_by_key(|path| (digest_of(path).is_some(), path.clone()));
    Ok(found)
}

fn walk(data: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let directory = data.join(below);
    let unreadable = |error| Failure::new(Exit::Disk, failed(Step::Open, &directory)(error));
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(unreadable)?);
        let path = below.join(&name);
        if kind.is_dir() && name != PARTIAL {
            walk(data, &path, found)?;
        } else if !kind.is_dir() && !name.to_string_lossy().ends_with(UNFINISHED) {
            found.push(path);
        }
    }
    Ok(())
}

/// The digest that a blob is named by.
fn digest_of(path: &Path) -> Option<Digest> {
    let directory = path.parent()?.file_name()?;
    (directory == SHA256).then_some(())?;
    format!("sha256:{}", path.file_name()?.to_str()?).parse().ok()
}

/// The tar file while it is written, and what is in it so far.
struct Tar {
    builder: tar::Builder<io::BufWriter<DurableFile>>,
    contents: Contents,
    at: PathBuf,
}

impl Tar {
    /// Copies a file, and sees that a blob is what it is named by; whether it was there.
    fn file(&mut self, name: &Path, from: &Path, is: Option<Digest>) -> Result<bool, Failure> {
        let unreadable = |error| Failure::new(Exit::Disk, failed(Step::Read, from)(error));
        let file = match File::open(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(unreadable)?,
        };
        let bytes = file.metadata().map_err(unreadable)?.len();
        let mut header = header(tar::EntryType::Regular, bytes);
        // As many bytes as were promised, even from a file that is being replaced by a longer one.
        let mut reader = Hashing::new(file.take(bytes));
        self.builder
            .append_data(&mut header, name, &mut reader)
            .map_err(failed(Step::Write, &self.at))
            .map_err(unwritable)?;
        let (digest, found) = reader.finish();
        if found != bytes || is.is_some_and(|is| is != digest) {
            let sentence = format!("{} is not what its digest or size says", from.display());
            return Err(Failure::new(Exit::Corrupt, sentence).hint(
                "the disk has damaged it: upload that model again, or restore an earlier backup",
            ));
        }
        self.contents.files.push(Entry { path: text(name)?, bytes, sha256: digest.hex() });
        Ok(true)
    }

    /// Copies as much of a file of logs as the records name: more comes while this runs. What is not
    /// there has had its time meanwhile, and is forgotten when the copy is opened.
    fn log(&mut self, name: &Path, data: &Path, bytes: u64) -> Result<(), Failure> {
        let from = data.join(name);
        let unreadable = |error| Failure::new(Exit::Disk, failed(Step::Read, &from)(error));
        let file = match File::open(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(unreadable)?,
        };
        let bytes = file.metadata().map_err(unreadable)?.len().min(bytes);
        let mut header = header(tar::EntryType::Regular, bytes);
        let mut reader = Hashing::new(file.take(bytes));
        self.builder
            .append_data(&mut header, name, &mut reader)
            .map_err(failed(Step::Write, &self.at))
            .map_err(unwritable)?;
        let (digest, _) = reader.finish();
        self.contents.files.push(Entry { path: text(name)?, bytes, sha256: digest.hex() });
        Ok(())
    }

    fn link(&mut self, name: &Path) -> Result<bool, Failure> {
        let mut header = header(tar::EntryType::Symlink, 0);
        self.builder
            .append_link(&mut header, name, LINK_TARGET)
            .map_err(failed(Step::Write, &self.at))
            .map_err(unwritable)?;
        self.contents.links.push(text(name)?);
        Ok(true)
    }

    /// Writes the list, and gives the file its name.
    fn end(mut self, path: &Path) -> Result<Saved, Failure> {
        let list = self.contents.to_bytes();
        let mut header = header(tar::EntryType::Regular, list.len() as u64);
        self.builder
            .append_data(&mut header, CONTENTS, list.as_slice())
            .and_then(|()| self.builder.into_inner())
            .and_then(|mut out| out.flush().and_then(|()| out.into_inner().map_err(Into::into)))
            .map_err(failed(Step::Write, &self.at))
            .map_err(unwritable)?
            .persist(path)
            .map_err(unwritable)?;
        Ok(self.contents.saved())
    }
}

fn header(kind: tar::EntryType, bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(OWNER_ONLY);
    header
}

fn text(name: &Path) -> Result<String, Failure> {
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Disk, format!("the name {} is no text", name.display()))
            .hint("no file of ours is called so: take it away")
    })
}

fn unwritable(error: disk::Error) -> Failure {
    Failure::new(Exit::Disk, error).hint("name a place that can be written and has room")
}

fn broken(error: StoreError) -> Failure {
    let exit = match &error {
        StoreError::Full(_) => Exit::Disk,
        StoreError::Newer { .. }
        | StoreError::Taken(_)
        | StoreError::Broken(_)
        | StoreError::Malformed { .. } => Exit::Corrupt,
    };
    Failure::new(exit, error)
}
