//! Pushing: blobs that are not there yet, then the manifest that names them.

use std::cell::RefCell;
use std::io::{self, Read};

use ureq::http::{Method, Uri};

use super::pull::mismatched;
use super::session::Action;
use super::verify::{Mismatch, VerifyReader};
use super::{Doing, Error, Oddity, Remote};
use crate::http::client::{Answer, Authorization, Call, Origin, Patience};
use crate::oci::{Descriptor, Digest, Manifest, Version, media_type};

mod referrers;

/// Whether a blob had to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was sent.
    Sent,
    /// It was there before.
    AlreadyThere,
}

impl Remote {
    /// Whether the repository has the blob, by its digest.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] when it has one of that digest and another size, and those of
    /// [`login`](Self::login).
    pub fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let doing = Doing::CheckBlob;
        let uri = self.in_repository(&format!("blobs/{}", blob.digest))?;
        let answer = self.fetch(doing, Action::Push, Method::HEAD, &uri, &[], Patience::Answer)?;
        match (answer.status, answer.content_length()) {
            (200, Some(announced)) if announced != blob.size => {
                Err(Error::SizeMismatch { digest: blob.digest, announced, expected: blob.size })
            }
            (200, _) => Ok(true),
            (404, _) => Ok(false),
            (_, _) => Err(self.refusal(doing, answer)),
        }
    }

    /// Sends a blob, unless the repository has it.
    ///
    /// `open` gives the bytes from their beginning; it is called again after a new login. They
    /// are checked while they are sent, so a file that changed meanwhile never becomes a blob.
    ///
    /// # Errors
    /// [`Error::Source`] and the mismatches when the bytes are not the blob, [`Error::Denied`]
    /// when the repository is not ours to write, and those of [`login`](Self::login).
    pub fn push_blob(
        &self,
        blob: &Descriptor,
        open: &mut dyn FnMut() -> io::Result<Box<dyn Read>>,
    ) -> Result<Pushed, Error> {
        if self.has_blob(blob)? {
            return Ok(Pushed::AlreadyThere);
        }
        let doing = Doing::PushBlob;
        let start = self.in_repository("blobs/uploads/")?;
        let nothing = &mut || Ok(Box::new(io::empty()) as Box<dyn Read>);
        let answer = self.send(Method::POST, doing, &start, &[], 0, nothing)?;
        if answer.status != 202 {
            return Err(self.refusal(doing, answer));
        }
        let session = answer.location().map_err(|source| self.lost(doing, source))?;
        drop(answer);
        let joint = if session.query().is_some() { '&' } else { '?' };
        let uri: Uri = format!("{session}{joint}digest={}", blob.digest)
            .parse()
            .map_err(|_| self.odd(Oddity::UploadUri))?;
        let headers = [("content-type", media_type::OCTET_STREAM)];
        let fault = RefCell::new(None);
        let mut bytes = || {
            let bytes = open().map_err(|source| Error::Source { digest: blob.digest, source })?;
            let reader = VerifyReader::new(bytes, blob);
            Ok(Box::new(Watched { reader, left: blob.size, fault: &fault }) as Box<dyn Read>)
        };
        let answer = self.send(Method::PUT, doing, &uri, &headers, blob.size, &mut bytes);
        if let Some(fault) = fault.take() {
            return Err(match fault.downcast::<Mismatch>() {
                Ok(mismatch) => mismatched(blob, mismatch),
                Err(source) => Error::Source { digest: blob.digest, source },
            });
        }
        self.accepted(doing, "the blob sent", blob.digest, answer?)?;
        Ok(Pushed::Sent)
    }

    /// Sends a manifest under its tag, or by its digest alone.
    ///
    /// # Errors
    /// [`Error::NotAManifest`] when it is none, [`Error::DigestMismatch`] when the version is
    /// pinned to another digest or the registry stored another, [`Error::Denied`], and those of
    /// [`login`](Self::login).
    pub fn push_manifest(&self, version: &Version, bytes: &[u8]) -> Result<Digest, Error> {
        let doing = Doing::PushManifest;
        let reference = format!("{}/{}{version}", self.registry, self.repository);
        let digest = Digest::of(bytes);
        if let Some(&expected) = version.digest().filter(|it| **it != digest) {
            let what = format!("the manifest {reference}");
            return Err(Error::DigestMismatch { what, expected, found: digest });
        }
        let manifest =
            Manifest::parse(bytes).map_err(|source| Error::NotAManifest { reference, source })?;
        let name = version.tag().map_or_else(|| digest.to_string(), ToString::to_string);
        let uri = self.in_repository(&format!("manifests/{name}"))?;
        let headers = [("content-type", manifest.media_type.as_str())];
        let size = bytes.len() as u64;
        let mut body = || Ok(Box::new(bytes) as Box<dyn Read>);
        let answer = self.send(Method::PUT, doing, &uri, &headers, size, &mut body)?;
        self.accepted(doing, "the manifest sent", digest, answer)?;
        Ok(digest)
    }

    /// Sees that what was sent is stored, and as what it was sent.
    fn accepted(
        &self,
        doing: Doing,
        what: &str,
        expected: Digest,
        answer: Answer,
    ) -> Result<(), Error> {
        if !matches!(answer.status, 201 | 204) {
            return Err(self.refusal(doing, answer));
        }
        match self.announced_digest(&answer)? {
            Some(found) if found != expected => {
                Err(Error::DigestMismatch { what: what.to_owned(), expected, found })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A request with a body, logged in; the credentials go to the registry only.
    fn send<'a>(
        &self,
        method: Method,
        doing: Doing,
        uri: &Uri,
        headers: &[(&'static str, &str)],
        size: u64,
        body: &mut dyn FnMut() -> Result<Box<dyn Read + 'a>, Error>,
    ) -> Result<Answer, Error> {
        // A session may live at a storage service, which has no business with our password.
        let is_registry = Origin::of(uri) == Origin::of(&self.uri("/v2/")?);
        self.logged_in(doing, Action::Push, &mut |authorization: Option<&Authorization>| {
            let call = Call {
                method: method.clone(),
                uri,
                headers,
                authorization: authorization.filter(|_| is_registry),
                patience: Patience::Commit,
            };
            let sent = self.client().send(&call, &mut *body()?, size);
            sent.map_err(|source| self.lost(doing, source))
        })
    }
}

/// A blob on its way out: its last bytes are held back until all of it was found right.
struct Watched<'a> {
    reader: VerifyReader<Box<dyn Read>>,
    left: u64,
    /// What went wrong here, to be told from what goes wrong with the connection.
    fault: &'a RefCell<Option<io::Error>>,
}

impl Watched<'_> {
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left -= count as u64;
        if self.left == 0 {
            self.reader.finish()?;
        }
        Ok(count)
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.step(buffer).map_err(|error| {
            *self.fault.borrow_mut() = Some(error);
            io::Error::other("the blob to be sent cannot be read")
        })
    }
}
