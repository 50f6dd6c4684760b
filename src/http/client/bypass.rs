//! The list of `NO_PROXY`: hosts, domains, addresses and networks that are reached without a proxy.

use std::net::IpAddr;

use crate::oci::{RegistryHost, excerpt};

/// What is reached without a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bypass {
    rules: Vec<Rule>,
    left_out: Vec<String>,
}

/// One entry of the list, and the port that it is for; without one it is for all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// `*`
    Everything,
    /// `name`: that host and all below it.
    Name(String, Option<u16>),
    /// `.name` or `*.name`: all below it alone.
    Below(String, Option<u16>),
    /// An address.
    Address(IpAddr, Option<u16>),
    /// `address/bits` (RFC 4632): addresses that begin with the same bits.
    Network(IpAddr, u32),
}

impl Bypass {
    /// Reads entries with commas or blanks between them; those that name nothing are left out.
    ///
    /// The variable is everybody's and its forms differ by program, so an odd entry does not
    /// keep a device from starting.
    pub(super) fn parse(text: &str) -> Self {
        let mut bypass = Self::default();
        for entry in text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            match rule(&entry.to_ascii_lowercase()) {
                Some(rule) => bypass.rules.push(rule),
                None => bypass.left_out.push(excerpt(entry)),
            }
        }
        bypass
    }

    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Whether a host, as a URI has it, is reached without a proxy at this port.
    ///
    /// A name is not resolved for it: whether a proxy is used must not hang on a name server.
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = bare(&host).parse::<IpAddr>().ok().map(|it| it.to_canonical());
        self.rules.iter().any(|rule| match rule {
            Rule::Everything => true,
            Rule::Name(name, at) => {
                (host == *name || is_below(&host, name)) && at.is_none_or(|it| it == port)
            }
            Rule::Below(name, at) => is_below(&host, name) && at.is_none_or(|it| it == port),
            Rule::Address(one, at) => {
                address.as_ref() == Some(one) && at.is_none_or(|it| it == port)
            }
            Rule::Network(network, bits) => {
                address.is_some_and(|it| begins_alike(&it, network, *bits))
            }
        })
    }
}

fn rule(entry: &str) -> Option<Rule> {
    if entry == "*" {
        return Some(Rule::Everything);
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let network = bare(network).parse::<IpAddr>().ok()?;
        let bits_max = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= bits_max)?;
        return Some(Rule::Network(network, bits));
    }
    // An address of version 6 may stand without brackets here, then without port too.
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(Rule::Address(address.to_canonical(), None));
    }
    let below = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
    let named = below.unwrap_or(entry).trim_end_matches('.');
    let host: RegistryHost = named.parse().ok()?;
    let (name, port) = (host.name(), host.port());
    match (bare(&name).parse::<IpAddr>(), below) {
        (Ok(address), None) => Some(Rule::Address(address.to_canonical(), port)),
        (Ok(_), Some(_)) => None,
        (Err(_), None) => Some(Rule::Name(name, port)),
        (Err(_), Some(_)) => Some(Rule::Below(name, port)),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host)
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

fn begins_alike(one: &IpAddr, other: &IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= bits
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Bypass;

    #[test]
    fn each_form_covers_what_it_names_and_nothing_else() {
        for (entry, covered, others) in [
            ("*", vec!["r.io:443", "10.0.0.1:1", "[::1]:2"], vec![]),
            ("r.io", vec!["r.io:443", "R.IO:5000", "a.r.io:443", "r.io.:443"], vec!["ar.io:443"]),
            (".r.io", vec!["a.r.io:443", "b.a.r.io:80"], vec!["r.io:443", "ar.io:443", ".r.io:1"]),
            ("*.r.io", vec!["a.r.io:443"], vec!["r.io:443"]),
            ("r.io:5000", vec!["r.io:5000", "a.r.io:5000"], vec!["r.io:443"]),
            (".r.io:80", vec!["a.r.io:80"], vec!["a.r.io:443"]),
            ("10.1.2.3", vec!["10.1.2.3:443", "[::ffff:10.1.2.3]:1"], vec!["10.1.2.4:443"]),
            ("10.1.2.3:5000", vec!["10.1.2.3:5000"], vec!["10.1.2.3:443"]),
            ("10.1.0.0/16", vec!["10.1.255.3:443"], vec!["10.2.0.1:443", "r.io:443", "[::1]:1"]),
            ("0.0.0.0/0", vec!["10.1.2.3:443"], vec!["r.io:443", "[::1]:1"]),
            ("10.1.2.3/32", vec!["10.1.2.3:443"], vec!["10.1.2.2:443"]),
            ("fd00::/8", vec!["[fd12::1]:5000"], vec!["[fe80::1]:5000", "10.0.0.1:1"]),
            ("::1", vec!["[::1]:5000"], vec!["[::2]:5000"]),
            ("[::1]:5000", vec!["[::1]:5000"], vec!["[::1]:443"]),
            ("a.io, 10.0.0.0/8 b.io", vec!["a.io:1", "10.9.9.9:1", "b.io:1"], vec!["c.io:1"]),
            ("", vec![], vec!["r.io:443"]),
        ] {
            let bypass = Bypass::parse(entry);
            assert!(bypass.left_out().is_empty(), "{entry}: {bypass:?}");
            let covers = |at: &str| {
                let (host, port) = at.rsplit_once(':').unwrap();
                bypass.covers(host, port.parse().unwrap())
            };
            for at in covered {
                assert!(covers(at), "{entry} covers {at}");
            }
            for at in others {
                assert!(!covers(at), "{entry} does not cover {at}");
            }
        }
    }

    #[test]
    fn an_entry_that_names_nothing_is_left_out_and_told() {
        let bypass = Bypass::parse("10.0.0.0/33,<local>,fd00::/129,*.10.0.0.1,r.io");
        assert_eq!(bypass.left_out(), ["10.0.0.0/33", "<local>", "fd00::/129", "*.10.0.0.1"]);
        assert!(bypass.covers("r.io", 443));
    }
}
