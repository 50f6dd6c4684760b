//! A client that can be rude: it sends any bytes, reads as late as it likes, and never for ever.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Above every deadline of the engine: a test that waits so long has failed.
const FOR_EVER: Duration = Duration::from_secs(20);

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(address: &str) -> Client {
        let stream = TcpStream::connect_timeout(&address.parse().unwrap(), FOR_EVER);
        let stream = stream.unwrap_or_else(|error| panic!("cannot connect: {error}"));
        stream.set_nodelay(true).unwrap();
        let client = Client(BufReader::new(stream));
        client.patience(FOR_EVER);
        client
    }

    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// How long one read or write may take.
    pub fn patience(&self, patience: Duration) {
        self.socket().set_read_timeout(Some(patience)).unwrap();
        self.socket().set_write_timeout(Some(patience)).unwrap();
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends these bytes again and again until the server takes no more, at most so many in sum;
    /// answers with what was sent.
    pub fn flood(&mut self, unit: &str, bytes_max: usize) -> usize {
        let block = unit.repeat((64 << 10) / unit.len() + 1);
        let mut sent = 0;
        while sent < bytes_max {
            match self.0.get_mut().write(block.as_bytes()) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        sent
    }

    /// Sends a byte whenever nothing has come for a tick, until something comes or it may not, or
    /// for so long.
    pub fn dribble(&mut self, byte: &str, tick: Duration, at_most: Duration) {
        let begun = Instant::now();
        self.socket().set_read_timeout(Some(tick)).unwrap();
        while self.0.fill_buf().is_err() && begun.elapsed() < at_most {
            if self.0.get_mut().write_all(byte.as_bytes()).is_err() {
                break;
            }
        }
        self.socket().set_read_timeout(Some(FOR_EVER)).unwrap();
    }

    /// Status and body of the next answer.
    pub fn answer(&mut self) -> (u16, String) {
        self.next().expect("the connection ended before an answer")
    }

    /// The same; `None` where the connection ended or was silent for too long.
    pub fn next(&mut self) -> Option<(u16, String)> {
        let head = self.head()?;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).ok()?;
        Some((head[9..12].parse().unwrap(), String::from_utf8(body).unwrap()))
    }

    /// The lines of the next answer up to its empty one; `None` where the connection ended.
    pub fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        Some(head)
    }

    /// The status of each answer until the server ends the connection, which it must by itself.
    pub fn statuses(&mut self) -> Vec<u16> {
        let text = self.rest().unwrap();
        text.split("HTTP/1.1 ").filter_map(|part| part.get(..3)?.parse().ok()).collect()
    }

    /// All that comes until the server ends the connection.
    pub fn rest(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether the server ends the connection, in whatever way, with nothing to read before.
    pub fn is_ended(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}
