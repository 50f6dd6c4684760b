//! What can go wrong with a registry or a layout, each with its sentence and its next step.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Reply;
use crate::disk;
use crate::http::client;
use crate::oci::{Digest, ManifestError, RegistryHost, Repository};

/// Why an artifact could not be fetched, pushed or stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or one that broke: name, port, proxy, silence.
    #[error("the registry {registry} cannot be reached ({doing})")]
    Unreachable {
        /// The registry that was named.
        registry: RegistryHost,
        /// What was being done.
        doing: Doing,
        /// Why.
        source: client::Error,
    },
    /// A certificate we do not trust, or no TLS at all.
    #[error("there is no trusted TLS connection with the registry {registry}")]
    Untrusted {
        /// The registry that was named.
        registry: RegistryHost,
        /// Why.
        source: client::Error,
    },
    /// Credentials are asked for and none were given.
    #[error("the registry {registry} asks for credentials, and none were given{reply}")]
    CredentialsMissing {
        /// The registry that was named.
        registry: RegistryHost,
        /// Its words.
        reply: Reply,
    },
    /// The credentials were refused.
    #[error("the registry {registry} refuses the user name and password{reply}")]
    CredentialsWrong {
        /// The registry that was named.
        registry: RegistryHost,
        /// Its words.
        reply: Reply,
    },
    /// The credentials are good, but not for this.
    #[error("the registry {registry} does not allow {doing} in {repository}{reply}")]
    Denied {
        /// The registry that was named.
        registry: RegistryHost,
        /// The repository.
        repository: Repository,
        /// What was being done.
        doing: Doing,
        /// Its words.
        reply: Reply,
    },
    /// There is no such repository.
    #[error("the registry has no repository for {reference}{reply}")]
    UnknownRepository {
        /// The reference asked for.
        reference: String,
        /// Its words.
        reply: Reply,
    },
    /// There is no such tag or digest, here or in a layout.
    #[error("{reference} is unknown{reply}")]
    UnknownVersion {
        /// The reference asked for.
        reference: String,
        /// Its words.
        reply: Reply,
    },
    /// A manifest names a blob that is not there.
    #[error("the blob {digest} is missing from {place}{reply}")]
    UnknownBlob {
        /// The digest of the blob.
        digest: Digest,
        /// The repository or directory.
        place: String,
        /// Its words.
        reply: Reply,
    },
    /// Other bytes than promised.
    #[error("{what} has the digest {found}, expected {expected}")]
    DigestMismatch {
        /// What was fetched or read.
        what: String,
        /// The digest promised.
        expected: Digest,
        /// The digest found.
        found: Digest,
    },
    /// A blob of which another size is announced than its descriptor has.
    #[error("the blob {digest} is announced with {announced} bytes, expected {expected}")]
    SizeMismatch {
        /// The digest of the blob.
        digest: Digest,
        /// The size announced, in bytes.
        announced: u64,
        /// The size of its descriptor, in bytes.
        expected: u64,
    },
    /// A blob that ended early.
    #[error("the blob ended after {got} of {expected} bytes ({digest})")]
    Ended {
        /// The digest of the blob.
        digest: Digest,
        /// The bytes that came.
        got: u64,
        /// The bytes promised.
        expected: u64,
    },
    /// A blob that did not end.
    #[error("the blob goes on after its {expected} bytes ({digest})")]
    TooLong {
        /// The digest of the blob.
        digest: Digest,
        /// The bytes promised.
        expected: u64,
    },
    /// Something over its limit.
    #[error("{what} has more than {bytes_max} bytes")]
    TooLarge {
        /// What it is.
        what: String,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// A manifest that is none or cannot be used.
    #[error("{reference} cannot be used as a manifest")]
    NotAManifest {
        /// The reference asked for.
        reference: String,
        /// Why not.
        source: ManifestError,
    },
    /// Too many requests.
    #[error("the registry {registry} limits our requests{}", in_seconds(*retry_after))]
    RateLimited {
        /// The registry that was named.
        registry: RegistryHost,
        /// How long to wait, where it says so in seconds.
        retry_after: Option<Duration>,
    },
    /// The registry has troubles of its own.
    #[error("the registry {registry} fails with status {status} ({doing}){reply}")]
    Server {
        /// The registry that was named.
        registry: RegistryHost,
        /// The status, 500 or above.
        status: u16,
        /// What was being done.
        doing: Doing,
        /// How long to wait, where it says so.
        retry_after: Option<Duration>,
        /// Its words.
        reply: Reply,
    },
    /// Any other refusal.
    #[error("the registry {registry} answers with status {status} ({doing}){reply}")]
    Refused {
        /// The registry that was named.
        registry: RegistryHost,
        /// The status.
        status: u16,
        /// What was being done.
        doing: Doing,
        /// Its words.
        reply: Reply,
    },
    /// The other side breaks the rules.
    #[error("the registry {registry} does not behave as a registry")]
    Protocol {
        /// The registry that was named.
        registry: RegistryHost,
        /// Which rule.
        #[source]
        oddity: Oddity,
    },
    /// A directory that is no image layout.
    #[error("{} is not an OCI image layout: {fault}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        fault: LayoutFault,
    },
    /// A disk without room for what is to come.
    #[error(
        "{} has {free_bytes} bytes free, and {needed_bytes} are needed", directory.display()
    )]
    NoSpace {
        /// The directory that was to take it.
        directory: PathBuf,
        /// The bytes that are still to come, and what is left free beside them.
        needed_bytes: u64,
        /// The bytes that may still be written there.
        free_bytes: u64,
    },
    /// The disk.
    #[error("the disk does not do its part")]
    Disk(#[from] disk::Error),
    /// The system gives us no thread to fetch with.
    #[error("cannot start a thread to fetch with")]
    NoThread {
        /// What the system said.
        source: io::Error,
    },
    /// The blob to be sent or stored cannot be read.
    #[error("cannot read the blob {digest} where it comes from")]
    Source {
        /// The digest of the blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// The blob cannot be written where the caller wants it.
    #[error("cannot write the blob {digest} where it goes to")]
    Sink {
        /// The digest of the blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// What a person does next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { source, .. } | Self::Untrusted { source, .. } => {
                match source.hint() {
                    Some(hint) => hint,
                    None => {
                        "check the host and port in the reference, the network, and HTTPS_PROXY \
                         and NO_PROXY"
                    }
                }
            }
            Self::CredentialsMissing { .. } => {
                "set OCI_USERNAME and OCI_PASSWORD, or log in with `docker login` as the same user"
            }
            Self::CredentialsWrong { .. } => {
                "check OCI_USERNAME and OCI_PASSWORD; a token may have expired"
            }
            Self::Denied { .. } => "ask for the right to this repository, or use another account",
            Self::UnknownRepository { .. } => {
                "check the spelling; some registries say this of repositories the account may not see"
            }
            Self::UnknownVersion { .. } => "check the tag: was it published, and to this place?",
            Self::UnknownBlob { .. } => "publish the pipeline again: a part of it was deleted",
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::TooLong { .. } => {
                "try again; if it stays, the content was changed on its way: look for a proxy \
                 that rewrites it, or publish again"
            }
            Self::Ended { .. } => "the connection was cut; try again",
            Self::TooLarge { .. } => {
                "check the reference, and that an OCI registry answers there: no pipeline needs \
                 that much"
            }
            Self::NotAManifest { .. } => "check that the reference names a published pipeline",
            Self::RateLimited { .. } => "wait, then try again; with credentials limits are wider",
            Self::Server { .. } => "try again later; if it stays, ask who runs the registry",
            Self::Refused { .. } | Self::Protocol { .. } => {
                "check that an OCI registry answers at this host and port"
            }
            Self::NotALayout { .. } => {
                "check the path: it needs the files oci-layout and index.json"
            }
            Self::NoSpace { .. } => {
                "free some space, or name a larger directory in POTOROO_PERSIST; what has come \
                 is kept"
            }
            Self::Disk(_) | Self::Sink { .. } => {
                "check free space and write permission of the directory"
            }
            Self::NoThread { .. } => "raise the limit of processes and threads (ulimit -u)",
            Self::Source { .. } => "check that the file is there and readable",
        }
    }
}

