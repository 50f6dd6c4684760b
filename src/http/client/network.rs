//! The network about a device, as the variables say that all programs of a machine read.

use std::error::Error as _;
use std::path::Path;

use super::{HeardTime, Proxies, Roots, RootsError};

/// How the network is: what is reached through proxies, and who is trusted.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The proxies; none by default.
    pub proxies: Proxies,
    /// The trust roots; by default those inside the program.
    pub roots: Roots,
    /// The latest time that is known from others, whatever the device's clock says.
    pub heard: HeardTime,
}

/// A network as it was read, and what was wrong with the variables.
#[derive(Debug, Default)]
pub struct NetworkRead {
    /// What could be read.
    pub network: Network,
    /// What must be corrected, a sentence each that names its variable and shows no secret.
    pub problems: Vec<String>,
    /// What is odd and may stay so.
    pub warnings: Vec<String>,
}

impl Network {
    /// Reads the variables; `value` gives that of one, where it is set and not empty.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> NetworkRead {
        let mut read = NetworkRead::default();
        match Proxies::read(&value) {
            Ok(proxies) => {
                read.warnings.extend(proxies.left_out().iter().map(|entry| {
                    format!(
                        "NO_PROXY has the entry `{entry}`, which is no host, address or network: \
                         it is left out"
                    )
                }));
                read.network.proxies = proxies;
            }
            Err(error) => read.problems.push(error.to_string()),
        }
        read.read_roots(value("POTOROO_CA_FILE"), value("SSL_CERT_FILE"));
        read
    }
}

impl NetworkRead {
    /// A file that was meant for us must be right. `SSL_CERT_FILE` is meant for every program of
    /// a machine: what is wrong with it is said, and keeps no device from starting.
    fn read_roots(&mut self, own: Option<String>, common: Option<String>) {
        let roots = |path: &str| Roots::with_file(Path::new(path)).map_err(with_cause);
        match (own, common) {
            (Some(path), _) => match roots(&path) {
                Ok(roots) => self.network.roots = roots,
                Err(why) => self.problems.push(format!("POTOROO_CA_FILE cannot be used: {why}")),
            },
            (None, Some(path)) => match roots(&path) {
                Ok(roots) => self.network.roots = roots,
                Err(why) => self.warnings.push(format!(
                    "SSL_CERT_FILE cannot be used, and the built-in authorities alone are \
                     trusted: {why}"
                )),
            },
            (None, None) => {}
        }
    }
}

fn with_cause(error: RootsError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[cfg(test)]
mod tests {
    use super::{Network, NetworkRead};

    fn read(variables: &[(&str, &str)]) -> NetworkRead {
        Network::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn a_file_of_our_own_must_be_right_and_a_common_one_need_not() {
        let own = read(&[("POTOROO_CA_FILE", "/nowhere/ca.pem"), ("HTTPS_PROXY", "socks5://p")]);
        assert_eq!(own.problems.len(), 2);
        assert!(own.problems[1].starts_with("POTOROO_CA_FILE cannot be used: /nowhere/ca.pem"));
        let common = read(&[("SSL_CERT_FILE", "/nowhere/ca.pem"), ("NO_PROXY", "a.io,<local>")]);
        assert_eq!((common.problems.len(), common.warnings.len()), (0, 2), "{common:?}");
        assert_eq!(common.network.roots.added(), 0);
    }
}
