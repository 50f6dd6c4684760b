//! A small proxy that connects, whatever the name asked for, to one server of the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::listener::header;

/// What it does when it is asked to connect.
#[derive(Clone, Copy)]
pub enum Manner {
    /// It connects.
    Connects,
    /// It connects for this value of `Proxy-Authorization`, and answers 407 to others.
    Asks(&'static str),
    /// It answers with this status.
    Refuses(u16),
    /// It takes the request and says nothing.
    Hangs,
}

/// The proxy; it ends with this value.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts on loopback, to connect to `behind` in this manner.
    pub fn start(manner: Manner, behind: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (heard, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Some(head) = read_head(&client) else { continue };
                let line = head.lines().next().unwrap_or_default().to_owned();
                heard.lock().unwrap().push(line);
                let login = header(&head, "proxy-authorization");
                match manner {
                    Manner::Hangs => hanging.push(client),
                    Manner::Refuses(status) => say(client, status),
                    Manner::Asks(wanted) if login != Some(wanted) => say(client, 407),
                    Manner::Asks(_) | Manner::Connects => tunnel(client, behind),
                }
            }
        });
        Proxy { address, asked, is_over }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first lines of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The head of a request, read byte by byte: what comes after it is the tunnel's.
fn read_head(client: &TcpStream) -> Option<String> {
    let mut reader = BufReader::with_capacity(1, client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn say(mut client: TcpStream, status: u16) {
    let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
    let _ = client.write_all(answer.as_bytes());
}

fn tunnel(mut client: TcpStream, behind: SocketAddr) {
    let server = TcpStream::connect(behind).unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}
