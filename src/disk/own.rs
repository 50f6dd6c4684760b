//! Giving a volume to the user that the program runs as, with a right that is given up at once.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, OFlags, access, fchown};
use rustix::process::{DumpableBehavior, geteuid, getgid, getuid, set_dumpable_behavior};
use rustix::thread::set_thread_res_uid;

/// Makes `volume` the user's own where it cannot be written, and gives up the right to do that.
///
/// A directory that docker makes for `-v ./data:/persist` is root's, and an image's user is not root.
/// So the program's file in an image carries the set-user-ID bit, for this one act and before anything
/// from outside is read. Without the bit, or where it does not count (`no-new-privileges`), nothing
/// is done. A directory that has something else in it than `ours` is left as it is.
///
/// It must be called before there is a second thread: what is given up is the calling thread's.
///
/// # Errors
/// When the right cannot be given up: then the program must not go on.
pub fn own(volume: &Path, ours: &[&str]) -> io::Result<()> {
    let user = getuid();
    if geteuid() == user {
        return Ok(());
    }
    // Whether it can be written is asked for the real user. What does not come of it is told when
    // the directory is used, with a sentence for people.
    if access(volume, Access::WRITE_OK | Access::EXEC_OK).is_err()
        && let Ok(directory) = open(volume)
        && holds_only(volume, ours)
    {
        let _ = fchown(&directory, Some(user), Some(getgid()));
    }
    set_thread_res_uid(user, user, user)?;
    if geteuid() != user
        || (!user.is_root() && set_thread_res_uid(None, rustix::process::Uid::ROOT, None).is_ok())
    {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // A process that began with more rights than its user has may not look at itself in /proc.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Ok(())
}

/// The directory itself, and not what a link of its name leads to.
fn open(volume: &Path) -> io::Result<File> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
    OpenOptions::new().read(true).custom_flags(flags as i32).open(volume)
}

/// Whether nothing lies in a directory but what these names say, `lost+found` of a disk aside.
fn holds_only(volume: &Path, ours: &[&str]) -> bool {
    let Ok(entries) = fs::read_dir(volume) else { return false };
    entries.into_iter().all(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            name == "lost+found" || ours.iter().any(|ours| name == *ours)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_something_of_others_is_nobodys_to_take() {
        let dir = tempfile::tempdir().unwrap();
        assert!(holds_only(dir.path(), &[]));
        fs::write(dir.path().join("store"), "").unwrap();
        assert!(holds_only(dir.path(), &["store"]));
        fs::write(dir.path().join("letters"), "").unwrap();
        assert!(!holds_only(dir.path(), &["store"]));
    }

    #[test]
    fn without_the_bit_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        own(&dir.path().join("none"), &[]).unwrap();
        assert!(open(&dir.path().join("none")).is_err());
    }
}
