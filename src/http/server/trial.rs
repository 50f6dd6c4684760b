//! A conversation from a script instead of a socket, for tests and the fuzzer: any bytes, cut anywhere.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::Service;
use super::accept::Shared;
use super::connection::Connection;
use super::limits::{HEAD_BYTES_MIN, Limits};
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::stream::Stream;
use super::table::{Admission, Table};
use super::wire::Wire;

/// A connected socket for each script: options can be set on it, and nothing is ever sent.
static SOCKETS: LazyLock<(TcpStream, TcpStream)> = LazyLock::new(|| {
    let pair = || -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok((TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0))
    };
    pair().unwrap_or_else(|error| panic!("loopback has no connection: {error}"))
});

/// What a client says, and what it is answered.
#[derive(Debug)]
pub(super) struct Script {
    said: RefCell<Said>,
    answered: RefCell<Vec<u8>>,
}

#[derive(Debug)]
struct Said {
    bytes: Vec<u8>,
    at: usize,
    /// How many bytes arrive at a time, again and again.
    cuts: Vec<u8>,
    turn: usize,
}

impl Said {
    fn cut(&mut self) -> usize {
        let cut = self.cuts.get(self.turn % self.cuts.len().max(1)).copied();
        self.turn += 1;
        cut.map_or(usize::MAX, |cut| usize::from(cut) + 1)
    }
}

impl Script {
    fn new(bytes: &[u8], cuts: &[u8]) -> Script {
        let said = Said { bytes: bytes.to_vec(), at: 0, cuts: cuts.to_vec(), turn: 0 };
        Script { said: RefCell::new(said), answered: RefCell::new(Vec::new()) }
    }

    /// What arrives next; 0 at the end, where the client has closed its side.
    pub(super) fn read(&self, into: &mut [u8]) -> usize {
        let mut said = self.said.borrow_mut();
        let count = said.cut().min(into.len()).min(said.bytes.len() - said.at);
        into[..count].copy_from_slice(&said.bytes[said.at..said.at + count]);
        said.at += count;
        count
    }

    /// Takes a part of an answer, as a kernel with little room does.
    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> usize {
        let Some(slice) = slices.iter().find(|slice| !slice.is_empty()) else { return 0 };
        let count = self.said.borrow_mut().cut().min(slice.len());
        self.answered.borrow_mut().extend_from_slice(&slice[..count]);
        count
    }
}

/// Whether the service reads bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// To their end, in one piece.
    Whole,
    /// To their end, by so many bytes at a time, 1 at least.
    Parts(usize),
    /// Not at all.
    Unread,
}

/// What became of a client's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Each request, and each refusal, as it was understood.
    pub heard: Vec<String>,
    /// The head of each final answer.
    pub answers: Vec<String>,
}

/// Small enough for a fuzzer to reach each of them.
fn limits() -> Limits {
    Limits {
        head_bytes_max: HEAD_BYTES_MIN,
        body_bytes_max: 4 << 10,
        bodies_bytes_max: 1 << 20,
        requests_per_connection_max: 8,
        ..Limits::default()
    }
}

/// A whole connection of a client that says `bytes`, which arrive by the sizes of `cuts` (each one
/// more than it says; none is all at once), and then closes its side.
///
/// # Panics
/// What was answered is not one sound answer for each thing heard, or memory is not given back.
pub fn converse(bytes: &[u8], cuts: &[u8], bodies: Bodies) -> Outcome {
    let limits = limits();
    let table = Arc::new(Table::new(&limits));
    let peer = (Ipv4Addr::LOCALHOST, 0).into();
    let Ok(socket) = SOCKETS.0.try_clone() else { panic!("no descriptor left") };
    let Admission::Seated(seat) = table.admit(socket, peer, Duration::ZERO) else {
        panic!("an empty table has a seat");
    };
    let shared = Shared::new(limits, table, None);
    let (script, slot) = (Script::new(bytes, cuts), seat.slot());
    let wire = Wire::over(Stream::Scripted(&slot.socket, &script), &shared.limits);
    let listener = Listener { bodies, heard: Mutex::new(Vec::new()) };
    let ended = Connection::converse(&shared, &seat, &slot, &listener, wire);
    assert!(ended.is_ok(), "a script's socket does not break: {ended:?}");
    assert!(shared.bodies.is_whole(), "memory of a body was not given back");
    let heard = listener.heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(!heard.iter().any(|line| line == "Panicked"), "a panic within {heard:?}");
    let answers = answers(&script.answered.into_inner());
    assert_eq!(answers.len(), heard.len(), "{heard:?} got {answers:?}");
    Outcome { heard, answers }
}

/// The heads that were sent, without interim ones: whether those are sent depends on the cuts.
fn answers(sent: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(sent);
    let mut heads: Vec<String> = text.split("\r\n\r\n").map(str::to_owned).collect();
    assert_eq!(heads.pop().as_deref(), Some(""), "an answer ends within its head: {text:?}");
    assert!(heads.iter().all(|head| head.starts_with("HTTP/1.1 ")), "{text:?}");
    heads.retain(|head| head != "HTTP/1.1 100 Continue");
    let closing = heads.iter().position(|head| head.contains("Connection: close"));
    assert!(
        closing.is_none_or(|at| at + 1 == heads.len()),
        "more after a closing answer: {text:?}"
    );
    heads
}

/// A service that writes down what it hears; its answers have no content.
struct Listener {
    bodies: Bodies,
    heard: Mutex<Vec<String>>,
}

impl Listener {
    fn note(&self, heard: String) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
    }

    fn body(&self, request: &mut Request<'_, '_>) -> Result<Vec<u8>, String> {
        let Bodies::Parts(bytes) = self.bodies else {
            return request.body().map_err(|error| format!("{error:?}"));
        };
        let (mut body, mut part) = (Vec::new(), vec![0; bytes]);
        loop {
            match request.read(&mut part) {
                Ok(0) => return Ok(body),
                Ok(count) => body.extend_from_slice(&part[..count]),
                // The same words as above: the error of the body is within.
                Err(error) => {
                    return Err(error.get_ref().map_or_else(String::new, |it| format!("{it:?}")));
                }
            }
        }
    }
}

impl Service for Listener {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        let mut line = format!("{:?}", request.head());
        if self.bodies != Bodies::Unread {
            let declared = request.content_length();
            match self.body(request) {
                Ok(body) => {
                    assert!(declared.is_none_or(|bytes| bytes == body.len() as u64), "{line}");
                    line += &format!(" {:?}", String::from_utf8_lossy(&body));
                }
                Err(error) => line += &format!(" {error}"),
            }
        }
        self.note(line);
        Response::empty(200)
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        self.note(format!("{refusal:?}"));
        Response::empty(refusal.status())
    }
}
