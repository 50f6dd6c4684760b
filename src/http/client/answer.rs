//! An answer: its status, its headers, and a body that is read only within a limit.

use std::io::Read;

use ureq::Body;
use ureq::http::header::HeaderMap;
use ureq::http::{Response, Uri};

use super::{Error, Timeouts, resolve};

/// What came back for a request, of whatever status.
#[derive(Debug)]
pub struct Answer {
    /// The status, from 100 to 599.
    pub status: u16,
    /// Who answered, after redirects.
    pub uri: Uri,
    host: String,
    timeouts: Timeouts,
    headers: HeaderMap,
    body: Body,
}

impl Answer {
    pub(super) fn new(
        uri: Uri,
        host: String,
        timeouts: Timeouts,
        response: Response<Body>,
    ) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status.as_u16(), uri, host, timeouts, headers: head.headers, body }
    }

    /// The first header of this name, where it is there and is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Every header of this name that is ASCII, in order.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// The size that the answer announces, in bytes; for HEAD that of the body left out.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The URI in the header `Location`, made whole.
    ///
    /// # Errors
    /// When there is none or it is refused by [`resolve`].
    pub fn location(&self) -> Result<Uri, Error> {
        let location = self
            .header("location")
            .ok_or_else(|| Error::NoLocation { host: self.host.clone(), status: self.status })?;
        resolve(&self.uri, location)
    }

    /// Reads the whole body; `None` when it has more than `bytes_max` bytes.
    ///
    /// # Errors
    /// When the connection ends or stalls before the body does.
    pub fn read(self, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        if self.content_length().is_some_and(|size| size > bytes_max) {
            return Ok(None);
        }
        let Self { host, timeouts, mut body, .. } = self;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a body that is too large from one that just fits.
        body.as_reader()
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::from_ureq(&host, error.into(), &timeouts))?;
        Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
    }

    /// The body as it comes. Its errors become [`Error`]s by [`Error::while_reading`].
    #[must_use]
    pub fn into_reader(self) -> impl Read {
        self.body.into_reader()
    }
}
