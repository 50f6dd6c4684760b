//! A server that gives canned answers in order and remembers what it was asked.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};

use super::listener::{Listener, header};

/// What to do with one request.
#[derive(Clone)]
pub(crate) enum Step {
    /// Send these bytes, then close.
    Answer(Vec<u8>),
    /// Send these bytes, then say nothing more.
    Hang(Vec<u8>),
}

/// The server; each request takes the next step, and past the last one it is answered 500.
pub(crate) struct Scripted {
    listener: Listener,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(crate) fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut steps = steps.into_iter().collect::<Vec<_>>().into_iter();
        Self::answering(move |_| {
            steps.next().unwrap_or_else(|| answer(500, &[], b"the script is over"))
        })
    }

    /// A server that asks what to do with each request, by its target.
    pub(crate) fn answering(mut step: impl FnMut(&str) -> Step + Send + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let mut open = Vec::new();
        let listener = Listener::start(move |mut stream, request| {
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            heard.lock().unwrap().push(request);
            match step(&target) {
                Step::Answer(bytes) => {
                    // A client that has read enough may be gone.
                    let _ = stream.write_all(&bytes);
                    let _ = stream.shutdown(Shutdown::Write);
                }
                Step::Hang(bytes) => {
                    let _ = stream.write_all(&bytes);
                    open.push(stream);
                }
            }
        });
        Self { listener, requests }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The first lines of the requests so far, without the protocol.
    pub(crate) fn asked(&self) -> Vec<String> {
        let first = |head: &String| head.split(" HTTP/").next().unwrap_or_default().to_owned();
        self.requests.lock().unwrap().iter().map(first).collect()
    }

    /// The header `Authorization` of each request so far.
    pub(crate) fn shown(&self) -> Vec<Option<String>> {
        let shown = |head: &String| header(head, "authorization").map(str::to_owned);
        self.requests.lock().unwrap().iter().map(shown).collect()
    }
}

/// An answer with its right length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Step {
    let size = body.len().to_string();
    Step::Answer(raw(status, &[headers, &[("content-length", &size)]].concat(), body))
}

/// The bytes of an answer with just these headers; its end is the end of the connection.
pub(crate) fn raw(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} Scripted\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}
