//! One quick look at a server of our own, known by its very certificate and not by its name.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    StreamOwned,
};

use super::RootsError;
use super::roots::certificates;

/// How much of an answer is read, in bytes: health is told in a line.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

/// A look at `http://address/path`, or `https://` where there is a certificate to know it by.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// Whom to ask.
    pub address: SocketAddr,
    /// What to ask for, from the slash on.
    pub path: &'a str,
    /// The file with the certificate that the server shows, where it speaks TLS.
    pub certificate: Option<&'a Path>,
    /// How long it may take, all in all.
    pub limit: Duration,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The status of the answer.
    pub status: u16,
    /// Its body, or as much of it as is read.
    pub body: Vec<u8>,
}

/// Why nothing was seen.
#[derive(Debug, thiserror::Error)]
pub enum GlanceError {
    /// The certificate to know the server by cannot be read.
    #[error("the server's certificate cannot be read")]
    Certificate(#[from] RootsError),
    /// No connection, or one that broke or stalled.
    #[error("{address} does not answer")]
    Silent {
        /// Who was asked.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An answer that is not HTTP.
    #[error("{address} does not speak {scheme} as expected")]
    NotHttp {
        /// Who was asked.
        address: SocketAddr,
        /// In which way.
        scheme: &'static str,
    },
}

impl Glance<'_> {
    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// When no answer of HTTP comes in time.
    pub fn look(&self) -> Result<Seen, GlanceError> {
        let address = self.address;
        let silent = |source| GlanceError::Silent { address, source };
        let until = Instant::now() + self.limit;
        let certificate = self.certificate.map(certificates).transpose()?;
        let socket = TcpStream::connect_timeout(&address, self.limit).map_err(silent)?;
        let socket = Timed { socket, until };
        let answer = match certificate.and_then(|chain| chain.into_iter().next()) {
            None => self.ask(socket),
            Some(known) => {
                let name = ServerName::IpAddress(address.ip().into());
                let session = ClientConnection::new(Arc::new(config(known)), name)
                    .map_err(|error| silent(io::Error::other(error)))?;
                self.ask(StreamOwned::new(session, socket))
            }
        };
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        parse(&answer.map_err(silent)?).ok_or(GlanceError::NotHttp { address, scheme })
    }

    fn ask(&self, mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
        let Self { address, path, .. } = self;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.flush()?;
        let mut answer = Vec::new();
        match stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer) {
            // Who ends a connection without goodbye has said what there is to say.
            Err(error) if answer.is_empty() => Err(error),
            Ok(_) | Err(_) => Ok(answer),
        }
    }
}

/// Where to reach one who listens everywhere: on loopback.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    SocketAddr::new(address, listen.port())
}

/// Status and body of an answer that ends with its connection (RFC 9112, 6.3).
fn parse(answer: &[u8]) -> Option<Seen> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Seen { status, body: answer[end + 4..].to_vec() })
}

/// A socket whose every wait ends at one and the same time.
struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn config(known: CertificateDer<'static>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Known { certificate: known, provider: Arc::clone(&provider) });
    #[expect(clippy::expect_used, reason = "this provider has what both versions need")]
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("the provider speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// Knows one certificate. Its names and its time do not count: the engine is asked on loopback,
/// whatever it is called outside, and one whose certificate is over is alive.
#[derive(Debug)]
struct Known {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _above: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if shown.as_ref() == self.certificate.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    // That the other side has the key is checked as ever: a certificate can be copied.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Glance, GlanceError, Seen, parse, reachable};
    use std::net::TcpListener;
    use std::time::Duration;

    #[test]
    fn an_answer_is_status_and_body_and_all_else_is_none() {
        let seen = parse(b"HTTP/1.1 503 Busy\r\nA: b\r\n\r\n{}");
        assert_eq!(seen, Some(Seen { status: 503, body: b"{}".to_vec() }));
        for other in ["", "HTTP/1.1 200 OK\r\n", "\x15\x03\x03\0\r\n\r\n", "HTTP/1.1 2é\r\n\r\n"] {
            assert_eq!(parse(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn one_who_takes_the_connection_and_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Duration::from_millis(50);
        let error = Glance { address, path: "/", certificate: None, limit }.look().unwrap_err();
        assert!(matches!(error, GlanceError::Silent { .. }), "{error:?}");
    }

    #[test]
    fn one_who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
