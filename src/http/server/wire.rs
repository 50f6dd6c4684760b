//! A client's socket with its receive buffer, where every wait has an end.

use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::limits::Limits;
use super::pace::Pace;
use super::stream::Stream;
use super::tls::Tls;

/// A socket refuses a timeout of zero, and the kernel counts in milliseconds.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// How long a closing connection takes in what the client still sends, so that the answer is not
/// lost to a reset (RFC 9112 section 9.6): a round trip to anywhere, with one loss.
const LINGER: Duration = Duration::from_secs(2);

/// How many bytes it takes in: what a client has under way before it looks at the answer.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One blocked write lasts this part of the grace, so a client that takes nothing is given up at
/// most a fourth late, without a system call per answer to set the time that is left.
const WRITE_SLICES: u32 = 4;

/// The connection as bytes: buffered for heads and framing, direct for bodies.
#[derive(Debug)]
pub(super) struct Wire<'s> {
    stream: Stream<'s>,
    /// The receive timeout that the socket has now.
    timeout: Duration,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'s> Wire<'s> {
    /// Sets the options of a fresh socket.
    pub(super) fn new(socket: &'s TcpStream, limits: &Limits) -> io::Result<Wire<'s>> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some((limits.grace / WRITE_SLICES).max(TIMEOUT_MIN)))?;
        Ok(Wire::over(Stream::Plain(socket), limits))
    }

    /// The same over a stream whose socket has its options.
    pub(super) fn over(stream: Stream<'s>, limits: &Limits) -> Wire<'s> {
        let buffer = vec![0; limits.head_bytes_max];
        Wire { stream, timeout: Duration::MAX, buffer, start: 0, end: 0 }
    }

    /// Shakes hands over TLS; false when the client does not speak it, which reads plain answers.
    pub(super) fn secure(&mut self, tls: &Tls, deadline: Instant) -> io::Result<bool> {
        let (stream, timeout) = (&mut self.stream, &mut self.timeout);
        if !wait_by(stream, timeout, deadline, Stream::peeks_at_tls)? {
            return Ok(false);
        }
        stream.begin_tls(tls.current())?;
        while stream.is_handshaking() {
            if wait_by(stream, timeout, deadline, Stream::turn)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(true)
    }

    /// Bytes that have arrived and are not consumed.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the buffer holds as much as it can.
    pub(super) fn is_full(&self) -> bool {
        self.buffered().len() == self.buffer.len()
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.end - self.start, "only what has arrived can be consumed");
        self.start += bytes;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once into the buffer, which must not be full; 0 is the end of the stream.
    pub(super) fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let into = &mut self.buffer[self.end..];
        assert!(!into.is_empty(), "a full buffer would read as the end of the stream");
        let count = read_by(&mut self.stream, &mut self.timeout, deadline, into)?;
        self.end += count;
        Ok(count)
    }

    /// Takes from the buffer, else reads once past it; 0 is the end of the stream.
    pub(super) fn read(&mut self, deadline: Instant, into: &mut [u8]) -> io::Result<usize> {
        if self.start < self.end {
            let count = into.len().min(self.end - self.start);
            into[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.consume(count);
            return Ok(count);
        }
        read_by(&mut self.stream, &mut self.timeout, deadline, into)
    }

    /// Writes head and body, in one system call when the kernel takes them at once.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8], pace: &mut Pace) -> io::Result<()> {
        let slices = &mut [IoSlice::new(head), IoSlice::new(body)];
        let mut slices = if body.is_empty() { &mut slices[..1] } else { &mut slices[..] };
        while self.stream.owes() || slices.iter().any(|slice| !slice.is_empty()) {
            let begun = Instant::now();
            match self.stream.send(&mut slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => pace.book(begun.elapsed(), count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => pace.book(begun.elapsed(), 0),
                Err(error) => return Err(error),
            }
            if pace.left().is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Whether the other end is closed or gone, as far as the kernel knows; nothing is taken in.
    ///
    /// A client that closes only its sending side counts as gone: no client of HTTP does that and
    /// then waits.
    pub(super) fn has_left(&self) -> bool {
        if !self.buffered().is_empty() || self.stream.socket().set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = self.stream.socket().peek(&mut [0]);
        if self.stream.socket().set_nonblocking(false).is_err() {
            return true; // a socket that cannot block any more is of no use
        }
        match peeked {
            Ok(count) => count == 0,
            Err(error) => !is_timeout(&error) && error.kind() != io::ErrorKind::Interrupted,
        }
    }

    /// Says TLS's goodbye, if that is spoken.
    pub(super) fn part(&mut self) {
        self.stream.part();
    }

    /// Ends our side and takes in what the client still sends, so that it can read the answer.
    pub(super) fn linger(&mut self) {
        self.part();
        if self.stream.socket().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let deadline = Instant::now() + LINGER;
        let mut taken = 0;
        while taken < LINGER_BYTES_MAX {
            match read_by(&mut self.stream, &mut self.timeout, deadline, &mut self.buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => taken += count,
            }
        }
    }
}

/// Reads once, at the latest until the deadline; 0 is the end of the stream.
fn read_by(
    stream: &mut Stream<'_>,
    timeout: &mut Duration,
    deadline: Instant,
    into: &mut [u8],
) -> io::Result<usize> {
    wait_by(stream, timeout, deadline, |stream| stream.read(into))
}

/// Receives until something came, at the latest until the deadline.
///
/// The socket's timeout is left as it is when it ends before the deadline, or less than a
/// sixteenth after: on the common path no system call is spent on it. One that ends early is set
/// anew and waited for again.
fn wait_by<'s, T>(
    stream: &mut Stream<'s>,
    timeout: &mut Duration,
    deadline: Instant,
    mut receive: impl FnMut(&mut Stream<'s>) -> io::Result<T>,
) -> io::Result<T> {
    let mut woken_early = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if woken_early || *timeout > left + left / 16 {
            *timeout = left.max(TIMEOUT_MIN);
            stream.socket().set_read_timeout(Some(*timeout))?;
        }
        match receive(stream) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => woken_early = true,
            result => return result,
        }
    }
}

/// A socket timeout has two names, by system.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
