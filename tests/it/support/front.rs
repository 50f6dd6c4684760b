//! A door in front of a registry that stays where it is while the registry behind it goes away, comes
//! back, stalls or answers nonsense.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes to the registry.
    Through,
    /// The same, with so many bytes a second of each answer.
    Slow(u64),
    /// It is closed at once.
    Down,
    /// Nobody says anything on it.
    Silent,
    /// Each request is answered with this status.
    Status(u16),
    /// It is answered by something that speaks no HTTP.
    Garbage,
}

/// The door; its address never changes.
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    connections: AtomicU64,
}

struct State {
    way: Way,
    registry: SocketAddr,
    /// Both ends of every connection, to be cut when the way changes.
    open: Vec<TcpStream>,
    is_over: bool,
}

impl Front {
    /// A door to the registry at this address.
    pub fn start(registry: &str) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let registry = registry.parse().unwrap();
        let state = State { way: Way::Through, registry, open: Vec::new(), is_over: false };
        let shared = Shared { state: Mutex::new(state), connections: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.state.lock().unwrap().is_over {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = accepting.clone();
                shared.connections.fetch_add(1, SeqCst);
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Front { address, shared }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Changes the way of connections to come, and cuts those that are open.
    pub fn set(&self, way: Way) {
        let mut state = self.shared.state.lock().unwrap();
        state.way = way;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The registry is somewhere else now.
    pub fn lead_to(&self, registry: &str) {
        self.shared.state.lock().unwrap().registry = registry.parse().unwrap();
    }

    /// How often someone came.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().is_over = true;
        self.set(Way::Down);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) {
    let (way, registry) = {
        let mut state = shared.state.lock().unwrap();
        state.open.push(stream.try_clone().unwrap());
        (state.way, state.registry)
    };
    match way {
        Way::Through => pass(shared, stream, registry, None),
        Way::Slow(bytes_per_second) => pass(shared, stream, registry, Some(bytes_per_second)),
        Way::Down => _ = stream.shutdown(Shutdown::Both),
        // The other end stays open in the list.
        Way::Silent => {}
        Way::Status(status) => {
            read_head(&stream);
            let challenge =
                if status == 401 { "www-authenticate: Basic realm=\"x\"\r\n" } else { "" };
            let head = format!(
                "HTTP/1.1 {status} Front\r\n{challenge}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.shutdown(Shutdown::Both);
        }
        Way::Garbage => {
            read_head(&stream);
            let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46");
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn read_head(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
}

fn pass(shared: &Shared, client: TcpStream, registry: SocketAddr, pace: Option<u64>) {
    // A registry that is gone leaves a connection that closes.
    let Ok(server) = TcpStream::connect(registry) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    shared.state.lock().unwrap().open.push(server.try_clone().unwrap());
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server, client);
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from_server.read(&mut chunk) {
        if let Some(bytes_per_second) = pace {
            std::thread::sleep(Duration::from_secs_f64(count as f64 / bytes_per_second as f64));
        }
        if to_client.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = to_client.shutdown(Shutdown::Both);
    let _ = from_server.shutdown(Shutdown::Both);
}
