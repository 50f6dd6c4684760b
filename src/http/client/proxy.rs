//! Proxies: which requests go through one and through which, as `HTTPS_PROXY` and its like say.

use std::fmt;

use ureq::http::Uri;

use super::bypass::Bypass;
use crate::oci::{RegistryHost, excerpt};

/// For requests with TLS; of each pair of spellings, the first that is set counts.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// For requests without TLS.
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
/// For both, where they have none of their own.
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
/// What is reached without any.
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// One proxy, which is asked to `CONNECT`; its user name and password are shown to nobody else.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) inner: ureq::Proxy,
    /// Its host and port, for sentences.
    pub(super) name: String,
    /// Whether it speaks TLS itself.
    pub(super) is_tls: bool,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.name)
    }
}

/// The proxies of this machine, and what is reached without them.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub(super) https: Option<Proxy>,
    pub(super) http: Option<Proxy>,
    pub(super) bypass: Bypass,
}

/// A variable that names no usable proxy. Its value is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL with host and port.
    #[error(
        "{variable} is no proxy, expected `http://host:port` or `http://user:password@host:port` \
         with what is special in them percent-encoded"
    )]
    Malformed {
        /// The variable.
        variable: &'static str,
    },
    /// A kind of proxy that is not spoken.
    #[error(
        "{variable} names a proxy of the kind `{scheme}`: name one of the kind `http` or `https`"
    )]
    Scheme {
        /// The variable.
        variable: &'static str,
        /// What stands before `://`, shortened.
        scheme: String,
    },
}

impl Proxies {
    /// The proxies that variables name; `value` gives that of one, where it is set and not empty.
    ///
    /// # Errors
    /// When one of them is no proxy.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, value(name)?)))
        };
        let read = |names| match first(names) {
            Some((variable, text)) => Proxy::parse(variable, text.trim()).map(Some),
            None => Ok(None),
        };
        let all = read(ALL)?;
        let bypass = first(NO).map(|(_, text)| Bypass::parse(&text)).unwrap_or_default();
        Ok(Self { https: read(HTTPS)?.or_else(|| all.clone()), http: read(HTTP)?.or(all), bypass })
    }

    /// The entries of `NO_PROXY` that name nothing: they are left out.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        self.bypass.left_out()
    }
}

impl Proxy {
    fn parse(variable: &'static str, text: &str) -> Result<Self, ProxyError> {
        let malformed = || ProxyError::Malformed { variable };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        // What stands before `://` might be half a password that holds it: only a word is shown.
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
            return Err(malformed());
        }
        let implied = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err(ProxyError::Scheme { variable, scheme: excerpt(&scheme) }),
        };
        let url = format!("{scheme}://{rest}");
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?.as_str();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host: RegistryHost = host.parse().map_err(|_| malformed())?;
        let inner = ureq::Proxy::new(&url).map_err(|_| malformed())?;
        let name = format!("{}:{}", host.name(), host.port().unwrap_or(implied));
        Ok(Self { inner, name, is_tls: scheme == "https" })
    }
}

#[cfg(test)]
mod tests {
    use super::{Proxies, ProxyError};

    fn read(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.to_owned())
        })
    }

    fn names(variables: &[(&str, &str)]) -> [Option<String>; 2] {
        let proxies = read(variables).unwrap();
        [proxies.https, proxies.http].map(|proxy| proxy.map(|it| it.name))
    }

    #[test]
    fn each_kind_of_request_has_its_proxy_and_all_have_the_common_one() {
        let some = |text: &str| Some(text.to_owned());
        for (variables, https, http) in [
            (vec![], None, None),
            (vec![("HTTPS_PROXY", "http://p.io:3128/")], some("p.io:3128"), None),
            (vec![("https_proxy", "p.io")], some("p.io:80"), None),
            (vec![("HTTPS_PROXY", "a:1"), ("https_proxy", "b:2")], some("a:1"), None),
            (vec![("http_proxy", "HTTPS://p.io")], None, some("p.io:443")),
            (vec![("ALL_PROXY", "[::1]:8")], some("[::1]:8"), some("[::1]:8")),
            (vec![("all_proxy", "a:1"), ("HTTP_PROXY", "b:2")], some("a:1"), some("b:2")),
        ] {
            assert_eq!(names(&variables), [https, http], "{variables:?}");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_never_shown() {
        let proxies = read(&[("HTTPS_PROXY", "http://edge:hunt%40er2@p.io:3128")]).unwrap();
        let proxy = proxies.https.as_ref().unwrap();
        assert_eq!(proxy.inner.password(), Some("hunt@er2"));
        let shown = format!("{proxies:?}");
        assert!(!shown.contains("hunt") && !shown.contains("edge"), "{shown}");
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_name_and_not_repeated() {
        for text in ["http://", "http://u:hunter2@", "p.io:hunter2", "p.io:0", "a b:hunter2", "@"] {
            let error = read(&[("HTTPS_PROXY", text)]).unwrap_err().to_string();
            assert!(error.starts_with("HTTPS_PROXY is no proxy"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let socks = read(&[("all_proxy", "socks5://u:hunter2@p.io:1080")]).unwrap_err();
        assert_eq!(
            socks.to_string(),
            "all_proxy names a proxy of the kind `socks5`: name one of the kind `http` or `https`"
        );
    }
}
