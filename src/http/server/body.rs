//! The body of a request: found by its framing, paced, counted and bounded.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::accept::Shared;
use super::limits::{HEADERS_MAX, Limits};
use super::pace::Pace;
use super::response::is_token;
use super::wire::{Wire, is_timeout};

/// The first memory for a body, whatever length is declared: that of a usual sensor's request.
/// From there on it doubles, so that memory follows the bytes that have arrived.
const FIRST_STEP_BYTES: usize = 64 * 1024;

/// A declared length up to this many bytes gets its memory at once while there is plenty: an image
/// of 224 by 224 by 3 floats is 588 KiB, and memory that doubles is copied at each step.
const AT_ONCE_BYTES_MAX: usize = 1024 * 1024;

/// There is plenty while the bodies of all connections take less than this part of what they may:
/// clients that declare much and send nothing leave the rest to those that send.
const PLENTY_DIVISOR: usize = 2;

/// Memory is cleared and then read into by this much at a time, while it is in the cache.
const PIECE_BYTES: usize = 128 * 1024;

/// Hexadecimal digits of a chunk's size: as many as a 64-bit number has.
const CHUNK_SIZE_DIGITS_MAX: usize = 16;

/// Bytes of one trailer field, which are read and dropped; checksums and signatures are shorter.
const TRAILER_BYTES_MAX: usize = 512;

const _: () = assert!(TRAILER_BYTES_MAX + 2 <= super::limits::HEAD_BYTES_MIN, "a line fits");

/// Where a body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
}

/// Why a body could not be read; the connection ends after the answer.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// A chunked body outgrew the limit for it, or any body the limit for one in memory.
    #[error("the body is over {limit_bytes} bytes: split it")]
    TooLarge {
        /// The limit, chunk framing included.
        limit_bytes: u64,
    },
    /// The client ended the connection within the body.
    #[error("the body ended after {received_bytes} bytes, before its end: send it again")]
    Truncated {
        /// What had arrived, chunk framing included.
        received_bytes: u64,
    },
    /// The client stalled, or stayed below the rate for longer than the grace.
    #[error("the body came slower than {rate_min} bytes a second: send it at once")]
    TooSlow {
        /// [`Limits::body_rate_min`].
        rate_min: u64,
    },
    /// The chunked framing breaks RFC 9112 section 7.1, or has extensions.
    #[error("the chunked body is malformed: {what}")]
    Malformed {
        /// What was found, and what to send instead.
        what: &'static str,
    },
    /// The bodies of all connections together have no room for this one now.
    #[error("the bodies of all requests are over {limit_bytes} bytes: try again in a second")]
    Busy {
        /// [`Limits::bodies_bytes_max`].
        limit_bytes: usize,
    },
    /// The connection broke.
    #[error("the connection broke within the body: send it again")]
    Io(#[source] io::Error),
}

impl BodyError {
    /// The status code of the answer (RFC 9110 section 15).
    pub fn status(&self) -> u16 {
        match self {
            BodyError::TooLarge { .. } => 413,
            BodyError::TooSlow { .. } => 408,
            BodyError::Busy { .. } => 503,
            BodyError::Truncated { .. } | BodyError::Malformed { .. } | BodyError::Io(_) => 400,
        }
    }
}

/// The memory that the bodies of all connections may take together.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Budget {
        Budget { used: AtomicUsize::new(0), bytes_max }
    }

    fn take(&self, bytes: usize) -> Result<(), BodyError> {
        let add = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        taken.map(drop).map_err(|_| BodyError::Busy { limit_bytes: self.bytes_max })
    }

    /// Takes as much ahead of the bytes that arrive, if there is plenty.
    fn take_ahead(&self, bytes: usize) -> bool {
        let plenty = self.bytes_max / PLENTY_DIVISOR;
        let add = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= plenty);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_whole(&self) -> bool {
        self.used.load(Ordering::Acquire) == 0
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Done,
    Length(u64),
    FirstSize,
    Chunk(u64),
    NextSize,
    /// An error was reported; what follows cannot be told apart any more.
    Broken,
}

/// What became of the body when the service had answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The next bytes are the next request.
    Clean,
    /// The rest was not read: the connection must end.
    Unread,
}

/// The body while it is read.
#[derive(Debug)]
pub(super) struct Body<'a, 'w> {
    wire: &'a mut Wire<'w>,
    limits: &'a Limits,
    budget: &'a Budget,
    /// For data and framing.
    bytes_max: u64,
    reserved_bytes: usize,
    rest: Rest,
    owes_continue: bool,
    pace: Pace,
    /// Data and framing.
    received_bytes: u64,
}

