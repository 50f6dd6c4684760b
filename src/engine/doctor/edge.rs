//! The edge bundle and what it leads to: the ops center, the session, the journal.

use super::Found;
use super::finding::Finding;
use super::network::{connect, resolve};
use crate::fleet::Bundle;
use crate::oci::RegistryHost;

/// Where the ops center listens when its host is given without a port.
const PORT_IMPLIED: u16 = 443;

/// What to do when the ops center is not reached; it never keeps the engine from serving.
const UNREACHED: &str =
    "the engine serves without it; check the network, or have a new edge bundle made";

pub(super) fn examine(bundle: Option<&Bundle>, found: Found<'_>) {
    let Some(bundle) = bundle else {
        return found(Finding::ok("session", "no edge bundle: nothing to report"));
    };
    let name = bundle.value("EDGE_NAME").unwrap_or("without a name");
    found(Finding::ok("bundle", format!("it is for the edge {name:?}")));
    match bundle.value("OPSCENTER_HOST").map(str::parse::<RegistryHost>) {
        None => found(Finding::warn("ops", "the bundle names no ops center", UNREACHED)),
        Some(Err(error)) => {
            let finding = format!("the bundle's OPSCENTER_HOST is no host: {error}");
            found(Finding::warn("ops", finding, UNREACHED));
        }
        Some(Ok(host)) => {
            let port = host.port().unwrap_or(PORT_IMPLIED);
            let name = host.name();
            let reached = resolve(&name, port).and_then(|addresses| connect(&addresses));
            found(match reached {
                Ok(ms) => Finding::ok("ops", format!("{name}:{port} is reached in {ms} ms")),
                Err(why) => Finding::warn("ops", format!("{name}:{port} {why}"), UNREACHED),
            });
        }
    }
    found(Finding::warn(
        "session",
        "this version does not join the ops center and keeps no journal",
        "nothing for now: inference does not need it",
    ));
}
