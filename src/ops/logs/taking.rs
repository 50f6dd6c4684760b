//! Taking deliveries in: checked by whoever brings them, then handed to the writer, a bounded number at once.

use super::shares::Shares;
use super::times::Clocks;
use crate::codec::journal::{self, FrameError, Header};
use crate::disk;
use crate::fleet::Id;
use crate::ops::store::StoreError;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Instant;

/// Bytes of deliveries that are being taken in: sixteen of the largest, or a whole fleet's of a second.
const INTAKE_BYTES_MAX: u64 = 64 << 20;

/// Deliveries that are being taken in: each has a thread that waits.
const INTAKE_DELIVERIES_MAX: usize = 128;

/// When a device may come again that there was no room for; the writer needs less for all of it.
pub(in crate::ops) const RETRY_AFTER_S: u64 = 2;

/// What an edge sends at once.
#[derive(Debug)]
pub(in crate::ops) struct Delivery {
    /// The edge's id, which was proven.
    pub edge: String,
    /// What the request tells of the device's clocks.
    pub contact: Clocks,
    /// Frames of one journal, one after the other.
    pub body: Vec<u8>,
}

/// What is here for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Taken {
    /// The journal.
    pub journal: Id,
    /// The first sequence number that is not.
    pub next: u64,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum TakeError {
    /// Others are before it.
    #[error("the ops center takes in as many logs as it can: come again in {RETRY_AFTER_S} s")]
    Busy,
    /// Its edge has sent more than its share.
    #[error("the edge sends more than its share of what is taken in: come again in {wait_s} s")]
    Share {
        /// When.
        wait_s: u64,
    },
    /// There is nothing in it.
    #[error("the delivery has no frame; send frames of a journal, one after the other")]
    Empty,
    /// It is cut or damaged.
    #[error("frame {index} of the delivery cannot be taken: send it again")]
    Frame {
        /// The frame, from 0 on.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
    /// It has frames of two journals.
    #[error("the delivery has frames of two journals; send one journal at a time")]
    Mixed,
    /// The edge is none of ours.
    #[error("there is no such edge")]
    NoEdge,
    /// The disk does not take it.
    #[error("the ops center cannot write logs: they stay on the device; make room and see its log")]
    Disk(#[source] Arc<disk::Error>),
    /// The records do not.
    #[error("the ops center cannot record logs: they stay on the device; see its log")]
    Store(#[source] Arc<StoreError>),
    /// The center is stopping.
    #[error("the ops center is stopping: come again in {RETRY_AFTER_S} s")]
    Stopping,
}

/// A delivery that was checked, on its way to the writer.
#[derive(Debug)]
pub(super) struct Order {
    pub delivery: Delivery,
    /// Each frame's header, and where it is in the body.
    pub frames: Vec<(Header, Range<usize>)>,
    pub journal: Id,
    pub reply: SyncSender<Result<Taken, TakeError>>,
    _room: Room,
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Intake {
    sender: mpsc::Sender<Order>,
    load: Arc<Load>,
    shares: Shares,
}

#[derive(Debug, Default)]
struct Load {
    bytes: AtomicU64,
    deliveries: AtomicUsize,
}

/// Room that a delivery takes up until it is done with.
#[derive(Debug)]
struct Room {
    load: Arc<Load>,
    bytes: u64,
}

impl Room {
    fn take(load: &Arc<Load>, bytes: u64) -> Result<Room, TakeError> {
        let before = load.bytes.fetch_add(bytes, Ordering::AcqRel);
        let others = load.deliveries.fetch_add(1, Ordering::AcqRel);
        let room = Room { load: load.clone(), bytes };
        if INTAKE_BYTES_MAX < before.saturating_add(bytes) || INTAKE_DELIVERIES_MAX <= others {
            return Err(TakeError::Busy);
        }
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.load.deliveries.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Intake {
    /// The two ends of the way to the writer, on which one edge may send so many bytes a second.
    pub(super) fn new(edge_bytes_per_s: u64) -> (Intake, mpsc::Receiver<Order>) {
        // Bounded by the room, not by the channel: who has none never gets here.
        let (sender, receiver) = mpsc::channel();
        let shares = Shares::of(edge_bytes_per_s);
        (Intake { sender, load: Arc::default(), shares }, receiver)
    }

    pub(super) fn take(&self, delivery: Delivery) -> Result<Taken, TakeError> {
        let bytes = delivery.body.len() as u64;
        let room = Room::take(&self.load, bytes)?;
        let fits = self.shares.take(&delivery.edge, bytes, Instant::now());
        fits.map_err(|wait_s| TakeError::Share { wait_s })?;
        let frames = checked(&delivery.body)?;
        let Some((first, _)) = frames.first() else { return Err(TakeError::Empty) };
        let journal = first.journal();
        if frames.iter().any(|(header, _)| header.journal() != journal) {
            return Err(TakeError::Mixed);
        }
        let (reply, answer) = mpsc::sync_channel(1);
        let order = Order { delivery, frames, journal, reply, _room: room };
        self.sender.send(order).map_err(|_| TakeError::Stopping)?;
        answer.recv().map_err(|_| TakeError::Stopping)?
    }
}

/// The frames of a body, each whole and unchanged.
fn checked(body: &[u8]) -> Result<Vec<(Header, Range<usize>)>, TakeError> {
    let mut found = Vec::new();
    let mut at = 0;
    for (index, frame) in journal::frames(body).enumerate() {
        let frame = frame.map_err(|source| TakeError::Frame { index, source })?;
        let end = at + frame.bytes.len();
        found.push((frame.header, at..end));
        at = end;
    }
    Ok(found)
}
