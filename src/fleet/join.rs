//! Joining: an edge shows the token of its bundle once, and gets a session that it keeps.

use super::{Id, PublicKey};
use serde::{Deserialize, Serialize};

/// What `POST join` carries. Its token is a secret, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token of the bundle.
    pub token: String,
    /// The edge's name, of the bundle.
    pub edge: String,
    /// The key that the session is bound to; the request is signed by it.
    pub public_key: PublicKey,
    /// What device speaks.
    pub device: Device,
    /// What engine speaks.
    pub engine: EngineFacts,
}

/// What tells one device from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// A hash over what the hardware says of itself; none where it says nothing. No serial number
    /// can be found from it.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// The host's name, for people.
    #[serde(default)]
    pub host: Option<String>,
}

/// What the engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// `0.1.0`
    pub version: String,
    /// `aarch64`
    pub arch: String,
    /// `linux`
    pub os: String,
}

/// How the session stands after a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The serial that the edge uses from its next request on, once that is on its disk.
    pub serial: u64,
    /// Until when the session holds without a further contact, milliseconds since 1970.
    pub expires_ms: u64,
    /// The ops center's clock, milliseconds since 1970.
    pub time_ms: u64,
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The edge's name.
    pub edge: String,
    /// The session.
    pub session: Id,
    /// How it stands.
    #[serde(flatten)]
    pub facts: SessionFacts,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("edge", &self.edge).finish_non_exhaustive()
    }
}
