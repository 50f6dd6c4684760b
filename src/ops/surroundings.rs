//! What stands about a command: proxies, trust roots, and the logins that other tools keep.

use crate::exit::{Exit, Failure};
use crate::http::client::{Network, NetworkRead};
use crate::logging::{AT_PUBLISH, quoted};
use crate::oci::{RegistryHost, Repository};
use crate::registry::{Credentials, Logins};

/// The network and the logins, as the environment has them.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Proxies and trust roots.
    pub network: Network,
    logins: Logins,
}

impl Surroundings {
    /// Reads the variables of this process.
    ///
    /// # Errors
    /// [`Exit::Usage`] when one of them cannot be used.
    pub fn read() -> Result<Surroundings, Failure> {
        let value = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let NetworkRead { network, problems, warnings } = Network::read(value);
        for warning in warnings {
            log::warn!(target: AT_PUBLISH, "{}", quoted("msg", &warning));
        }
        if !problems.is_empty() {
            return Err(Failure::new(Exit::Usage, problems.join("\nerror: "))
                .hint("correct the variable or leave it out"));
        }
        Ok(Surroundings { network, logins: Logins::read(value) })
    }

    /// The login that docker or podman keeps for the registry, if one does.
    pub fn login(&self, registry: &RegistryHost, repository: &Repository) -> Option<Credentials> {
        let login = self.logins.find(registry, repository);
        for warning in &login.warnings {
            log::warn!(target: AT_PUBLISH, "{}", quoted("msg", warning));
        }
        if let Some(file) = &login.file {
            log::info!(target: AT_PUBLISH, "login_file={file:?} msg=\"the login of another tool is used\"");
        }
        login.credentials
    }
}
