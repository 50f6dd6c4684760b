//! `potoroo-ops serve`: opens the data directory, listens, and stops in good order at a signal.

use super::api::Api;
use super::center::Center;
use super::home::Home;
use super::models::{self, Models};
use super::settings::Settings;
use super::store::Store;
use crate::clock::DeviceClock;
use crate::exit::{Exit, Failure};
use crate::http::server::{Handle, Limits, Server, Tls};
use crate::logging::AT_SERVE;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::time::Duration;

/// This very program, also when its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// How long running requests may take once nothing new is accepted; `docker stop` kills after 10 s.
const DRAIN: Duration = Duration::from_secs(6);

/// Runs an ops center until SIGTERM or SIGINT.
///
/// # Errors
/// When the directory, the records or the address cannot be used.
pub fn serve(settings: Settings) -> Result<(), Failure> {
    if settings.tls.is_none() && !settings.plain_http && !settings.listen.ip().is_loopback() {
        let sentence = format!("{} is reached from other machines, without TLS", settings.listen);
        return Err(Failure::new(Exit::Usage, sentence).hint(
            "name a certificate with --tls-cert and --tls-key, or say --plain-http where something in \
             front of it speaks TLS",
        ));
    }
    let home = Home::open(&settings.data)?;
    let store = Store::open(&home.records()).map_err(|error| Failure::new(Exit::Disk, error))?;
    let models = Models::open(&home, SELF.into())?;
    let listen = settings.listen;
    let mut server = Server::bind(listen, Limits::default()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen on {listen}: {error}"))
            .hint("stop what listens there, or name another address with --listen")
    })?;
    if let Some((certificate, key)) = &settings.tls {
        let tls = Tls::load(certificate, key).map_err(|error| {
            Failure::new(Exit::Usage, error).hint("name PEM files with --tls-cert and --tls-key")
        })?;
        server = server.with_tls(tls);
    }
    let handle = server.handle().map_err(|error| Failure::new(Exit::Failed, error))?;
    let stopping = stop_on_signal(handle).map_err(|error| Failure::new(Exit::Failed, error))?;
    log::info!(target: AT_SERVE, "listen={} data={:?} msg=ready", server.address(), settings.data);
    let center = Center { settings, home, store, models, clock: Arc::new(DeviceClock) };
    let center = Arc::new(center);
    models::start(center.clone()).map_err(|error| Failure::new(Exit::Failed, error))?;
    server.run(Api::new(center));
    let drained = stopping.join().unwrap_or(false);
    log::info!(target: AT_SERVE, "msg=stopped drained={drained}");
    Ok(())
}

/// On SIGTERM or SIGINT: no new connections, and the end of running requests.
fn stop_on_signal(handle: Handle) -> std::io::Result<std::thread::JoinHandle<bool>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signal = signals.forever().next().unwrap_or_default();
        log::info!(target: AT_SERVE, "msg=stopping signal={signal}");
        handle.shutdown(DRAIN)
    })
}
