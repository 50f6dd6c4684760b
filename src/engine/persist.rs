//! The persistent directory: the one that was asked for, `/persist`, or the user's state directory.

use crate::disk;
use crate::exit::{Exit, Failure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where images and the contract's compose file mount the volume.
const VOLUME: &str = "/persist";

/// What the engine itself puts into its directory: a volume with anything else in it is not taken.
const OURS: [&str; 7] = [
    super::store::LAYOUT,
    super::store::GRAPHS,
    super::store::LOCK,
    super::store::STATE,
    super::store::STATE_COPY,
    super::link::IDENTITIES,
    super::journal::DIRECTORY,
];

/// Makes the volume the user's own, in an image that lets the engine do so; before all else.
///
/// # Errors
/// When the right to do so cannot be given up.
pub fn own_volume() -> Result<(), Failure> {
    disk::own(Path::new(VOLUME), &OURS).map_err(|error| {
        let sentence = format!("the rights of root cannot be given up: {error}");
        Failure::new(Exit::Failed, sentence)
            .hint("run the image with `--security-opt no-new-privileges`")
    })
}

/// The directory below the state directory that is ours.
const STATE: &str = "potoroo";

/// No directory can keep what is fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum PersistError {
    #[error(
        "POTOROO_PERSIST is {}, which cannot be written ({error}): mount a volume there, or name \
         another directory", path.display()
    )]
    Asked { path: PathBuf, error: std::io::Error },
    #[error(
        "no directory to keep models in can be written (tried {tried}): mount a volume at \
         /persist, or set POTOROO_PERSIST"
    )]
    Nowhere { tried: String },
}

/// The first of the candidates that can be written; made when it is not there.
///
/// `/persist` is never made: where it is missing, no volume was mounted.
pub(super) fn choose(
    asked: Option<PathBuf>,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf, PersistError> {
    if let Some(path) = asked {
        return match writable(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(PersistError::Asked { path, error }),
        };
    }
    let mut tried = Vec::new();
    for path in candidates(None, state_home, home) {
        match writable(&path) {
            Ok(()) => return Ok(path),
            Err(error) => tried.push(format!("{}: {error}{}", path.display(), owner(&path))),
        }
    }
    let tried = if tried.is_empty() { "none: HOME is not set".into() } else { tried.join("; ") };
    Err(PersistError::Nowhere { tried })
}

/// Who has a volume that cannot be written, and what gives it to the engine; nothing of directories
/// that are not there.
fn owner(path: &Path) -> String {
    let user = |path: &Path| std::fs::metadata(path).ok().map(|found| found.uid());
    match (user(path), user(Path::new("/proc/self"))) {
        (Some(owner), Some(user)) if owner != user => format!(
            " (it belongs to user {owner}, and the engine runs as {user}: `chown {user}` it where it \
             is mounted from)"
        ),
        (_, _) => String::new(),
    }
}

/// Where the directory may be, the best first; nothing is looked at but whether there is a volume.
pub(super) fn candidates(
    asked: Option<PathBuf>,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Vec<PathBuf> {
    if asked.is_some() {
        return asked.into_iter().collect();
    }
    let volume = PathBuf::from(VOLUME);
    let state = state_home.filter(|path| path.is_absolute()).map(|path| path.join(STATE));
    let fallback = home.map(|home| home.join(".local/state").join(STATE));
    [volume.is_dir().then_some(volume), state, fallback].into_iter().flatten().collect()
}

/// Whether a directory that is there can be used.
pub(super) fn is_usable(path: &Path) -> bool {
    writable(path).is_ok()
}

/// Whether a file can be made there: permission bits do not tell on a read-only mount.
fn writable(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    let probe = path.join(format!(".potoroo-probe-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_asked_for_is_made() {
        let root = tempfile::tempdir().unwrap();
        let asked = root.path().join("a/b");
        assert_eq!(choose(Some(asked.clone()), None, None).unwrap(), asked);
        assert!(asked.is_dir());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = choose(Some(file.join("below")), None, None).unwrap_err();
        assert!(error.to_string().contains("POTOROO_PERSIST"), "{error}");
    }
}
