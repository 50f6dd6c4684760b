//! Trust roots: those inside the program, and those that a file adds to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The largest file of certificates that is read, in bytes: all of a system's take a quarter.
const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// Whom a certificate must lead back to: Mozilla's list, and what was added to it.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    added: Arc<Vec<CertificateDer<'static>>>,
}

/// Why a file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file is not there, or not ours to read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is too large for what it should be.
    #[error("{} is over {CA_FILE_BYTES_MAX} bytes, more than any list of authorities", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is no certificate in PEM form (RFC 7468) in it, or a broken one.
    #[error("{} holds no certificate in PEM form, or a broken one", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// One of the certificates is none.
    #[error("certificate {number} in {} cannot be used: {reason}", path.display())]
    NotACertificate {
        /// The file.
        path: PathBuf,
        /// Which one; the first is 1.
        number: usize,
        /// What the TLS library says.
        reason: String,
    },
}

impl Roots {
    /// The roots inside the program, and every certificate of a PEM file.
    ///
    /// # Errors
    /// When the file holds anything but certificates that can be used.
    pub fn with_file(path: &Path) -> Result<Self, RootsError> {
        let added = certificates(path)?;
        // The check is the TLS library's own: it would pass over a bad one in silence later.
        let mut store = RootCertStore::empty();
        for (index, certificate) in added.iter().enumerate() {
            store.add(certificate.clone()).map_err(|error| RootsError::NotACertificate {
                path: path.to_owned(),
                number: index + 1,
                reason: error.to_string(),
            })?;
        }
        Ok(Self { added: Arc::new(added) })
    }

    /// How many a file added.
    #[must_use]
    pub fn added(&self) -> usize {
        self.added.len()
    }

    /// All of them, as the TLS library wants them.
    pub(super) fn store(&self) -> RootCertStore {
        let built_in = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
        let mut store = RootCertStore::empty();
        // Those of a file were looked at when it was read; one inside the program that cannot be used
        // trusts nobody.
        store.add_parsable_certificates(built_in.chain(self.added.iter().cloned()));
        store
    }
}

/// Every certificate of a PEM file, in order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    use io::Read;
    let unreadable = |source| RootsError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(RootsError::TooLarge { path: path.to_owned() });
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.unwrap_or_default();
    if found.is_empty() {
        return Err(RootsError::NotPem { path: path.to_owned() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Roots, RootsError};

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn certificate() -> String {
        rcgen::generate_simple_self_signed(["ca.io".to_owned()]).unwrap().cert.pem()
    }

    #[test]
    fn every_certificate_of_the_file_is_added_to_the_built_in_ones() {
        let (_directory, path) = file(&format!("# ours\n{}\n{}", certificate(), certificate()));
        let roots = Roots::with_file(&path).unwrap();
        assert_eq!(roots.added(), 2);
        assert!(roots.store().len() > 100);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_by_name() {
        let torn = certificate().replace("-----END", "----END");
        let no_certificate = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let both = format!("{}{no_certificate}", certificate());
        for (text, expected) in [
            ("", "NotPem"),
            ("hello", "NotPem"),
            (&torn, "NotPem"),
            (no_certificate, "NotACertificate { number: 1"),
            (&both, "NotACertificate { number: 2"),
            (&"x".repeat(2 << 20), "TooLarge"),
        ] {
            let (_directory, path) = file(text);
            let error = Roots::with_file(&path).unwrap_err();
            assert!(error.to_string().contains("ca.pem"), "{error}");
            let found = match error {
                RootsError::Unreadable { .. } => "Unreadable".to_owned(),
                RootsError::TooLarge { .. } => "TooLarge".to_owned(),
                RootsError::NotPem { .. } => "NotPem".to_owned(),
                RootsError::NotACertificate { number, .. } => {
                    format!("NotACertificate {{ number: {number}")
                }
            };
            assert_eq!(found, expected);
        }
        let (directory, _path) = file("");
        let error = Roots::with_file(&directory.path().join("none")).unwrap_err();
        assert!(matches!(error, RootsError::Unreadable { .. }), "{error:?}");
    }
}
