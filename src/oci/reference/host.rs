//! The host of a registry: a name or an address, and perhaps a port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::ReferenceError;
use crate::oci::excerpt;

/// The longest host name, in bytes (RFC 1035, 2.3.4, without the length bytes).
const HOST_BYTES_MAX: usize = 253;
/// The longest part of a host name, in bytes (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Where a registry answers: `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
///
/// Names are compared in lower case. Without a port it is 443, or 80 without TLS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl RegistryHost {
    /// Whether the host is this very machine: `localhost`, 127.0.0.0/8 or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => address.to_canonical().is_loopback(),
        }
    }

    /// The port, where one was written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The name or address without the port; a version 6 address has its brackets.
    #[must_use]
    pub fn name(&self) -> String {
        self.host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if let Some(bracketed) = text.strip_prefix('[') {
            let refuse = |why| ReferenceError::Host { found: excerpt(text), why };
            let (address, rest) =
                bracketed.split_once(']').ok_or_else(|| refuse("the bracket `[` is not closed"))?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| refuse("brackets hold an IPv6 address"))?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(read_port(port)?),
                None if rest.is_empty() => None,
                None => return Err(refuse("only `:port` may follow the brackets")),
            };
            return Ok(Self { host: Host::Address(IpAddr::V6(address)), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                let why = "an IPv6 address stands in brackets";
                return Err(ReferenceError::Host { found: excerpt(text), why });
            }
            Some((host, port)) => (host, Some(read_port(port)?)),
            None => (text, None),
        };
        Ok(Self { host: read_host(host)?, port })
    }
}

fn read_port(text: &str) -> Result<u16, ReferenceError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        Ok(_) | Err(_) => Err(ReferenceError::Port { found: excerpt(text) }),
    }
}

fn read_host(text: &str) -> Result<Host, ReferenceError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let refuse = |why| Err(ReferenceError::Host { found: excerpt(text), why });
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > HOST_BYTES_MAX {
        return refuse("it has more than 253 bytes");
    }
    for label in text.split('.') {
        if label.is_empty() {
            return refuse("something must stand between the dots");
        }
        if label.len() > LABEL_BYTES_MAX {
            return refuse("a part between the dots has more than 63 bytes");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refuse("a part between the dots begins or ends with `-`");
        }
        // The underscore is no host name by the letter, but compose files name services with it.
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return refuse("it has letters, digits, `-` and `.` only");
        }
    }
    // `127.1` and `2130706433` are addresses to some resolvers: neither may slip past the
    // question whether the host is this machine.
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return refuse("it ends like an address, which has four numbers up to 255");
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}
