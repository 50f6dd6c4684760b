//! A frame of a journal: a header and a payload between a magic and a checksum, the same bytes on
//! the disk of the device, on the wire, and in the ops center.

use super::header::Header;
use crate::fleet::LOG_BATCH_BYTES_MAX;
use sha2::{Digest as _, Sha256};

/// What begins a frame: the form's name and version.
pub const MAGIC: [u8; 4] = *b"PJF1";

/// The magic and the two lengths, little-endian: `magic | u32 header | u32 payload`.
pub const PREFIX_BYTES: usize = 12;

/// The first bytes of the SHA-256 of all before them: a torn or rotten frame passes once in 2^64.
pub const CHECKSUM_BYTES: usize = 8;

/// Bytes of a header: its longest texts are a pipeline's name and version, 255 characters each.
pub const HEADER_BYTES_MAX: usize = 4 << 10;

/// Bytes of a whole frame: what one upload may have, so that any frame can be sent.
pub const FRAME_BYTES_MAX: usize = LOG_BATCH_BYTES_MAX;

/// Bytes of a payload.
pub const PAYLOAD_BYTES_MAX: usize =
    FRAME_BYTES_MAX - PREFIX_BYTES - HEADER_BYTES_MAX - CHECKSUM_BYTES;

/// A frame, whole and unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it says about itself.
    pub header: Header,
    /// An Arrow stream, JSON, or nothing, by the header's kind.
    pub payload: &'a [u8],
    /// All its bytes, magic and checksum with them.
    pub bytes: &'a [u8],
}

/// Bytes that are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// They end before the frame does.
    #[error("a frame of the journal is cut: it has {found} of its {wanted} bytes")]
    Cut {
        /// The bytes that there are.
        found: usize,
        /// The bytes that the frame has; those of its prefix when that is cut.
        wanted: usize,
    },
    /// They begin with something else.
    #[error("no frame of a journal begins here; expected `PJF1`")]
    Magic,
    /// A length is over its limit.
    #[error("{what} of a frame of the journal has {found} bytes; expected up to {limit}")]
    TooLong {
        /// The part: `the header`.
        what: &'static str,
        /// The bytes that it says it has.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes changed since they were written.
    #[error("a frame of the journal is damaged: its checksum is another")]
    Checksum,
    /// The header is not of the form.
    #[error("the header of a frame of the journal cannot be read")]
    Header(#[source] serde_json::Error),
    /// The header says what cannot be.
    #[error("the header of a frame of the journal tells {what}")]
    Facts {
        /// What it tells.
        what: &'static str,
    },
}

/// The bytes of a frame of this header and payload.
///
/// # Errors
/// When it would be over a limit, or the header tells what cannot be.
pub fn encode(header: &Header, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    header.check(payload.len())?;
    let written = serde_json::to_vec(header).map_err(FrameError::Header)?;
    check_lengths(written.len(), payload.len())?;
    let mut bytes =
        Vec::with_capacity(PREFIX_BYTES + written.len() + payload.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&(written.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&written);
    bytes.extend_from_slice(payload);
    let checksum = checksum(&bytes);
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
}

/// How many bytes the frame has that begins with this prefix.
///
/// # Errors
/// When none begins so, or it would be over a limit.
pub fn frame_bytes(prefix: &[u8; PREFIX_BYTES]) -> Result<usize, FrameError> {
    let (header, payload) = lengths(prefix)?;
    Ok(PREFIX_BYTES + header + payload + CHECKSUM_BYTES)
}

/// The frames of a run of bytes, one after the other; after an error comes nothing.
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { rest: bytes, failed: false }
}

/// See [`frames`].
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.failed {
            return None;
        }
        let frame = first(self.rest);
        match &frame {
            Ok(frame) => self.rest = &self.rest[frame.bytes.len()..],
            Err(_) => self.failed = true,
        }
        Some(frame)
    }
}

/// The frame that a run of bytes begins with; what follows it is not looked at.
///
/// # Errors
/// When the bytes are no frame, or not all of it, or not as they were written.
pub fn first(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else {
        let begins = MAGIC.iter().zip(bytes).all(|(magic, byte)| magic == byte);
        let cut = FrameError::Cut { found: bytes.len(), wanted: PREFIX_BYTES };
        return Err(if begins { cut } else { FrameError::Magic });
    };
    let (header_bytes, payload_bytes) = lengths(prefix)?;
    let wanted = PREFIX_BYTES + header_bytes + payload_bytes + CHECKSUM_BYTES;
    let Some(bytes) = bytes.get(..wanted) else {
        return Err(FrameError::Cut { found: bytes.len(), wanted });
    };
    let (content, told) = bytes.split_at(wanted - CHECKSUM_BYTES);
    if checksum(content) != told {
        return Err(FrameError::Checksum);
    }
    let (header, payload) = content[PREFIX_BYTES..].split_at(header_bytes);
    let header: Header = serde_json::from_slice(header).map_err(FrameError::Header)?;
    header.check(payload.len())?;
    Ok(Frame { header, payload, bytes })
}

fn lengths(prefix: &[u8; PREFIX_BYTES]) -> Result<(usize, usize), FrameError> {
    let [m0, m1, m2, m3, h0, h1, h2, h3, p0, p1, p2, p3] = *prefix;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(FrameError::Magic);
    }
    let length = |bytes| u32::from_le_bytes(bytes) as usize;
    let (header, payload) = (length([h0, h1, h2, h3]), length([p0, p1, p2, p3]));
    check_lengths(header, payload)?;
    Ok((header, payload))
}

fn check_lengths(header: usize, payload: usize) -> Result<(), FrameError> {
    let parts =
        [("the header", header, HEADER_BYTES_MAX), ("the payload", payload, PAYLOAD_BYTES_MAX)];
    match parts.into_iter().find(|(_, found, limit)| limit < found) {
        None => Ok(()),
        Some((what, found, limit)) => Err(FrameError::TooLong { what, found, limit }),
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [c0, c1, c2, c3, c4, c5, c6, c7, ..] = <[u8; 32]>::from(Sha256::digest(bytes));
    [c0, c1, c2, c3, c4, c5, c6, c7]
}
