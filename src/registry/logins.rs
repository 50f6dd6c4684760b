//! The logins that `docker login`, `podman login` and Kubernetes keep in files, read and never written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::IDENTITY_TOKEN;
use super::{Credentials, Secret};
use crate::disk;
use crate::oci::{RegistryHost, Repository};

/// The largest file that is read, in bytes: a login has some hundred, a key file some thousand.
const LOGINS_BYTES_MAX: u64 = 1 << 20;

/// Under which names one and the same Docker Hub stands in these files.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The files that may hold logins, those first that were asked for by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins {
    files: Vec<PathBuf>,
}

/// What the files say about a registry.
#[derive(Debug, Default)]
pub struct Login {
    /// User name and password, where there are some.
    pub credentials: Option<Credentials>,
    /// The file that they are from.
    pub file: Option<PathBuf>,
    /// What was found and cannot be used, a sentence each, without any secret.
    pub warnings: Vec<String>,
}

/// The form that docker, podman and Kubernetes' `.dockerconfigjson` share.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, serde::de::IgnoredAny>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

impl Logins {
    /// The places that the variables name; `value` gives that of one, where it is set.
    ///
    /// `REGISTRY_AUTH_FILE` is podman's, `DOCKER_CONFIG` and `HOME` are docker's, and
    /// `XDG_RUNTIME_DIR` is podman's again.
    #[must_use]
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| value(name).map(PathBuf::from);
        let docker =
            path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker")));
        let files = [
            path("REGISTRY_AUTH_FILE"),
            docker.as_ref().map(|it| it.join("config.json")),
            // How Kubernetes mounts a secret of the type kubernetes.io/dockerconfigjson.
            docker.as_ref().map(|it| it.join(".dockerconfigjson")),
            path("XDG_RUNTIME_DIR").map(|it| it.join("containers/auth.json")),
        ];
        Self { files: files.into_iter().flatten().collect() }
    }

    /// The first login for the registry, and for the repository where one is kept for it alone.
    #[must_use]
    pub fn find(&self, registry: &RegistryHost, repository: &Repository) -> Login {
        let mut login = Login::default();
        for path in &self.files {
            let file = match File::read(path) {
                Ok(Some(file)) => file,
                Ok(None) => continue,
                Err(problem) => {
                    login.warnings.push(problem);
                    continue;
                }
            };
            match file.find(registry, repository) {
                Ok(None) => {}
                Ok(Some(credentials)) => {
                    login.credentials = Some(credentials);
                    login.file = Some(path.clone());
                    break;
                }
                Err(problem) => {
                    let path = path.display();
                    login.warnings.push(format!("the login for {registry} in {path} {problem}"));
                }
            }
        }
        login
    }
}

impl File {
    fn read(path: &Path) -> Result<Option<Self>, String> {
        let bytes = match disk::read_whole(path, LOGINS_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) => return Err(format!("no login is taken: {}", crate::exit::chain(&error))),
        };
        // What the reader says could repeat a part of the file.
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            let path = path.display();
            format!("no login is taken from {path}: it is not the JSON that `docker login` writes")
        })
    }

    fn find(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
    ) -> Result<Option<Credentials>, &'static str> {
        let wanted = format!("{}/{repository}", canonical(&registry.to_string()));
        let entries = self.auths.iter().filter_map(|(key, entry)| {
            let key = canonical(key);
            let rest = wanted.strip_prefix(&key)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((key.len(), entry))
        });
        // The longest is the one for this very repository.
        let found = entries.max_by_key(|(length, _)| *length).map(|(_, entry)| entry);
        let is_elsewhere = self.creds_store.as_ref().is_some_and(|store| !store.is_empty())
            || self.cred_helpers.keys().any(|key| wanted.starts_with(&canonical(key)));
        match found.map(Entry::credentials) {
            Some(Ok(Some(credentials))) => Ok(Some(credentials)),
            Some(Err(problem)) => Err(problem),
            Some(Ok(None)) | None if is_elsewhere => Err(
                "is kept by a helper program (`credsStore`, `credHelpers`), and none is run here: \
                 set OCI_USERNAME and OCI_PASSWORD",
            ),
            Some(Ok(None)) | None => Ok(None),
        }
    }
}

impl Entry {
    /// `None` for an empty entry, as docker leaves it where a helper program has the rest.
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let made = |username: &str, password: &str| {
            (!username.is_empty() && !password.is_empty()).then(|| Credentials {
                username: username.to_owned(),
                password: Secret::new(password.to_owned()),
            })
        };
        // It stands beside an `auth` with the user's name and no password.
        if let Some(token) = self.identity_token.as_deref().filter(|token| !token.is_empty()) {
            return Ok(made(IDENTITY_TOKEN, token));
        }
        let broken = "cannot be read: its `auth` is not base64 of `user:password`";
        match self.auth.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => {
                let bytes = STANDARD.decode(text).map_err(|_| broken)?;
                let text = String::from_utf8(bytes).map_err(|_| broken)?;
                // Some versions of docker end the text with a zero byte.
                let (username, password) =
                    text.trim_end_matches('\0').split_once(':').ok_or(broken)?;
                made(username, password).map(Some).ok_or(broken)
            }
            None => Ok(match (&self.username, &self.password) {
                (Some(username), Some(password)) => made(username, password),
                (_, _) => None,
            }),
        }
    }
}

/// A key or host as `host/path`: without scheme, without the `/v1/` of docker's older keys.
fn canonical(key: &str) -> String {
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = host.to_ascii_lowercase();
    let host = if DOCKER_HUB.contains(&host.as_str()) { DOCKER_HUB[0] } else { &host };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

#[cfg(test)]
mod tests;
