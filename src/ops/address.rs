//! The address by which people and edges know an ops center: scheme, host, and perhaps a port.

use super::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::logging::{AT_SERVE, quoted};
use crate::oci::RegistryHost;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// `https://ops.example.com`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Address {
    /// The host, and the port where it is not the scheme's own.
    pub host: RegistryHost,
    /// Whether TLS is spoken there, by us or by something in front of us.
    pub is_tls: bool,
}

impl Address {
    /// The address of the settings, or, without one, where it listens.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a URL with another scheme, a path, or without a host.
    pub(in crate::ops) fn of(settings: &Settings, bound: SocketAddr) -> Result<Address, Failure> {
        if let Some(url) = &settings.url {
            return Address::read(url).ok_or_else(|| {
                let sentence = format!("--url is {url:?}, which is no address of an ops center");
                Failure::new(Exit::Usage, sentence)
                    .hint("write it as https://HOST or https://HOST:PORT, without a path")
            });
        }
        let mut reached = bound;
        if bound.ip().is_unspecified() {
            let loopback: IpAddr = match bound {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            reached.set_ip(loopback);
            let sentence = "edges on other machines are told a loopback address: say with --url how they reach this one";
            log::warn!(target: AT_SERVE, "{}", quoted("msg", sentence));
        }
        let host =
            reached.to_string().parse().map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Address { host, is_tls: settings.tls.is_some() })
    }

    fn read(url: &str) -> Option<Address> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        // In a reference a bare word is no host; with its port it is.
        let host = match (host.contains(['.', ':']) || host == "localhost", is_tls) {
            (true, _) => host.to_owned(),
            (false, true) => format!("{host}:443"),
            (false, false) => format!("{host}:80"),
        };
        Some(Address { host: host.parse().ok()?, is_tls })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_url_with_anything_but_a_host_is_no_address() {
        for (url, shown) in [
            ("https://ops.example.com", "https://ops.example.com"),
            ("http://127.0.0.1:8090/", "http://127.0.0.1:8090"),
            ("https://ops", "https://ops:443"),
        ] {
            assert_eq!(Address::read(url).unwrap().to_string(), shown);
        }
        for url in ["ops.example.com", "ftp://a", "https://", "https://a/b", "https://u:p@a", ""] {
            assert_eq!(Address::read(url), None, "{url}");
        }
    }
}
