//! Fetching: manifests whole and checked, blobs streamed and checked.

use std::io::Write;

use ureq::http::Method;

use super::range::ContentRange;
use super::session::Action;
use super::verify::{self, CopyError, Mismatch, Verified};
use super::{Doing, Error, Fetched, Oddity, Remote, Reply};
use crate::http::client::{Answer, Patience};
use crate::logging::AT_PULL;
use crate::oci::{
    self, BLOB_BYTES_MAX, Descriptor, Digest, MANIFEST_BYTES_MAX, Manifest, ManifestError, Version,
    media_type,
};

impl Remote {
    /// Fetches the manifest of a version, at most [`MANIFEST_BYTES_MAX`] bytes; of an image index
    /// that for this device.
    ///
    /// Its digest is held against the version's or the index's, where that is pinned, and against
    /// the header `Docker-Content-Digest`, where there is one.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`], [`Error::UnknownRepository`], [`Error::DigestMismatch`],
    /// [`Error::TooLarge`], [`Error::NotAManifest`], and those of [`login`](Self::login).
    pub fn manifest(&self, version: &Version) -> Result<Fetched, Error> {
        let (bytes, digest) = self.manifest_bytes(version)?;
        let not_one = |source| Error::NotAManifest { reference: self.reference(version), source };
        match Manifest::parse(&bytes) {
            Ok(manifest) => Ok(Fetched { manifest, digest, bytes }),
            Err(ManifestError::Index) => {
                let chosen = oci::choose(&bytes, oci::architecture()).map_err(not_one)?.digest;
                log::info!(target: AT_PULL, "index={digest} digest={chosen} msg=\"one of an index\"");
                let (bytes, digest) = self.manifest_bytes(&Version::Digest(chosen))?;
                // An index within an index is refused as what it is.
                let manifest = Manifest::parse(&bytes).map_err(not_one)?;
                Ok(Fetched { manifest, digest, bytes })
            }
            Err(error) => Err(not_one(error)),
        }
    }

    /// Fetches what stands under a version, checked by its digest.
    fn manifest_bytes(&self, version: &Version) -> Result<(Vec<u8>, Digest), Error> {
        let name = match version {
            Version::Tag(tag) => tag.to_string(),
            Version::Digest(digest) | Version::Pinned { digest, .. } => digest.to_string(),
        };
        let doing = Doing::FetchManifest;
        let uri = self.in_repository(&format!("manifests/{name}"))?;
        let accept = media_type::ACCEPT.join(", ");
        let headers = [("accept", accept.as_str())];
        let answer =
            self.fetch(doing, Action::Pull, Method::GET, &uri, &headers, Patience::Answer)?;
        let reference = self.reference(version);
        match answer.status {
            200 => self.no_page(&answer)?,
            404 => {
                let reply = Reply::read(answer, self.credentials.as_ref());
                return Err(match reply.code.as_str() {
                    "NAME_UNKNOWN" => Error::UnknownRepository { reference, reply },
                    _ => Error::UnknownVersion { reference, reply },
                });
            }
            _ => return Err(self.refusal(doing, answer)),
        }
        let announced = self.announced_digest(&answer)?;
        let bytes = answer
            .read(MANIFEST_BYTES_MAX)
            .map_err(|source| self.lost(doing, source))?
            .ok_or_else(|| Error::TooLarge {
                what: format!("the manifest {reference}"),
                bytes_max: MANIFEST_BYTES_MAX,
            })?;
        let digest = Digest::of(&bytes);
        for expected in [version.digest().copied(), announced].into_iter().flatten() {
            if expected != digest {
                let what = format!("the manifest {reference}");
                return Err(Error::DigestMismatch { what, expected, found: digest });
            }
        }
        Ok((bytes, digest))
    }

    fn reference(&self, version: &Version) -> String {
        format!("{}/{}{version}", self.registry, self.repository)
    }

