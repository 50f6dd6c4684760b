//! The way to the registry, step by step: name, connection, proxy, TLS, clock, login, manifest.

use super::Found;
use super::finding::{Finding, Level};
use crate::clock::{Clock, DeviceClock};
use crate::engine::config::Partial;
use crate::exit::chain;
use crate::http::client::{Answer, Client, Error, Timeouts};
use crate::http::date;
use crate::oci::Reference;
use crate::registry::{Action, Fetched, Remote};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long each step waits: a person looks on, and six of them, and two to the ops center, must fit
/// into the examination.
const STEP: Duration = Duration::from_secs(5);

/// The same for requests, whose answers are small.
const WAITS: Timeouts =
    Timeouts { resolve: STEP, connect: STEP, stall: STEP, answer: STEP, commit: STEP };

/// How far two clocks may be apart before it is worth a word, and before tokens that hold for
/// minutes are refused.
const SKEW_WORTH_A_WORD: Duration = Duration::from_secs(30);
const SKEW_MAX: Duration = Duration::from_secs(300);

const _: () = assert!(
    8 * STEP.as_secs() + super::shown::PROVING_MAX.as_secs() < super::EXAMINATION_MAX.as_secs(),
    "a silent network leaves time for the rest"
);

/// Examines the way; gives the registry and the manifest when it leads to one.
pub(super) fn examine(
    settings: &Partial,
    reference: &Reference,
    found: Found<'_>,
) -> Option<(Remote, Fetched)> {
    let (registry, repository) = (reference.registry.clone(), reference.repository.clone());
    let credentials = settings.credentials.clone();
    let remote = Remote::new(settings.transport(WAITS), registry, repository, credentials);
    let refused =
        |check, error: &crate::registry::Error| Finding::fail(check, chain(error), error.hint());
    let uri = match remote.address() {
        Ok(uri) => uri,
        Err(error) => {
            found(refused("registry", &error));
            return None;
        }
    };
    let client = Client::through(WAITS, &settings.network);
    let proxy = client.proxy_for(&uri).map(str::to_owned);
    let is_tls = uri.scheme_str() == Some("https");
    let implied = if is_tls { 443 } else { 80 };
    let direct =
        format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(implied));
    found(Finding::ok(
        "proxy",
        match &proxy {
            Some(proxy) => format!("{direct} is reached through {proxy}"),
            None => format!("{direct} is reached without one"),
        },
    ));
    let remedy = match &proxy {
        Some(_) => "check HTTPS_PROXY; a host that is reached without a proxy is named in NO_PROXY",
        None => {
            "check host and port, the network and its firewall; where a proxy is needed, set \
             HTTPS_PROXY"
        }
    };
    if !reached(proxy.as_deref().unwrap_or(&direct), remedy, found) {
        return None;
    }
    match client.knock(&uri) {
        Ok(answer) => {
            found(Finding::ok(
                "tls",
                if is_tls {
                    match settings.network.roots.added() {
                        0 => "the registry's certificate holds".to_owned(),
                        count => {
                            format!("the registry's certificate holds (authorities added: {count})")
                        }
                    }
                } else {
                    "none is spoken to this registry, as the settings have it".to_owned()
                },
            ));
            found(skew(&answer));
        }
        Err(error) => {
            found(unanswered(&error));
            return None;
        }
    }
    match remote.login(Action::Pull) {
        Ok(()) => found(Finding::ok(
            "login",
            match &settings.credentials {
                Some(it) => format!("{} lets {:?} in", reference.registry, it.username),
                None => format!("{} lets anyone in", reference.registry),
            },
        )),
        Err(error) => {
            found(refused("login", &error));
            return None;
        }
    }
    match remote.manifest(&reference.version) {
        Ok(fetched) => {
            let count = fetched.manifest.layers.len();
            let finding = format!("{reference} is {} (layers: {count})", fetched.digest);
            found(Finding::ok("manifest", finding));
            Some((remote, fetched))
        }
        Err(error) => {
            found(refused("manifest", &error));
            None
        }
    }
}

