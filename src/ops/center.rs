//! The center: what every request and every worker of the ops center shares.

use super::access::Guard;
use super::home::Home;
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
    pub store: Store,
    /// What stands before its passwords.
    pub guard: Guard,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
}

impl Center {
    /// Whether browsers reach it by TLS, ours or that of something in front of it.
    pub(in crate::ops) fn is_secure(&self) -> bool {
        let url = self.settings.url.as_deref();
        self.settings.tls.is_some() || url.is_some_and(|url| url.starts_with("https://"))
    }

    /// Now, in milliseconds since the epoch.
    pub(in crate::ops) fn now_ms(&self) -> i64 {
        i64::try_from(clock::unix_ms(&*self.clock)).unwrap_or(i64::MAX)
    }
}
