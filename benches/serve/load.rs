//! The load: blocking clients that keep their connection, each asking again once it is answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// One client; it connects when it asks, and again after an answer with `Connection: close`.
pub(crate) struct Client<'a> {
    address: &'a str,
    stream: Option<TcpStream>,
    answer: Vec<u8>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(address: &'a str) -> Client<'a> {
        Client { address, stream: None, answer: Vec::new() }
    }

    /// Sends a whole request, and reads the body of its answer; anything but 200 panics.
    pub(crate) fn ask(&mut self, request: &[u8]) -> &[u8] {
        let stream = self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(self.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        });
        stream.write_all(request).unwrap();
        self.answer.clear();
        let head_bytes = loop {
            receive(stream, &mut self.answer);
            if let Some(at) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..head_bytes]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.answer));
        let length: usize = field(head, "content-length").expect("a length").parse().unwrap();
        let closes = field(head, "connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        while self.answer.len() < head_bytes + length {
            receive(stream, &mut self.answer);
        }
        assert_eq!(self.answer.len(), head_bytes + length, "more than was asked for");
        if closes {
            self.stream = None;
        }
        &self.answer[head_bytes..]
    }
}

fn receive(stream: &mut TcpStream, into: &mut Vec<u8>) {
    let mut piece = [0; 64 * 1024];
    let bytes = stream.read(&mut piece).unwrap();
    assert!(bytes > 0, "the server hung up");
    into.extend_from_slice(&piece[..bytes]);
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What one server did with one load.
pub(crate) struct Load {
    /// From a request's first byte to its answer's last, in order of size.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Load {
    /// So many `connections` ask as fast as they are answered, and stop at the first answer
    /// after `time`.
    pub(crate) fn run(address: &str, request: &[u8], connections: usize, time: Duration) -> Load {
        let client = || {
            let (mut client, mut latencies) = (Client::new(address), Vec::new());
            client.ask(request);
            let start = Instant::now();
            while start.elapsed() < time {
                let asked = Instant::now();
                client.ask(request);
                latencies.push(asked.elapsed());
            }
            (latencies, start.elapsed())
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let took = done.iter().map(|(_, took)| *took).max().unwrap();
        let mut latencies: Vec<Duration> =
            done.into_iter().flat_map(|(latencies, _)| latencies).collect();
        latencies.sort_unstable();
        Load { latencies, took }
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() * percent / 100).min(self.latencies.len() - 1)]
    }
}
