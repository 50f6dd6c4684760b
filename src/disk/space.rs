//! How much room a disk has left.

use std::path::Path;

use super::{Error, Step, failed};

/// The bytes that a process like ours may still write where `path` is, which must be there.
///
/// # Errors
/// When the file system does not say.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let found = rustix::fs::statvfs(path).map_err(|e| failed(Step::Measure, path)(e.into()))?;
    // What is kept back for the administrator is not counted: an engine need not be one.
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::free_bytes;

    #[test]
    fn a_directory_has_room_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let error = free_bytes(&dir.path().join("none")).unwrap_err();
        assert!(error.to_string().ends_with("none"), "{error}");
    }
}
