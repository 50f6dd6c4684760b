//! The writer: one thread that appends what several edges bring, syncs it once, and records it at once.

use super::arrange::{Fate, begin, fate};
use super::segments::{AppendError, Segments};
use super::taking::{Delivery, Intake, Order, TakeError, Taken};
use super::times::{DeviceTime, Times};
use crate::clock::{DeviceClock, rfc3339, unix_ms};
use crate::codec::journal::{Header, LossReason};
use crate::exit;
use crate::fleet::Id;
use crate::logging::AT_LOGS;
use crate::ops::settings::LogsKept;
use crate::ops::store::{JournalPlace, LogEdge, LogLoss, NewLogFrame, Store, StoreError};
use sha2::{Digest as _, Sha256};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Bytes that are written before they are synced, unless one delivery alone has more.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// How often is looked whether something has had its time.
const RETENTION_EVERY: Duration = Duration::from_secs(600);

/// Starts the thread; it ends with the intake.
pub(super) fn start(store: Arc<Store>, segments: Segments, kept: LogsKept) -> io::Result<Intake> {
    let (intake, orders) = Intake::new(kept.edge_bytes_per_s);
    let mut writer = Writer { store, segments, clock: DeviceClock };
    std::thread::Builder::new()
        .name("log-writer".into())
        .spawn(move || writer.run(&orders, kept))?;
    Ok(intake)
}

struct Writer {
    store: Arc<Store>,
    segments: Segments,
    clock: DeviceClock,
}

/// What a group of deliveries comes to, before it is recorded.
#[derive(Default)]
struct Group {
    /// Journals by edge and name; those without a number are new.
    journals: Vec<(String, String, JournalPlace, bool)>,
    frames: Vec<(usize, NewLogFrame)>,
    /// Each with its journal, its pipeline, and the time that the device told.
    losses: Vec<(usize, i64, LogLoss, i64)>,
}

/// Why a whole group was not taken.
#[derive(Clone)]
enum Failed {
    Disk(Arc<crate::disk::Error>),
    Store(Arc<StoreError>),
}

impl From<Failed> for TakeError {
    fn from(failed: Failed) -> TakeError {
        match failed {
            Failed::Disk(error) => TakeError::Disk(error),
            Failed::Store(error) => TakeError::Store(error),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(Arc::new(error))
    }
}

impl From<crate::disk::Error> for Failed {
    fn from(error: crate::disk::Error) -> Failed {
        Failed::Disk(Arc::new(error))
    }
}

impl From<AppendError> for Failed {
    fn from(error: AppendError) -> Failed {
        match error {
            AppendError::Disk(error) => error.into(),
            AppendError::Store(error) => error.into(),
        }
    }
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Order>, kept: LogsKept) {
        let mut look = Instant::now();
        loop {
            match orders.recv_timeout(look.saturating_duration_since(Instant::now())) {
                Ok(order) => self.take(order, orders),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if look <= Instant::now() {
                let now_ms = self.now_ms();
                kept.keep(&self.store, &mut self.segments, now_ms);
                look = Instant::now() + RETENTION_EVERY;
            }
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(unix_ms(&self.clock)).unwrap_or(i64::MAX)
    }

    /// Takes an order and those that wait behind it, and answers them.
    fn take(&mut self, first: Order, orders: &Receiver<Order>) {
        let mut bytes = first.delivery.body.len();
        let mut group = vec![first];
        while bytes < GROUP_BYTES_MAX
            && let Ok(order) = orders.try_recv()
        {
            bytes += order.delivery.body.len();
            group.push(order);
        }
        let answers = self.recorded(&group).unwrap_or_else(|failed| {
            self.segments.give_up();
            match &failed {
                Failed::Disk(error) => log::error!(target: AT_LOGS, "msg={:?}", exit::chain(error)),
                Failed::Store(error) => {
                    log::error!(target: AT_LOGS, "msg={:?}", exit::chain(error))
                }
            }
            group.iter().map(|_| Err(failed.clone().into())).collect()
        });
        for (order, answer) in group.into_iter().zip(answers) {
            // Whoever does not wait any more sends the same again.
            let _ = order.reply.send(answer);
        }
    }

    /// Appends, syncs and records; an answer for each order.
    fn recorded(&mut self, orders: &[Order]) -> Result<Vec<Result<Taken, TakeError>>, Failed> {
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(orders.len());
        for order in orders {
            let edge = self.store.read(|tx| tx.log_edge(&order.delivery.edge))?;
            answers.push(match edge {
                None => Err(TakeError::NoEdge),
                Some(edge) => Ok(self.arranged(&mut group, order, &edge)?),
            });
        }
        let lengths = self.segments.synced()?;
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            let mut numbers = Vec::with_capacity(group.journals.len());
            for (edge, journal, place, is_new) in &group.journals {
                let id = match is_new {
                    true => tx.add_log_journal(edge, journal)?.id,
                    false => place.id,
                };
                tx.set_log_journal(&JournalPlace { id, ..*place })?;
                numbers.push(id);
            }
            for (journal, frame) in &group.frames {
                tx.add_log_frame(&NewLogFrame { journal: numbers[*journal], ..frame.clone() })?;
            }
            for (journal, pipeline, loss, told_ms) in &group.losses {
                tx.add_log_loss(numbers[*journal], *pipeline, loss, (*told_ms, now_ms))?;
            }
            for (segment, bytes) in &lengths {
                tx.set_log_segment(*segment, *bytes)?;
            }
            Ok::<(), StoreError>(())
        })?;
        self.segments.settle();
        Ok(answers)
    }

