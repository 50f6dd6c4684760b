//! Listens, and stops in good order when a signal asks for it.

use super::routes::Routes;
use super::slot::Slot;
use crate::clock::Clock;
use crate::exit::{Exit, Failure};
use crate::http::server::{ApiKey, Limits, Server, Tls};
use crate::logging::AT_SERVE;
use crate::runtime::Pool;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long running requests may take after a signal. Docker kills after 10 seconds.
const DRAIN: Duration = Duration::from_secs(8);

/// Where the engine is asked, and by whom.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listen: SocketAddr,
    pub(super) tls: Option<Tls>,
    pub(super) api_key: Option<ApiKey>,
}

/// Answers for the pipeline in `slot` until SIGTERM or SIGINT; a second signal ends at once.
///
/// # Errors
/// When the address cannot be listened on.
pub(super) fn serve(
    door: Door,
    slot: Slot,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let Door { listen, tls, api_key } = door;
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
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    let handle = server.handle().map_err(|error| Failure::new(Exit::Failed, error))?;
    let stopped = on_signal(move || handle.shutdown(DRAIN))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    log::info!(
        target: AT_SERVE,
        "listen={} scheme={scheme} pipeline={:?} version={:?} msg=ready",
        server.address(), slot.definition.name, slot.definition.version
    );
    server.run(Routes::new(slot, pool, clock, api_key));
    let drained = stopped.join().unwrap_or(false);
    log::info!(target: AT_SERVE, "msg=stopped drained={drained}");
    Ok(())
}

/// Calls `stop` on the first SIGTERM or SIGINT, on a thread of its own.
fn on_signal(
    stop: impl FnOnce() -> bool + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<bool>> {
    // Conditional first: at the first signal the flag is still down, at the second it is up.
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            Exit::Failed as i32,
            seen.clone(),
        )?;
        signal_hook::flag::register(signal, seen.clone())?;
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signal = signals.forever().next();
        log::info!(target: AT_SERVE, "msg=stopping signal={}", signal.unwrap_or_default());
        stop()
    })
}
