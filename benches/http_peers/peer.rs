//! The servers under test, each in a process of its own that answers with the body it got.

use crate::client::Client;
use potoroo::http::server::{Limits, Refusal, Request, Response, Server, Service};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const PEERS: [&str; 2] = ["potoroo", "tiny_http"];

/// Threads that answer for tiny_http: it has none of its own for handlers.
const WORKERS: usize = 4;

/// What a fresh client waits for an answer at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long threads and descriptors may take to be back where they were: above our own deadlines
/// here, and above the five seconds after which tiny_http lets a thread go.
const SETTLING: Duration = Duration::from_secs(8);

/// Memory that a fault may cost at its worst moment.
const PEAK_KIB_MAX: u64 = 32 << 10;

/// In the child: tells the address, and answers until it is killed.
pub fn serve(name: &str) {
    match name {
        "potoroo" => ours(),
        "tiny_http" => theirs(),
        other => panic!("no peer is called {other}"),
    }
}

fn tell(address: std::net::SocketAddr) {
    println!("at {address}");
    std::io::stdout().flush().unwrap();
}

struct Echo;

impl Service for Echo {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        if request.path() == "/unread" {
            return Response::new(200, "text/plain", "unread");
        }
        match request.body() {
            Ok(body) if body.is_empty() => Response::new(200, "text/plain", "hello\n"),
            Ok(body) => Response::new(200, "text/plain", body),
            Err(error) => Response::new(error.status(), "text/plain", error.to_string()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }
}

fn ours() {
    // Shorter than shipped, so that the bench need not wait; what they do is the same.
    let short = Duration::from_secs(2);
    let limits = Limits { head_deadline: short, grace: short, ..Limits::default() };
    let server = Server::bind("127.0.0.1:0", limits).unwrap();
    tell(server.address());
    server.run(Echo);
}

fn theirs() {
    let server = std::sync::Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
    tell(server.server_addr().to_ip().unwrap());
    let workers = (0..WORKERS).map(|_| {
        let server = server.clone();
        std::thread::spawn(move || {
            // The manual's loop; going on after an error is the best that it can do.
            loop {
                let Ok(mut request) = server.recv() else { continue };
                let mut body = Vec::new();
                let read = request.url() != "/unread";
                if read && request.as_reader().read_to_end(&mut body).is_err() {
                    continue;
                }
                if body.is_empty() {
                    body = b"hello\n".to_vec();
                }
                let _ = request.respond(tiny_http::Response::from_data(body));
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let _ = worker.join();
    }
}

/// One server's process, killed when dropped.
pub struct Peer {
    child: Child,
    pub address: String,
    rest: [usize; 2],
    resident_kib: u64,
}

impl Peer {
    /// Starts it after these words of a shell.
    pub fn start(name: &str, words: &str) -> Peer {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{words} && exec \"$0\" --serve {name}")])
            .arg(std::env::current_exe().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the peer did not start").unwrap();
        let address = line.strip_prefix("at ").unwrap().to_owned();
        let mut peer = Peer { child, address, rest: [0, 0], resident_kib: 0 };
        peer.rest = peer.held();
        peer.resident_kib = peer.status("VmRSS");
        peer
    }

    /// A client that waits for 5 s at most.
    pub fn connect(&self) -> Client {
        let client = Client::connect(&self.address);
        client.patience(Duration::from_secs(5));
        client
    }

    /// A client that has just come is answered in time.
    pub fn serves(&self) {
        let begun = Instant::now();
        let stream = std::net::TcpStream::connect(&self.address);
        assert!(stream.is_ok(), "refuses connections");
        drop(stream);
        let mut client = self.connect();
        client.patience(PATIENCE);
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let head = client.head();
        assert!(head.is_some(), "no answer to a fresh client");
        assert!(begun.elapsed() < PATIENCE, "a fresh client waited {:?}", begun.elapsed());
    }

    /// Serves, and has given back what it took.
    pub fn is_well(&self) {
        self.serves();
        // A pool may keep some threads in stock; it must not keep one for each client.
        let begun = Instant::now();
        let limit = [self.rest[0] + 8, self.rest[1] + 8];
        while self.held()[0] > limit[0] || self.held()[1] > limit[1] {
            let [threads, descriptors] = self.held();
            let over = begun.elapsed() > SETTLING;
            assert!(!over, "{threads} threads, {descriptors} descriptors left");
            std::thread::yield_now();
        }
        let peak = self.status("VmHWM") - self.resident_kib;
        assert!(peak < PEAK_KIB_MAX, "took {} MiB", peak >> 10);
    }

    /// Threads and descriptors.
    pub fn held(&self) -> [usize; 2] {
        ["task", "fd"].map(|name| fs::read_dir(self.proc(name)).map_or(0, Iterator::count))
    }

    /// Processor time so far, at a hundred ticks a second.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks = after_name.split_whitespace().skip(11).take(2);
        Duration::from_millis(10 * ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>())
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value.expect("the process is gone").parse().unwrap()
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
