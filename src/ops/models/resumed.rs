//! Uploads that come in parts and go on after a cut: a file of bytes, and a record of how many are safe.

use super::{MODEL_BYTES_MAX, PIECE_BYTES, UploadError};
use crate::disk;
use crate::exit;
use crate::logging::AT_SERVE;
use crate::oci::{Digest, Hasher};
use crate::ops::center::Center;
use crate::ops::store::{StoreError, Tx, Upload};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Uploads of one user under way at a time: a crew of programs has some dozens.
pub(in crate::ops) const UPLOADS_MAX: i64 = 64;

/// How long an upload that nobody goes on with is kept, in milliseconds: a day.
const ABANDONED_MS: i64 = 24 * 3600 * 1000;

/// Which bytes of an upload a body is (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct ContentRange {
    /// The place of its first byte.
    pub first: u64,
    /// How many it has.
    pub length: u64,
    /// Of the whole, where it is told.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 0-99/1000`, or `bytes 0-99/*` while the whole is not known.
    pub(in crate::ops) fn parse(text: &str) -> Option<ContentRange> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let (first, last) = (number(first)?, number(last)?);
        let total = if total == "*" { None } else { Some(number(total)?) };
        let length = last.checked_sub(first)?.checked_add(1)?;
        let fits = total.is_none_or(|total| last < total);
        fits.then_some(ContentRange { first, length, total })
    }
}

/// Why an upload does not go on.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum ResumedError {
    /// The upload.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<disk::Error> for ResumedError {
    fn from(error: disk::Error) -> ResumedError {
        ResumedError::Upload(error.into())
    }
}

/// Makes the file of an upload that is about to be recorded.
///
/// # Errors
/// When the disk has no room for it.
pub(in crate::ops) fn begin(center: &Center, upload: &Upload) -> Result<(), UploadError> {
    if upload.size_bytes.is_some_and(|bytes| bytes > MODEL_BYTES_MAX) {
        return Err(UploadError::TooLarge);
    }
    center.models.has_room(upload.size_bytes.unwrap_or(0))?;
    Ok(disk::write_durably(&path(center, &upload.id), b"")?)
}

/// Takes the next bytes of an upload; tells how many it has now. What came before a body broke is
/// kept.
///
/// # Errors
/// When they are not the next, too many, cut off, or the disk has no room.
pub(in crate::ops) fn append(
    center: &Center,
    id: &str,
    range: ContentRange,
    body: &mut dyn Read,
) -> Result<u64, ResumedError> {
    let Held::Open(mut alone, upload) = held(center, id)? else {
        return Err(UploadError::Finished.into());
    };
    let file = &mut alone.0;
    let ContentRange { first, length, total } = range;
    if let (Some(expected), Some(found)) = (upload.size_bytes, total)
        && expected != found
    {
        return Err(UploadError::Total { expected, found }.into());
    }
    let total = upload.size_bytes.or(total);
    let received = upload.received_bytes;
    if first != received {
        return Err(UploadError::Gap { expected: received, found: first }.into());
    }
    let end = first.saturating_add(length);
    if total.unwrap_or(end).max(end) > MODEL_BYTES_MAX {
        return Err(UploadError::TooLarge.into());
    }
    if total.is_some_and(|total| end > total) {
        return Err(UploadError::Total { expected: total.unwrap_or(0), found: end }.into());
    }
    center.models.has_room(length)?;
    // What lies behind the recorded bytes came with a request that was never answered.
    let ready = file.set_len(received).and_then(|()| file.seek(SeekFrom::Start(received)));
    ready.map_err(UploadError::write)?;
    let (count, broken) = taken(file, body, length);
    if let Some(error @ (UploadError::Full(_) | UploadError::Disk(_))) = broken {
        let _ = file.set_len(received); // gives the room back; the record holds in any case
        return Err(error.into());
    }
    file.sync_data().map_err(UploadError::write)?;
    let received = received + count;
    center.store.write(|tx| tx.set_received(id, total, received, center.now_ms()))?;
    match broken {
        Some(error) => Err(error.into()),
        None if count < length => {
            Err(UploadError::Length { expected: length, found: count }.into())
        }
        None => Ok(received),
    }
}

/// Copies so many bytes; how many it were, and what ended it before.
fn taken(file: &mut File, body: &mut dyn Read, length: u64) -> (u64, Option<UploadError>) {
    let mut piece = vec![0; PIECE_BYTES];
    let mut count = 0;
    loop {
        let read = match body.read(&mut piece) {
            Ok(0) => return (count, None),
            Ok(read) => read,
            Err(error) => return (count, Some(UploadError::Read(error))),
        };
        let found = count + read as u64;
        if found > length {
            // Whatever it is, it is not what its head says.
            return (0, Some(UploadError::Length { expected: length, found }));
        }
        if let Err(error) = file.write_all(&piece[..read]) {
            return (count, Some(UploadError::write(error)));
        }
        count = found;
    }
}

