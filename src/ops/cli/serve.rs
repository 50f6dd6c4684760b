//! `serve`: the arguments of an ops center.

use super::password::password_of;
use super::registry::{LoginArguments, external};
use super::signing::SigningArguments;
use crate::exit::Failure;
use crate::ops::fleet::REPORT_SECONDS_DEFAULT;
use crate::ops::settings::{Admin, LISTEN_DEFAULT, Settings};
use crate::registry::Secret;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ServeArguments {
    /// The directory with all records and files.
    #[arg(long, value_name = "DIR", env = "POTOROO_OPS_DATA", default_value = "potoroo-data")]
    data: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", env = "POTOROO_OPS_LISTEN", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// How people and edges reach it: `https://ops.example.com`.
    #[arg(long, env = "POTOROO_OPS_URL")]
    url: Option<String>,
    /// The certificate chain, a PEM file.
    #[arg(long, value_name = "FILE", env = "POTOROO_OPS_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[arg(long, value_name = "FILE", env = "POTOROO_OPS_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen without TLS, though other machines reach it.
    #[arg(long, env = "POTOROO_OPS_LISTEN_PLAIN_HTTP")]
    listen_plain_http: bool,
    /// The registry that publishes go to, with a path below it if wanted; its own without one.
    #[arg(long, env = "OCI_REGISTRY")]
    registry: Option<String>,
    #[command(flatten)]
    login: LoginArguments,
    /// The engine image that edges run.
    #[arg(long, env = "POTOROO_OPS_ENGINE_URL")]
    engine_url: Option<String>,
    #[command(flatten)]
    signing: SigningArguments,
    /// How often edges report, seconds: one that stays silent for five times as long counts as gone.
    #[arg(
        long,
        env = "POTOROO_OPS_REPORT_SECONDS",
        default_value_t = REPORT_SECONDS_DEFAULT,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    report_seconds: u64,
    /// Make this first administrator where there is no user yet, instead of printing a link.
    #[arg(
        long,
        value_name = "EMAIL",
        env = "POTOROO_OPS_ADMIN_EMAIL",
        requires = "admin_password_file"
    )]
    admin_email: Option<String>,
    /// Read the first administrator's password from this file.
    #[arg(
        long,
        value_name = "FILE",
        env = "POTOROO_OPS_ADMIN_PASSWORD_FILE",
        requires = "admin_email"
    )]
    admin_password_file: Option<PathBuf>,
}

impl ServeArguments {
    /// The settings that they are.
    pub(super) fn settings(self) -> Result<Settings, Failure> {
        let registry = self.registry.as_deref().filter(|registry| !registry.is_empty());
        let registry = registry.map(|registry| external(registry, &self.login)).transpose()?;
        let signing = self.signing.signing()?;
        let ServeArguments { data, listen, url, engine_url, report_seconds, .. } = self;
        let tls = self.tls_cert.zip(self.tls_key);
        let plain_http = self.listen_plain_http;
        let admin = self.admin_email.zip(self.admin_password_file);
        let admin = admin.map(|(email, file)| -> Result<Admin, Failure> {
            let password = Secret::new(password_of(&file)?);
            Ok(Admin { email, password })
        });
        let admin = admin.transpose()?;
        Ok(Settings {
            data,
            listen,
            url,
            tls,
            plain_http,
            registry,
            engine_url,
            signing,
            report_seconds,
            admin,
        })
    }
}
