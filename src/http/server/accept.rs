//! The door: accepts connections, gives each a thread, and outlives every error on the way.

use crate::logging::AT_SERVE;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Service;
use super::body::Budget;
use super::connection;
use super::limits::{CONNECTIONS_MAX, HEAD_BYTES_MIN, Limits};
use super::porter::Porter;
use super::refusal::Refusal;
use super::table::{Admission, Seat, Table};
use super::tls::Tls;

/// How long a newcomer waits for the seat of a connection that was told to end for it. Its
/// thread only has to wake up, which on a board with more to do than cores takes its time.
const SEAT_PATIENCE: Duration = Duration::from_secs(1);

/// Pause after an error of accept, such as no descriptor left: it ends early when one is freed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// One line in the log for all that went wrong at the door in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Connections that the kernel completes and keeps until we come: twice as many as have a place,
/// since the door waits up to [`SEAT_PATIENCE`] for one newcomer. Beyond it a client's
/// first packet is dropped and sent again a second later. The kernel's `somaxconn` bounds it too.
const BACKLOG: u16 = 1024;

const _: () = assert!(BACKLOG as usize >= CONNECTIONS_MAX, "a burst for all places is taken in");

/// How long waking the accept call by a connection to ourselves may take, where that is needed.
const WAKE_DEADLINE: Duration = Duration::from_millis(50);

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) table: Arc<Table>,
    pub(super) bodies: Budget,
    /// What clients are shown where the server speaks TLS.
    pub(super) tls: Option<Tls>,
}

impl Shared {
    pub(super) fn new(limits: Limits, table: Arc<Table>, tls: Option<Tls>) -> Arc<Shared> {
        let bodies = Budget::new(limits.bodies_bytes_max);
        Arc::new(Shared { limits, table, bodies, tls })
    }
}

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    porter: Porter,
}

impl Server {
    /// Takes the address; port 0 is any free one, which [`Server::address`] tells.
    ///
    /// # Errors
    /// The address is taken or not ours, or the system has no thread for refused connections.
    ///
    /// # Panics
    /// A limit is below the least that its documentation names.
    pub fn bind(address: impl ToSocketAddrs, limits: Limits) -> io::Result<Server> {
        assert!(limits.connections_max >= 1, "a server without connections serves no one");
        assert!(limits.head_bytes_max >= HEAD_BYTES_MIN, "a line of framing must fit the buffer");
        assert!(limits.body_rate_min >= 1, "a rate of zero never ends");
        assert!(limits.requests_per_connection_max >= 1, "a connection is for a request");
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let table = Arc::new(Table::new(&limits));
        let shared = Shared::new(limits, table, None);
        Ok(Server { listener, address, shared, porter: Porter::start()? })
    }

    /// The same server, speaking TLS and nothing else.
    ///
    /// Each handshake is on its connection's own thread, within [`Limits::head_deadline`]. A
    /// client that asks in plain HTTP gets a plain answer of status 400. Of those that are refused
    /// for want of room a few at a time are told so in TLS, and the others get an alert.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Server {
        let (limits, table) = (self.shared.limits.clone(), Arc::clone(&self.shared.table));
        Server { shared: Shared::new(limits, table, Some(tls)), ..self }
    }

    /// Where it listens, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it from elsewhere, such as a signal's thread.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn handle(&self) -> io::Result<Handle> {
        // The standard library has shutdown(2) for streams alone, and it is what wakes accept.
        let listener = TcpStream::from(OwnedFd::from(self.listener.try_clone()?));
        let table = Arc::clone(&self.shared.table);
        Ok(Handle { table, listener: Arc::new(listener), address: self.address })
    }

    /// Serves until [`Handle::shutdown`]; no error of a connection or of the system ends it.
    pub fn run(self, service: impl Service) {
        let service: Arc<dyn Service> = Arc::new(service);
        let mut complaints = Complaints::default();
        loop {
            let accepted = self.listener.accept();
            if self.shared.table.is_stopping() {
                return;
            }
            match accepted {
                Ok((socket, peer)) => self.welcome(socket, peer, &service, &mut complaints),
                // The client was gone before we came: nothing is wrong here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    complaints.note("accepting failed, so spare connections are closed", &error);
                    self.shared.table.make_room(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn welcome(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        service: &Arc<dyn Service>,
        complaints: &mut Complaints,
    ) {
        match self.shared.table.admit(socket, peer, SEAT_PATIENCE) {
            Admission::Stopping => {}
            Admission::Full(socket) => {
                let refusal = Refusal::AtCapacity { limit: self.shared.limits.connections_max };
                complaints.note("a connection was refused", &refusal);
                self.porter.refuse(&self.shared, socket, refusal, service.as_ref());
            }
            Admission::Seated(seat) => {
                let socket = Arc::clone(&seat.slot().socket);
                if let Err(error) = self.start(seat, service) {
                    complaints.note("a connection got no thread and was refused", &error);
                    let refusal = Refusal::NoThread;
                    self.porter.refuse(&self.shared, socket, refusal, service.as_ref());
                }
            }
        }
    }

    fn start(&self, seat: Seat, service: &Arc<dyn Service>) -> io::Result<()> {
        let (shared, service) = (Arc::clone(&self.shared), Arc::clone(service));
        thread::Builder::new()
            .name(format!("http-{}", seat.number()))
            .stack_size(self.shared.limits.thread_stack_bytes)
            .spawn(move || connection::serve(&shared, &seat, service.as_ref()))
            .map(drop)
    }
}

/// As the standard library listens, but for the longer queue.
fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listen_at = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait until the connections of the last run are forgotten.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG.into())?;
        Ok(socket.into())
    };
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in address.to_socket_addrs()? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Tells the log what goes wrong at the door, without letting clients fill it.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    fn note(&mut self, what: &str, why: &dyn std::error::Error) {
        if self.last.is_some_and(|last| last.elapsed() < COMPLAIN_EVERY) {
            self.unsaid += 1;
            return;
        }
        log::warn!(target: AT_SERVE, "unsaid={} msg={:?}", self.unsaid, format!("{what}: {why}"));
        *self = Complaints { last: Some(Instant::now()), unsaid: 0 };
    }
}

/// Stops one server; clones stop the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    table: Arc<Table>,
    listener: Arc<TcpStream>,
    address: SocketAddr,
}

impl Handle {
    /// Stops accepting, closes connections without a request, and waits for running requests.
    ///
    /// True when each request came to its own end; after `drain` those that have not are cut off,
    /// and it is false. Their threads end when the service returns.
    pub fn shutdown(&self, drain: Duration) -> bool {
        self.table.stop();
        // Fails when another clone was first, or where only the second way wakes accept.
        let _ = self.listener.shutdown(Shutdown::Both);
        let _ = TcpStream::connect_timeout(&self.address, WAKE_DEADLINE);
        self.table.close(drain)
    }
}
