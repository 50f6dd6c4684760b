//! The environment while it is read: each variable by its own rule, and what was wrong so far.

use super::super::persist;
use super::SETTINGS;
use crate::fleet::Bundle;
use crate::http::server::{ApiKey, Tls};
use crate::oci::{RegistryHost, Source};
use crate::registry::{Credentials, Secret};
use crate::runtime::Families;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Variables that begin so are ours: one that [`SETTINGS`] does not list is a slip of the pen.
const OWN_PREFIX: &str = "POTOROO_";

/// But those that begin so are the ops center's, and one shell may well have both.
const OPS_PREFIX: &str = "POTOROO_OPS_";

/// Compute threads: more than any board or server that this engine was made for.
const CPUS_MAX: f64 = 1024.0;

/// The longest time that can be set: who wants more has slipped a digit.
const SECONDS_MAX: u64 = 3600;

/// A secret's file. The longest in use is a service account key of some 3 KB in base64.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// The variables while they are read, with what was wrong so far.
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) problems: Vec<String>,
    /// What is odd and keeps nothing from starting.
    pub(super) warnings: Vec<String>,
    /// Whether nothing is to be made or written, the persistent directory neither.
    looks_only: bool,
}

impl Environment {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        // Compose and Kubernetes pass an empty text for what was left out.
        let variables =
            variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let (problems, warnings) = (Vec::new(), Vec::new());
        Environment { variables, problems, warnings, looks_only: false }
    }

    /// The same for one who only wants to know.
    pub(super) fn looking_only(self) -> Environment {
        Environment { looks_only: true, ..self }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim())
    }

    pub(super) fn parsed<T: std::str::FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let parsed = self.text(name)?.parse().ok();
        if parsed.is_none() {
            self.problems.push(malformed(name, expected));
        }
        parsed
    }

    /// The kernels of our own that models run on.
    pub(super) fn kernels(&mut self) -> Families {
        let expected = format!(
            "`true`, `false`, or kernels to leave off, as `-patches,-norms`: {}",
            Families::ALL
        );
        self.parsed("POTOROO_KERNELS", &expected).unwrap_or(Families::ALL)
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
    pub(super) fn bundle(&mut self) -> Option<Bundle> {
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

    pub(super) fn source(&mut self) -> Option<Source> {
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

    pub(super) fn credentials(&mut self, source: Option<&Source>) -> Option<Credentials> {
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

    pub(super) fn cpus(&mut self) -> usize {
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
    pub(super) fn seconds(&mut self, name: &str, least: u64, default: Duration) -> Duration {
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

    pub(super) fn plain_http(&mut self) -> Vec<RegistryHost> {
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

    pub(super) fn api_key(&mut self) -> Option<ApiKey> {
        match ApiKey::new(&self.secret("POTOROO_API_KEY")?) {
            Ok(key) => Some(key),
            Err(error) => {
                self.problems.push(format!("POTOROO_API_KEY cannot be used: {error}"));
                None
            }
        }
    }

    pub(super) fn tls(&mut self) -> Option<Tls> {
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

    pub(super) fn persist(&mut self) -> Option<PathBuf> {
        let path = |name| self.text(name).map(PathBuf::from);
        let (asked, state_home, home) =
            (path("POTOROO_PERSIST"), path("XDG_STATE_HOME"), path("HOME"));
        if self.looks_only {
            let candidates = persist::candidates(asked, state_home, home);
            let usable = candidates.iter().find(|path| path.is_dir() && persist::is_usable(path));
            return usable.or(candidates.first()).cloned();
        }
        match persist::choose(asked, state_home, home) {
            Ok(directory) => Some(directory),
            Err(error) => {
                self.problems.push(crate::exit::chain(&error));
                None
            }
        }
    }

    pub(super) fn refuse_unknown(&mut self) {
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
        let is_ours = |name: &str| name.starts_with(OWN_PREFIX) && !name.starts_with(OPS_PREFIX);
        let unknown = self.variables.keys().filter(|name| is_ours(name) && !known(name));
        let told =
            |name| format!("{name} is no setting of the engine: see `potoroo-engine --help`");
        let unknown: Vec<String> = unknown.map(told).collect();
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

pub(super) fn malformed(name: &str, expected: &str) -> String {
    format!("{name} is not {expected}: correct it or leave it out")
}

fn one_of_two(missing: &str, set: &str) -> String {
    format!("{missing} is not set, but {set} is: set both, or none for plain HTTP")
}
