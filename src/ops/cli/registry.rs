//! Which registry, and who we are to it: the arguments that several commands share.

use super::password::{password, password_of};
use crate::exit::{Exit, Failure};
use crate::oci::RegistryHost;
use crate::ops::Login;
use crate::ops::settings::External;
use crate::ops::surroundings::Surroundings;
use crate::registry::{Credentials, Secret};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct LoginArguments {
    /// The registry's user name.
    #[arg(long, env = "OCI_USERNAME")]
    username: Option<String>,
    /// Read the registry's password from this file; `OCI_PASSWORD` holds it otherwise.
    #[arg(long, conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    /// Read the registry's password from standard input.
    #[arg(long)]
    password_stdin: bool,
    /// Speak to the registry without TLS. Loopback needs no permission.
    #[arg(long)]
    plain_http: bool,
}

/// The registry of an argument, with the path before the pipelines.
pub(super) fn external(registry: &str, login: &LoginArguments) -> Result<External, Failure> {
    let bare = registry.trim_start_matches("https://").trim_start_matches("oci://");
    let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
    let host: RegistryHost = host.parse().map_err(|error| {
        Failure::new(Exit::Usage, error).hint("give --registry as host, host:port or host/path")
    })?;
    let login = Box::new(login.login(&host, is_tls(registry))?);
    Ok(External { host, prefix: prefix.to_owned(), login })
}

/// Whether a text asks for TLS, which a reference forgets.
pub(super) fn is_tls(text: &str) -> bool {
    text.starts_with("https://")
}

impl LoginArguments {
    /// With `is_tls`, the registry is spoken to by TLS alone, loopback or not.
    pub(super) fn login(&self, host: &RegistryHost, is_tls: bool) -> Result<Login, Failure> {
        let when = |wanted: bool| wanted.then(|| host.clone()).into_iter().collect();
        Ok(Login {
            credentials: self.credentials()?,
            plain_http: when(self.plain_http),
            tls_only: when(is_tls),
            surroundings: Surroundings::read()?,
        })
    }

    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let password = match (&self.password_file, self.password_stdin) {
            (Some(path), _) => Some(password_of(path)?),
            (None, true) => Some(password(std::io::stdin().lock())?),
            (None, false) => std::env::var("OCI_PASSWORD").ok().filter(|text| !text.is_empty()),
        };
        match (self.username.clone().filter(|name| !name.is_empty()), password) {
            (Some(username), Some(password)) => {
                Ok(Some(Credentials { username, password: Secret::new(password) }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(Failure::new(Exit::Usage, "there is a user name, but no password")
                    .hint("set OCI_PASSWORD, or use --password-file or --password-stdin"))
            }
            (None, Some(_)) => {
                Err(Failure::new(Exit::Usage, "there is a password, but no user name")
                    .hint("set OCI_USERNAME, or use --username"))
            }
        }
    }
}
