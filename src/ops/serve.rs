//! `potoroo-ops serve`: opens the data directory, listens, and stops in good order at a signal.

use super::access::{Email, Founder, Guard, NewPassword, NoEmail, found, link};
use super::address::Address;
use super::api::{Api, Problem};
use super::center::Center;
use super::dashboard::Streams;
use super::distribution::{Distribution, Realm, Repositories, TokenKey};
use super::drift::{self, Bell};
use super::edges::Pullers;
use super::healthcheck;
use super::home::Home;
use super::logs::Logs;
use super::models::{self, Models};
use super::publishes::{Desk, Worker};
use super::settings::{Admin, Settings};
use super::store::{Store, StoreError};
use crate::clock::DeviceClock;
use crate::exit::{Exit, Failure};
use crate::http::server::{Handle, Limits, Server, Tls};
use crate::logging::{self, AT_SERVE};
use crate::supervisor::Supervisor;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::time::Duration;

/// This very program, also when its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// How long running requests may take once nothing new is accepted; `docker stop` kills after 10 s.
const DRAIN: Duration = Duration::from_secs(6);

/// How long the publisher may take to come to a place where it can stop; what it was at is begun
/// anew at the next start.
const PUBLISHER_REST: Duration = Duration::from_secs(2);

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
    let store = Arc::new(store);
    let logs = Logs::open(&home.logs(), store.clone(), settings.logs)
        .map_err(|error| Failure::new(Exit::Disk, error).hint("see to the disk of --data"))?;
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
    let streams = Arc::new(Streams::default());
    let supervisor = Supervisor::of_process();
    let stopping = stop_on_signal(handle, Arc::clone(&streams), supervisor.clone())
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let guard = Guard::new().map_err(|error| Failure::new(Exit::Failed, error))?;
    let address = Address::of(&settings, server.address())?;
    let repositories = Repositories::create(&home.blobs())?;
    let (desk, clock) = (Desk::default(), Arc::new(DeviceClock));
    let center = Center {
        settings,
        home,
        store,
        logs,
        drift: Bell::default(),
        guard,
        models,
        address,
        repositories,
        desk,
        streams,
        clock,
    };
    prepare_first_run(&center)?;
    let center = Arc::new(center);
    let registry = registry(&center)?;
    models::start(center.clone()).map_err(|error| Failure::new(Exit::Failed, error))?;
    drift::start(center.clone()).map_err(|error| Failure::new(Exit::Failed, error))?;
    let publisher = Worker::start(Arc::clone(&center))
        .map_err(|error| Failure::new(Exit::Failed, error).hint("raise the limit of threads"))?;
    log::info!(target: AT_SERVE, "listen={} data={:?} msg=ready", server.address(), center.settings.data);
    supervisor.ready();
    let certificate = center.settings.tls.as_ref().map(|(certificate, _)| certificate.clone());
    let address = server.address();
    let answers = move || healthcheck::look(address, certificate.as_deref()).is_ok();
    supervisor.watch(answers).map_err(|error| Failure::new(Exit::Failed, error))?;
    server.run(Api::new(center, registry));
    let drained = stopping.join().unwrap_or(false);
    let rested = publisher.stop(PUBLISHER_REST);
    log::info!(target: AT_SERVE, "msg=stopped drained={drained} publisher_rested={rested}");
    Ok(())
}

/// Where there is no user yet: makes the one of the settings, or prints the link that makes one. It
/// goes to standard output alone, since a log is read by more people and kept for longer.
fn prepare_first_run(center: &Center) -> Result<(), Failure> {
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
        let url = &center.address;
        let token = token.reveal();
        logging::announce(&format!("Set the first password here: {url}/first-run?token={token}"));
    }
    Ok(())
}

/// The built-in registry, where publishes go to no other.
fn registry(center: &Arc<Center>) -> Result<Option<Distribution>, Failure> {
    if center.settings.registry.is_some() {
        return Ok(None);
    }
    let key = TokenKey::open(&center.home.keys().join("registry-tokens"))
        .map_err(|error| Failure::new(Exit::Disk, error))?;
    let realm = match &center.settings.url {
        Some(_) => Realm::At(center.address.to_string()),
        None => Realm::AsAsked { https: center.address.is_tls },
    };
    let pullers = Box::new(Pullers(Arc::clone(center)));
    let registry = Distribution::new(center.repositories.clone(), key, realm, pullers);
    Ok(Some(registry.behind(&center.settings.trusted_proxies)))
}

/// On SIGTERM or SIGINT: no new connections, and the end of running requests.
fn stop_on_signal(
    handle: Handle,
    streams: Arc<Streams>,
    supervisor: Supervisor,
) -> std::io::Result<std::thread::JoinHandle<bool>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signal = signals.forever().next().unwrap_or_default();
        supervisor.stopping();
        log::info!(target: AT_SERVE, "msg=stopping signal={signal}");
        streams.stop();
        handle.shutdown(DRAIN)
    })
}
