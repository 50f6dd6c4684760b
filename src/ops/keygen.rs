//! A new key pair, in the files that cosign would make.

use super::sign::PrivateKey;
use crate::disk;
use crate::exit::{Exit, Failure};
use crate::registry::Secret;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files of a new key pair.
#[derive(Debug)]
pub struct KeyFiles {
    /// The sealed private key, which only its owner can read.
    pub private: PathBuf,
    /// The public key, which devices are given.
    pub public: PathBuf,
    /// What the public key is called in the engine's log.
    pub id: String,
}

/// Makes a key pair and writes `PREFIX.key` and `PREFIX.pub`.
///
/// # Errors
/// When one of the files is there: a key that signed something must not be lost to a new one.
pub fn keygen(prefix: &str, password: &Secret) -> Result<KeyFiles, Failure> {
    let files = [format!("{prefix}.key"), format!("{prefix}.pub")].map(PathBuf::from);
    if let Some(there) = files.iter().find(|file| file.exists()) {
        let sentence = format!("{} is there already", there.display());
        return Err(Failure::new(Exit::Usage, sentence)
            .hint("give --output-prefix another name, or move the file away"));
    }
    let failed = |error| Failure::new(Exit::Failed, error);
    let (key, sealed) = PrivateKey::generate(password).map_err(failed)?;
    let id = key.public().map_err(failed)?.short();
    let [private, public] = files;
    write(&private, &sealed, 0o600)?;
    write(&public, &key.public_pem(), 0o644)?;
    Ok(KeyFiles { private, public, id })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(disk::failed(disk::Step::Create, path)).map_err(|error| {
        Failure::new(Exit::Disk, error).hint("name a directory that can be written")
    })
}
