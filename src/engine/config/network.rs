//! What the environment says about the network: proxies, trust roots, TLS by name, and kept logins.

use super::environment::Environment;
use crate::http::client::{Network, NetworkRead};
use crate::oci::{RegistryHost, Source};
use crate::registry::{Credentials, Logins};
use std::path::PathBuf;

impl Environment {
    pub(super) fn network(&mut self) -> Network {
        let NetworkRead { network, problems, warnings } =
            Network::read(|name| self.text(name).map(str::to_owned));
        self.problems.extend(problems);
        self.warnings.extend(warnings);
        network
    }

    /// A registry that is written with `https://` is never asked without, loopback or not.
    pub(super) fn tls_only(&self, source: Option<&Source>) -> Vec<RegistryHost> {
        let Some(Source::Registry(reference)) = source else { return Vec::new() };
        let is_tls = |name| self.text(name).is_some_and(|text| text.starts_with("https://"));
        let said = is_tls("PIPELINE_URL") || is_tls("OCI_REGISTRY");
        said.then(|| reference.registry.clone()).into_iter().collect()
    }

    /// Who logs in: by our own settings, else by what another tool keeps in the file beside it.
    pub(super) fn login(
        &mut self,
        source: Option<&Source>,
    ) -> (Option<Credentials>, Option<PathBuf>) {
        let is_ours = ["OCI_USERNAME", "OCI_PASSWORD", "OCI_USERNAME_FILE", "OCI_PASSWORD_FILE"]
            .iter()
            .any(|name| self.text(name).is_some());
        let credentials = self.credentials(source);
        if is_ours {
            return (credentials, None);
        }
        self.kept_login(source).unzip()
    }

    /// The login that another tool keeps for the registry, and the file that it is from.
    fn kept_login(&mut self, source: Option<&Source>) -> Option<(Credentials, PathBuf)> {
        let Some(Source::Registry(reference)) = source else { return None };
        let logins = Logins::read(|name| self.text(name).map(str::to_owned));
        let login = logins.find(&reference.registry, &reference.repository);
        self.warnings.extend(login.warnings);
        login.credentials.zip(login.file)
    }
}
