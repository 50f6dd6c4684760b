//! Why a certificate is not trusted, or why there is no TLS at all, told apart by the remedy.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

use crate::clock::{RELEASED, rfc3339};
use crate::oci::excerpt;

/// The most names of a certificate that are repeated.
const NAMES_MAX: usize = 5;

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Whoever signed it is not among our roots.
    UnknownIssuer,
    /// It is over, by this device's clock.
    Expired {
        /// When it ended, since the epoch.
        ended: Duration,
        /// What this device's clock says, since the epoch.
        now: Duration,
    },
    /// It has not begun, by this device's clock.
    NotYet {
        /// When it begins, since the epoch.
        begins: Duration,
        /// What this device's clock says, since the epoch.
        now: Duration,
    },
    /// It is for other names.
    Name {
        /// The names that it is for, shortened.
        names: String,
    },
    /// Anything else, in the TLS library's words.
    Other(String),
}

impl Distrust {
    /// Whether it would be trusted at another time: the device's clock may well be wrong.
    #[must_use]
    pub const fn is_of_time(&self) -> bool {
        match self {
            Self::Expired { .. } | Self::NotYet { .. } => true,
            Self::UnknownIssuer | Self::Name { .. } | Self::Other(_) => false,
        }
    }

    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "put the certificate of the authority that signed it, in PEM form, into a file, \
                 and name the file in POTOROO_CA_FILE"
            }
            Self::Expired { now, .. } | Self::NotYet { now, .. }
                if now.as_secs() < RELEASED.as_secs() =>
            {
                "set this device's clock: it is before this program was made"
            }
            Self::Expired { .. } => {
                "set this device's clock if it is wrong; if it is right, the certificate has to \
                 be renewed"
            }
            Self::NotYet { .. } => "set this device's clock, which seems to be behind",
            Self::Name { .. } => {
                "use a name that the certificate is for, or have one made for this name"
            }
            Self::Other(_) => "ask who runs the host for a certificate that can be verified",
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and most are rare")]
    fn from_rustls(error: &CertificateError, now: Duration) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { ended: since_epoch(not_after), now: since_epoch(time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYet { begins: since_epoch(not_before), now: since_epoch(time) }
            }
            CertificateError::Expired => Self::Expired { ended: Duration::ZERO, now },
            CertificateError::NotValidYet => Self::NotYet { begins: Duration::MAX, now },
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<String> =
                    presented.iter().take(NAMES_MAX).map(|it| name(it)).collect();
                Self::Name { names: excerpt(&names.join(", ")) }
            }
            CertificateError::NotValidForName => Self::Name { names: String::new() },
            other => Self::Other(excerpt(&other.to_string())),
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("is signed by nobody whom this device trusts"),
            Self::Expired { ended, now } => write!(
                f,
                "ended at {}, and this device's clock says {}",
                to_the_second(*ended),
                to_the_second(*now)
            ),
            Self::NotYet { begins, now } => write!(
                f,
                "begins at {}, and this device's clock says {}",
                to_the_second(*begins),
                to_the_second(*now)
            ),
            Self::Name { names } if names.is_empty() => f.write_str("is for no name at all"),
            Self::Name { names } => write!(f, "is for another name: {names}"),
            Self::Other(words) => write!(f, "is not trusted: {words}"),
        }
    }
}

/// Why there is no TLS connection, whatever the certificate.
#[derive(Debug)]
pub enum TlsFault {
    /// What answered to TLS's greeting is not TLS.
    AnsweredInPlain,
    /// It was asked in plain text, and wants TLS.
    AskedInPlain,
    /// Anything else.
    Other(io::Error),
}

impl TlsFault {
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::AnsweredInPlain => {
                "check the port; a registry without TLS is named in POTOROO_PLAIN_HTTP"
            }
            Self::AskedInPlain => {
                "write https:// before the registry in PIPELINE_URL, and take it out of \
                 POTOROO_PLAIN_HTTP"
            }
            Self::Other(_) => "check the port, and that the host speaks TLS 1.2 or 1.3",
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnsweredInPlain => f.write_str("it does not speak TLS at that port"),
            Self::AskedInPlain => f.write_str("it speaks TLS at that port, and was asked without"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// What the TLS library says, where an error is one of its own.
pub(super) enum Verdict {
    Certificate(Distrust),
    Fault(TlsFault),
}

/// The verdict behind an error of a connection; the error again where it is not TLS's.
pub(super) fn verdict(error: io::Error, now: Duration) -> Result<Verdict, io::Error> {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match found {
        None => Err(error),
        Some(rustls::Error::InvalidCertificate(why)) => {
            Ok(Verdict::Certificate(Distrust::from_rustls(why, now)))
        }
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => Ok(Verdict::Fault(TlsFault::AnsweredInPlain)),
        Some(_) => Ok(Verdict::Fault(TlsFault::Other(error))),
    }
}

/// Whether the body of a 400 is the one that TLS servers send to who greets in plain text.
pub(super) fn wants_tls(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["https", "ssl", "tls"].iter().any(|word| text.contains(word)) && text.contains("plain")
        || text.contains("http request to an https server")
}

fn since_epoch(time: &UnixTime) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// `2026-11-24T06:00:00Z`: certificates know no milliseconds.
fn to_the_second(since_epoch: Duration) -> String {
    rfc3339(Duration::from_secs(since_epoch.as_secs())).replace(".000Z", "Z")
}

/// `DnsName("r.io")` and `IpAddress(10.0.0.1)` without what is about them.
fn name(presented: &str) -> String {
    let inner = presented.split_once('(').map_or(presented, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Distrust, wants_tls};
    use std::time::Duration;

    #[test]
    fn a_clock_before_the_release_is_told_from_a_certificate_that_is_over() {
        let seconds = Duration::from_secs;
        let wrong = Distrust::NotYet { begins: seconds(1_767_225_600), now: seconds(60) };
        assert!(wrong.is_of_time() && wrong.hint().contains("before this program was made"));
        assert_eq!(
            wrong.to_string(),
            "begins at 2026-01-01T00:00:00Z, and this device's clock says 1970-01-01T00:01:00Z"
        );
        let over = Distrust::Expired { ended: seconds(1_700_000_000), now: seconds(1_900_000_000) };
        assert!(over.is_of_time() && over.hint().contains("renewed"));
    }

    #[test]
    fn what_tls_servers_say_to_plain_text_is_known() {
        for body in [
            "Client sent an HTTP request to an HTTPS server.\n",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
        ] {
            assert!(wants_tls(body.as_bytes()), "{body}");
        }
        assert!(!wants_tls(br#"{"errors":[{"code":"NAME_INVALID"}]}"#));
    }
}
