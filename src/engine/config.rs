//! The engine's configuration: environment variables in, one checked `Config` out.

use crate::fleet::Bundle;
use crate::http::client::{Network, Timeouts};
use crate::http::server::{ApiKey, Tls};
use crate::oci::{RegistryHost, Source};
use crate::registry::{Credentials, Transport};
use crate::runtime::Families;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod environment;
mod journal;
mod link;
mod network;
mod partial;
mod settings;
mod trust;

pub use super::journal::Settings;
pub use super::proof::Proving;
pub use super::slot::Fitting;
use environment::{Environment, malformed};
pub use link::LinkConfig;
pub(super) use partial::Partial;
pub use settings::{SETTINGS, Setting};
pub use trust::{Policy, Trust};

/// How long the engine serves on after a signal, where nothing else is said: a load balancer on
/// the same machine looks once a second or so.
pub(super) const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// How long an inference may wait and compute, where nothing else is said: the time-outs that
/// clients and proxies come with are 30 and 60 seconds.
const REQUEST_DEFAULT: Duration = Duration::from_secs(30);

/// Where the engine listens when nothing else is said.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// What the engine does: every value is checked.
#[derive(Debug)]
pub struct Config {
    /// The pipeline's place.
    pub source: Source,
    /// `PIPELINE_URL` as it was written, for the start-up lines.
    pub pipeline_url: String,
    /// Who logs in to the registry; nobody for an anonymous pull.
    pub credentials: Option<Credentials>,
    /// The file of another tool that the credentials are from; `None` for those of our settings.
    pub login_file: Option<PathBuf>,
    /// Compute threads.
    pub cpus: usize,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How long to serve on after a signal.
    pub grace: Duration,
    /// How long an inference may wait and compute.
    pub request_max: Duration,
    /// Whether rows of several requests compute together when they have to wait.
    pub batches: bool,
    /// The kernels of our own that models run on.
    pub kernels: Families,
    /// The key that clients must show; without it anyone is answered.
    pub api_key: Option<ApiKey>,
    /// The certificate that clients are shown; without it they speak plain HTTP.
    pub tls: Option<Tls>,
    /// Whose signature a pipeline needs before it runs.
    pub trust: Trust,
    /// What the known answers of a pipeline lead to.
    pub proving: Proving,
    /// What the expectation that a model will not fit into the memory leads to.
    pub fitting: Fitting,
    /// Where fetched models are kept.
    pub persist: PathBuf,
    /// Registries that may be asked without TLS.
    pub plain_http: Vec<RegistryHost>,
    /// Registries that are asked by TLS alone, though they are on this machine.
    pub tls_only: Vec<RegistryHost>,
    /// Proxies and trust roots.
    pub network: Network,
    /// What is odd and keeps nothing from starting, a sentence each.
    pub warnings: Vec<String>,
    /// What the ops center gave this edge.
    pub bundle: Option<Bundle>,
    /// What is kept of inferences; nothing where nobody wants it.
    pub journal: Option<Settings>,
    /// The ops center that this edge reports to; none where the bundle names none.
    pub link: Option<LinkConfig>,
    /// The edge's name in answers: that of its bundle, else the host's as the container tells it.
    pub partition: String,
}

/// Every fault of the environment, one sentence each, none of them with a secret's value.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\nerror: "))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// These faults.
    pub(super) fn of(problems: Vec<String>) -> ConfigError {
        ConfigError(problems)
    }
}

impl Config {
    /// The configuration that these variables mean.
    ///
    /// # Errors
    /// All that is missing or malformed, at once.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        Config::read(Environment::new(variables))
    }

    /// How registries are reached, with these waits.
    #[must_use]
    pub fn transport(&self, timeouts: Timeouts) -> Transport {
        Transport::new(timeouts, self.plain_http.clone())
            .through(&self.network)
            .with_tls(self.tls_only.clone())
    }

    fn read(mut environment: Environment) -> Result<Config, ConfigError> {
        let bundle = environment.bundle();
        let source = environment.source();
        let (credentials, login_file) = environment.login(source.as_ref());
        let cpus = environment.cpus();
        let listen = environment.parsed("POTOROO_LISTEN", "an address and port, `0.0.0.0:8080`");
        let grace = environment.seconds("POTOROO_GRACE_SECONDS", 0, GRACE_DEFAULT);
        let request_max = environment.seconds("POTOROO_REQUEST_SECONDS", 1, REQUEST_DEFAULT);
        let batches = environment.parsed("POTOROO_BATCH", "`true` or `false`");
        let kernels = environment.kernels();
        let plain_http = environment.plain_http();
        let tls_only = environment.tls_only(source.as_ref());
        let network = environment.network();
        let api_key = environment.api_key();
        let tls = environment.tls();
        let trust = environment.trust();
        let proving = environment.proving();
        let fitting = environment.fitting();
        let persist = environment.persist();
        let journal = environment.journal(bundle.is_some());
        let link = environment.link(bundle.as_ref(), &plain_http, &tls_only);
        let _checked = debug_wanted(&environment.variables).map_err(|problem| {
            environment.problems.push(problem);
        });
        environment.refuse_unknown();
        let partition = partition_of(bundle.as_ref(), &environment);
        match (source, persist, environment.problems) {
            (Some(source), Some(persist), problems) if problems.is_empty() => Ok(Config {
                source,
                pipeline_url: environment.variables.remove("PIPELINE_URL").unwrap_or_default(),
                credentials,
                login_file,
                cpus,
                listen: listen.unwrap_or(LISTEN),
                grace,
                request_max,
                batches: batches.unwrap_or(true),
                kernels,
                api_key,
                tls,
                trust,
                proving,
                fitting,
                persist,
                plain_http,
                tls_only,
                network,
                warnings: environment.warnings,
                bundle,
                journal,
                link,
                partition,
            }),
            (_, _, problems) => Err(ConfigError(problems)),
        }
    }
}

/// The persistent directory that these variables mean: all that some commands need.
///
/// # Errors
/// When it cannot be used.
pub fn persist_directory(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<PathBuf, ConfigError> {
    let mut environment = Environment::new(variables);
    match environment.persist() {
        Some(directory) => Ok(directory),
        None => Err(ConfigError(environment.problems)),
    }
}

/// The edge's name that these variables mean, as answers carry it.
///
/// # Errors
/// When a bundle cannot be read.
pub fn partition(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<String, ConfigError> {
    let mut environment = Environment::new(variables);
    let bundle = environment.bundle();
    if !environment.problems.is_empty() {
        return Err(ConfigError(environment.problems));
    }
    Ok(partition_of(bundle.as_ref(), &environment))
}

fn partition_of(bundle: Option<&Bundle>, environment: &Environment) -> String {
    let named = bundle.and_then(|bundle| bundle.value("EDGE_NAME"));
    named.or(environment.text("HOSTNAME")).unwrap_or_default().to_owned()
}

/// Whether `DEBUG` asks for more lines; needed before the rest is read.
///
/// # Errors
/// A sentence when it is neither `true` nor `false`.
pub fn debug_wanted(variables: &BTreeMap<String, String>) -> Result<bool, String> {
    match variables.get("DEBUG").map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(malformed("DEBUG", "`true` or `false`")),
    }
}

#[cfg(test)]
mod tests;