    /// Fetches a blob `into` somewhere and gives the proof that it is right; `progress` is told
    /// the bytes so far.
    ///
    /// What went `into` must not be used without the proof.
    ///
    /// # Errors
    /// [`Error::UnknownBlob`], [`Error::SizeMismatch`], [`Error::Ended`], [`Error::TooLong`],
    /// [`Error::DigestMismatch`], [`Error::Sink`], and those of [`login`](Self::login).
    pub fn blob(
        &self,
        blob: &Descriptor,
        into: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verified, Error> {
        if blob.size > BLOB_BYTES_MAX {
            let what = format!("the blob {}", blob.digest);
            return Err(Error::TooLarge { what, bytes_max: BLOB_BYTES_MAX });
        }
        let copied = match &blob.data {
            Some(data) => verify::copy(data.as_slice(), blob, into, progress),
            None => verify::copy(self.open_blob(blob)?.into_reader(), blob, into, progress),
        };
        copied.map_err(|error| match error {
            CopyError::Read(source) => self.cut(Doing::FetchBlob, source),
            CopyError::Write(source) => Error::Sink { digest: blob.digest, source },
            CopyError::Mismatch(mismatch) => mismatched(blob, mismatch),
        })
    }

    /// Asks for all of a blob.
    pub(super) fn open_blob(&self, blob: &Descriptor) -> Result<Answer, Error> {
        let answer = self.ask_for_blob(blob, &[])?;
        self.all_of_blob(blob, answer)
    }

    /// Asks for a blob from byte `first` on, which must be one of its own.
    ///
    /// No `If-Range` goes with it: the digest names the bytes better than any entity tag, and
    /// the tag of a registry is not that of the storage which it redirects to.
    pub(super) fn open_blob_at(&self, blob: &Descriptor, first: u64) -> Result<Opened, Error> {
        let range = format!("bytes={first}-");
        let answer = self.ask_for_blob(blob, &[("range", &range)])?;
        let sent = answer.header("content-range").and_then(ContentRange::parse);
        match (answer.status, sent) {
            (206, Some(range)) if range.goes_on(first, blob.size) => Ok(Opened::Rest(answer)),
            (206 | 416, _) => Ok(Opened::Neither),
            (_, _) => self.all_of_blob(blob, answer).map(Opened::Whole),
        }
    }

    fn ask_for_blob(
        &self,
        blob: &Descriptor,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Error> {
        let uri = self.in_repository(&format!("blobs/{}", blob.digest))?;
        let patience = Patience::Stream;
        self.fetch(Doing::FetchBlob, Action::Pull, Method::GET, &uri, headers, patience)
    }

    /// Sees that the answer has all of a blob.
    fn all_of_blob(&self, blob: &Descriptor, answer: Answer) -> Result<Answer, Error> {
        if answer.status == 200 && !blob.media_type.starts_with("text/") {
            self.no_page(&answer)?;
        }
        match (answer.status, answer.content_length()) {
            (200, Some(announced)) if announced != blob.size => {
                Err(Error::SizeMismatch { digest: blob.digest, announced, expected: blob.size })
            }
            (200, _) => Ok(answer),
            (404, _) => Err(Error::UnknownBlob {
                digest: blob.digest,
                place: format!("{}/{}", self.registry, self.repository),
                reply: Reply::read(answer, self.credentials.as_ref()),
            }),
            (_, _) => Err(self.refusal(Doing::FetchBlob, answer)),
        }
    }

    /// The digest that the registry says its answer has; one of another algorithm is passed over.
    pub(super) fn announced_digest(&self, answer: &Answer) -> Result<Option<Digest>, Error> {
        match answer.header("docker-content-digest").map(str::trim) {
            Some(text) if text.starts_with("sha256:") => {
                text.parse().map(Some).map_err(|_| self.odd(Oddity::DigestHeader))
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// What came when a blob was asked for from some byte on.
pub(super) enum Opened {
    /// The bytes from there on.
    Rest(Answer),
    /// All of the blob: the other side does not do parts.
    Whole(Answer),
    /// Another part, or the word that there is none.
    Neither,
}

/// The error of bytes that are not the blob.
pub(super) fn mismatched(blob: &Descriptor, mismatch: Mismatch) -> Error {
    let digest = blob.digest;
    match mismatch {
        Mismatch::Ended { got, expected } => Error::Ended { digest, got, expected },
        Mismatch::TooLong { expected } => Error::TooLong { digest, expected },
        Mismatch::Digest { expected, found } => {
            Error::DigestMismatch { what: "the blob".to_owned(), expected, found }
        }
    }
}
