//! A request as the service sees it.

use std::io::{self, Read};
use std::net::SocketAddr;

use super::body::{Body, BodyError, Outcome};
use super::head::Head;

/// One request: a head that was read whole, and a body that is still on its way.
#[derive(Debug)]
pub struct Request<'a, 'w> {
    head: &'a Head<'a>,
    body: Body<'a, 'w>,
    peer: SocketAddr,
}

impl<'a, 'w> Request<'a, 'w> {
    pub(super) fn new(head: &'a Head<'a>, body: Body<'a, 'w>, peer: SocketAddr) -> Request<'a, 'w> {
        Request { head, body, peer }
    }

    /// Its head, as [`super::Service::body_bytes_max`] has seen it.
    pub fn head(&self) -> &Head<'a> {
        self.head
    }

    pub(super) fn finish(self) -> Outcome {
        self.body.finish()
    }

    /// The method as sent: a token, in which case matters.
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// [`Head::path`].
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// [`Head::query`].
    pub fn query(&self) -> Option<&str> {
        self.head.query()
    }

    /// [`Head::header`].
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// [`Head::header_bytes`].
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.head.header_bytes(name)
    }

    /// [`Head::headers`].
    pub fn headers<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n [u8]> {
        self.head.headers(name)
    }

    /// [`Head::content_length`].
    pub fn content_length(&self) -> Option<u64> {
        self.head.content_length()
    }

    /// The address at the other end of the connection, which may be a proxy's.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the client has closed its connection, or lost it as far as the kernel knows.
    ///
    /// Costs three system calls; for requests that wait.
    pub fn client_has_left(&self) -> bool {
        self.body.client_has_left()
    }

    /// Reads what is left of the body into memory, at most [`super::Limits::body_bytes_max`].
    ///
    /// Called again it is empty. The memory counts towards [`super::Limits::bodies_bytes_max`]
    /// until the service has answered.
    ///
    /// # Errors
    /// Each has the status of its answer, after which the connection ends.
    pub fn body(&mut self) -> Result<Vec<u8>, BodyError> {
        self.body.read_all()
    }
}

/// Reads the body in parts; an error wraps a [`BodyError`].
impl Read for Request<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.body.read(into).map_err(|error| {
            let kind = match &error {
                BodyError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
                BodyError::Truncated { .. } => io::ErrorKind::UnexpectedEof,
                BodyError::TooSlow { .. } => io::ErrorKind::TimedOut,
                BodyError::Malformed { .. } => io::ErrorKind::InvalidData,
                BodyError::Busy { .. } => io::ErrorKind::OutOfMemory,
                BodyError::Io(source) => source.kind(),
            };
            io::Error::new(kind, error)
        })
    }
}
