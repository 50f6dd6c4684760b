//! `potoroo-ops healthcheck`: whether the ops center on this machine answers, for images without `curl`.

use crate::exit::{self, Exit, Failure};
use crate::http::client::{Glance, GlanceError, Seen, reachable};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What is asked: answered to anyone, by the records' own thread of a request.
const ASKED: &str = "/v1/api/config";

/// How long the center may take to answer: less than any supervisor waits.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the center that listens there, and says nothing when it is well.
///
/// # Errors
/// When it does not answer; always [`Exit::Failed`], which is all that docker knows.
pub(super) fn healthcheck(listen: SocketAddr, certificate: Option<&Path>) -> Result<(), Failure> {
    match look(listen, certificate) {
        Ok(Seen { status: 200, .. }) => Ok(()),
        Ok(Seen { status, .. }) => {
            let sentence = format!("the ops center at {listen} is not well (status {status})");
            Err(Failure::new(Exit::Failed, sentence))
        }
        Err(error) => Err(Failure::new(Exit::Failed, exit::chain(&error))),
    }
}

/// What a center says at an address that it listens on.
///
/// # Errors
/// When nothing that speaks HTTP answers.
pub(in crate::ops) fn look(
    listen: SocketAddr,
    certificate: Option<&Path>,
) -> Result<Seen, GlanceError> {
    Glance { address: reachable(listen), path: ASKED, certificate, limit: LIMIT }.look()
}
