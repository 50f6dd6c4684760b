//! The engine's configuration: environment variables in, one checked `Config` out.

use super::persist;
use crate::fleet::Bundle;
use crate::http::server::{ApiKey, Tls};
use crate::oci::{RegistryHost, Source};
use crate::registry::{Credentials, Secret};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// One environment variable of the engine, as `--help` and the README show it.
#[derive(Debug)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub meaning: &'static str,
}

/// Every variable that the engine reads. Those of the contract come first.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "PIPELINE_URL",
        default: "(required)",
        meaning: "The published pipeline: `registry/repository:tag`, `…@sha256:…`, or \
                  `oci-layout:PATH:TAG` for a directory.",
    },
    Setting {
        name: "OCI_REGISTRY",
        default: "registry of PIPELINE_URL",
        meaning: "The registry that the credentials are for; they go to no other host.",
    },
    Setting {
        name: "OCI_USERNAME",
        default: "(anonymous)",
        meaning: "The registry's user name, `_json_key_base64` and its like included.",
    },
    Setting {
        name: "OCI_PASSWORD",
        default: "(anonymous)",
        meaning: "The registry's password or token.",
    },
    Setting {
        name: "CONFIG_CPUS",
        default: "the CPUs that cgroup and affinity allow",
        meaning: "Compute threads of the process, 1 to 1024; a fraction is rounded up.",
    },
    Setting {
        name: "EDGE_BUNDLE",
        default: "(none)",
        meaning: "The edge bundle of the ops center, base64. Its values win over the variables.",
    },
    Setting { name: "DEBUG", default: "false", meaning: "`true` logs a line for each request." },
    Setting {
        name: "OCI_USERNAME_FILE",
        default: "(none)",
        meaning: "A file that holds `OCI_USERNAME`.",
    },
    Setting {
        name: "OCI_PASSWORD_FILE",
        default: "(none)",
        meaning: "A file that holds `OCI_PASSWORD`.",
    },
    Setting {
        name: "EDGE_BUNDLE_FILE",
        default: "(none)",
        meaning: "A file that holds `EDGE_BUNDLE`.",
    },
    Setting {
        name: "POTOROO_API_KEY",
        default: "(none)",
        meaning: "The key that clients show as `Authorization: Bearer KEY` or `X-API-Key: KEY`; \
                  `/healthz` and `/v2/health` need none.",
    },
    Setting {
        name: "POTOROO_API_KEY_FILE",
        default: "(none)",
        meaning: "A file that holds `POTOROO_API_KEY`.",
    },
    Setting {
        name: "POTOROO_LISTEN",
        default: "0.0.0.0:8080",
        meaning: "Address and port to listen on.",
    },
    Setting {
        name: "POTOROO_GRACE_SECONDS",
        default: "2",
        meaning: "After SIGTERM: how long the engine serves on while `/healthz` says 503, 0 to 3600.",
    },
    Setting {
        name: "POTOROO_REQUEST_SECONDS",
        default: "30",
        meaning: "How long an inference may wait and compute before it gets 503, 1 to 3600.",
    },
    Setting {
        name: "POTOROO_PERSIST",
        default: "/persist, else $XDG_STATE_HOME/potoroo",
        meaning: "The persistent directory: fetched models are kept there. `/persist` counts where \
                  it exists and can be written.",
    },
    Setting {
        name: "POTOROO_PLAIN_HTTP",
        default: "(none)",
        meaning: "Registries, `host:port` with commas between, that are asked without TLS. \
                  Loopback needs no entry.",
    },
    Setting {
        name: "POTOROO_TLS_CERT",
        default: "(none)",
        meaning: "The server's certificate chain, a PEM file. With it the engine speaks TLS alone, \
                  and reads both files again when they change.",
    },
    Setting {
        name: "POTOROO_TLS_KEY",
        default: "(none)",
        meaning: "The private key of `POTOROO_TLS_CERT`, a PEM file.",
    },
];

