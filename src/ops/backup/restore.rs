//! Restoring: a data directory from a backup, all of it checked before any of it counts.

use super::contents::{CONTENTS, CONTENTS_BYTES_MAX, Contents, Entry, FORMAT, Hashing};
use super::{LINK_TARGET, OWNER_ONLY, Saved, broken, unwritable};
use crate::disk::{self, Step, failed};
use crate::exit::{Exit, Failure};
use crate::ops::home::{BLOBS, Home, KEYS, LOGS, RECORDS};
use crate::ops::store;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Where everything lies until it was checked.
const RESTORING: &str = "restoring";

/// Makes a data directory from a backup. The directory is made, or is there and empty.
///
/// # Errors
/// When it holds something or is in use, or the backup is cut or damaged; what was made is taken away.
pub fn restore(file: &Path, data: &Path) -> Result<Saved, Failure> {
    let from = File::open(file).map_err(|error| {
        Failure::new(Exit::Usage, failed(Step::Open, file)(error))
            .hint("name a file that `potoroo-ops backup` wrote")
    })?;
    let is_taken = match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if is_taken {
        let sentence = format!("{} is there and not empty, or in use", data.display());
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("name a new directory with --data; nothing is ever written over"));
    }
    let home = Home::open(data)?;
    let beside = data.join(RESTORING);
    let restored = disk::make_directory(&beside)
        .map_err(unwritable)
        .and_then(|()| unpacked(from, &beside))
        .and_then(|saved| settled(&beside, data).map(|()| saved));
    if restored.is_err() {
        // Nothing was there before: nothing is left, and an error of taking it away adds nothing.
        let _ = fs::remove_dir_all(data);
    }
    drop(home);
    restored
}

/// Unpacks and checks everything.
fn unpacked(from: File, into: &Path) -> Result<Saved, Failure> {
    let mut archive = tar::Archive::new(io::BufReader::new(from));
    let (mut files, mut links) = (Vec::new(), Vec::new());
    let mut contents = None;
    for entry in archive.entries().map_err(cut)? {
        let mut entry = entry.map_err(cut)?;
        let path = entry.path().map_err(cut)?.into_owned();
        let kind = entry.header().entry_type();
        if path == Path::new(CONTENTS) {
            contents = Some(list(&mut entry)?);
            break;
        }
        let place = place(into, &path)?;
        disk::make_directory(disk::directory_of(&place)).map_err(unwritable)?;
        let name = path.to_string_lossy().into_owned();
        if kind.is_file() {
            let (sha256, bytes) = copied(&mut entry, &place)?;
            files.push(Entry { path: name, bytes, sha256 });
        } else if kind.is_symlink()
            && entry.link_name().map_err(cut)?.as_deref() == Some(Path::new(LINK_TARGET))
        {
            std::os::unix::fs::symlink(LINK_TARGET, &place)
                .map_err(failed(Step::Create, &place))
                .map_err(unwritable)?;
            links.push(name);
        } else {
            return Err(damaged(&format!("{name} is neither a file nor a link of ours")));
        }
    }
    let Some(contents) = contents else { return Err(damaged("it has no list at its end")) };
    if contents.format != FORMAT {
        let sentence = format!("the backup has form {}, and {FORMAT} is known", contents.format);
        return Err(
            Failure::new(Exit::Usage, sentence).hint("restore it with the version that wrote it")
        );
    }
    let differs = contents.files.iter().zip(&files).find(|(wanted, found)| wanted != found);
    if let Some((wanted, _)) = differs {
        return Err(damaged(&format!("{} is not what the list says", wanted.path)));
    }
    if contents.files.len() != files.len() || contents.links != links {
        return Err(damaged("it has other files than its list"));
    }
    let records = into.join(RECORDS);
    store::examine(&records).map_err(broken)?;
    let is_there = |sha: &String| files.iter().any(|entry| entry.sha256 == *sha);
    match store::named_blobs(&records).map_err(broken)?.into_iter().find(|sha| !is_there(sha)) {
        Some(sha) => Err(damaged(&format!("the model file {sha} is missing"))),
        None => Ok(contents.saved()),
    }
}

fn list(entry: &mut impl Read) -> Result<Contents, Failure> {
    let mut text = Vec::new();
    entry.take(CONTENTS_BYTES_MAX).read_to_end(&mut text).map_err(cut)?;
    serde_json::from_slice(&text).map_err(|_| damaged("the list at its end cannot be read"))
}

/// Where a file goes: below what is ours, and nowhere else, whatever it is called.
fn place(into: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let is_ours = path == Path::new(RECORDS)
        || [KEYS, BLOBS, LOGS].into_iter().any(|top| path.starts_with(top));
    // A directory of the path that is a link leads elsewhere.
    let parents = path.ancestors().skip(1);
    let is_led_away = parents.map(|part| into.join(part)).any(|part| part.is_symlink());
    if !is_plain || !is_ours || is_led_away {
        return Err(damaged(&format!("{} is no file of an ops center", path.display())));
    }
    Ok(into.join(path))
}

/// Writes one file for good; its digest and length.
fn copied(entry: &mut impl Read, place: &Path) -> Result<(String, u64), Failure> {
    let mut options = File::options();
    let mut out = options
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(place)
        .map_err(failed(Step::Create, place))
        .map_err(unwritable)?;
    let mut reader = Hashing::new(entry);
    io::copy(&mut reader, &mut out)
        .and_then(|_| out.sync_all())
        .map_err(failed(Step::Write, place))
        .map_err(unwritable)?;
    let (digest, bytes) = reader.finish();
    Ok((digest.hex(), bytes))
}

/// Gives everything its place; the records last, which make the directory an ops center's.
fn settled(beside: &Path, data: &Path) -> Result<(), Failure> {
    for name in [KEYS, BLOBS, LOGS, RECORDS] {
        let (from, to) = (beside.join(name), data.join(name));
        if !from.exists() {
            continue;
        }
        let _ = fs::remove_dir(&to); // the empty one of a new directory
        disk::sync_directory_of(&from)
            .and_then(|()| fs::rename(&from, &to).map_err(failed(Step::Rename, &to)))
            .and_then(|()| disk::sync_directory_of(&to))
            .map_err(unwritable)?;
    }
    fs::remove_dir_all(beside).map_err(failed(Step::Remove, beside)).map_err(unwritable)
}

fn cut(error: io::Error) -> Failure {
    let sentence = format!("the backup cannot be read to its end: {error}");
    Failure::new(Exit::Corrupt, sentence).hint("copy the file again, or take another backup")
}

fn damaged(what: &str) -> Failure {
    Failure::new(Exit::Corrupt, format!("the backup is damaged: {what}"))
        .hint("copy the file again, or take another backup; nothing was restored")
}
