//! An OCI image layout on disk: blobs by digest, manifests by tag, every change durable.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::pull::mismatched;
use super::verify::{self, CopyError, Verified};
use super::{Error, Fetched, LayoutFault, Pushed, Reply};
use crate::disk::{self, DurableFile, Step, failed};
use crate::oci::{
    self, Descriptor, Digest, MANIFEST_BYTES_MAX, Manifest, ManifestError, Tag, Version,
};

mod attached;
mod incoming;
mod index;
mod listed;
mod partials;
mod sweep;

pub(super) use attached::{is_about, subject_tag};
pub use incoming::{Incoming, Weighed};
pub use index::INDEX_BYTES_MAX;
pub(super) use index::Index;
pub use listed::Listed;
pub use sweep::Swept;

/// The file that makes a directory a layout.
const MARKER: &str = "oci-layout";
/// The file that lists the manifests.
const INDEX: &str = "index.json";
/// What the marker says (image specification, "oci-layout file").
const MARKER_JSON: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The largest marker that is read, in bytes: it has thirty.
const MARKER_BYTES_MAX: u64 = 4 << 10;

/// A directory in the form of the [image layout specification], version 1.0.0.
///
/// Files are named by digests that were checked, never by a text from outside.
///
/// [image layout specification]: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// A layout that is there.
    ///
    /// # Errors
    /// [`Error::NotALayout`] when the directory is something else.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let layout = Self { root: path.to_owned() };
        let marker = disk::read_whole(&path.join(MARKER), MARKER_BYTES_MAX)?
            .ok_or_else(|| layout.fault(LayoutFault::NoMarker))?;
        let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap_or_default();
        if marker["imageLayoutVersion"] != "1.0.0" {
            return Err(layout.fault(LayoutFault::Version));
        }
        if !path.join(INDEX).is_file() {
            return Err(layout.fault(LayoutFault::NoIndex));
        }
        Ok(layout)
    }

    /// A layout that is made where there is none, its directories included, and that is ours to
    /// write: what writers left behind that were killed is taken away.
    ///
    /// # Errors
    /// [`Error::Disk`], or [`Error::NotALayout`] when something else is in the way.
    pub fn create(path: &Path) -> Result<Self, Error> {
        disk::make_directory(&path.join("blobs/sha256"))?;
        // One at a time: an index that is made late would take the place of one that has tags by now,
        // and the marker is what its writers lock.
        let locked = File::open(path).map_err(failed(Step::Open, path))?;
        locked.lock().map_err(failed(Step::Lock, path))?;
        if !path.join(INDEX).exists() {
            disk::write_durably(&path.join(INDEX), &Index::empty().to_bytes())?;
        }
        // The marker comes last: with it the directory is a layout, and then a whole one.
        if !path.join(MARKER).exists() {
            disk::write_durably(&path.join(MARKER), MARKER_JSON)?;
        }
        drop(locked);
        for directory in [path, &path.join("blobs/sha256")] {
            disk::sweep(directory)?;
        }
        Self::open(path)
    }

    /// A layout whose marker and index are damaged, made one again around the blobs it has; its tags
    /// are lost.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn renew(path: &Path) -> Result<Self, Error> {
        disk::write_durably(&path.join(INDEX), &Index::empty().to_bytes())?;
        disk::write_durably(&path.join(MARKER), MARKER_JSON)?;
        Self::create(path)
    }

    /// Where the blob is when it is there.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether a blob of that digest and size is there; its bytes are not looked at.
    ///
    /// # Errors
    /// [`Error::Disk`] when that cannot be seen.
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let path = self.blob_path(&blob.digest);
        match fs::metadata(&path) {
            Ok(found) => Ok(found.is_file() && found.len() == blob.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(Step::Open, &path)(error).into()),
        }
    }

    /// Reads a blob through and gives the proof that it is right.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`], [`Error::Ended`], [`Error::TooLong`], [`Error::DigestMismatch`],
    /// [`Error::Disk`].
    pub fn verify_blob(&self, blob: &Descriptor) -> Result<Verified, Error> {
        self.copy_blob(blob, &mut io::sink())
    }

    /// Copies a blob and gives the proof that it is right.
    ///
    /// # Errors
    /// Those of [`verify_blob`](Self::verify_blob).
    pub fn copy_blob(&self, blob: &Descriptor, into: &mut dyn Write) -> Result<Verified, Error> {
        let path = self.blob_path(&blob.digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.unknown_blob(blob.digest));
            }
            Err(error) => return Err(failed(Step::Open, &path)(error).into()),
        };
        verify::copy(file, blob, into, &mut |_| {}).map_err(|error| self.copy_error(blob, error))
    }

    /// Reads a small blob whole, checked.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when its descriptor has more than `bytes_max`, and those of
    /// [`verify_blob`](Self::verify_blob).
    pub fn read_blob(&self, blob: &Descriptor, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if blob.size > bytes_max {
            return Err(Error::TooLarge { what: format!("the blob {}", blob.digest), bytes_max });
        }
        let mut bytes = Vec::new();
        let _proof = self.copy_blob(blob, &mut bytes)?;
        Ok(bytes)
    }

    /// Takes a blob away, so that it can be stored anew; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn discard_blob(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.blob_path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(Step::Remove, &path)(error).into()),
        }
    }

    /// Stores a blob, unless one of that digest and size is there.
    ///
    /// `fill` writes the bytes and brings the proof that they are right, as
    /// [`Remote::blob`](super::Remote::blob) does.
    ///
    /// # Errors
    /// Those of `fill`, and [`Error::Disk`]; the layout is then as before.
    ///
    /// # Panics
    /// When `fill` brings the proof of another blob, or wrote other than that many bytes.
    pub fn put_blob(
        &self,
        blob: &Descriptor,
        fill: &mut dyn FnMut(&mut dyn Write) -> Result<Verified, Error>,
    ) -> Result<Pushed, Error> {
        if self.has_blob(blob)? {
            return Ok(Pushed::AlreadyThere);
        }
        let mut sink = Counted { file: DurableFile::create(&self.blobs())?, count: 0 };
        let proof = fill(&mut sink)?;
        assert_eq!(proof.digest(), &blob.digest, "the proof is of the blob that is stored");
        assert_eq!(proof.size(), sink.count, "what was proven is what was written");
        sink.file.persist(&self.blob_path(&blob.digest))?;
        Ok(Pushed::Sent)
    }

    /// Stores the blob that a reader gives, unless it is there.
    ///
    /// # Errors
    /// The mismatches when it gives another one, [`Error::Source`], [`Error::Disk`].
    pub fn put_blob_from(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<Pushed, Error> {
        self.put_blob(blob, &mut |into| {
            verify::copy(&mut *from, blob, into, &mut |_| {}).map_err(|error| match error {
                CopyError::Read(source) => Error::Source { digest: blob.digest, source },
                CopyError::Write(_) | CopyError::Mismatch(_) => self.copy_error(blob, error),
            })
        })
    }

    /// Stores a manifest and gives it the tag, which any other manifest loses.
    ///
    /// Other entries of the index stay to the key. Writers of one layout wait for each other.
    ///
    /// # Errors
    /// [`Error::NotAManifest`], [`Error::TooLarge`] when the index would be over
    /// [`INDEX_BYTES_MAX`], [`Error::Disk`].
    pub fn put_manifest(&self, tag: &Tag, bytes: &[u8]) -> Result<Descriptor, Error> {
        let manifest = Manifest::parse(bytes).map_err(|source| Error::NotAManifest {
            reference: self.reference(&Version::Tag(tag.clone())),
            source,
        })?;
        let mut entry = Descriptor::of(&manifest.media_type, bytes);
        entry.artifact_type = manifest.artifact_type;
        self.put_blob_from(&entry, &mut &*bytes)?;
        self.change_index(|index| index.tag(tag, &entry))?;
        Ok(entry)
    }

    /// Changes the index; it is written only when `change` tells that it did.
    fn change_index(&self, change: impl FnOnce(&mut Index) -> bool) -> Result<(), Error> {
        let marker = self.root.join(MARKER);
        let locked = File::open(&marker).map_err(failed(Step::Open, &marker))?;
        locked.lock().map_err(failed(Step::Lock, &marker))?;
        let mut index = self.index()?;
        if !change(&mut index) {
            return Ok(());
        }
        let bytes = index.to_bytes();
        if bytes.len() as u64 > INDEX_BYTES_MAX {
            let what = self.root.join(INDEX).display().to_string();
            return Err(Error::TooLarge { what, bytes_max: INDEX_BYTES_MAX });
        }
        Ok(disk::write_durably(&self.root.join(INDEX), &bytes)?)
    }

    /// Reads the manifest of a version, checked by its digest; of an image index that for this
    /// device.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::UnknownBlob`] when the index names one that is not
    /// there, [`Error::DigestMismatch`], [`Error::NotAManifest`], [`Error::Disk`].
    pub fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        let reference = self.reference(version);
        let unknown =
            || Error::UnknownVersion { reference: reference.clone(), reply: Reply::default() };
        let not_one = |source| Error::NotAManifest { reference: reference.clone(), source };
        let digest = match version {
            Version::Tag(tag) => self.index()?.find(tag).ok_or_else(unknown)?,
            Version::Digest(digest) | Version::Pinned { digest, .. } => *digest,
        };
        let missing = || match version {
            Version::Tag(_) => self.unknown_blob(digest),
            Version::Digest(_) | Version::Pinned { .. } => unknown(),
        };
        let bytes = self.manifest_bytes(&reference, digest)?.ok_or_else(missing)?;
        match Manifest::parse(&bytes) {
            Ok(manifest) => Ok(Fetched { manifest, digest, bytes }),
            Err(ManifestError::Index) => {
                let digest = oci::choose(&bytes, oci::architecture()).map_err(not_one)?.digest;
                let missing = || self.unknown_blob(digest);
                let bytes = self.manifest_bytes(&reference, digest)?.ok_or_else(missing)?;
                let manifest = Manifest::parse(&bytes).map_err(not_one)?;
                Ok(Fetched { manifest, digest, bytes })
            }
            Err(error) => Err(not_one(error)),
        }
    }

    /// Reads a manifest, checked by its digest; `None` when it is not there.
    fn manifest_bytes(&self, reference: &str, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let path = self.blob_path(&digest);
        let Some(bytes) = disk::read_whole(&path, MANIFEST_BYTES_MAX)? else { return Ok(None) };
        let found = Digest::of(&bytes);
        if found != digest {
            let what = format!("the manifest {reference}");
            return Err(Error::DigestMismatch { what, expected: digest, found });
        }
        Ok(Some(bytes))
    }

    fn index(&self) -> Result<Index, Error> {
        let bytes = disk::read_whole(&self.root.join(INDEX), INDEX_BYTES_MAX)?
            .ok_or_else(|| self.fault(LayoutFault::NoIndex))?;
        Index::parse(&bytes).ok_or_else(|| self.fault(LayoutFault::Index))
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    fn reference(&self, version: &Version) -> String {
        format!("oci-layout:{}{version}", self.root.display())
    }

    fn fault(&self, fault: LayoutFault) -> Error {
        Error::NotALayout { path: self.root.clone(), fault }
    }

    fn unknown_blob(&self, digest: Digest) -> Error {
        let place = self.root.display().to_string();
        Error::UnknownBlob { digest, place, reply: Reply::default() }
    }

    fn copy_error(&self, blob: &Descriptor, error: CopyError) -> Error {
        let path = self.blob_path(&blob.digest);
        match error {
            CopyError::Read(source) => failed(Step::Read, &path)(source).into(),
            CopyError::Write(source) => failed(Step::Write, &path)(source).into(),
            CopyError::Mismatch(mismatch) => mismatched(blob, mismatch),
        }
    }
}

/// A file that counts what is written to it.
struct Counted {
    file: DurableFile,
    count: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
