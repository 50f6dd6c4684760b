//! The bytes of an answer: in memory, in a file, or still to be made while they are sent.

use std::fmt;
use std::io::{self, Read, Take};
use std::path::PathBuf;

use crate::disk::{Reading, Stretch};

/// What an answer carries.
#[derive(Debug)]
pub enum Content {
    /// Made for this answer.
    Owned(Vec<u8>),
    /// Part of the program.
    Static(&'static [u8]),
    /// In a file, from which it is read while it is sent: see [`Content::of`].
    File(Piece),
    /// Made while it is sent, to an end that nobody knows before: see [`Content::stream`].
    Stream(Stream),
}

impl Content {
    /// The bytes of a stretch as they are now; they are read when they are sent.
    ///
    /// The file is open from here on: taken away meanwhile, it is sent whole all the same. Where it
    /// cannot be read to that length, the connection ends early, and the log says why.
    ///
    /// # Errors
    /// The file is not there or cannot be opened.
    pub fn of(stretch: &Stretch) -> io::Result<Content> {
        let reading = stretch.open()?;
        let bytes = reading.bytes_left();
        let path = stretch.path().to_owned();
        Ok(Content::File(Piece { from: reading.take(bytes), bytes, path }))
    }

    /// What `from` gives until its end, at most `bytes_max` bytes.
    ///
    /// Each read is sent at once: in a chunk of its own, or as it is to HTTP/1.0, for which the
    /// connection ends with it. The connection's thread waits in `read`, and neither the client's
    /// leaving nor the server's end wakes it: a source that may be silent for long has to give
    /// something now and then, which fails when the client has left, and to end with the program.
    /// After an error, a panic or more bytes than allowed, the connection ends without the last
    /// chunk, so that the client can tell.
    pub fn stream(from: impl Read + Send + 'static, bytes_max: u64) -> Content {
        Content::Stream(Stream { from: Box::new(from), bytes_max })
    }

    /// The bytes where they are in memory.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Content::Owned(bytes) => Some(bytes),
            Content::Static(bytes) => Some(bytes),
            Content::File(_) | Content::Stream(_) => None,
        }
    }

    /// How many there are, where that is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Content::Owned(bytes) => Some(bytes.len() as u64),
            Content::Static(bytes) => Some(bytes.len() as u64),
            Content::File(piece) => Some(piece.bytes),
            Content::Stream(_) => None,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        Content::Owned(bytes)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Owned(text.into_bytes())
    }
}

impl From<&'static [u8]> for Content {
    fn from(bytes: &'static [u8]) -> Content {
        Content::Static(bytes)
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Content {
        Content::Static(text.as_bytes())
    }
}

/// A file, or a part of one, that is open to be sent.
#[derive(Debug)]
pub struct Piece {
    pub(super) from: Take<Reading>,
    pub(super) bytes: u64,
    /// For the log.
    pub(super) path: PathBuf,
}

/// A source that is read while it is sent.
pub struct Stream {
    pub(super) from: Box<dyn Read + Send>,
    pub(super) bytes_max: u64,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream(at most {} bytes)", self.bytes_max)
    }
}
