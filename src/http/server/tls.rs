//! TLS: the certificate and key that the server shows, read from PEM files and again when they change.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::wire::is_timeout;
use crate::logging::AT_SERVE;

/// Bytes of a certificate's or a key's file: a chain of ten with the longest keys is below 32 KiB.
const PEM_BYTES_MAX: u64 = 256 * 1024;

/// How often the files are looked at, at most, and only when a client connects: certificates are
/// renewed days before they expire.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The one protocol that is offered (RFC 7301), so that a client of HTTP/2 falls back or is told.
const PROTOCOL: &[u8] = b"http/1.1";

/// The first byte of a TLS client's first record (RFC 8446 section 5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// The alert `internal_error` in the clear (RFC 8446 section 6): what a client is told that is
/// refused at the door, where there is no thread for its handshake.
pub(super) const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// A certificate chain and its key, which follow their files.
///
/// TLS 1.2 and 1.3 (RFC 5246, RFC 8446); clients show no certificate.
pub struct Tls {
    files: Files,
    state: Mutex<State>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    look_every: Duration,
}

struct State {
    looked: Instant,
    /// The files as they were when they were last read, well or not.
    stamp: Stamp,
    config: Arc<ServerConfig>,
}

/// How both files look from outside; `None` where one cannot be looked at.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// Why a certificate and its key cannot be used. Nothing of the key stands in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there, or not ours to read.
    #[error("{} cannot be read: check its path and permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large for what it should be.
    #[error("{} is over {limit_bytes} bytes: name a PEM file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read at most.
        limit_bytes: u64,
    },
    /// There is no certificate in PEM form (RFC 7468) in the file.
    #[error("{} holds no certificate in PEM form: write the server's first, then those above it", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in PEM form in the file.
    #[error("{} holds no private key in PEM form: write one without a pass phrase", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not fit, or are of a kind that is not spoken.
    #[error(
        "the certificate {} and the key {} cannot be used together: {reason}; write the key that \
         the certificate was made for", certificate.display(), key.display()
    )]
    Unfit {
        /// The chain's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library says.
        reason: String,
    },
}

/// The files alone: what a key may show of itself is not for us to say.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?}, {:?})", self.files.certificate, self.files.key)
    }
}

impl Tls {
    /// The file with the certificate chain that clients are shown.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    /// Reads the chain, the server's certificate first, and the key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    /// Either file is unreadable or holds something else, or the key is another certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        Tls::looking_every(LOOK_EVERY, certificate, key)
    }

    pub(super) fn looking_every(
        look_every: Duration,
        certificate: &Path,
        key: &Path,
    ) -> Result<Tls, TlsError> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let files = Files { certificate, key, look_every };
        // The stamp is older than what is read, so a change in between is seen at the next look.
        let (looked, stamp) = (Instant::now(), files.stamp());
        let config = files.read()?;
        Ok(Tls { files, state: Mutex::new(State { looked, stamp, config }) })
    }

    /// What a new connection is to be shown.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= self.files.look_every {
            state.looked = Instant::now();
            let stamp = self.files.stamp();
            if stamp != state.stamp {
                state.stamp = stamp;
                self.files.reload(&mut state.config);
            }
        }
        Arc::clone(&state.config)
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let found = path.metadata().ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }

    /// Takes the new files, or says once for each change why the old ones go on being shown.
    fn reload(&self, config: &mut Arc<ServerConfig>) {
        match self.read() {
            Ok(new) => {
                *config = new;
                log::info!(target: AT_SERVE, "msg=\"the certificate was read anew\"");
            }
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                log::warn!(target: AT_SERVE, "msg=\"the old certificate is kept: {error}{cause}\"");
            }
        }
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let (certificate, key) = (&self.certificate, &self.key);
        let no_certificate = || TlsError::NoCertificate { path: certificate.clone() };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&read(certificate)?).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        // What the reader says of a key's file could repeat a line of it.
        let private = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| TlsError::NoKey { path: key.clone() })?;
        let unfit = |error: rustls::Error| TlsError::Unfit {
            certificate: certificate.clone(),
            key: key.clone(),
            reason: error.to_string(),
        };
        // Named, since the process-wide default is whichever library was first to set one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(unfit)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned(), limit_bytes: PEM_BYTES_MAX });
    }
    Ok(bytes)
}

/// One connection's TLS, which moves bytes only when it is asked to.
#[derive(Debug)]
pub(super) struct Session {
    // On the heap: a plain connection should not carry its kilobyte.
    inner: Box<ServerConnection>,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<Session> {
        let inner = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Session { inner: Box::new(inner) })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// One system call: writes what we owe the client, else reads and decrypts; 0 is the end of
    /// the stream.
    pub(super) fn turn(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        if self.inner.wants_write() {
            return self.inner.write_tls(&mut socket);
        }
        let count = self.inner.read_tls(&mut socket)?;
        if let Err(error) = self.inner.process_new_packets() {
            // It owes the client an alert now; the error is the same whether that arrives or not.
            let _ = self.inner.write_tls(&mut socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }

    /// Reads what is decrypted; `Interrupted` after a turn that may have brought more.
    pub(super) fn read(&mut self, socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        match self.inner.reader().read(into) {
            Err(error) if is_timeout(&error) => {
                self.turn(socket)?;
                Err(io::ErrorKind::Interrupted.into())
            }
            // An end without TLS's own goodbye: HTTP's framing tells by itself what is cut off.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            result => result,
        }
    }

    /// Takes plain bytes to encrypt, as many as its buffer of 64 KiB has room for.
    pub(super) fn take(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.inner.writer().write_vectored(slices)
    }

    /// Whether encrypted bytes wait to be sent.
    pub(super) fn owes(&self) -> bool {
        self.inner.wants_write()
    }

    /// Sends encrypted bytes, in one system call.
    pub(super) fn flush(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        self.inner.write_tls(&mut socket)
    }

    /// Says goodbye, so that the client knows this end from one that was forged.
    pub(super) fn finish(&mut self, socket: &TcpStream) {
        if self.is_handshaking() {
            return;
        }
        self.inner.send_close_notify();
        // A client that takes it no more does not need it.
        let _ = self.flush(socket);
    }
}
