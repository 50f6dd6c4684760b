//! How an ops center is started: where it keeps its records, where it listens, where it publishes to.

use super::Login;
use super::proxies::Network;
use super::sign::Signing;
use crate::oci::RegistryHost;
use crate::registry::Secret;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where `potoroo-ops serve` listens unless told otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8090";

/// Everything that an ops center is told at its start.
#[derive(Debug)]
pub struct Settings {
    /// The directory with records and blobs.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How people and edges reach it, `https://ops.example.com`, without a slash at the end; what it
    /// listens on where there is none.
    pub url: Option<String>,
    /// Certificate chain and private key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether it may be reached without TLS from other machines.
    pub plain_http: bool,
    /// The registry that publishes go to; its own at `/v2/` where there is none.
    pub registry: Option<External>,
    /// The engine image that edges run.
    pub engine_url: Option<String>,
    /// With which key publishes are signed, if they are.
    pub signing: Option<Signing>,
    /// Reverse proxies whose word counts for where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// How much of what edges inferred is kept.
    pub logs: LogsKept,
    /// How often edges report, seconds.
    pub report_seconds: u64,
    /// The first administrator, who is made where there is no user yet; nobody is asked then.
    pub admin: Option<Admin>,
}

/// How long logs are kept: whole files go, the oldest first, when either is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsKept {
    /// Days from when they came.
    pub days: u32,
    /// Bytes on the disk, as edges sent them.
    pub bytes: u64,
    /// Bytes a second that are taken of one edge; it is told when to come again with more.
    pub edge_bytes_per_s: u64,
}

/// A person to be: email and password.
#[derive(Debug)]
pub struct Admin {
    /// What they sign in with.
    pub email: String,
    /// Their password.
    pub password: Secret,
}

/// A registry that publishes are pushed to, and what lies before their names there.
#[derive(Debug)]
pub struct External {
    /// Its host.
    pub host: RegistryHost,
    /// The path before `pipelines/` and `charts/`, often empty.
    pub prefix: String,
    /// Who pushes, and how.
    pub login: Box<Login>,
}
