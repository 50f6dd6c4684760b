//! Who this device is to its ops center: keys and a session, on the disk before they count.

use super::keys::{Keys, KeysError};
use crate::disk::{self, DurableFile, directory_of, make_directory, read_whole, write_durably};
use crate::fleet::Id;
use crate::logging::AT_LINK;
use crate::oci::Digest;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where identities are, in the persistent directory.
pub(in crate::engine) const DIRECTORY: &str = "edge";

/// The key's file: 83 bytes of PKCS #8.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// The session's file: some 200 bytes of JSON.
const SESSION_BYTES_MAX: u64 = 16 << 10;

/// Identities that are looked at: each re-added edge makes one, and takes the others away.
const IDENTITIES_MAX: usize = 16;

/// Hexadecimal digits of a directory's name: nobody finds two names of one, by chance or on purpose.
const NAME_CHARS: usize = 32;

/// A session as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The edge's name.
    pub edge: String,
    /// Which.
    pub session: Id,
    /// What it has come to.
    pub serial: u64,
    /// When this edge joined by the ops center's clock, milliseconds since 1970.
    pub joined_ms: u64,
    /// The ops center's clock when this was written: no certificate is looked at by an earlier time.
    #[serde(default)]
    pub heard_ms: Option<u64>,
}

/// Keys, the session where there is one, and where both are kept.
#[derive(Debug)]
pub(super) struct Identity {
    directory: PathBuf,
    pub(super) keys: Arc<Keys>,
    pub(super) session: Option<Session>,
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum IdentityError {
    #[error("the identity of this edge cannot be read or written")]
    Disk(#[from] disk::Error),
    #[error("the key in {} cannot be used", path.display())]
    Keys {
        path: PathBuf,
        #[source]
        source: KeysError,
    },
    #[error("the session cannot be written to {}", path.display())]
    Session {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// The directory of all identities of one edge: no name from outside is a file name.
pub(super) fn directory_of_edge(persist: &Path, edge: &str) -> PathBuf {
    persist.join(DIRECTORY).join(hashed(edge))
}

fn hashed(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()[..NAME_CHARS].to_owned()
}

/// When this device joined as that edge by the ops center's clock, milliseconds since 1970.
pub(in crate::engine) fn joined_at(persist: &Path, edge: &str) -> Option<u64> {
    let found = Identity::joined(&directory_of_edge(persist, edge));
    found.first()?.session.as_ref().map(|session| session.joined_ms)
}

impl Identity {
    /// The identity that belongs to this token, with keys that are on the disk now at the latest.
    pub(super) fn of_token(edge_directory: &Path, token: &str) -> Result<Identity, IdentityError> {
        let directory = edge_directory.join(hashed(token));
        let path = directory.join("key");
        if directory.is_dir() {
            // What a kill left half written.
            disk::sweep(&directory)?;
        }
        if read_whole(&path, KEY_BYTES_MAX)?.is_none() {
            make_directory(&directory)?;
            let made = Keys::generate();
            let made = made.map_err(|source| IdentityError::Keys { path: path.clone(), source })?;
            write_secretly(&path, &made)?;
        }
        Identity::open(directory)
    }

    /// The identities of this edge that have a session, the one that joined last first.
    pub(super) fn joined(edge_directory: &Path) -> Vec<Identity> {
        let Ok(entries) = std::fs::read_dir(edge_directory) else { return Vec::new() };
        let directories = entries.flatten().map(|entry| entry.path()).take(IDENTITIES_MAX);
        let mut found: Vec<Identity> =
            directories.filter_map(|directory| Identity::open(directory).ok()).collect();
        found.retain(|identity| identity.session.is_some());
        let joined_ms = |it: &Identity| it.session.as_ref().map_or(0, |session| session.joined_ms);
        found.sort_by_key(|identity| std::cmp::Reverse(joined_ms(identity)));
        found
    }

    fn open(directory: PathBuf) -> Result<Identity, IdentityError> {
        let path = directory.join("key");
        let keys = read_whole(&path, KEY_BYTES_MAX)?.unwrap_or_default();
        let keys = Keys::read(&keys).map_err(|source| IdentityError::Keys { path, source })?;
        let path = directory.join("session");
        let session = read_whole(&path, SESSION_BYTES_MAX)?.and_then(|bytes| {
            let read = serde_json::from_slice(&bytes);
            if let Err(error) = &read {
                // The key is what counts: whoever has it is answered again when it joins again.
                log::warn!(
                    target: AT_LINK,
                    "path={path:?} cause={:?} msg=\"the session on the disk is damaged and asked for anew\"",
                    error.to_string()
                );
            }
            read.ok()
        });
        Ok(Identity { directory, keys: Arc::new(keys), session })
    }

    /// Writes a session down; it counts from then on.
    pub(super) fn keep(&mut self, session: Session) -> Result<(), IdentityError> {
        let bytes = serde_json::to_vec(&session).map_err(|source| IdentityError::Session {
            path: self.directory.join("session"),
            source,
        })?;
        write_durably(&self.directory.join("session"), &bytes)?;
        self.session = Some(session);
        Ok(())
    }

    /// Takes away the other identities of this edge, which the ops center has ended.
    pub(super) fn forget_others(&self) {
        let Ok(entries) = std::fs::read_dir(directory_of(&self.directory)) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|it| it != &self.directory) {
            // One that stays is looked at again, and refused again.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// Writes a file that only its owner may read, from its first byte on.
fn write_secretly(path: &Path, bytes: &[u8]) -> Result<(), disk::Error> {
    let mut file = DurableFile::create_private(directory_of(path))?;
    file.write_all(bytes).map_err(disk::failed(disk::Step::Write, file.path()))?;
    file.persist(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_identity_is_kept_by_token_and_its_key_is_the_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let edge = directory_of_edge(root.path(), "../../etc");
        assert!(edge.starts_with(root.path().join(DIRECTORY)));
        let mut one = Identity::of_token(&edge, "a").unwrap();
        assert!(Identity::joined(&edge).is_empty());
        let mode = std::fs::metadata(one.directory.join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let session: Id = "0190a5b2-c3d4-4e5f-8a7b-00112233aabb".parse().unwrap();
        let of = |joined_ms| Session {
            edge: "a".to_owned(),
            session,
            serial: 1,
            joined_ms,
            heard_ms: None,
        };
        one.keep(of(1)).unwrap();
        let mut two = Identity::of_token(&edge, "b").unwrap();
        assert_ne!(one.keys.public(), two.keys.public());
        two.keep(of(2)).unwrap();
        let again = Identity::of_token(&edge, "a").unwrap();
        assert_eq!((again.keys.public(), again.session), (one.keys.public(), one.session.clone()));
        std::fs::write(one.directory.join("session"), "torn").unwrap();
        let torn = Identity::of_token(&edge, "a").unwrap();
        assert_eq!((torn.keys.public(), torn.session), (one.keys.public(), None));
        one.keep(of(1)).unwrap();
        let order: Vec<u64> = Identity::joined(&edge)
            .iter()
            .map(|it| it.session.as_ref().unwrap().joined_ms)
            .collect();
        assert_eq!(order, [2, 1]);
        two.forget_others();
        assert_eq!(Identity::joined(&edge).len(), 1);
    }
}
