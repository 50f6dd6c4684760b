//! Why no answer came, told apart by what a person would do about it.

use std::fmt;
use std::io;
use std::time::Duration;

use ureq::Timeout;

use super::{REDIRECTS_MAX, Timeouts};
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
    #[error("the TLS certificate of {host} is not trusted")]
    Untrusted {
        /// The host and port.
        host: String,
        /// What is wrong with the certificate.
        source: io::Error,
    },
    /// TLS failed for another reason: a version, a plain-text server.
    #[error("no TLS connection with {host}")]
    Tls {
        /// The host and port.
        host: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// The proxy would not connect us.
    #[error("the proxy did not connect to {host}: {why}")]
    Proxy {
        /// The host and port.
        host: String,
        /// What it said, shortened.
        why: String,
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
            ureq::Error::ConnectProxyFailed(why) => Self::Proxy { host, why: excerpt(&why) },
            other => Self::NotHttp { host, why: excerpt(&other.to_string()) },
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, most mean the same")]
    fn from_io(host: String, source: io::Error) -> Self {
        let text = source.to_string();
        // The resolver and the TLS library come through as text: their types are not ours to name.
        if text.contains("failed to lookup address") {
            return Self::UnknownHost { host };
        }
        if text.contains("invalid peer certificate") {
            return Self::Untrusted { host, source };
        }
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { host, source },
            io::ErrorKind::InvalidData => Self::Tls { host, source },
            io::ErrorKind::Other if source.get_ref().is_some() => Self::Tls { host, source },
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
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use ureq::http::Method;

    use crate::http::client::{Call, Client, Error, Patience, Timeouts, Wait};

    fn fetch(uri: &str, timeouts: Timeouts) -> Error {
        let call = Call {
            method: Method::GET,
            uri: &uri.parse().unwrap(),
            headers: &[],
            authorization: None,
            patience: Patience::Answer,
        };
        Client::new(timeouts).fetch(&call).unwrap_err()
    }

    #[test]
    fn a_port_where_nothing_listens_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = fetch(&format!("http://{address}/"), Timeouts::EDGE);
        assert!(matches!(error, Error::Refused { host, .. } if host == address.to_string()));
    }

    #[test]
    fn a_host_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let stall = Duration::from_millis(50);
        let error = fetch(&uri, Timeouts { stall, ..Timeouts::EDGE });
        assert!(
            matches!(error, Error::TimedOut { wait: Wait::Read, limit, .. } if limit == stall),
            "{error:?}"
        );
    }

    #[test]
    fn a_server_without_tls_is_told_from_an_untrusted_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("https://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 64]).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let error = fetch(&uri, Timeouts::EDGE);
        server.join().unwrap();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    }
}