    /// Decides about each frame of an order, and appends those that count.
    fn arranged(
        &mut self,
        group: &mut Group,
        order: &Order,
        edge: &LogEdge,
    ) -> Result<Taken, Failed> {
        let Order { delivery, frames, journal, .. } = order;
        let now_ms = self.now_ms();
        let day = rfc3339(Duration::from_millis(now_ms.unsigned_abs()));
        let day = day.get(..10).unwrap_or_default();
        let name = journal.to_string();
        let at = self.journal(group, &delivery.edge, &name)?;
        if let Some((header, _)) = frames.first() {
            begin(&mut group.journals[at].2, header);
        }
        for (header, range) in frames {
            let fate = fate(&mut group.journals[at].2, header);
            let from = match fate {
                Fate::Known => continue,
                Fate::Gap => break,
                Fate::Counts { from } => from,
                Fate::AfterGap { lost, count } => {
                    let at_ms = delivery.contact.center_ms;
                    let gap = loss(&name, lost, count, "gap", at_ms);
                    group.losses.push((at, edge.pipeline, gap, at_ms));
                    header.first()
                }
            };
            match header {
                Header::Records(batch) | Header::Summary(batch) => {
                    let pipeline =
                        self.store.read(|tx| tx.log_pipeline(edge.workspace, &batch.version))?;
                    let pipeline = pipeline.unwrap_or(edge.pipeline);
                    let base = self.base(delivery, batch.boot)?;
                    let time = |wall_ms, mono_ms| DeviceTime { wall_ms, mono_ms };
                    let first = time(batch.first_ms, batch.first_mono_ms);
                    let times = Times::of(first, time(batch.last_ms, batch.last_mono_ms), base);
                    let bytes = &delivery.body[range.clone()];
                    let place =
                        self.segments.append(&self.store, pipeline, bytes, (now_ms, day))?;
                    let frame = NewLogFrame {
                        journal: 0,
                        first: batch.first,
                        from,
                        count: header.next().saturating_sub(from),
                        rows: batch.rows,
                        failures: batch.failures,
                        pipeline,
                        version: batch.version.clone(),
                        schema: key(&batch.schema),
                        is_summary: matches!(header, Header::Summary(_)),
                        first_ms: times.first_ms,
                        last_ms: times.last_ms,
                        base_ms: times.base_ms,
                        time_source: times.source,
                        received_ms: now_ms,
                        segment: place.segment,
                        at: place.at,
                        bytes: bytes.len() as u64,
                    };
                    group.frames.push((at, frame));
                }
                // That was all that it was for.
                Header::Loss(told) if told.reason == LossReason::Start => {}
                Header::Loss(told) => {
                    let base = self.base(delivery, told.boot)?;
                    let time = DeviceTime { wall_ms: told.ms, mono_ms: told.mono_ms };
                    let at_ms = Times::of(time, time, base).first_ms;
                    let word = told.reason.word();
                    let count = match told.count {
                        0 => 0,
                        _ => header.next().saturating_sub(from),
                    };
                    let told_ms = i64::try_from(told.ms).unwrap_or(i64::MAX);
                    let lost = loss(&name, from, count, word, at_ms);
                    group.losses.push((at, edge.pipeline, lost, told_ms));
                }
            }
        }
        Ok(Taken { journal: *journal, next: group.journals[at].2.next })
    }

    /// The place of a journal in the group, from the records where it is new to the group.
    fn journal(&self, group: &mut Group, edge: &str, journal: &str) -> Result<usize, Failed> {
        let is_it =
            |known: &(String, String, JournalPlace, bool)| known.0 == edge && known.1 == journal;
        if let Some(at) = group.journals.iter().position(is_it) {
            return Ok(at);
        }
        let found = self.store.read(|tx| tx.log_journal(edge, journal))?;
        let (place, is_new) = match found {
            Some(place) => (place, false),
            None => (JournalPlace::NOWHERE, true),
        };
        group.journals.push((edge.to_owned(), journal.to_owned(), place, is_new));
        Ok(group.journals.len() - 1)
    }

    /// When the monotonic clock of that start of the device was at 0: by this request where it is of
    /// the same, else by what a contact then told.
    fn base(&self, delivery: &Delivery, boot: Option<Id>) -> Result<Option<i64>, Failed> {
        match boot {
            None => Ok(None),
            Some(boot) if boot == delivery.contact.boot => Ok(Some(delivery.contact.base_ms())),
            Some(boot) => {
                Ok(self.store.read(|tx| tx.edge_boot(&delivery.edge, &boot.to_string()))?)
            }
        }
    }
}

fn loss(journal: &str, first: u64, count: u64, reason: &str, at_ms: i64) -> LogLoss {
    let (journal, reason) = (journal.to_owned(), reason.to_owned());
    LogLoss { edge: String::new(), journal, first, count, reason, at_ms }
}

/// A number for the name of columns: of two names in one ops center it is hardly ever the same.
fn key(schema: &str) -> i64 {
    let digest = <[u8; 32]>::from(Sha256::digest(schema.as_bytes()));
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}
