//! The center: what every request and every worker of the ops center shares.

use super::access::Guard;
use super::address::Address;
use super::dashboard::Streams;
use super::distribution::Repositories;
use super::drift::Bell;
use super::home::Home;
use super::logs::Logs;
use super::models::Models;
use super::publishes::Desk;
use super::settings::Settings;
use super::store::Store;
use crate::clock::{self, Clock};
use std::sync::Arc;

/// The ops center while it runs.
pub(in crate::ops) struct Center {
    /// How it was started.
    pub settings: Settings,
    /// Its directory.
    pub home: Home,
    /// Its records.
    pub store: Arc<Store>,
    /// What edges inferred.
    pub logs: Logs,
    /// Where the counter of drift is told that somebody waits.
    pub drift: Bell,
    /// What stands before its passwords.
    pub guard: Guard,
    /// What requests and the checker of models share.
    pub models: Models,
    /// How people and edges reach it.
    pub address: Address,
    /// Its own registry.
    pub repositories: Repositories,
    /// Where its publish worker is told of work.
    pub desk: Desk,
    /// Browsers that listen to what happens.
    pub streams: Arc<Streams>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
}

impl Center {
    /// Whether browsers reach it by TLS, ours or that of something in front of it.
    pub(in crate::ops) fn is_secure(&self) -> bool {
        self.address.is_tls
    }

    /// Now, in milliseconds since the epoch.
    pub(in crate::ops) fn now_ms(&self) -> i64 {
        i64::try_from(clock::unix_ms(&*self.clock)).unwrap_or(i64::MAX)
    }
}
