//! The link to the ops center: joins once, reports, renews the session, and sends the journal.
//!
//! ```text
//! bundle ─▶ identity (keys, session on disk) ─▶ worker ─line─▶ /edge/v1/join, report
//!                                               ▲   ╰──────▶ status ─▶ log, page, doctor, metrics
//!                                         live pipeline
//! ```
//! It runs on threads of its own: no inference and no start ever waits for it.

mod device;
mod identity;
mod keys;
mod line;
mod sending;
mod status;
mod worker;

pub(super) use device::is_fleeting;
pub(super) use identity::{DIRECTORY as IDENTITIES, joined_at};
pub(super) use status::{Phase, Status};

use super::config::Config;
use super::journal::Journal;
use super::live::Live;
use super::orders::Orders;
use crate::clock::Clock;
use crate::exit::{Exit, Failure};
use crate::logging::{AT_LINK, quoted};
use sending::Speaker;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use worker::Worker;

/// How long a stop waits for the last report; `docker stop` kills after 10 s, and the drain of
/// requests has had its part of them.
const LEAVE_MAX: Duration = Duration::from_millis(1500);

/// What wakes the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// There is something new to report.
    Report,
    /// The engine stops.
    Leave,
}

/// What the link and the rest of the engine share.
struct Shared {
    status: Mutex<Status>,
    /// Whoever has joined and may send the journal; nobody while the link does not stand.
    speaker: Mutex<Option<Speaker>>,
    /// Told when that has changed, or the engine stops.
    changed: Condvar,
    is_leaving: AtomicBool,
    calls: Sender<Call>,
    journal: OnceLock<Arc<Journal>>,
    /// What answers requests, once something does.
    live: OnceLock<Arc<Live>>,
    orders: Arc<Orders>,
}

impl Shared {
    fn is_leaving(&self) -> bool {
        self.is_leaving.load(SeqCst)
    }

    /// Whoever may send, waited for as long as that.
    fn speaker(&self, wait: Duration) -> Option<Speaker> {
        let speaker = self.speaker.lock().unwrap_or_else(PoisonError::into_inner);
        let absent = |it: &mut Option<Speaker>| it.is_none() && !self.is_leaving();
        let waited = self.changed.wait_timeout_while(speaker, wait, absent);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn set_speaker(&self, speaker: Option<Speaker>) {
        *self.speaker.lock().unwrap_or_else(PoisonError::into_inner) = speaker;
        self.changed.notify_all();
    }

    /// Nothing is sent by that speaker any more before the link has reported again.
    fn silence(&self, refused: &Speaker) {
        let mut speaker = self.speaker.lock().unwrap_or_else(PoisonError::into_inner);
        // A report of meanwhile has come to another serial, and that one may do.
        if speaker.as_ref().is_some_and(|it| it.of.serial == refused.of.serial) {
            *speaker = None;
        }
        drop(speaker);
        let _ = self.calls.send(Call::Report);
    }

    /// Waits, and no longer than the engine runs.
    fn pause(&self, wait: Duration) {
        let speaker = self.speaker.lock().unwrap_or_else(PoisonError::into_inner);
        let _waited = self.changed.wait_timeout_while(speaker, wait, |_| !self.is_leaving());
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The link, as the rest of the engine sees it.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
    calls: Sender<Call>,
    gone: Arc<Mutex<Receiver<()>>>,
    send_bytes_per_second: Option<u64>,
}

impl Link {
    /// Starts the link where the bundle names an ops center; the first thing it does is to join.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(
        config: &Arc<Config>,
        clock: Arc<dyn Clock>,
        orders: Arc<Orders>,
    ) -> Result<Option<Link>, Failure> {
        let Some(link) = &config.link else { return Ok(None) };
        if is_fleeting(&config.persist) {
            let place = config.persist.display();
            let sentence = format!(
                "{place} is on no persistent volume: the session with the ops center is lost with this \
                 container, and the token of EDGE_BUNDLE holds once; mount a volume at /persist"
            );
            log::warn!(target: AT_LINK, "{}", quoted("msg", &sentence));
        }
        let (calls, called) = channel();
        let status = Status::new(&link.edge, &link.host.to_string());
        let shared = Arc::new(Shared {
            status: Mutex::new(status),
            speaker: Mutex::new(None),
            changed: Condvar::new(),
            is_leaving: AtomicBool::new(false),
            calls: calls.clone(),
            journal: OnceLock::new(),
            live: OnceLock::new(),
            orders,
        });
        let (going, gone) = channel();
        let mut worker = Worker::new(config.clone(), link.clone(), shared.clone(), clock);
        let run = move || {
            worker.run(&called);
            drop(going);
        };
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(run);
        thread.map_err(|error| Failure::new(Exit::Failed, error))?;
        let send_bytes_per_second = link.send_bytes_per_second;
        Ok(Some(Link { shared, calls, gone: Arc::new(Mutex::new(gone)), send_bytes_per_second }))
    }

    /// The pipeline of `live` answers: from now on reports tell of it.
    pub(super) fn serving(&self, live: Arc<Live>) {
        // The first one stays: it is what later pipelines are switched in.
        let _ = self.shared.live.set(live);
        self.report_soon();
    }

    /// This journal is sent from now on, as soon as the link stands.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn send(&self, journal: Arc<Journal>) -> Result<(), Failure> {
        let (shared, pace) = (self.shared.clone(), self.send_bytes_per_second);
        // An engine has one journal.
        let _ = shared.journal.set(journal.clone());
        let run = move || sending::run(&shared, &journal, pace);
        let thread = std::thread::Builder::new().name("sending".to_owned()).spawn(run);
        thread.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(())
    }

    /// Something has changed that the ops center should know before the next report is due.
    pub(super) fn report_soon(&self) {
        // Without its thread the link is over, which the log has said.
        let _ = self.calls.send(Call::Report);
    }

    /// How it stands.
    pub(super) fn status(&self) -> Status {
        self.shared.status().clone()
    }

    /// The engine stops: the last report is on its way.
    pub(super) fn leave(&self) {
        self.shared.is_leaving.store(true, SeqCst);
        self.shared.changed.notify_all();
        let _ = self.calls.send(Call::Leave);
    }

    /// Waits for the end of the last report, and not for long.
    pub(super) fn wait_for_leave(&self) {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        match gone.recv_timeout(LEAVE_MAX) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => log::warn!(
                target: AT_LINK,
                "msg=\"the ops center was not told in time that this engine stops\""
            ),
        }
    }
}
