//! `potoroo-ops serve`: opens the data directory, listens, and stops in good order at a signal.

use super::access::{Email, Founder, Guard, NewPassword, NoEmail, found, link};
use super::api::{Api, Problem};
use super::center::Center;
use super::home::Home;
use super::settings::{Admin, Settings};
use super::store::{Store, StoreError};
use crate::clock::DeviceClock;
use crate::exit::{Exit, Failure};
use crate::http::server::{Handle, Limits, Server, Tls};
use crate::logging::{self, AT_SERVE};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
    let guard = Guard::new().map_err(|error| Failure::new(Exit::Failed, error))?;
    let address = server.address();
    let center = Center { settings, home, store, guard, clock: Arc::new(DeviceClock) };
    prepare_first_run(&center, address)?;
    log::info!(target: AT_SERVE, "listen={address} data={:?} msg=ready", center.settings.data);
    server.run(Api::new(Arc::new(center)));
    let drained = stopping.join().unwrap_or(false);
    log::info!(target: AT_SERVE, "msg=stopped drained={drained}");
    Ok(())
}

/// Where there is no user yet: makes the one of the settings, or prints the link that makes one. It
/// goes to standard output alone, since a log is read by more people and kept for longer.
fn prepare_first_run(center: &Center, address: SocketAddr) -> Result<(), Failure> {
    let now_ms = center.now_ms();
    if let Some(Admin { email, password }) = &center.settings.admin {
        let usage =
            |error: Box<dyn std::error::Error + Send + Sync>| Failure::new(Exit::Usage, error);
        let email: Email = email.parse().map_err(|error: NoEmail| usage(error.into()))?;
        let has_users: Result<bool, StoreError> = center.store.read(|tx| tx.has_users());
        if !has_users.map_err(|error| Failure::new(Exit::Disk, error))? {
            let password =
                NewPassword::new(password.reveal()).map_err(|error| usage(error.into()))?;
            let password = center.guard.hash(&password).map_err(|error| usage(error.into()))?;
            let founder = Founder { email: &email, password: &password, peer: "" };
            let made: Result<_, Problem> = center.store.write(|tx| found(tx, &founder, now_ms));
            made.map_err(|problem| Failure::new(Exit::Disk, problem.msg().to_owned()))?;
            log::info!(target: AT_SERVE, "email={:?} msg=\"first administrator made\"", email.as_str());
        }
    }
    let token: Result<_, Problem> = link(&center.store, now_ms);
    let token = token.map_err(|problem| Failure::new(Exit::Disk, problem.msg().to_owned()))?;
    if let Some(token) = token {
        let url = center.settings.url.clone().unwrap_or_else(|| reached_at(center, address));
        let token = token.reveal();
        logging::announce(&format!("Set the first password here: {url}/first-run?token={token}"));
    }
    Ok(())
}

/// The URL of an address that is listened on, for a person on this machine.
fn reached_at(center: &Center, address: SocketAddr) -> String {
    let scheme = if center.settings.tls.is_some() { "https" } else { "http" };
    match address.ip().is_unspecified() {
        true => format!("{scheme}://localhost:{}", address.port()),
        false => format!("{scheme}://{address}"),
    }
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
