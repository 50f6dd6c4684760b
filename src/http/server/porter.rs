//! The porter: tells clients that are refused at the door why, a bounded number of them at a time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Service;
use super::accept::Shared;
use super::connection;
use super::pace::Pace;
use super::refusal::Refusal;
use super::tls::{ALERT, Tls};
use super::wire::Wire;

/// Refused connections kept until the client has read why: a burst from one machine's browser
/// or load generator.
const REFUSED_MAX: usize = 64;

/// How long each of them is kept.
const REFUSED_KEPT: Duration = Duration::from_secs(1);

/// How often they are looked at while there are any.
const REFUSED_LOOK: Duration = Duration::from_millis(50);

/// Stack of the thread that keeps them: one buffer and a list.
const REFUSED_STACK_BYTES: usize = 128 * 1024;

/// Bytes taken at once from a refused connection.
const REFUSED_BYTES: usize = 4096;

/// Handshakes with refused clients at the same time: each has a thread for at most
/// [`HANDSHAKE_DEADLINE`] and the time of lingering.
const HANDSHAKES_MAX: usize = 8;

/// Handshakes with refused clients that begin in one second. Each costs a signature, of an RSA key
/// 1 ms on a server and 10 ms on a small board: a flood of clients takes a sixth of one core at most
/// from those that are served.
const HANDSHAKES_PER_SECOND_MAX: u32 = 16;

/// How long one of them may take: two round trips over a slow link, with one loss.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(2);

/// What answers at the door, without ever waiting there.
#[derive(Debug)]
pub(super) struct Porter {
    refused: SyncSender<Refused>,
    handshakes: Arc<Handshakes>,
}

impl Porter {
    /// Starts the thread that keeps refused connections.
    pub(super) fn start() -> io::Result<Porter> {
        let (refused, receiver) = mpsc::sync_channel(REFUSED_MAX);
        thread::Builder::new()
            .name("http-refused".to_owned())
            .stack_size(REFUSED_STACK_BYTES)
            .spawn(move || keep_refused(&receiver))?;
        Ok(Porter { refused, handshakes: Arc::default() })
    }

    /// Tells a client why it is not served.
    ///
    /// Where TLS is spoken, without a handshake it could read no answer: when there are too many
    /// of those, or no thread for one, it gets an alert alone.
    pub(super) fn refuse(
        &self,
        shared: &Arc<Shared>,
        socket: Arc<TcpStream>,
        refusal: Refusal,
        service: &dyn Service,
    ) {
        if shared.tls.is_none() {
            return self.answer(socket, &connection::last_answer(service, refusal));
        }
        let permit = match refusal == Refusal::NoThread {
            true => None, // a second thread would not be had either
            false => Handshakes::begin(&self.handshakes, Instant::now()),
        };
        let Some(permit) = permit else { return self.answer(socket, &ALERT) };
        let answer = connection::last_answer(service, refusal);
        let (of_thread, shared) = (Arc::clone(&socket), Arc::clone(shared));
        let started = thread::Builder::new()
            .name("http-refusing".to_owned())
            .stack_size(shared.limits.thread_stack_bytes)
            .spawn(move || {
                if let Some(tls) = &shared.tls {
                    // A client that does not take the answer is refused all the same.
                    let _ = answer_in_tls(&shared, tls, &of_thread, &answer);
                }
                drop((of_thread, permit));
            });
        if started.is_err() {
            self.answer(socket, &ALERT);
        }
    }

    /// Answers at once without waiting for the socket, and leaves the rest to [`keep_refused`].
    fn answer(&self, socket: Arc<TcpStream>, answer: &[u8]) {
        if socket.set_nonblocking(true).is_err() || !has_more(&socket) {
            return;
        }
        let mut stream: &TcpStream = &socket;
        // The send buffer of a fresh socket is empty; an answer that it does not take is lost.
        let written = stream.write_all(answer).and_then(|()| stream.shutdown(Shutdown::Write));
        if written.is_ok() {
            // A full queue only means that this client may see a reset instead of the reason.
            let _ = self.refused.try_send(Refused { socket, since: Instant::now() });
        }
    }
}

/// Shakes hands, unless the client speaks plain HTTP, and answers without waiting for its request.
fn answer_in_tls(shared: &Shared, tls: &Tls, socket: &TcpStream, answer: &[u8]) -> io::Result<()> {
    let mut wire = Wire::new(socket, &shared.limits)?;
    wire.secure(tls, Instant::now() + HANDSHAKE_DEADLINE)?;
    wire.send(answer, b"", &mut Pace::new(&shared.limits))?;
    wire.linger();
    Ok(())
}

/// How many handshakes with refused clients run, and how many began of late.
#[derive(Debug, Default)]
struct Handshakes(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    /// When the present second began, and how many since then.
    second: Option<Instant>,
    begun: u32,
}

/// The right to one handshake; given back when dropped.
#[derive(Debug)]
struct Permit(Arc<Handshakes>);

impl Handshakes {
    fn begin(handshakes: &Arc<Handshakes>, now: Instant) -> Option<Permit> {
        let mut counts = handshakes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_past = |second: Instant| now.duration_since(second) >= Duration::from_secs(1);
        if counts.second.is_none_or(is_past) {
            (counts.second, counts.begun) = (Some(now), 0);
        }
        if counts.running == HANDSHAKES_MAX || counts.begun == HANDSHAKES_PER_SECOND_MAX {
            return None;
        }
        counts.running += 1;
        counts.begun += 1;
        Some(Permit(Arc::clone(handshakes)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
    }
}

/// A connection that was answered without a thread, and must not be reset before that is read.
#[derive(Debug)]
struct Refused {
    socket: Arc<TcpStream>,
    since: Instant,
}

/// Takes in what refused clients still send, until they leave or have had their time.
fn keep_refused(receiver: &Receiver<Refused>) {
    let mut kept: Vec<Refused> = Vec::new();
    loop {
        let next = match kept.is_empty() {
            true => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => receiver.recv_timeout(REFUSED_LOOK),
        };
        match next {
            Ok(refused) => {
                if kept.len() == REFUSED_MAX {
                    kept.remove(0);
                }
                kept.push(refused);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        kept.retain(|one| one.since.elapsed() < REFUSED_KEPT && has_more(&one.socket));
    }
}

/// Takes in what a nonblocking socket has; false when the client is gone.
fn has_more(mut socket: &TcpStream) -> bool {
    let mut taken = [0; REFUSED_BYTES];
    match socket.read(&mut taken) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_bounded_at_a_time_and_in_a_second() {
        let (handshakes, start) = (Arc::new(Handshakes::default()), Instant::now());
        let begin = |at: Duration| Handshakes::begin(&handshakes, start + at);
        let mut running: Vec<_> = (0..20).filter_map(|_| begin(Duration::ZERO)).collect();
        assert_eq!(running.len(), HANDSHAKES_MAX, "at a time");
        running.clear();
        let brief = (0..20).filter(|_| begin(Duration::from_millis(900)).is_some()).count();
        assert_eq!(brief + HANDSHAKES_MAX, HANDSHAKES_PER_SECOND_MAX as usize, "in a second");
        assert!(begin(Duration::from_secs(1)).is_some(), "and then again");
    }
}
