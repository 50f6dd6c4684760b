//! Registries: logging in, fetching and pushing artifacts, image layouts on disk, and signatures.

mod credentials;
mod logins;
mod remote;

mod challenge;
mod session;

mod pull;
mod push;
pub mod verify;

mod archive;
mod layout;
mod shelf;

pub mod signature;

mod coming;
mod pace;
mod partial;
mod range;
mod retry;
mod transfer;

mod error;
mod failure;
mod reply;

pub use archive::{Archive, ArchiveFault, Contents, write_archive};
pub use credentials::{Credentials, Secret};
pub use error::{Doing, Error, LayoutFault, Oddity};
pub use layout::{INDEX_BYTES_MAX, Incoming, Layout, Listed, Swept, Weighed};
pub use logins::{Login, Logins};
pub use push::Pushed;
pub use remote::{Remote, Transport};
pub use reply::Reply;
pub use retry::Retry;
pub use session::Action;
pub use shelf::Shelf;
pub use transfer::{Arrival, BLOBS_AT_ONCE, Brought, SPARE_BYTES, Transfer};

use crate::oci::{Digest, Manifest};

/// A manifest as it came, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The manifest, read.
    pub manifest: Manifest,
    /// The sha256 of `bytes`.
    pub digest: Digest,
    /// The manifest, to the byte.
    pub bytes: Vec<u8>,
}