/// Variables that begin so are ours: one that [`SETTINGS`] does not list is a slip of the pen.
const OWN_PREFIX: &str = "POTOROO_";

/// Compute threads: more than any board or server that this engine was made for.
const CPUS_MAX: f64 = 1024.0;

/// How long the engine serves on after a signal, where nothing else is said: a load balancer on
/// the same machine looks once a second or so.
pub(super) const GRACE_DEFAULT: Duration = Duration::from_secs(2);

/// How long an inference may wait and compute, where nothing else is said: the time-outs that
/// clients and proxies come with are 30 and 60 seconds.
const REQUEST_DEFAULT: Duration = Duration::from_secs(30);

/// The longest time that can be set: who wants more has slipped a digit.
const SECONDS_MAX: u64 = 3600;

/// A secret's file. The longest in use is a service account key of some 3 KB in base64.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// Where the engine listens when nothing else is said.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// What the engine does: every value is checked.
#[derive(Debug)]
pub struct Config {
    /// The pipeline's place.
    pub source: Source,
    /// `PIPELINE_URL` as it was written, for the start-up lines.
    pub pipeline_url: String,
    /// Who logs in to the registry; nobody for an anonymous pull.
    pub credentials: Option<Credentials>,
    /// Compute threads.
    pub cpus: usize,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How long to serve on after a signal.
    pub grace: Duration,
    /// How long an inference may wait and compute.
    pub request_max: Duration,
    /// The key that clients must show; without it anyone is answered.
    pub api_key: Option<ApiKey>,
    /// The certificate that clients are shown; without it they speak plain HTTP.
    pub tls: Option<Tls>,
    /// Where fetched models are kept.
    pub persist: PathBuf,
    /// Registries that may be asked without TLS.
    pub plain_http: Vec<RegistryHost>,
    /// What the ops center gave this edge.
    pub bundle: Option<Bundle>,
    /// The edge's name in answers: that of its bundle, else the host's as the container tells it.
    pub partition: String,
}

/// Every fault of the environment, one sentence each, none of them with a secret's value.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\nerror: "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// The configuration that these variables mean.
    ///
    /// # Errors
    /// All that is missing or malformed, at once.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let mut environment = Environment::new(variables);
        let bundle = environment.bundle();
        let source = environment.source();
        let credentials = environment.credentials(source.as_ref());
        let cpus = environment.cpus();
        let listen = environment.parsed("POTOROO_LISTEN", "an address and port, `0.0.0.0:8080`");
        let grace = environment.seconds("POTOROO_GRACE_SECONDS", 0, GRACE_DEFAULT);
        let request_max = environment.seconds("POTOROO_REQUEST_SECONDS", 1, REQUEST_DEFAULT);
        let plain_http = environment.plain_http();
        let api_key = environment.api_key();
        let tls = environment.tls();
        let persist = environment.persist();
        let _checked = debug_wanted(&environment.variables).map_err(|problem| {
            environment.problems.push(problem);
        });
        environment.refuse_unknown();
        let named = bundle.as_ref().and_then(|bundle| bundle.value("EDGE_NAME"));
        let partition = named.or(environment.text("HOSTNAME")).unwrap_or_default().to_owned();
        match (source, persist, environment.problems) {
            (Some(source), Some(persist), problems) if problems.is_empty() => Ok(Config {
                source,
                pipeline_url: environment.variables.remove("PIPELINE_URL").unwrap_or_default(),
                credentials,
                cpus,
                listen: listen.unwrap_or(LISTEN),
                grace,
                request_max,
                api_key,
                tls,
                persist,
                plain_http,
                bundle,
                partition,
            }),
            (_, _, problems) => Err(ConfigError(problems)),
        }
    }
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

fn malformed(name: &str, expected: &str) -> String {
    format!("{name} is not {expected}: correct it or leave it out")
}

