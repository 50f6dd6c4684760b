//! What a client is told that gets nothing: status, code and sentence in the specification's form.

use std::time::Duration;

use serde_json::json;

use super::access::Challenge;
use crate::http::server::Response;
use crate::logging::AT_SERVE;
use crate::oci::{Digest, DigestError, ReferenceError, Repository, Version};
use crate::registry;

/// When a client may ask again that met a store in trouble.
const TROUBLE_PASSES: Duration = Duration::from_secs(5);

/// Why a request gets no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Any other method than to read.
    #[error("this registry is for pulling: publish with `potoroo-ops` or on the dashboard")]
    ReadOnly,
    /// No path of the specification.
    #[error("the path is none of this registry's: manifests, blobs, tags/list and referrers are")]
    Path,
    /// No name of a repository.
    #[error("{0}")]
    Name(#[source] ReferenceError),
    /// No tag.
    #[error("{0}")]
    Tag(#[source] ReferenceError),
    /// No digest.
    #[error("{0}")]
    Digest(#[source] DigestError),
    /// Nothing was published there.
    #[error("there is no repository {0}: check its name, and that it was published")]
    Repository(Repository),
    /// The repository has no such manifest.
    #[error("{repository}{version} is unknown: check the tag, and that it was published")]
    Manifest {
        /// Where it was looked for.
        repository: Repository,
        /// What was looked for.
        version: Version,
    },
    /// No manifest of the repository has such a blob.
    #[error("no manifest of {repository} names the blob {digest}")]
    Blob {
        /// Where it was looked for.
        repository: Repository,
        /// What was looked for.
        digest: Digest,
    },
    /// A range that begins after the end.
    #[error("the range lies outside of the {bytes} bytes of the blob: ask for bytes within them")]
    Range {
        /// What the blob has.
        bytes: u64,
    },
    /// `n` is no number.
    #[error("n is not a whole number: leave it out, or ask for so many tags in decimal digits")]
    PageSize,
    /// A token for another service.
    #[error("tokens are given for the service potoroo alone: ask with service=potoroo")]
    Service,
    /// Too much asked for at once.
    #[error("a token is for at most {max} repositories: ask for fewer scopes")]
    Scopes {
        /// How many are taken.
        max: usize,
    },
    /// Nobody is named, or not with what is theirs.
    #[error("{why}")]
    Unauthorized {
        /// What is missing or wrong.
        why: &'static str,
        /// How to log in.
        challenge: Challenge,
    },
    /// The login is good, but not for this.
    #[error("this login may not pull from {0}: ask for the right to it, or use another")]
    Denied(Repository),
    /// So many logins failed that no more are looked at for now.
    #[error("too many logins failed from this address: try again in {} s", seconds(*wait))]
    Throttled {
        /// Until one more is looked at.
        wait: Duration,
    },
    /// Who may pull is not known just now.
    #[error("logins cannot be checked just now: try again in {} s", TROUBLE_PASSES.as_secs())]
    Unavailable,
    /// The disk or what is on it.
    #[error("the repository cannot be read, for a reason that is in the log of the ops center")]
    Store(#[from] registry::Error),
    /// The file of a blob.
    #[error("the blob cannot be read, for a reason that is in the log of the ops center")]
    File(#[source] std::io::Error),
}

impl Fault {
    /// Status and code, the latter of the specification or as the distribution project has it.
    const fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::ReadOnly => (405, "UNSUPPORTED"),
            Self::Path => (404, "NAME_UNKNOWN"),
            Self::Name(_) => (400, "NAME_INVALID"),
            Self::Tag(_) => (404, "MANIFEST_UNKNOWN"),
            Self::Digest(_) => (400, "DIGEST_INVALID"),
            Self::Repository(_) => (404, "NAME_UNKNOWN"),
            Self::Manifest { .. } => (404, "MANIFEST_UNKNOWN"),
            Self::Blob { .. } => (404, "BLOB_UNKNOWN"),
            Self::Range { .. } => (416, "RANGE_INVALID"),
            Self::PageSize => (400, "PAGINATION_NUMBER_INVALID"),
            Self::Service | Self::Scopes { .. } => (400, "UNSUPPORTED"),
            Self::Unauthorized { .. } => (401, "UNAUTHORIZED"),
            Self::Denied(_) => (403, "DENIED"),
            Self::Throttled { .. } => (429, "TOOMANYREQUESTS"),
            Self::Unavailable => (503, "UNAVAILABLE"),
            Self::Store(_) | Self::File(_) => (500, "UNKNOWN"),
        }
    }

    /// The answer, with what its status asks for beside the body.
    pub(super) fn into_response(self) -> Response {
        let (status, code) = self.kind();
        let message = self.to_string();
        let body = json!({ "errors": [{ "code": code, "message": message }] });
        let response = Response::new(status, "application/json", format!("{body}\n"));
        match self {
            Self::ReadOnly => response.with_header("Allow", "GET, HEAD".to_owned()),
            Self::Range { bytes } => {
                response.with_header("Content-Range", format!("bytes */{bytes}"))
            }
            Self::Unauthorized { challenge, .. } => challenge.write(response),
            Self::Throttled { wait } => {
                response.with_header("Retry-After", seconds(wait).to_string())
            }
            Self::Unavailable => {
                response.with_header("Retry-After", TROUBLE_PASSES.as_secs().to_string())
            }
            Self::Store(error) => {
                log::error!(target: AT_SERVE, "msg={:?}", crate::exit::chain(&error));
                response
            }
            Self::File(error) => {
                log::error!(target: AT_SERVE, "msg=\"a blob cannot be opened: {error}\"");
                response
            }
            Self::Path
            | Self::Name(_)
            | Self::Tag(_)
            | Self::Digest(_)
            | Self::Repository(_)
            | Self::Manifest { .. }
            | Self::Blob { .. }
            | Self::PageSize
            | Self::Service
            | Self::Scopes { .. }
            | Self::Denied(_) => response,
        }
    }
}

/// Whole seconds, and no fewer than it takes.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
