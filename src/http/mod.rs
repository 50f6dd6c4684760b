//! HTTP/1.1 in both directions: the server that sensors ask, and the client that pulls and pushes.

pub mod client;
pub mod date;
pub mod percent;
pub mod query;
#[cfg(any(feature = "engine", feature = "ops"))]
pub mod server;
