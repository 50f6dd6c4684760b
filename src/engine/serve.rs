//! Listens, and stops in good order when a signal asks for it.

use super::config::Config;
use super::gate::Gate;
use super::healthcheck;
use super::infer::Inferences;
use super::journal::Journal;
use super::link::Link;
use super::live::Live;
use super::metrics::Metrics;
use super::room::Room;
use super::routes::Routes;
use super::slot::Slot;
use super::updates::Updates;
use crate::clock::Clock;
use crate::codec::open_inference;
use crate::exit::{Exit, Failure};
use crate::http::server::{Handle, Limits, Server, Tls};
use crate::logging::AT_SERVE;
use crate::runtime::Pool;
use crate::supervisor::Supervisor;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long running requests may take once nothing new is accepted.
const DRAIN: Duration = Duration::from_secs(6);

/// What `docker stop` and `systemd` at their defaults leave between the signal and the kill.
const KILLED_AFTER: Duration = Duration::from_secs(10);

const _: () = assert!(
    super::config::GRACE_DEFAULT.as_secs() + DRAIN.as_secs() < KILLED_AFTER.as_secs(),
    "a stop in good order is done before the kill"
);

/// Whether new work is wanted here; what `/healthz` tells.
#[derive(Debug, Clone)]
pub(super) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    fn ready() -> Readiness {
        Readiness(Arc::new(AtomicBool::new(true)))
    }

    fn end(&self) {
        self.0.store(false, SeqCst);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.load(SeqCst)
    }

    /// The same in the words of the Open Inference Protocol.
    pub(super) fn open_inference(&self) -> open_inference::Readiness {
        if self.is_ready() {
            open_inference::Readiness::Ready
        } else {
            open_inference::Readiness::NotReady
        }
    }
}

/// What an engine has to do with its ops center, each where it is wanted.
pub(super) struct Ties {
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) link: Option<Link>,
}

/// Answers for the pipeline in `slot`, and those that `updates` puts in its place, until SIGTERM or
/// SIGINT; a second signal ends at once.
///
/// # Errors
/// When the address cannot be listened on.
pub(super) fn serve(
    config: &Config,
    tls: Option<Tls>,
    slot: Slot,
    updates: Updates,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    ties: Ties,
) -> Result<(), Failure> {
    let Ties { journal, link } = ties;
    let Config { listen, cpus, batches, grace, request_max, .. } = *config;
    let (api_key, partition) = (config.api_key.clone(), config.partition.clone());
    let mut server = Server::bind(listen, Limits::default()).map_err(|error| {
        let sentence = format!("cannot listen on {listen}: {error}");
        Failure::new(Exit::Failed, sentence)
            .hint("stop what listens there, or set POTOROO_LISTEN to another address and port")
    })?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    if api_key.is_some() && tls.is_none() && !server.address().ip().is_loopback() {
        log::warn!(
            target: AT_SERVE,
            "msg=\"POTOROO_API_KEY is set without TLS: whoever listens on the way can read it\""
        );
    }
    let certificate = tls.as_ref().map(|tls| tls.certificate().to_owned());
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    let handle = server.handle().map_err(|error| Failure::new(Exit::Failed, error))?;
    let readiness = Readiness::ready();
    let supervisor = Supervisor::of_process();
    let stopped =
        stop_on_signal(handle, readiness.clone(), grace, link.clone(), supervisor.clone())
            .map_err(|error| Failure::new(Exit::Failed, error))?;
    log::info!(
        target: AT_SERVE,
        "listen={} scheme={scheme} pipeline={:?} version={:?} digest={} msg=ready",
        server.address(), slot.definition.name, slot.definition.version, slot.digest
    );
    let metrics = Arc::new(Metrics::new(Instant::now()));
    let gate = Arc::new(Gate::new(cpus));
    let tally = Arc::default();
    let recorder = journal.as_ref().map(|journal| Arc::new(slot.recorder(journal)));
    let inferences = Inferences {
        slot,
        pool,
        clock,
        gate,
        room: Arc::new(Room::of("/".into())),
        batches,
        metrics,
        journal: recorder,
        tally,
        request_max,
        partition,
    };
    let live = Arc::new(Live::new(inferences, scheme));
    updates.begin(live.clone());
    if let Some(link) = &link {
        link.serving(live.clone());
    }
    supervisor.ready();
    let address = server.address();
    // One who is about to stop answers too, and is alive.
    let answers = move || healthcheck::look(address, certificate.as_deref()).is_ok();
    supervisor.watch(answers).map_err(|error| Failure::new(Exit::Failed, error))?;
    server.run(Routes::new(live, readiness, api_key, link.clone()));
    let drained = stopped.join().unwrap_or(false);
    // Written first, so that what is said last is true.
    if let Some(journal) = journal {
        journal.close();
    }
    if let Some(link) = link {
        link.wait_for_leave();
    }
    log::info!(target: AT_SERVE, "msg=stopped drained={drained}");
    Ok(())
}

/// On the first SIGTERM or SIGINT: not ready any more, serving on for `grace` so that whoever
/// sends requests here looks elsewhere, then no new connections and the end of running requests.
fn stop_on_signal(
    handle: Handle,
    readiness: Readiness,
    grace: Duration,
    link: Option<Link>,
    supervisor: Supervisor,
) -> std::io::Result<std::thread::JoinHandle<bool>> {
    // Conditional first: at the first signal the flag is still down, at the second it is up.
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        let exit = Exit::Failed as i32;
        signal_hook::flag::register_conditional_shutdown(signal, exit, seen.clone())?;
        signal_hook::flag::register(signal, seen.clone())?;
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signal = signals.forever().next().unwrap_or_default();
        readiness.end();
        supervisor.stopping();
        // At once: the last report has the time of the drain for its way.
        if let Some(link) = link {
            link.leave();
        }
        log::info!(target: AT_SERVE, "msg=stopping signal={signal} grace_ms={}", grace.as_millis());
        // Nobody sends on it: the wait is the grace, and a second signal ends the process.
        let (_silent, until) = mpsc::channel::<()>();
        let _ = until.recv_timeout(grace);
        handle.shutdown(DRAIN)
    })
}
