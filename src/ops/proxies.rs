//! Trusted reverse proxies: whose word counts for where a request comes from.

use crate::http::server::Request;
use std::net::IpAddr;
use std::str::FromStr;

/// Hops of one request that are looked at: more proxies than anyone has in a row.
const HOPS_MAX: usize = 32;

/// A network of addresses, `10.0.0.0/8`, or one address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

/// Why a text is no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NetworkError {
    /// No address before the slash.
    #[error(
        "`{0}` is no network: give an address as 10.0.0.5, or a network as 10.0.0.0/8 or fd00::/8"
    )]
    Address(String),
    /// No such number of bits.
    #[error("`{0}` is no network: behind the slash stands 0 to 32, or 0 to 128 for version 6")]
    Bits(String),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let excerpt = || crate::oci::excerpt(text);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| NetworkError::Address(excerpt()))?;
        let most = width(base);
        let bits = bits.map_or(Ok(most), str::parse);
        match bits {
            Ok(bits) if bits <= most => Ok(Network { base, bits }),
            Ok(_) | Err(_) => Err(NetworkError::Bits(excerpt())),
        }
    }
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        let shift = width(self.base) - self.bits;
        width(self.base) == width(address)
            && number(self.base).checked_shr(shift) == number(address).checked_shr(shift)
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where a request comes from: the connection's other end, unless that is one of these proxies, which
/// says so in `X-Forwarded-For` or `Forwarded` (RFC 7239). What any other says is not looked at.
///
/// A proxy that writes one of the two may pass on the other as a client wrote it. Where both are there
/// and differ, neither is believed.
pub(in crate::ops) fn client_of(request: &Request<'_, '_>, trusted: &[Network]) -> IpAddr {
    let fields = |name: &str| {
        let texts = request.headers(name).map(|text| String::from_utf8_lossy(text).into_owned());
        texts.collect::<Vec<String>>().join(",")
    };
    let peer = request.peer().ip();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    told(peer, &fields("X-Forwarded-For"), &fields("Forwarded"), trusted)
}

fn told(peer: IpAddr, listed: &str, forwarded: &str, trusted: &[Network]) -> IpAddr {
    let hops = |text: &str, address: fn(&str) -> Option<IpAddr>| {
        let mut at = peer;
        for hop in text.rsplit(',').take(HOPS_MAX) {
            match address(hop.trim()) {
                Some(hop) if is_trusted(at, trusted) => at = hop,
                // The last proxy that is known is all that is known.
                Some(_) | None => break,
            }
        }
        at
    };
    let (by_list, by_standard) = (hops(listed, node), hops(forwarded, forwarded_for));
    match (listed.is_empty(), forwarded.is_empty()) {
        (_, true) => by_list,
        (true, false) => by_standard,
        (false, false) if by_list == by_standard => by_list,
        (false, false) => peer,
    }
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.has(address.to_canonical()))
}

/// The address of `for=` in one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// An address, perhaps with a port; one of version 6 may stand in brackets.
fn node(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.2";

    fn found(listed: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8", "fd00::1"].map(|text| text.parse().unwrap());
        told(PEER.parse().unwrap(), listed, forwarded, &trusted).to_string()
    }

    #[test]
    fn a_client_is_the_last_hop_that_is_no_trusted_proxy() {
        for (listed, wanted) in [
            ("", PEER),
            ("203.0.113.7", "203.0.113.7"),
            ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("1.1.1.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::7]:80", "2001:db8::7"),
            ("203.0.113.7, fd00::1", "203.0.113.7"),
            ("nonsense", PEER),
            ("203.0.113.7, unknown", PEER),
            ("10.0.0.9", "10.0.0.9"),
        ] {
            assert_eq!(found(listed, ""), wanted, "{listed}");
        }
    }

    #[test]
    fn the_standards_field_is_read_and_believed_where_the_other_does_not_contradict() {
        let standard = "for=1.1.1.1, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.2";
        assert_eq!(found("", standard), "2001:db8::7");
        assert_eq!(found("", "for=_hidden"), PEER);
        assert_eq!(found("203.0.113.7", "for=203.0.113.7"), "203.0.113.7");
        assert_eq!(found("203.0.113.7", "for=1.1.1.1"), PEER);
    }

    #[test]
    fn a_network_is_an_address_and_a_number_of_its_bits() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.has(address.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.200.3.4") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.1.2.3", "10.1.2.3") && !has("10.1.2.3", "10.1.2.4"));
        assert!(has("0.0.0.0/0", "203.0.113.7") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fdff::1") && has("::/0", "::1"));
        for text in ["", "10.0.0.0/33", "10.0.0.0/x", "host/8", "::/129", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
