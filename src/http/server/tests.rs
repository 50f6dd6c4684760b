//! The server against real sockets on loopback: one small service, and a client that can be rude.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Handle, Limits, Refusal, Request, Response, Server, Service};

mod bodies;
mod contents;
mod crowd;
mod descriptors;
mod heads;
mod keys;
mod life;
mod scripts;
mod slow;
mod tls;
mod uploads;

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Larger than what the kernel takes for a client that does not read.
static LARGE: [u8; 32 << 20] = [b'x'; 32 << 20];

/// Limits whose deadlines a test can wait for.
fn limits() -> Limits {
    Limits {
        head_deadline: Duration::from_millis(300),
        grace: Duration::from_millis(300),
        idle_max: PATIENCE,
        body_bytes_max: 4 << 20,
        ..Limits::default()
    }
}

struct Trial {
    entered: Mutex<Sender<()>>,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl Trial {
    /// Tells the test that a request is here, and waits until it lets it go.
    fn hold(&self) {
        self.entered.lock().unwrap().send(()).unwrap();
        self.gate.lock().unwrap().recv_timeout(PATIENCE).unwrap();
    }
}

fn text(status: u16, body: impl Into<super::Content>) -> Response {
    Response::new(status, "text/plain", body)
}

impl Service for Trial {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        match request.path() {
            "/panic" => panic!("asked for by the test"),
            "/hold" => self.hold(),
            "/large" => return text(200, LARGE.as_slice()),
            "/afterwards" => {
                let (entered, gate) = (self.entered.lock().unwrap().clone(), self.gate.clone());
                return text(200, "answered").and_afterwards(move || {
                    entered.send(()).unwrap();
                    gate.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                });
            }
            "/afterwards-panic" => {
                return text(200, "answered").and_afterwards(|| panic!("asked for by the test"));
            }
            "/unread" => return text(200, "unread"),
            "/smuggled" => return text(200, "smuggled"),
            "/none" => return Response::empty(204),
            "/read" => {
                let mut body = String::new();
                return match request.read_to_string(&mut body) {
                    Ok(_) => text(200, body),
                    Err(error) => text(400, format!("{:?}", error.kind())),
                };
            }
            _ => {}
        }
        match request.body() {
            Ok(body) if request.path() == "/hold-body" => {
                self.hold();
                text(200, body)
            }
            Ok(body) if body.is_empty() => text(200, "hello"),
            Ok(body) => text(200, body),
            Err(error) => text(error.status(), error.to_string()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }
}

/// A server on its own thread, which ends with the test.
struct Running {
    address: SocketAddr,
    handle: Handle,
    entered: Receiver<()>,
    gate: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

fn serve(limits: Limits) -> Running {
    run(Server::bind("127.0.0.1:0", limits).unwrap())
}

fn run(server: Server) -> Running {
    let (entered_sender, entered) = mpsc::channel();
    let (gate, gate_receiver) = mpsc::channel();
    let trial =
        Trial { entered: Mutex::new(entered_sender), gate: Arc::new(Mutex::new(gate_receiver)) };
    start(server, trial, entered, gate)
}

/// Any other service, under the limits of these tests.
fn serve_with(limits: Limits, service: impl Service) -> Running {
    start(
        Server::bind("127.0.0.1:0", limits).unwrap(),
        service,
        mpsc::channel().1,
        mpsc::channel().0,
    )
}

fn start(
    server: Server,
    service: impl Service,
    entered: Receiver<()>,
    gate: Sender<()>,
) -> Running {
    let (address, handle) = (server.address(), server.handle().unwrap());
    let thread = Some(thread::spawn(move || server.run(service)));
    Running { address, handle, entered, gate, thread }
}

impl Running {
    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One connection for these bytes, and all that comes back until the server ends it.
    fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(bytes);
        client.rest()
    }

    fn is_alive(&self) -> bool {
        self.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("hello")
    }

    fn wait_for_request(&self) {
        self.entered.recv_timeout(PATIENCE).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::ZERO);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the accepting thread panicked");
    }
}

struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    /// The next answer, by its length.
    fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "ended within {head:?}");
        }
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    /// All that comes until the server ends the connection, which it must without a reset.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Whether the server has ended the connection with nothing more to read.
    fn has_ended(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

fn post(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// The status of each answer in what a connection gave back.
fn statuses(text: &str) -> Vec<u16> {
    // A sentence in a body may name the version too.
    let status = |part: &str| part.get(..3)?.parse().ok();
    text.split("HTTP/1.1 ").filter_map(status).collect()
}
