//! Who we are to registries, and how they are reached.

use super::surroundings::Surroundings;
use crate::http::client::Timeouts;
use crate::oci::{Reference, RegistryHost};
use crate::registry::{Credentials, Remote, Transport};

/// What it takes to talk to a registry.
#[derive(Debug, Default)]
pub struct Login {
    /// The user, before those whose logins other tools keep; nobody for a registry that lets
    /// anyone in.
    pub credentials: Option<Credentials>,
    /// Registries that may be spoken to without TLS.
    pub plain_http: Vec<RegistryHost>,
    /// Registries that are spoken to by TLS alone, though they are on this machine.
    pub tls_only: Vec<RegistryHost>,
    /// Proxies, trust roots, and the logins of other tools.
    pub surroundings: Surroundings,
}

impl Login {
    /// A session about the repository of this reference.
    pub(super) fn remote(&self, reference: &Reference) -> Remote {
        let transport = Transport::new(Timeouts::EDGE, self.plain_http.clone())
            .through(&self.surroundings.network)
            .with_tls(self.tls_only.clone());
        let Reference { registry, repository, .. } = reference.clone();
        let credentials =
            self.credentials.clone().or_else(|| self.surroundings.login(&registry, &repository));
        Remote::new(transport, registry, repository, credentials)
    }
}