fn one_of_two(missing: &str, set: &str) -> String {
    format!("{missing} is not set, but {set} is: set both, or none for plain HTTP")
}

/// The variables while they are read, with what was wrong so far.
struct Environment {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Environment {
    fn new(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        // Compose and Kubernetes pass an empty text for what was left out.
        let variables =
            variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        Environment { variables, problems: Vec::new() }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim())
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let parsed = self.text(name)?.parse().ok();
        if parsed.is_none() {
            self.problems.push(malformed(name, expected));
        }
        parsed
    }

    /// The variable, or the content of the file that `NAME_FILE` names.
    fn secret(&mut self, name: &str) -> Option<String> {
        let file_name = format!("{name}_FILE");
        match (self.text(name).map(str::to_owned), self.text(&file_name).map(PathBuf::from)) {
            (value, None) => value,
            (None, Some(path)) => match read_secret(&path) {
                Ok(value) => Some(value),
                Err(problem) => {
                    self.problems.push(format!("{file_name} names {}, {problem}", path.display()));
                    None
                }
            },
            (Some(_), Some(_)) => {
                self.problems
                    .push(format!("{name} and {file_name} are both set: keep one of them"));
                None
            }
        }
    }

    /// Reads the bundle and lets its values win, as the original does.
    fn bundle(&mut self) -> Option<Bundle> {
        let text = self.secret("EDGE_BUNDLE")?;
        let bundle = match Bundle::parse(&text) {
            Ok(bundle) => bundle,
            Err(error) => {
                self.problems.push(format!("EDGE_BUNDLE cannot be read: {error}"));
                return None;
            }
        };
        for name in ["PIPELINE_URL", "OCI_REGISTRY", "CONFIG_CPUS"] {
            if let Some(value) = bundle.value(name) {
                self.variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Some(bundle)
    }

    fn source(&mut self) -> Option<Source> {
        let Some(text) = self.text("PIPELINE_URL") else {
            self.problems.push(
                "PIPELINE_URL is not set: set it to the published pipeline, \
                 registry/repository:tag"
                    .to_owned(),
            );
            return None;
        };
        match text.parse() {
            Ok(source) => Some(source),
            Err(error) => {
                let problem = format!("PIPELINE_URL is not a published pipeline: {error}");
                self.problems.push(problem);
                None
            }
        }
    }

    fn credentials(&mut self, source: Option<&Source>) -> Option<Credentials> {
        let username = self.secret("OCI_USERNAME");
        let password = self.secret("OCI_PASSWORD");
        let credentials = match (username, password) {
            (None, None) => None,
            (Some(username), Some(password)) => {
                Some(Credentials { username, password: Secret::new(password) })
            }
            (Some(_), None) => {
                self.problems.push(
                    "OCI_PASSWORD is not set, but OCI_USERNAME is: set both, or none for an \
                     anonymous pull"
                        .to_owned(),
                );
                None
            }
            (None, Some(_)) => {
                self.problems.push(
                    "OCI_USERNAME is not set, but OCI_PASSWORD is: set both, or none for an \
                     anonymous pull"
                        .to_owned(),
                );
                None
            }
        };
        self.registry_of(source);
        credentials
    }

    /// Credentials are for `OCI_REGISTRY`; they must not go to another host by a slip.
    fn registry_of(&mut self, source: Option<&Source>) {
        let Some(text) = self.text("OCI_REGISTRY") else { return };
        let bare = text.trim_start_matches("https://").trim_start_matches("oci://");
        let host = bare.split('/').next().unwrap_or_default();
        let problem = match host.parse::<RegistryHost>() {
            Err(error) => Some(format!("OCI_REGISTRY is not a registry: {error}")),
            Ok(host) => match source {
                Some(Source::Registry(reference)) if reference.registry != host => Some(format!(
                    "OCI_REGISTRY is {host}, but PIPELINE_URL names the registry {}: make them \
                     the same, for the credentials go to no other host",
                    reference.registry
                )),
                Some(Source::Registry(_) | Source::Layout { .. }) | None => None,
            },
        };
        self.problems.extend(problem);
    }

    fn cpus(&mut self) -> usize {
        // Reads cgroup quotas and the affinity mask on Linux.
        let allowed = std::thread::available_parallelism().map_or(1, usize::from);
        let expected = "a number of CPUs from 1 to 1024";
        match self.parsed::<f64>("CONFIG_CPUS", expected) {
            Some(cpus) if cpus > 0.0 && cpus <= CPUS_MAX => cpus.ceil() as usize,
            Some(_) => {
                self.problems.push(malformed("CONFIG_CPUS", expected));
                allowed
            }
            None => allowed,
        }
    }

    /// A time in whole seconds, from `least` on.
    fn seconds(&mut self, name: &str, least: u64, default: Duration) -> Duration {
        let expected = format!("a whole number of seconds from {least} to {SECONDS_MAX}");
        match self.parsed::<u64>(name, &expected) {
            Some(seconds) if (least..=SECONDS_MAX).contains(&seconds) => {
                Duration::from_secs(seconds)
            }
            Some(_) => {
                self.problems.push(malformed(name, &expected));
                default
            }
            None => default,
        }
    }

    fn plain_http(&mut self) -> Vec<RegistryHost> {
        let Some(text) = self.text("POTOROO_PLAIN_HTTP") else { return Vec::new() };
        let hosts: Result<Vec<RegistryHost>, _> =
            text.split(',').map(|host| host.trim().parse::<RegistryHost>()).collect();
        hosts.unwrap_or_else(|error| {
            self.problems.push(format!(
                "POTOROO_PLAIN_HTTP is not a list of registries with commas between: {error}"
            ));
            Vec::new()
        })
    }

    fn api_key(&mut self) -> Option<ApiKey> {
        match ApiKey::new(&self.secret("POTOROO_API_KEY")?) {
            Ok(key) => Some(key),
            Err(error) => {
                self.problems.push(format!("POTOROO_API_KEY cannot be used: {error}"));
                None
            }
        }
    }

    fn tls(&mut self) -> Option<Tls> {
        let path = |name| self.text(name).map(PathBuf::from);
        let problem = match (path("POTOROO_TLS_CERT"), path("POTOROO_TLS_KEY")) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => match Tls::load(&certificate, &key) {
                Ok(tls) => return Some(tls),
                Err(error) => format!("TLS cannot be spoken: {}", crate::exit::chain(&error)),
            },
            (Some(_), None) => one_of_two("POTOROO_TLS_KEY", "POTOROO_TLS_CERT"),
            (None, Some(_)) => one_of_two("POTOROO_TLS_CERT", "POTOROO_TLS_KEY"),
        };
        self.problems.push(problem);
        None
    }

    fn persist(&mut self) -> Option<PathBuf> {
        let chosen = persist::choose(
            self.text("POTOROO_PERSIST").map(PathBuf::from),
            self.text("XDG_STATE_HOME").map(PathBuf::from),
            self.text("HOME").map(PathBuf::from),
        );
        match chosen {
            Ok(directory) => Some(directory),
            Err(error) => {
                self.problems.push(crate::exit::chain(&error));
                None
            }
        }
    }

    fn refuse_unknown(&mut self) {
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
        let unknown =
            self.variables.keys().filter(|name| name.starts_with(OWN_PREFIX) && !known(name)).map(
                |name| format!("{name} is no setting of the engine: see `potoroo-engine --help`"),
            );
        let unknown: Vec<String> = unknown.collect();
        self.problems.extend(unknown);
    }
}

fn read_secret(path: &std::path::Path) -> Result<String, String> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| format!("which cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!("which is longer than {SECRET_FILE_BYTES_MAX} bytes"));
    }
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("which is empty".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests;
