//! The table of open connections: who has a seat, and who gives it up when another needs one.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::Limits;

/// What a connection is doing; those that lose least by an end come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// It waits for the first byte of another request.
    Idle,
    /// Its last answer is sent, and it waits for the client to see it.
    Lingering,
    /// It is new, or a part of a head has arrived.
    Heading,
    /// It has a request.
    Busy,
    /// It was told to end, and its socket is shut down.
    Evicted,
}

const PHASES: [Phase; 5] =
    [Phase::Idle, Phase::Lingering, Phase::Heading, Phase::Busy, Phase::Evicted];

/// One connection as the others see it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) socket: Arc<TcpStream>,
    pub(super) peer: SocketAddr,
    phase: AtomicU8,
    since_ms: AtomicU64,
}

impl Slot {
    fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::SeqCst))]
    }

    /// Moves to another phase unless evicted meanwhile; false then.
    fn enter(&self, phase: Phase, now_ms: u64) -> bool {
        let unless_evicted = |now: u8| (now != Phase::Evicted as u8).then_some(phase as u8);
        self.since_ms.store(now_ms, Ordering::SeqCst);
        self.phase.fetch_update(Ordering::SeqCst, Ordering::SeqCst, unless_evicted).is_ok()
    }

    /// Ends the connection if it is still in that phase.
    fn evict(&self, from: Phase) -> bool {
        let (from, to) = (from as u8, Phase::Evicted as u8);
        let swapped = self.phase.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        if swapped.is_ok() {
            // An error means that the client has gone already.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
        swapped.is_ok()
    }
}

/// All open connections of one server.
#[derive(Debug)]
pub(super) struct Table {
    seats: Mutex<Vec<Option<Arc<Slot>>>>,
    seat_freed: Condvar,
    stopping: AtomicBool,
    epoch: Instant,
    head_protected: Duration,
}

/// What came of asking for a seat.
#[derive(Debug)]
pub(super) enum Admission {
    Seated(Seat),
    Full(Arc<TcpStream>),
    Stopping,
}

type Seats<'t> = MutexGuard<'t, Vec<Option<Arc<Slot>>>>;

impl Table {
    pub(super) fn new(limits: &Limits) -> Table {
        Table {
            seats: Mutex::new(vec![None; limits.connections_max]),
            seat_freed: Condvar::new(),
            stopping: AtomicBool::new(false),
            epoch: Instant::now(),
            head_protected: limits.head_protected,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Finds a seat, if need be by evicting another connection and waiting a moment for its end.
    pub(super) fn admit(
        self: &Arc<Table>,
        socket: TcpStream,
        peer: SocketAddr,
        patience: Duration,
    ) -> Admission {
        let is_full = |seats: &mut Vec<Option<Arc<Slot>>>| seats.iter().all(Option::is_some);
        let mut seats = self.lock();
        if is_full(&mut seats) && self.evict_one(&seats) {
            let waited = self.seat_freed.wait_timeout_while(seats, patience, is_full);
            seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if self.is_stopping() {
            return Admission::Stopping;
        }
        let Some(number) = seats.iter().position(Option::is_none) else {
            return Admission::Full(Arc::new(socket));
        };
        let slot = Arc::new(Slot {
            socket: Arc::new(socket),
            peer,
            phase: AtomicU8::new(Phase::Heading as u8),
            since_ms: AtomicU64::new(self.now_ms()),
        });
        seats[number] = Some(Arc::clone(&slot));
        Admission::Seated(Seat { table: Arc::clone(self), slot: Some(slot), number })
    }

    /// Ends one connection that can be spared, and waits until one has ended, or so long.
    pub(super) fn make_room(&self, patience: Duration) {
        let seats = self.lock();
        self.evict_one(&seats);
        if !self.is_stopping() {
            let waited = self.seat_freed.wait_timeout(seats, patience);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Admits no more.
    pub(super) fn stop(&self) {
        // Under the lock, so that a connection is either in the table by now or never admitted.
        let seats = self.lock();
        self.stopping.store(true, Ordering::SeqCst);
        drop(seats);
    }

    /// Ends what has no request, and waits for the rest; false when after
    /// `drain` some were still busy and have been cut off.
    pub(super) fn close(&self, drain: Duration) -> bool {
        let mut seats = self.lock();
        // After an answer a connection becomes idle and then looks at `stopping`, so either it
        // sees that or we see it idle here.
        for slot in seats.iter().flatten() {
            let phase = slot.phase();
            if matches!(phase, Phase::Idle | Phase::Heading) {
                slot.evict(phase);
            }
        }
        let some_are_left = |seats: &mut Vec<Option<Arc<Slot>>>| seats.iter().any(Option::is_some);
        let waited = self.seat_freed.wait_timeout_while(seats, drain, some_are_left);
        seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        let mut all_answered = true;
        for slot in seats.iter().flatten() {
            let phase = slot.phase();
            all_answered &= phase != Phase::Busy;
            slot.evict(phase);
        }
        all_answered
    }

    /// Ends the connection that loses least, and of those the one longest so; false if none may.
    fn evict_one(&self, seats: &Seats<'_>) -> bool {
        let now_ms = self.now_ms();
        let protected_ms = self.head_protected.as_millis();
        let mut spare: Vec<_> = seats
            .iter()
            .flatten()
            .map(|slot| (slot.phase(), slot.since_ms.load(Ordering::SeqCst), slot))
            .filter(|(phase, since_ms, _)| match phase {
                Phase::Idle => true,
                Phase::Lingering | Phase::Heading => {
                    u128::from(now_ms.saturating_sub(*since_ms)) >= protected_ms
                }
                Phase::Busy | Phase::Evicted => false,
            })
            .collect();
        spare.sort_unstable_by_key(|(phase, since_ms, _)| (*phase, *since_ms));
        spare.iter().any(|(phase, _, slot)| slot.evict(*phase))
    }

    fn lock(&self) -> Seats<'_> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A connection's place in the table; dropping it frees the place and closes the socket.
#[derive(Debug)]
pub(super) struct Seat {
    table: Arc<Table>,
    slot: Option<Arc<Slot>>,
    number: usize,
}

impl Seat {
    /// The place in the table, below [`Limits::connections_max`].
    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        #[expect(clippy::expect_used, reason = "only drop takes the slot")]
        Arc::clone(self.slot.as_ref().expect("a seat has its slot until it is dropped"))
    }

    /// Moves to another phase; false when the connection was told to end meanwhile.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.enter(phase, self.table.now_ms()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let in_table = self.table.lock()[self.number].take();
        // The descriptor is closed before anyone who waits for one is woken.
        drop((self.slot.take(), in_table));
        self.table.seat_freed.notify_all();
    }
}
