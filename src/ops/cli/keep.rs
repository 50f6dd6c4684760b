//! What `login` keeps: the ops center and a token, in a file that is its user's alone to read.

use crate::disk;
use crate::exit::{Exit, Failure};
use crate::registry::Secret;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// The file, in bytes: a URL and a token.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A kept login.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The ops center.
    pub(super) url: String,
    token: String,
}

impl Kept {
    /// What there is, if anything.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn read() -> Result<Option<Kept>, Failure> {
        let Some(path) = path() else { return Ok(None) };
        let bytes = disk::read_whole(&path, FILE_BYTES_MAX).map_err(unusable)?;
        let Some(bytes) = bytes else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            Failure::new(Exit::Usage, format!("{} is no kept login", path.display()))
                .hint("`potoroo-ops login` writes it anew")
        })
    }

    /// The token, if it was got from that ops center.
    pub(super) fn token_for(self, url: &str) -> Option<Secret> {
        let is_there = self.url.trim_end_matches('/') == url.trim_end_matches('/');
        is_there.then(|| Secret::new(self.token))
    }

    /// Keeps a login and says where.
    ///
    /// # Errors
    /// When there is no home directory, or the file cannot be written.
    pub(super) fn write(url: &str, token: &Secret) -> Result<PathBuf, Failure> {
        let path = path().ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no home directory to keep the token in")
                .hint("set HOME or XDG_CONFIG_HOME, or use POTOROO_OPS_TOKEN")
        })?;
        disk::make_directory(disk::directory_of(&path)).map_err(unusable)?;
        let kept = Kept { url: url.to_owned(), token: token.reveal().to_owned() };
        let text = serde_json::to_vec(&kept).map_err(|error| Failure::new(Exit::Failed, error))?;
        // Beside it and then in its place: never readable by others, and never half.
        let beside = path.with_extension("new");
        let _ = std::fs::remove_file(&beside);
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|error| {
            Failure::new(Exit::Disk, format!("{} cannot be written: {error}", path.display()))
        })?;
        Ok(path)
    }

    /// Forgets the login; tells whether there was one.
    pub(super) fn forget() -> bool {
        path().is_some_and(|path| std::fs::remove_file(path).is_ok())
    }
}

/// `$XDG_CONFIG_HOME/potoroo/ops.json`, or below `~/.config`.
fn path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))?;
    Some(config.join("potoroo/ops.json"))
}

fn unusable(error: disk::Error) -> Failure {
    Failure::new(Exit::Disk, error).hint("see to the permissions of ~/.config/potoroo")
}
