//! Who we are to registries, and how they are reached.

use crate::http::client::Timeouts;
use crate::oci::{Reference, RegistryHost};
use crate::registry::{Credentials, Remote, Transport};

/// What it takes to talk to a registry.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// The user; nobody for a registry that lets anyone in.
    pub credentials: Option<Credentials>,
    /// Registries that may be spoken to without TLS.
    pub plain_http: Vec<RegistryHost>,
}

impl Login {
    /// A session about the repository of this reference.
    pub(super) fn remote(&self, reference: &Reference) -> Remote {
        let transport = Transport::new(Timeouts::EDGE, self.plain_http.clone());
        let Reference { registry, repository, .. } = reference.clone();
        Remote::new(transport, registry, repository, self.credentials.clone())
    }
}