fn in_seconds(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |it| format!(", and asks to wait {} s", it.as_secs()))
}

/// What was being done with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Asking whether it is a registry, and showing credentials.
    Login,
    /// Fetching a token from its token service.
    Token,
    /// Fetching a manifest.
    FetchManifest,
    /// Fetching a blob.
    FetchBlob,
    /// Asking whether a blob is there.
    CheckBlob,
    /// Sending a blob.
    PushBlob,
    /// Sending a manifest.
    PushManifest,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "logging in",
            Self::Token => "fetching a token",
            Self::FetchManifest => "fetching a manifest",
            Self::FetchBlob => "fetching a blob",
            Self::CheckBlob => "asking for a blob",
            Self::PushBlob => "pushing a blob",
            Self::PushManifest => "pushing a manifest",
        })
    }
}

/// How a registry breaks the rules.
#[derive(Debug, thiserror::Error)]
pub enum Oddity {
    /// A 401 that does not say how to log in.
    #[error("it asks for a login that is neither Basic nor Bearer")]
    NoChallenge,
    /// A token service that is no URL or would hear the password in plain text.
    #[error("its token service `{realm}` is not at an https:// address we may use")]
    Realm {
        /// The address, shortened, without query.
        realm: String,
    },
    /// A token answer without token.
    #[error("its token service answers without a usable token")]
    NoToken,
    /// Credentials that no header can hold.
    #[error("the credentials or the token have characters that HTTP cannot carry")]
    Unsendable,
    /// An upload session at an address that takes no digest.
    #[error("its upload session is not at a usable address")]
    UploadUri,
    /// A digest header that is none.
    #[error("its header Docker-Content-Digest is not a digest")]
    DigestHeader,
    /// A login page, the page of a proxy, or a web site.
    #[error("it answers with a web page, as a login page or a proxy does")]
    WebPage,
    /// HTTP that goes astray.
    #[error("its answer leads nowhere")]
    Http(#[source] client::Error),
}

/// What is wrong with a directory that should be an image layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutFault {
    /// The file `oci-layout` is missing.
    #[error("it has no file oci-layout")]
    NoMarker,
    /// The file `oci-layout` has another version, or none.
    #[error("its file oci-layout does not say version 1.0.0")]
    Version,
    /// The file `index.json` is missing.
    #[error("it has no file index.json")]
    NoIndex,
    /// The file `index.json` is not an image index.
    #[error("its file index.json is not an image index")]
    Index,
}