/// Makes a whole upload a blob and has it recorded by `record`, which is to mark it as finished; an
/// upload that is finished is given back as it is.
///
/// # Errors
/// When bytes are missing or not those of `sha`, and those of `record`.
pub(in crate::ops) fn finish<T, E: From<ResumedError> + From<UploadError>>(
    center: &Center,
    id: &str,
    sha: Option<&str>,
    again: impl FnOnce(i64) -> Result<T, E>,
    record: impl FnOnce(&Upload, Digest, u64) -> Result<T, E>,
) -> Result<T, E> {
    let (mut alone, upload) = match held(center, id)? {
        Held::Open(alone, upload) => (alone, upload),
        Held::Finished(version) => return again(version),
    };
    let (received, expected) = (upload.received_bytes, upload.size_bytes);
    if expected.is_some_and(|expected| expected != received) {
        let expected = expected.unwrap_or(0);
        return Err(UploadError::Unfinished { expected, found: received }.into());
    }
    if received == 0 {
        return Err(UploadError::Empty.into());
    }
    // From here on it has no more bytes, whatever happens to us: the blob may be this very file.
    let now_ms = center.now_ms();
    let freeze = |tx: &Tx<'_>| tx.set_received(id, Some(received), received, now_ms);
    center.store.write(freeze).map_err(ResumedError::Store)?;
    let found = digest_of(&mut alone.0, received).map_err(UploadError::write)?;
    if let Some(expected) = sha.filter(|sha| *sha != found.hex()) {
        let (expected, found) = (expected.to_owned(), found.hex());
        forget(center, &upload)?;
        return Err(UploadError::Digest { expected, found }.into());
    }
    let from = path(center, id);
    let store = || {
        if center.models.blobs.link_blob(found, received, &from)? {
            return Ok(());
        }
        let mut file = File::open(&from).map_err(UploadError::write)?;
        Ok(center.models.receive(&mut file, Some(received))?.store()?)
    };
    let recorded =
        center.models.placed(&[(found, received)], store, || record(&upload, found, received))?;
    if let Err(error) = std::fs::remove_file(&from) {
        log::warn!(target: AT_SERVE, "upload={id} msg={:?}", error.to_string());
    }
    Ok(recorded)
}

/// Forgets an upload and its bytes.
///
/// # Errors
/// When the record cannot be taken away.
pub(in crate::ops) fn forget(center: &Center, upload: &Upload) -> Result<(), ResumedError> {
    center.store.write(|tx| tx.remove_upload(&upload.id))?;
    // Without its record the next start takes it away at the latest.
    let _ = std::fs::remove_file(path(center, &upload.id));
    Ok(())
}

/// Forgets the uploads that nobody has gone on with for a day.
pub(super) fn sweep(center: &Center, now_ms: i64) {
    let before = now_ms.saturating_sub(ABANDONED_MS);
    let found = center.store.read(|tx| tx.uploads_untouched_since(before));
    let swept = found.map_err(ResumedError::Store).and_then(|uploads| {
        for upload in uploads {
            match held(center, &upload.id) {
                Err(ResumedError::Upload(UploadError::Busy)) => {} // a part is on its way
                Ok(_) | Err(_) => forget(center, &upload)?,
            }
        }
        Ok(())
    });
    if let Err(error) = swept {
        log::error!(target: AT_SERVE, "msg={:?}", exit::chain(&error));
    }
}

/// Takes away files that no record names; only while no request comes in.
pub(super) fn sweep_strays(center: &Center) {
    let Ok(entries) = std::fs::read_dir(&center.models.uploads) else { return };
    for entry in entries.flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        let found = center.store.read(|tx| tx.upload(&id));
        if matches!(found, Ok(None) | Ok(Some(Upload { model_version: Some(_), .. }))) {
            let _ = std::fs::remove_file(entry.path()); // at worst it is a stray at the next start
        }
    }
}

/// An upload that nobody else writes to meanwhile.
enum Held {
    /// Its file, and the record as it is now.
    Open(Alone, Upload),
    /// The number of the model version that it became.
    Finished(i64),
}

/// The file of an upload, locked. The lock is given back by name: a model's trial that is being started
/// has all our files open for a moment, and a lock that only ends with the file would outlive us there.
struct Alone(File);

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // closing it follows in any case
    }
}

fn held(center: &Center, id: &str) -> Result<Held, ResumedError> {
    let gone = || UploadError::Disk("there is no such upload any more".into());
    let look = || center.store.read(|tx| tx.upload(id)).map_err(ResumedError::Store);
    if let Some(version) = look()?.ok_or_else(gone)?.model_version {
        return Ok(Held::Finished(version));
    }
    let file = File::options().read(true).write(true).open(path(center, id));
    let file = file.map_err(UploadError::write)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(UploadError::Busy.into()),
        Err(TryLockError::Error(error)) => return Err(UploadError::write(error).into()),
    }
    let alone = Alone(file);
    let upload = look()?.ok_or_else(gone)?;
    match upload.model_version {
        Some(version) => Ok(Held::Finished(version)),
        None => Ok(Held::Open(alone, upload)),
    }
}

/// A record's id is a UUID of ours, and so a file name.
fn path(center: &Center, id: &str) -> PathBuf {
    center.models.uploads.join(id)
}

fn digest_of(file: &mut File, bytes: u64) -> std::io::Result<Digest> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut piece) = (Hasher::new(), vec![0; PIECE_BYTES]);
    let mut rest = file.take(bytes);
    loop {
        let read = rest.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&piece[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_specification_has_it() {
        let range = |first, length, total| Some(ContentRange { first, length, total });
        let cases = [
            ("bytes 0-99/1000", range(0, 100, Some(1000))),
            ("bytes 100-199/*", range(100, 100, None)),
            ("bytes 0-0/1", range(0, 1, Some(1))),
            ("bytes 0-100/100", None),
            ("bytes 5-4/9", None),
            ("bytes */100", None),
            ("bytes +1-4/9", None),
            ("0-4/9", None),
            ("bytes 0-18446744073709551615/*", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(ContentRange::parse(text), wanted, "{text}");
        }
    }
}
