//! The life of one connection: head, answer, and again, until one side has had enough.

use crate::logging::AT_SERVE;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::Service;
use super::accept::Shared;
use super::body::{Body, Outcome};
use super::delivery::deliver;
use super::head::{self, Head, Received, Version};
use super::limits::HEADERS_MAX;
use super::pace::Pace;
use super::refusal::Refusal;
use super::request::Request;
use super::response::{Ending, Framing, Response};
use super::table::{Phase, Seat, Slot};
use super::wire::Wire;

/// Memory for an answer's head, which is kept between requests: the usual one fits.
const ANSWER_HEAD_BYTES: usize = 512;

/// Serves one connection on its own thread; an error means that the client has left.
pub(super) fn serve(shared: &Shared, seat: &Seat, service: &dyn Service) {
    let slot = seat.slot();
    let ended = Wire::new(&slot.socket, &shared.limits)
        .and_then(|wire| Connection::converse(shared, seat, &slot, service, wire));
    if let Err(error) = ended {
        log::trace!(target: AT_SERVE, "msg={:?}", format!("a connection ended before its answer was taken: {error}"));
    }
}

/// How a connection goes on after one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// With the next request.
    Keep,
    /// The client has sent all it will.
    Close,
    /// The client may be sending still, and must not be reset before it has read the answer.
    Linger,
}

pub(super) struct Connection<'c> {
    shared: &'c Shared,
    seat: &'c Seat,
    slot: &'c Slot,
    service: &'c dyn Service,
    wire: Wire<'c>,
    /// The head of the answer being written.
    out: Vec<u8>,
    requests_left: u32,
}

impl<'c> Connection<'c> {
    pub(super) fn converse(
        shared: &'c Shared,
        seat: &'c Seat,
        slot: &'c Slot,
        service: &'c dyn Service,
        wire: Wire<'c>,
    ) -> io::Result<()> {
        let out = Vec::with_capacity(ANSWER_HEAD_BYTES);
        let requests_left = shared.limits.requests_per_connection_max;
        let mut connection = Connection { shared, seat, slot, service, wire, out, requests_left };
        let mut after = connection.open()?;
        let mut head = Vec::new();
        while after == After::Keep {
            after = match connection.exchange(&mut head)? {
                After::Keep if !connection.rest() => After::Close,
                other @ (After::Keep | After::Close | After::Linger) => other,
            };
        }
        match after {
            After::Linger if seat.enter(Phase::Lingering) => connection.wire.linger(),
            After::Linger => {}
            After::Keep | After::Close => connection.wire.part(),
        }
        Ok(())
    }

    /// Shakes hands where the server speaks TLS.
    fn open(&mut self) -> io::Result<After> {
        let Some(tls) = &self.shared.tls else { return Ok(After::Keep) };
        let deadline = Instant::now() + self.shared.limits.head_deadline;
        match self.wire.secure(tls, deadline) {
            Ok(true) => Ok(After::Keep),
            Ok(false) if self.seat.enter(Phase::Busy) => self.refuse(Refusal::NotTls, false),
            Ok(false) => Ok(After::Close),
            Err(error) => {
                log::debug!(target: AT_SERVE, "peer={} msg=\"the TLS handshake failed: {error}\"", self.slot.peer);
                Ok(After::Close)
            }
        }
    }

    /// Becomes idle, unless more has arrived already; false when the connection must end.
    fn rest(&self) -> bool {
        // With a pipelined request at hand the connection stays busy: its client is waiting.
        !self.wire.buffered().is_empty()
            || (self.seat.enter(Phase::Idle) && !self.shared.table.is_stopping())
    }

    /// One request and its answer.
    fn exchange(&mut self, bytes: &mut Vec<u8>) -> io::Result<After> {
        let (seat, limits) = (self.seat, &self.shared.limits);
        let received = head::receive(&mut self.wire, limits, || {
            seat.enter(Phase::Heading);
        });
        // From here on the connection is not evicted, or it already is.
        let is_ours = !matches!(received, Received::Silence) && seat.enter(Phase::Busy);
        let length = match received {
            Received::Head(length) if is_ours => length,
            Received::Refused(refusal) if is_ours => return self.refuse(refusal, false),
            Received::Head(_) | Received::Refused(_) | Received::Silence => {
                return Ok(After::Close);
            }
        };
        // The head moves out of the buffer, which the body needs; its memory is used again.
        bytes.clear();
        bytes.extend_from_slice(&self.wire.buffered()[..length]);
        self.wire.consume(length);
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match head::parse(bytes, &mut fields) {
            Ok(head) => match self.body_bytes_max(&head) {
                Ok(bytes_max) => self.answer(&head, bytes_max),
                Err(refusal) => self.refuse(refusal, head.method == "HEAD"),
            },
            Err(refusal) => self.refuse(refusal, bytes.starts_with(b"HEAD ")),
        }
    }

