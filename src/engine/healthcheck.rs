//! `potoroo-engine healthcheck`: whether the engine on this machine is well, for images without `curl`.

use crate::exit::{Exit, Failure};
use crate::http::client::{Glance, GlanceError, Seen, reachable};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How long the engine may take to say that it is well: less than any supervisor waits.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the engine of the same environment, and says nothing when it is well.
///
/// It reads `POTOROO_LISTEN` and `POTOROO_TLS_CERT` alone, so that what is wrong with other
/// settings does not make a running engine ill.
///
/// # Errors
/// When it does not answer or is about to stop; always [`Exit::Failed`], which is all that docker
/// knows.
pub fn healthcheck(variables: Vec<(String, String)>) -> Result<(), Failure> {
    let text = |name: &str| {
        let found = variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let failed = |error: String| Failure::new(Exit::Failed, error);
    let listen = text("POTOROO_LISTEN").map_or(Ok(super::config::LISTEN), str::parse);
    let listen =
        listen.map_err(|_| failed("POTOROO_LISTEN is not an address and port".to_owned()))?;
    if listen.port() == 0 {
        return Err(failed(
            "POTOROO_LISTEN has port 0, so the engine's port is not known here".to_owned(),
        ));
    }
    match look(listen, text("POTOROO_TLS_CERT").map(Path::new)) {
        Ok(Seen { status: 200, .. }) => Ok(()),
        Ok(Seen { status, .. }) => {
            Err(failed(format!("the engine at {listen} is not ready (status {status})")))
        }
        Err(error) => Err(failed(crate::exit::chain(&error))),
    }
}

/// What `/healthz` says at an address that the engine listens on.
///
/// # Errors
/// When nothing that speaks HTTP answers.
pub(super) fn look(listen: SocketAddr, certificate: Option<&Path>) -> Result<Seen, GlanceError> {
    Glance { address: reachable(listen), path: "/healthz", certificate, limit: LIMIT }.look()
}