impl<'a, 'w> Body<'a, 'w> {
    pub(super) fn new(
        framing: Framing,
        expects_continue: bool,
        wire: &'a mut Wire<'w>,
        shared: &'a Shared,
        bytes_max: u64,
    ) -> Body<'a, 'w> {
        let Shared { limits, bodies: budget, .. } = shared;
        let rest = match framing {
            Framing::Empty | Framing::Length(0) => Rest::Done,
            Framing::Length(bytes) => Rest::Length(bytes),
            Framing::Chunked => Rest::FirstSize,
        };
        let (pace, owes_continue) = (Pace::new(limits), expects_continue);
        let (reserved_bytes, received_bytes) = (0, 0);
        Body {
            wire,
            limits,
            budget,
            bytes_max,
            reserved_bytes,
            rest,
            owes_continue,
            pace,
            received_bytes,
        }
    }

    /// Reads some bytes of data; 0 is the end of the body.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, BodyError> {
        let result = self.next().and_then(|ready| self.read_ready(ready, into));
        self.breaking(result)
    }

    /// Reads all that is left.
    pub(super) fn read_all(&mut self) -> Result<Vec<u8>, BodyError> {
        let result = self.gather();
        self.breaking(result)
    }

    pub(super) fn client_has_left(&self) -> bool {
        self.wire.has_left()
    }

    /// Skips a rest that has arrived anyway, such as the body of a request answered by its path.
    pub(super) fn finish(self) -> Outcome {
        match self.rest {
            Rest::Done => Outcome::Clean,
            Rest::Length(bytes) => match usize::try_from(bytes) {
                Ok(bytes) if bytes <= self.wire.buffered().len() => {
                    self.wire.consume(bytes);
                    Outcome::Clean
                }
                Ok(_) | Err(_) => Outcome::Unread,
            },
            Rest::FirstSize | Rest::Chunk(_) | Rest::NextSize | Rest::Broken => Outcome::Unread,
        }
    }

    fn breaking<T>(&mut self, result: Result<T, BodyError>) -> Result<T, BodyError> {
        if result.is_err() {
            self.rest = Rest::Broken;
        }
        result
    }

    fn gather(&mut self) -> Result<Vec<u8>, BodyError> {
        let mut body = Vec::new();
        loop {
            let ready = self.next()?;
            if ready == 0 {
                return Ok(body);
            }
            // A service may allow more than this, but not in memory.
            let limit_bytes = self.limits.body_bytes_max;
            if ready.saturating_add(body.len() as u64) > limit_bytes {
                return Err(BodyError::TooLarge { limit_bytes });
            }
            if body.len() == body.capacity() {
                self.grow(&mut body)?;
            }
            let mut at = body.len();
            let room = PIECE_BYTES.min(body.capacity() - at);
            body.resize(at + usize::try_from(ready).unwrap_or(room).min(room), 0);
            // The piece is filled whole before the next is cleared: each byte is cleared once.
            while at < body.len() {
                at += self.read_ready(ready, &mut body[at..])?;
            }
        }
    }

    /// Doubles the memory, or takes what the declared length still needs if that is less, or not
    /// much more and there is plenty.
    fn grow(&mut self, body: &mut Vec<u8>) -> Result<(), BodyError> {
        let step = body.len().max(FIRST_STEP_BYTES);
        let whole = match self.rest {
            Rest::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Rest::Done | Rest::FirstSize | Rest::Chunk(_) | Rest::NextSize | Rest::Broken => {
                usize::MAX
            }
        };
        let step = if whole <= AT_ONCE_BYTES_MAX && self.budget.take_ahead(whole) {
            whole
        } else {
            let step = step.min(whole);
            self.budget.take(step)?;
            step
        };
        self.reserved_bytes += step;
        let limit_bytes = self.limits.bodies_bytes_max;
        body.try_reserve_exact(step).map_err(|_| BodyError::Busy { limit_bytes })
    }

    /// How many bytes of data may be read now, going over chunk framing; 0 is the end.
    fn next(&mut self) -> Result<u64, BodyError> {
        if self.rest == Rest::NextSize {
            self.line(0, |_| Ok(()))?;
        }
        match self.rest {
            Rest::Done => Ok(0),
            Rest::Length(left) | Rest::Chunk(left) => Ok(left),
            Rest::Broken => malformed("it was refused before: do not read on"),
            Rest::FirstSize | Rest::NextSize => {
                let size = self.line(CHUNK_SIZE_DIGITS_MAX, chunk_size)?;
                let limit_bytes = self.bytes_max;
                if self.received_bytes.saturating_add(size) > limit_bytes {
                    return Err(BodyError::TooLarge { limit_bytes });
                }
                self.rest = Rest::Chunk(size);
                if size == 0 {
                    self.skip_trailers()?;
                    self.rest = Rest::Done;
                }
                Ok(size)
            }
        }
    }

    fn skip_trailers(&mut self) -> Result<(), BodyError> {
        for _ in 0..=HEADERS_MAX {
            if self.line(TRAILER_BYTES_MAX, trailer)? == Trailer::End {
                return Ok(());
            }
        }
        malformed("there are too many trailer fields: send fewer")
    }

    /// Reads data, of which `ready` bytes are known to follow.
    fn read_ready(&mut self, ready: u64, into: &mut [u8]) -> Result<usize, BodyError> {
        let most = usize::try_from(ready).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.wait(|wire, deadline| wire.read(deadline, &mut into[..most]))?;
        self.received_bytes += count as u64;
        self.rest = match self.rest {
            Rest::Length(left) if left == count as u64 => Rest::Done,
            Rest::Length(left) => Rest::Length(left - count as u64),
            Rest::Chunk(left) if left == count as u64 => Rest::NextSize,
            Rest::Chunk(left) => Rest::Chunk(left - count as u64),
            rest @ (Rest::Done | Rest::FirstSize | Rest::NextSize | Rest::Broken) => rest,
        };
        Ok(count)
    }

    /// Takes one line of framing, of at most so many bytes before its CRLF.
    fn line<T>(
        &mut self,
        bytes_max: usize,
        parse: impl FnOnce(&[u8]) -> Result<T, BodyError>,
    ) -> Result<T, BodyError> {
        loop {
            let arrived = self.wire.buffered();
            let window = &arrived[..arrived.len().min(bytes_max + 2)];
            if let Some(at) = window.iter().position(|byte| *byte == b'\n') {
                let Some(line) = window[..at].strip_suffix(b"\r") else {
                    return malformed("a line ends with LF alone: end it with CRLF");
                };
                let value = parse(line)?;
                self.wire.consume(at + 1);
                self.received_bytes += at as u64 + 1;
                return Ok(value);
            }
            if window.len() == bytes_max + 2 {
                return malformed("CRLF is not where a chunk, its size or a trailer must end");
            }
            self.wait(|wire, deadline| wire.fill(deadline))?;
        }
    }

    /// Receives once, at the client's pace; the end of the stream is an error here.
    fn wait(
        &mut self,
        receive: impl FnOnce(&mut Wire<'w>, Instant) -> io::Result<usize>,
    ) -> Result<usize, BodyError> {
        if self.owes_continue && self.wire.buffered().is_empty() {
            self.owes_continue = false;
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.wire.send(interim, b"", &mut Pace::new(self.limits)).map_err(BodyError::Io)?;
        }
        let begun = Instant::now();
        let result = receive(self.wire, begun + self.pace.left());
        match result {
            Ok(0) => Err(BodyError::Truncated { received_bytes: self.received_bytes }),
            Ok(count) => {
                self.pace.book(begun.elapsed(), count);
                Ok(count)
            }
            Err(error) if is_timeout(&error) => {
                Err(BodyError::TooSlow { rate_min: self.limits.body_rate_min })
            }
            Err(error) => Err(BodyError::Io(error)),
        }
    }
}

impl Drop for Body<'_, '_> {
    fn drop(&mut self) {
        self.budget.give_back(self.reserved_bytes);
    }
}

fn malformed<T>(what: &'static str) -> Result<T, BodyError> {
    Err(BodyError::Malformed { what })
}

/// Digits alone: an extension (RFC 9112 section 7.1.1) has no use here, and readers that differ
/// over where it ends have let requests be smuggled.
fn chunk_size(line: &[u8]) -> Result<u64, BodyError> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(text, 16) {
        Ok(size) if is_hexadecimal => Ok(size),
        Ok(_) | Err(_) => malformed("a chunk size is not 1 to 16 hexadecimal digits alone"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trailer {
    Field,
    End,
}

fn trailer(line: &[u8]) -> Result<Trailer, BodyError> {
    if line.is_empty() {
        return Ok(Trailer::End);
    }
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default();
    let is_value = |value: &[u8]| value.iter().all(|b| *b == b'\t' || !b.is_ascii_control());
    if name.is_empty() || !name.iter().copied().all(is_token) || !parts.next().is_some_and(is_value)
    {
        return malformed("a trailer is no field: send `name: value` on one line");
    }
    Ok(Trailer::Field)
}