    /// What the service allows for the body, unless the head announces more.
    fn body_bytes_max(&self, head: &Head<'_>) -> Result<u64, Refusal> {
        let (service, limit) = (self.service, self.shared.limits.body_bytes_max);
        let asked = catch_unwind(AssertUnwindSafe(|| service.body_bytes_max(head, limit)));
        let Ok(limit_bytes) = asked else {
            log::error!(target: AT_SERVE, "method={} path={:?} msg=panicked", head.method, head.path);
            return Err(Refusal::Panicked);
        };
        match head.content_length() {
            Some(declared_bytes) if declared_bytes > limit_bytes => {
                Err(Refusal::BodyTooLarge { declared_bytes, limit_bytes })
            }
            Some(_) | None => Ok(limit_bytes),
        }
    }

    fn answer(&mut self, head: &Head<'_>, bytes_max: u64) -> io::Result<After> {
        self.requests_left -= 1;
        let (shared, wire) = (self.shared, &mut self.wire);
        let table = &shared.table;
        let body = Body::new(head.framing, head.expects_continue, wire, shared, bytes_max);
        let mut request = Request::new(head, body, self.slot.peer);
        let service = self.service;
        // What a panic leaves behind is the request, whose connection ends, and the service,
        // which answers for its own locks.
        let answered = catch_unwind(AssertUnwindSafe(|| service.answer(&mut request)));
        let outcome = request.finish();
        let is_head = head.method == "HEAD";
        let Ok(mut response) = answered else {
            log::error!(target: AT_SERVE, "method={} path={:?} msg=panicked", head.method, head.path);
            return self.refuse(Refusal::Panicked, is_head);
        };
        let framing = response.framing(head.version);
        let is_clean = outcome == Outcome::Clean && framing != Framing::UntilClose;
        let stays = is_clean && head.keeps && self.requests_left > 0 && !table.is_stopping();
        // A client that has seen us stop, or asked for the end, sends no more.
        let is_last = is_clean && (!head.keeps || table.is_stopping());
        let (ending, after) = match head.version {
            Version::Http11 if stays => (Ending::Keep, After::Keep),
            Version::Http10 if stays => (Ending::KeepSaid, After::Keep),
            Version::Http10 | Version::Http11 if is_last && self.wire.buffered().is_empty() => {
                (Ending::Close, After::Close)
            }
            Version::Http10 | Version::Http11 => (Ending::Close, After::Linger),
        };
        let afterwards = response.take_afterwards();
        let sent = self.send(response, framing, ending, is_head);
        drop(afterwards);
        sent.map(|()| after)
    }

    fn refuse(&mut self, refusal: Refusal, is_head: bool) -> io::Result<After> {
        log::debug!(target: AT_SERVE, "peer={} status={} msg={:?}", self.slot.peer, refusal.status(), refusal.to_string());
        let response = refusal_response(self.service, refusal);
        // Its client may speak any version: a service makes no stream of a refusal.
        let framing = response.framing(Version::Http10);
        self.send(response, framing, Ending::Close, is_head)?;
        Ok(After::Linger)
    }

    fn send(
        &mut self,
        response: Response,
        framing: Framing,
        ending: Ending,
        is_head: bool,
    ) -> io::Result<()> {
        self.out.clear();
        response.write_head(framing, ending, &mut self.out);
        let pace = &mut Pace::new(&self.shared.limits);
        match response.may_have_body() && !is_head {
            true => deliver(&mut self.wire, &self.out, response.into_content(), framing, pace),
            false => self.wire.send(&self.out, b"", pace),
        }
    }
}

/// The service's form of a refusal, or the plain one when it panics over that too.
fn refusal_response(service: &dyn Service, refusal: Refusal) -> Response {
    let (plain, retry_after) = (Response::from(&refusal), refusal.retry_after());
    let response =
        catch_unwind(AssertUnwindSafe(|| service.refuse(refusal))).unwrap_or_else(|_| {
            log::error!(target: AT_SERVE, "msg=\"panicked while a refusal was answered\"");
            plain
        });
    match retry_after {
        Some(wait) if response.header("Retry-After").is_none() => {
            response.with_header("Retry-After", wait.as_secs().to_string())
        }
        Some(_) | None => response,
    }
}

/// A refusal as the bytes of the only answer on its connection.
pub(super) fn last_answer(service: &dyn Service, refusal: Refusal) -> Vec<u8> {
    let plain = Response::from(&refusal);
    let mut response = refusal_response(service, refusal);
    if response.content_length() != Some(response.body().len() as u64) {
        response = plain; // who answers here cannot wait for a file or a source
    }
    let mut bytes = Vec::new();
    response.write_head(response.framing(Version::Http10), Ending::Close, &mut bytes);
    if response.may_have_body() {
        bytes.extend_from_slice(response.body());
    }
    bytes
}
