//! TLS for the client: certificates hold by a time that no device's wrong clock takes back to 1970.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    StreamOwned,
};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::Roots;
use crate::clock::{Clock, DeviceClock, RELEASED};

/// Certificates from a server's to its root: each may begin later than the one before.
const CHAIN_MAX: usize = 8;

/// The latest time that this device has heard of from those whom it trusts. It outlives no process;
/// who keeps it on a disk tells it at the next start.
#[derive(Debug, Clone, Default)]
pub struct HeardTime(Arc<AtomicU64>);

impl HeardTime {
    /// It is so late by a clock that is trusted, since the epoch.
    pub fn heard(&self, since_epoch: Duration) {
        self.0.fetch_max(since_epoch.as_secs(), Relaxed);
    }

    /// The time by which certificates are looked at, where a device's clock says `told`: it is not
    /// before the release of this program, nor before what was heard.
    fn not_before(&self, told: Duration) -> Duration {
        told.max(RELEASED).max(Duration::from_secs(self.0.load(Relaxed)))
    }
}

/// Puts TLS about the connections that want it.
pub(super) struct Secured {
    roots: Roots,
    heard: HeardTime,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Secured {
    pub(super) fn new(roots: &Roots, heard: &HeardTime) -> Arc<Secured> {
        let (roots, heard) = (roots.clone(), heard.clone());
        Arc::new(Secured { roots, heard, config: OnceLock::new() })
    }

    /// Made once: reading all roots takes a millisecond.
    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(
            Arc::new(self.roots.store()),
            provider.clone(),
        );
        let inner = inner.build().map_err(io::Error::other)?;
        let verifier = Arc::new(ByTime { inner, heard: self.heard.clone() });
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = versions.dangerous().with_custom_certificate_verifier(verifier);
        let config = Arc::new(config.with_no_client_auth());
        Ok(self.config.get_or_init(|| config).clone())
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured(…)")
    }
}

/// What connections are made with, for one agent.
#[derive(Debug)]
pub(super) struct Securing(pub(super) Arc<Secured>);

impl<In: Transport> Connector<In> for Securing {
    type Out = Either<In, Tls>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host).map_err(io::Error::other)?.to_owned();
        let session = ClientConnection::new(self.0.config()?, name).map_err(io::Error::other)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        let mut stream = StreamOwned::new(session, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Tls { buffers: LazyBuffers::new(input, output), stream })))
    }
}

/// A connection within TLS.
pub(super) struct Tls {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let bytes = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(bytes);
        Ok(0 < bytes)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Looks at certificates as everybody does, by a time that can be.
#[derive(Debug)]
struct ByTime {
    inner: Arc<WebPkiServerVerifier>,
    heard: HeardTime,
}

impl ServerCertVerifier for ByTime {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let told = DeviceClock.since_epoch();
        let mut now = self.heard.not_before(told);
        for _ in 0..CHAIN_MAX {
            let at = UnixTime::since_unix_epoch(now);
            let verified = self.inner.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                at,
            );
            match verified {
                // By a clock that is surely wrong nothing is too new: that the certificate has begun
                // is what the server says by showing it.
                Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if told < RELEASED && now.as_secs() < not_before.as_secs() => {
                    now = Duration::from_secs(not_before.as_secs());
                }
                other => return other,
            }
        }
        Err(CertificateError::NotValidYet.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::{HeardTime, RELEASED};
    use std::time::Duration;

    #[test]
    fn no_time_is_before_the_release_or_before_what_was_heard() {
        let heard = HeardTime::default();
        let day = Duration::from_secs(86_400);
        assert_eq!(heard.not_before(day), RELEASED);
        assert_eq!(heard.not_before(RELEASED + day), RELEASED + day);
        heard.heard(RELEASED + 2 * day);
        heard.heard(day);
        assert_eq!(heard.not_before(RELEASED + day), RELEASED + 2 * day);
        assert_eq!(heard.not_before(RELEASED + 3 * day), RELEASED + 3 * day);
    }
}
