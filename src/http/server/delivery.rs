//! The way of an answer to its client: its head, and the body from memory, a file or a source.

use crate::logging::AT_SERVE;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::content::{Content, Piece, Stream};
use super::pace::Pace;
use super::response::Framing;
use super::wire::Wire;

/// Bytes of a file or a source that are in memory at once: enough to keep a disk and a link busy,
/// and 32 MiB when all connections are sent files.
const PART_BYTES: usize = 64 * 1024;

/// The end of a chunk, and the empty line after the last one (RFC 9112 section 7.1).
const CRLF: &[u8; 2] = b"\r\n";

/// Sends head and body at the client's pace.
///
/// An error means that the connection must end as it is: the client has left, or it has got a part
/// of what the head promised and must be able to tell.
pub(super) fn deliver(
    wire: &mut Wire<'_>,
    head: &[u8],
    content: Content,
    framing: Framing,
    pace: &mut Pace,
) -> io::Result<()> {
    match content {
        Content::Owned(bytes) => wire.send(head, &bytes, pace),
        Content::Static(bytes) => wire.send(head, bytes, pace),
        Content::File(piece) => from_file(wire, head, piece, pace),
        Content::Stream(stream) => from_source(wire, head, stream, framing, pace),
    }
}

/// Only the waits for the client count in its pace, not those for the disk.
fn from_file(
    wire: &mut Wire<'_>,
    mut head: &[u8],
    mut piece: Piece,
    pace: &mut Pace,
) -> io::Result<()> {
    let mut left = piece.bytes;
    let room = usize::try_from(left).unwrap_or(PART_BYTES).min(PART_BYTES);
    let mut part = vec![0; room];
    loop {
        let count = usize::try_from(left).unwrap_or(room).min(room);
        if let Err(error) = piece.from.read_exact(&mut part[..count]) {
            let at = piece.bytes - left;
            log::error!(target: AT_SERVE, "path={:?} at={at} bytes={} msg=\"a file could not be read to its end while it was sent: {error}\"", piece.path, piece.bytes);
            return Err(error);
        }
        wire.send(head, &part[..count], pace)?;
        head = b"";
        left -= count as u64;
        if left == 0 {
            return Ok(());
        }
    }
}

fn from_source(
    wire: &mut Wire<'_>,
    head: &[u8],
    mut stream: Stream,
    framing: Framing,
    pace: &mut Pace,
) -> io::Result<()> {
    // The client is told at once that it is heard: the first bytes may be long in coming.
    wire.send(head, b"", pace)?;
    let is_chunked = framing == Framing::Chunked;
    let mut part = vec![0; PART_BYTES + CRLF.len()];
    let mut size = Vec::new();
    let mut left = stream.bytes_max;
    loop {
        let count = pull(&mut stream, &mut part[..PART_BYTES]).inspect_err(|error| {
            log::error!(target: AT_SERVE, "msg=\"what was to be sent broke off: {error}\"");
        })?;
        if count == 0 {
            let last: &[u8] = if is_chunked { b"0\r\n\r\n" } else { b"" };
            return wire.send(last, b"", pace);
        }
        let Some(rest) = left.checked_sub(count as u64) else {
            log::error!(target: AT_SERVE, "msg=\"what was to be sent has over {} bytes\"", stream.bytes_max);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        left = rest;
        if is_chunked {
            size.clear();
            write!(size, "{count:x}\r\n")?;
            part[count..count + CRLF.len()].copy_from_slice(CRLF);
            wire.send(&size, &part[..count + CRLF.len()], pace)?;
        } else {
            wire.send(b"", &part[..count], pace)?;
        }
    }
}

/// Reads once; a panic in the source stays there.
fn pull(stream: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match catch_unwind(AssertUnwindSafe(|| stream.from.read(into))) {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Ok(count)) => {
                assert!(count <= into.len(), "a reader fills no more than it is given");
                return Ok(count);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::Error::other("it panicked")),
        }
    }
}
