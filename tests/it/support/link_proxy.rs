//! A bad link between edges and an ops center that comes and goes: requests and answers get lost, or come twice.

use super::listener::header;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one request below `/edge/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// It goes through.
    Good,
    /// It never arrives.
    Swallowed,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It arrives twice, one after the other; the second answer counts.
    Twice,
}

/// The running proxy, which stays where it is while ops centers change behind it.
pub struct LinkProxy {
    address: SocketAddr,
    center: Arc<Mutex<Option<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
}

impl LinkProxy {
    /// A link that leads nowhere yet; `luck` is asked for each request below `/edge/` by its path.
    pub fn start(luck: impl Fn(&str) -> Luck + Send + Sync + 'static) -> LinkProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let center: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, over, luck) = (Arc::clone(&center), Arc::clone(&is_over), Arc::new(luck));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (center, luck) = (*shared.lock().unwrap(), Arc::clone(&luck));
                std::thread::spawn(move || {
                    // Either side may be gone at any time: that is what this is for.
                    let _ = center.map(|center| relay(&stream, center, &*luck));
                });
            }
        });
        LinkProxy { address, center, is_over }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// From now on it leads there.
    pub fn lead_to(&self, center: Option<&str>) {
        *self.center.lock().unwrap() = center.map(|it| it.parse().unwrap());
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // The thread waits for a connection: this is its last.
        let _ = TcpStream::connect(self.address);
    }
}

fn relay(stream: &TcpStream, center: SocketAddr, luck: &dyn Fn(&str) -> Luck) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length: usize = header(&head, "content-length").map_or(Some(0), |it| it.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1).unwrap_or_default();
    let luck = if path.starts_with("/edge/") { luck(path) } else { Luck::Good };
    let asked = || -> Option<Vec<u8>> {
        let mut upstream = TcpStream::connect(center).ok()?;
        let lines = head.trim_end().split("\r\n");
        let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let request: String = kept.map(|line| format!("{line}\r\n")).collect();
        upstream.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).ok()?;
        upstream.write_all(&body).ok()?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).ok()?;
        Some(answer)
    };
    let answer = match luck {
        Luck::Good => asked()?,
        Luck::Swallowed => return None,
        Luck::AnswerLost => {
            asked()?;
            return None;
        }
        Luck::Twice => {
            asked()?;
            asked()?
        }
    };
    let mut client = stream;
    client.write_all(&answer).ok()?;
    stream.shutdown(Shutdown::Write).ok()
}
