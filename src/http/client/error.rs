//! Why no answer came, told apart by what a person would do about it.

use std::fmt;
use std::io;
use std::time::Duration;

use ureq::Timeout;

use super::distrust::{Verdict, verdict};
use super::proxy::Proxy;
use super::{Distrust, REDIRECTS_MAX, Timeouts, TlsFault};
use crate::clock::{Clock, DeviceClock};
use crate::oci::excerpt;

/// Why a request got no answer, or an answer did not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of the host does not resolve.
    #[error("the name of {host} does not resolve")]
    UnknownHost {
        /// The host and port.
        host: String,
    },
    /// Nothing listens at that port.
    #[error("{host} refuses the connection")]
    Refused {
        /// The host and port.
        host: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A wait came to its end.
    #[error("{host} did not answer: waited {} s {wait}", limit.as_secs_f32())]
    TimedOut {
        /// The host and port.
        host: String,
        /// What was waited for.
        wait: Wait,
        /// How long.
        limit: Duration,
    },
    /// The certificate of the host is not one we trust.
    #[error("the TLS certificate of {host} {distrust}")]
    Untrusted {
        /// The host and port.
        host: String,
        /// What is wrong with the certificate.
        distrust: Distrust,
    },
    /// There is no TLS connection, whatever the certificate.
    #[error("no TLS connection with {host}: {fault}")]
    Tls {
        /// The host and port.
        host: String,
        /// Why not.
        fault: TlsFault,
    },
    /// The proxy does not connect us.
    #[error("{}", fault.sentence(proxy, host))]
    Proxy {
        /// The proxy's host and port; never its user and password.
        proxy: String,
        /// The host and port behind it.
        host: String,
        /// Why not.
        fault: ProxyFault,
    },
    /// The connection failed or ended too early.
    #[error("the connection with {host} broke")]
    Broken {
        /// The host and port.
        host: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// What came is not HTTP, or not as it should be.
    #[error("{host} does not speak HTTP as expected: {why}")]
    NotHttp {
        /// The host and port.
        host: String,
        /// What was odd, shortened.
        why: String,
    },
    /// More redirects than are followed.
    #[error("{host} redirects more than {REDIRECTS_MAX} times")]
    TooManyRedirects {
        /// The host and port asked first.
        host: String,
    },
    /// An answer that must say where to go on does not.
    #[error("{host} answered {status} without saying where to go on")]
    NoLocation {
        /// The host and port.
        host: String,
        /// The status of the answer.
        status: u16,
    },
    /// An answer says to go on where we will not.
    #[error("{host} points to `{found}`, which is not followed: {why}")]
    Location {
        /// The host and port that answered.
        host: String,
        /// Where it points, shortened.
        found: String,
        /// Which rule it breaks.
        why: &'static str,
    },
}

/// Why a proxy does not connect us.
#[derive(Debug)]
pub enum ProxyFault {
    /// It wants a user and password, or others than these: status 407, or 401, as tinyproxy has it.
    Login,
    /// It is not allowed to (status 403).
    Denied,
    /// It answered with another status, or not as a proxy does.
    Said(String),
    /// It was not reached itself, or did not get through in time.
    Lost(Box<Error>),
}

impl ProxyFault {
    /// From the words of the client below, which have the status in them and nothing else.
    fn from_words(words: &str) -> Self {
        let status = words.strip_prefix("proxy server responded ").and_then(|it| it.get(..3));
        match status {
            Some("407" | "401") => Self::Login,
            Some("403") => Self::Denied,
            Some(status) => Self::Said(format!("it answers with status {status}")),
            None => Self::Said(excerpt(words)),
        }
    }

    fn sentence(&self, proxy: &str, host: &str) -> String {
        match self {
            Self::Login => {
                format!("the proxy {proxy} wants another login to connect to {host}")
            }
            Self::Denied => {
                format!("the proxy {proxy} does not allow connections to {host} (status 403)")
            }
            Self::Said(words) => format!("the proxy {proxy} does not connect to {host}: {words}"),
            Self::Lost(error) => format!("the proxy {proxy} does not connect to {host}: {error}"),
        }
    }

    const fn hint(&self) -> &'static str {
        match self {
            Self::Login => {
                "write user and password into the proxy's URL, percent-encoded: \
                 HTTPS_PROXY=http://user:password@host:port"
            }
            Self::Denied => {
                "have the host and port allowed at the proxy, or name the host in NO_PROXY if it \
                 is reached without"
            }
            Self::Said(_) => {
                "check host and port, and that the proxy may reach them; a host that is reached \
                 without a proxy is named in NO_PROXY"
            }
            Self::Lost(_) => {
                "check HTTPS_PROXY; a host that is reached without a proxy is named in NO_PROXY"
            }
        }
    }
}

