//! The port: free, taken by an engine that is well, or taken by something else.

use super::Found;
use super::finding::Finding;
use crate::engine::healthcheck::look;
use crate::http::client::Seen;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// What to do about a port that is not ours to take.
const ELSEWHERE: &str =
    "stop what listens there, or set POTOROO_LISTEN to another address and port";

pub(super) fn examine(listen: SocketAddr, certificate: Option<&Path>, found: Found<'_>) {
    let error = match TcpListener::bind(listen) {
        Ok(_) => return found(Finding::ok("port", format!("{listen} is free"))),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AddrInUse {
        let finding = format!("cannot listen on {listen}: {error}");
        return found(Finding::fail("port", finding, ELSEWHERE));
    }
    found(match look(listen, certificate) {
        Ok(seen) if is_engine(&seen) => {
            Finding::ok("port", format!("an engine answers at {listen} (status {})", seen.status))
        }
        Ok(Seen { status, .. }) => {
            let finding = format!("something else answers at {listen} (status {status})");
            Finding::fail("port", finding, ELSEWHERE)
        }
        Err(error) => {
            let why = crate::exit::chain(&error);
            let finding = format!("{listen} is taken, and not by an engine that is well: {why}");
            Finding::fail("port", finding, ELSEWHERE)
        }
    });
}

/// Whether an answer of `/healthz` is one that only an engine gives.
fn is_engine(seen: &Seen) -> bool {
    let body = String::from_utf8_lossy(&seen.body);
    matches!(seen.status, 200 | 503) && body.starts_with(r#"{"status":""#)
}
