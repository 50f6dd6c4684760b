//! The edge bundle and what it leads to: the ops center, the session, the journal.

use super::Found;
use super::finding::Finding;
use super::network::{connect, resolve};
use crate::clock::rfc3339;
use crate::engine::link::{is_fleeting, joined_at};
use crate::fleet::{Bundle, KEPT_TOKEN};
use crate::oci::RegistryHost;
use std::path::Path;
use std::time::Duration;

/// Where the ops center listens when its host is given without a port.
const PORT_IMPLIED: u16 = 443;

/// What to do when the ops center is not reached; it never keeps the engine from serving.
const UNREACHED: &str =
    "the engine serves without it; check the network, or have a new edge bundle made";

pub(super) fn examine(bundle: Option<&Bundle>, persist: Option<&Path>, found: Found<'_>) {
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
    if let Some(persist) = persist {
        found(session(bundle, persist));
    }
}

/// What this device has of a session, by its files: no request is made, which would be a contact.
fn session(bundle: &Bundle, persist: &Path) -> Finding {
    let edge = bundle.value("EDGE_NAME").unwrap_or_default();
    if is_fleeting(persist) {
        let finding = format!("{} is on no persistent volume", persist.display());
        let remedy = "mount a volume at /persist: a session is lost with its container, and the token \
                      of a bundle holds once";
        return Finding::warn("session", finding, remedy);
    }
    match (joined_at(persist, edge), bundle.value("JOIN_TOKEN")) {
        (Some(ms), _) => {
            let at = rfc3339(Duration::from_millis(ms));
            Finding::ok(
                "session",
                format!("{edge:?} joined at {at}; the page of the engine tells the rest"),
            )
        }
        (None, Some(KEPT_TOKEN) | None) => Finding::warn(
            "session",
            "the bundle keeps the identity that a device has, and there is none here",
            "mount the volume that it was on, or remove the edge and add it again",
        ),
        (None, Some(_)) => Finding::ok(
            "session",
            "none yet: the engine joins with the bundle's token as it starts",
        ),
    }
}