/// What was waited for when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The address of a name.
    Resolve,
    /// A connection.
    Connect,
    /// The other side to take the next byte.
    Write,
    /// The next byte.
    Read,
    /// A whole answer.
    Answer,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "for its name to resolve",
            Self::Connect => "for a connection",
            Self::Write => "for it to take the next byte",
            Self::Read => "for the next byte",
            Self::Answer => "for the whole answer",
        })
    }
}

impl Error {
    /// What a person does next, where the error itself tells more than that there is no answer.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Untrusted { distrust, .. } => Some(distrust.hint()),
            Self::Tls { fault, .. } => Some(fault.hint()),
            Self::Proxy { fault, .. } => Some(fault.hint()),
            Self::UnknownHost { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::NotHttp { .. }
            | Self::TooManyRedirects { .. }
            | Self::NoLocation { .. }
            | Self::Location { .. } => None,
        }
    }

    /// The same error of a request that went through a proxy: before there is a connection, it
    /// is the proxy that was not found, not reached or too slow.
    ///
    /// With a proxy that speaks TLS itself, it is not known whose certificate was refused.
    pub(super) fn behind(self, proxy: &Proxy) -> Self {
        let name = proxy.name.as_str();
        let either = |host: String| {
            if proxy.is_tls { format!("{host} or its proxy {name}") } else { host }
        };
        let (host, fault) = match self {
            Self::Untrusted { host, distrust } => {
                return Self::Untrusted { host: either(host), distrust };
            }
            Self::Tls { host, fault } => return Self::Tls { host: either(host), fault },
            Self::Proxy { host, fault, .. } => (host, fault),
            Self::UnknownHost { host } => {
                let host_of_proxy = name.to_owned();
                (host, ProxyFault::Lost(Box::new(Self::UnknownHost { host: host_of_proxy })))
            }
            Self::Refused { host, source } => {
                let host_of_proxy = name.to_owned();
                (host, ProxyFault::Lost(Box::new(Self::Refused { host: host_of_proxy, source })))
            }
            Self::TimedOut { host, wait: wait @ (Wait::Resolve | Wait::Connect), limit } => {
                let lost = Self::TimedOut { host: name.to_owned(), wait, limit };
                (host, ProxyFault::Lost(Box::new(lost)))
            }
            other @ (Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::NotHttp { .. }
            | Self::TooManyRedirects { .. }
            | Self::NoLocation { .. }
            | Self::Location { .. }) => return other,
        };
        Self::Proxy { proxy: name.to_owned(), host, fault }
    }

    /// The error behind one that the reader of an [`Answer`](super::Answer) gave.
    #[must_use]
    pub fn while_reading(host: &str, error: io::Error, timeouts: &Timeouts) -> Self {
        Self::from_ureq(host, error.into(), timeouts)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and most never occur")]
    pub(super) fn from_ureq(host: &str, error: ureq::Error, timeouts: &Timeouts) -> Self {
        let host = host.to_owned();
        match error {
            ureq::Error::Timeout(timeout) => {
                let (wait, limit) = waited(timeout, timeouts);
                Self::TimedOut { host, wait, limit }
            }
            ureq::Error::HostNotFound => Self::UnknownHost { host },
            ureq::Error::Io(source) => Self::from_io(host, source),
            ureq::Error::Rustls(source) => Self::from_io(host, io::Error::other(source)),
            // Which proxy it was is known to who made the request.
            ureq::Error::ConnectProxyFailed(words) => {
                Self::Proxy { proxy: String::new(), host, fault: ProxyFault::from_words(&words) }
            }
            other => Self::NotHttp { host, why: excerpt(&other.to_string()) },
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, most mean the same")]
    fn from_io(host: String, source: io::Error) -> Self {
        let source = match verdict(source, DeviceClock.since_epoch()) {
            Ok(Verdict::Certificate(distrust)) => return Self::Untrusted { host, distrust },
            Ok(Verdict::Fault(fault)) => return Self::Tls { host, fault },
            Err(source) => source,
        };
        // The resolver comes through as text: its type is not ours to name.
        if source.to_string().contains("failed to lookup address") {
            return Self::UnknownHost { host };
        }
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { host, source },
            _ => Self::Broken { host, source },
        }
    }
}

/// What a timeout of the client below was about, and its length.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open; the rest are not set")]
fn waited(timeout: Timeout, timeouts: &Timeouts) -> (Wait, Duration) {
    match timeout {
        Timeout::Resolve => (Wait::Resolve, timeouts.resolve),
        Timeout::Connect => (Wait::Connect, timeouts.connect),
        Timeout::PerWrite => (Wait::Write, timeouts.stall),
        Timeout::PerRead => (Wait::Read, timeouts.stall),
        Timeout::RecvResponse => (Wait::Answer, timeouts.commit),
        _ => (Wait::Answer, timeouts.answer),
    }
}

#[cfg(test)]
mod tests;