/// Whether the name resolves and someone takes a connection.
fn reached(place: &str, remedy: &str, found: Found<'_>) -> bool {
    let (name, port) = place.rsplit_once(':').unwrap_or((place, ""));
    let addresses = match resolve(name, port.parse().unwrap_or_default()) {
        Ok(addresses) => addresses,
        Err(why) => {
            let remedy = "check the name, and the name servers in /etc/resolv.conf";
            found(Finding::fail("dns", format!("{name} {why}"), remedy));
            return false;
        }
    };
    let list: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
    found(Finding::ok("dns", format!("{name} is {}", list.join(", "))));
    match connect(&addresses) {
        Ok(ms) => {
            found(Finding::ok("tcp", format!("{place} takes connections, in {ms} ms")));
            true
        }
        Err(why) => {
            found(Finding::fail("tcp", format!("{place} {why}"), remedy));
            false
        }
    }
}

/// The addresses of a name; an error is the rest of a sentence that begins with it.
pub(super) fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let (sender, receiver) = mpsc::channel();
    // The system's resolver knows no time-out of ours, so it is left behind when it takes too long.
    let asked = std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let found = (bare.as_str(), port).to_socket_addrs().map(Iterator::collect);
        let _ = sender.send(found);
    });
    asked.map_err(|error| format!("cannot be looked up: {error}"))?;
    let found: std::io::Result<Vec<SocketAddr>> = receiver
        .recv_timeout(STEP)
        .map_err(|_| format!("does not resolve within {} s", STEP.as_secs()))?;
    match found {
        Ok(addresses) if addresses.is_empty() => Err("has no address".to_owned()),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(format!("does not resolve: {error}")),
    }
}

/// The milliseconds that a connection takes; an error is the rest of a sentence.
pub(super) fn connect(addresses: &[SocketAddr]) -> Result<u128, String> {
    let start = Instant::now();
    let mut last = String::new();
    for address in addresses {
        let left = STEP.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(_) => return Ok(start.elapsed().as_millis()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(format!("takes no connection: {last}"))
}

/// A connection that brought no answer, under the step that it failed at.
fn unanswered(error: &Error) -> Finding {
    let check = match error {
        Error::Proxy { .. } => "proxy",
        Error::Untrusted { .. } | Error::Tls { .. } => "tls",
        Error::UnknownHost { .. }
        | Error::Refused { .. }
        | Error::TimedOut { .. }
        | Error::Broken { .. }
        | Error::NotHttp { .. }
        | Error::TooManyRedirects { .. }
        | Error::NoLocation { .. }
        | Error::Location { .. } => "registry",
    };
    let remedy = error.hint().unwrap_or("check that an OCI registry answers at this host and port");
    Finding::fail(check, chain(error), remedy)
}

/// The registry's clock against this device's; the network's way is left out of account.
fn skew(answer: &Answer) -> Finding {
    let theirs = answer.header("date").and_then(date::parse);
    let Some(theirs) = theirs else {
        return Finding::ok("skew", "the registry does not tell its time");
    };
    let ours = DeviceClock.since_epoch();
    let (apart, word) = match ours.checked_sub(theirs) {
        Some(apart) => (apart, "ahead of"),
        None => (theirs - ours, "behind"),
    };
    let level = match apart {
        it if it > SKEW_MAX => Level::Fail,
        it if it > SKEW_WORTH_A_WORD => Level::Warn,
        _ => Level::Ok,
    };
    let seconds = apart.as_secs();
    let finding = match seconds {
        0 | 1 => "this device's clock and the registry's agree".to_owned(),
        _ => format!("this device's clock is {seconds} s {word} the registry's"),
    };
    Finding::new("skew", level, finding, "set the clock, or let a time service do it")
}
