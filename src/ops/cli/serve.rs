//! `serve`: the arguments of an ops center.

use super::password::password_of;
use super::registry::{LoginArguments, external};
use super::signing::SigningArguments;
use crate::exit::Failure;
use crate::ops::fleet::REPORT_SECONDS_DEFAULT;
use crate::ops::proxies::Network;
use crate::ops::settings::{Admin, LISTEN_DEFAULT, LogsKept, Settings};
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
    /// A reverse proxy before it, as an address or a network (10.0.0.0/8): its X-Forwarded-For or
    /// Forwarded tells whose failed logins are counted, and what the audit names. Several with commas.
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "POTOROO_OPS_TRUSTED_PROXIES",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Network>,
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
    /// How many days the logs of edges are kept after they came.
    #[arg(long, value_name = "DAYS", env = "POTOROO_OPS_LOGS_DAYS", default_value = "30")]
    logs_days: u32,
    /// How many bytes of logs are kept, as 512Mi or 10Gi; the oldest go first.
    #[arg(long, value_name = "SIZE", env = "POTOROO_OPS_LOGS_SIZE", default_value = "10Gi", value_parser = size)]
    logs_size: u64,
    /// How many bytes of its log one edge may send a second, so that a backlog leaves room for others.
    #[arg(long, value_name = "SIZE", env = "POTOROO_OPS_LOGS_EDGE_RATE", default_value = "8Mi", value_parser = size)]
    logs_edge_rate: u64,
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

/// Where the center of the same settings listens, and what it is known by.
#[derive(Args)]
pub(super) struct HealthcheckArguments {
    /// Where it listens.
    #[arg(long, value_name = "ADDRESS", env = "POTOROO_OPS_LISTEN", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// Its certificate chain, a PEM file, where it speaks TLS.
    #[arg(long, value_name = "FILE", env = "POTOROO_OPS_TLS_CERT")]
    tls_cert: Option<PathBuf>,
}

impl HealthcheckArguments {
    pub(super) fn run(&self) -> Result<(), Failure> {
        crate::ops::healthcheck::healthcheck(self.listen, self.tls_cert.as_deref())
    }
}

impl ServeArguments {
    /// The settings that they are.
    pub(super) fn settings(self) -> Result<Settings, Failure> {
        let registry = self.registry.as_deref().filter(|registry| !registry.is_empty());
        let registry = registry.map(|registry| external(registry, &self.login)).transpose()?;
        let signing = self.signing.signing()?;
        let ServeArguments { data, listen, url, engine_url, report_seconds, .. } = self;
        let edge_bytes_per_s = self.logs_edge_rate;
        let logs = LogsKept { days: self.logs_days, bytes: self.logs_size, edge_bytes_per_s };
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
            trusted_proxies: self.trusted_proxies,
            report_seconds,
            logs,
            admin,
        })
    }
}

/// Bytes as people write them: a number, and perhaps a unit of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => return Err("expected bytes as 512Mi, 10Gi or a plain number".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number before the unit".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than there is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_a_number_with_a_unit_of_1024() {
        assert_eq!(size("512Mi"), Ok(512 << 20));
        assert_eq!(size("7"), Ok(7));
        for text in ["", "Gi", "1.5Gi", "-1", "1G", "99999999999Ti"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
