//! Settings as far as they can be read: what the doctor goes by when some of them are wrong.

use super::environment::Environment;
use super::{Config, LISTEN, Proving, Settings, Trust};
use crate::fleet::Bundle;
use crate::http::client::{Network, Timeouts};
use crate::oci::{RegistryHost, Source};
use crate::registry::{Credentials, Transport};
use crate::runtime::Families;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is right of the settings, and all that is wrong.
#[derive(Debug)]
pub(in crate::engine) struct Partial {
    pub(in crate::engine) source: Option<Source>,
    pub(in crate::engine) credentials: Option<Credentials>,
    pub(in crate::engine) login_file: Option<PathBuf>,
    pub(in crate::engine) cpus: usize,
    pub(in crate::engine) kernels: Families,
    pub(in crate::engine) listen: SocketAddr,
    /// The certificate that clients are shown, whether or not it can be used.
    pub(in crate::engine) certificate: Option<PathBuf>,
    /// Where fetched models are or would be kept; nothing was made there.
    pub(in crate::engine) persist: Option<PathBuf>,
    pub(in crate::engine) network: Network,
    pub(in crate::engine) bundle: Option<Bundle>,
    pub(in crate::engine) journal: Option<Settings>,
    pub(in crate::engine) trust: Trust,
    pub(in crate::engine) proving: Proving,
    pub(in crate::engine) problems: Vec<String>,
    pub(in crate::engine) warnings: Vec<String>,
    plain_http: Vec<RegistryHost>,
    tls_only: Vec<RegistryHost>,
}

impl Partial {
    /// Reads what these variables mean and changes nothing on the device.
    pub(in crate::engine) fn read(variables: &[(String, String)]) -> Partial {
        let environment = || Environment::new(variables.iter().cloned()).looking_only();
        let problems = match Config::read(environment()) {
            Ok(_) => Vec::new(),
            Err(error) => error.0,
        };
        let mut environment = environment();
        let bundle = environment.bundle();
        let source = environment.source();
        let (credentials, login_file) = environment.login(source.as_ref());
        let cpus = environment.cpus();
        let kernels = environment.kernels();
        let listen = environment.parsed("POTOROO_LISTEN", "an address and port");
        let plain_http = environment.plain_http();
        let tls_only = environment.tls_only(source.as_ref());
        let network = environment.network();
        let trust = environment.trust();
        let proving = environment.proving();
        let persist = environment.persist();
        let journal = environment.journal(bundle.is_some());
        Partial {
            certificate: environment.text("POTOROO_TLS_CERT").map(PathBuf::from),
            warnings: environment.warnings,
            listen: listen.unwrap_or(LISTEN),
            source,
            credentials,
            login_file,
            cpus,
            kernels,
            persist,
            network,
            bundle,
            journal,
            trust,
            proving,
            problems,
            plain_http,
            tls_only,
        }
    }

    /// How registries are reached, with these waits.
    pub(in crate::engine) fn transport(&self, timeouts: Timeouts) -> Transport {
        Transport::new(timeouts, self.plain_http.clone())
            .through(&self.network)
            .with_tls(self.tls_only.clone())
    }
}
