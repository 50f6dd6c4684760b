//! An authority for certificates that nobody trusts but who is told to, and servers' certificates by it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The authority, with its certificate in a file.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key, as a server shows them.
pub struct Shown {
    pub certificate: String,
    pub key: String,
}

/// The file in which the key of an authority is kept.
pub const KEY: &str = "authority.pem";

/// Years that a certificate holds for; the tests' clocks are in between.
pub const GOOD: [i32; 2] = [2020, 2090];
pub const OVER: [i32; 2] = [2020, 2021];
pub const TO_COME: [i32; 2] = [2088, 2090];

/// The names that loopback has.
pub const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Authority {
    pub fn new() -> Authority {
        Authority::by(KeyPair::generate().unwrap())
    }

    /// With the key that is kept in a directory: who trusts the authority of an earlier process trusts this one.
    pub fn kept(directory: &Path) -> Authority {
        let file = directory.join(KEY);
        let key = match std::fs::read_to_string(&file) {
            Ok(text) => KeyPair::from_pem(&text).unwrap(),
            Err(_) => {
                let key = KeyPair::generate().unwrap();
                std::fs::write(file, key.serialize_pem()).unwrap();
                key
            }
        };
        Authority::by(key)
    }

    fn by(key: KeyPair) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let directory = tempfile::tempdir().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), directory }
    }

    /// The file to trust it by.
    pub fn file(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }

    /// A certificate for these names, from the first of January of one year to that of another.
    pub fn shown(&self, names: &[&str], [from, to]: [i32; 2]) -> Shown {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Shown { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Shown {
    /// Writes both into files: the certificate's, then the key's.
    pub fn write(&self, directory: &Path) -> [PathBuf; 2] {
        let [certificate, key] = ["tls-cert.pem", "tls-key.pem"].map(|it| directory.join(it));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        [certificate, key]
    }
}
