//! Backup of a running ops center, and a directory from it that serves the same.

use crate::support::founded::{Center, command};
use crate::support::ops::ops;
use crate::support::process::{Ended, run};
use potoroo::oci::Digest;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn backup(data: &Path, file: &Path) -> Ended {
    run(ops().arg("backup").arg(file).arg("--data").arg(data))
}

fn restore(file: &Path, data: &Path) -> Ended {
    run(ops().arg("restore").arg(file).arg("--data").arg(data))
}

/// A blob among those of a center.
fn blob(data: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let directory = data.join("blobs/blobs/sha256");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(Digest::of(bytes).hex());
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_backup_of_a_running_center_restores_to_one_that_knows_the_same() {
    let center = Center::start();
    let name = json!({ "workspace_name": "vision" });
    center.post("/v1/api/workspaces/create", &name).ok();
    let kept = blob(&center.data, b"a model");
    std::fs::write(center.data.join("keys/of-ours"), "secret").unwrap();
    let repository = center.data.join("blobs/repositories/one");
    std::fs::create_dir_all(&repository).unwrap();
    std::os::unix::fs::symlink("../../blobs", repository.join("blobs")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("center.tar");
    let said = backup(&center.data, &file).success().stdout;
    assert!(said.starts_with(&format!("backup: {}\nfiles: ", file.display())), "{said}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // What came later is not in it.
    center.post("/v1/api/workspaces/create", &json!({ "workspace_name": "later" })).ok();
    let data = elsewhere.path().join("data");
    restore(&file, &data).success();
    let mut restored = Center::serve(&data, &[]);
    restored.token = center.token.clone();
    let list = restored.post("/v1/api/workspaces/list", &json!({})).ok();
    let names: Vec<_> =
        list["workspaces"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["default", "vision"]);
    let same = data.join(kept.strip_prefix(&center.data).unwrap());
    assert_eq!(std::fs::read(same).unwrap(), b"a model");
    assert_eq!(std::fs::read(data.join("keys/of-ours")).unwrap(), b"secret");
    let link = std::fs::read_link(data.join("blobs/repositories/one/blobs")).unwrap();
    assert_eq!(link, Path::new("../../blobs"));
    let left: Vec<_> = std::fs::read_dir(elsewhere.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_backup_while_somebody_writes_is_of_one_moment_and_whole() {
    let center = Center::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let client = center.client();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in 0.. {
                if is_over.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let name = json!({ "workspace_name": format!("w{nth}") });
                client.post("/v1/api/workspaces/create", &name).ok();
            }
        });
        for nth in 0..5 {
            let file = elsewhere.path().join(format!("{nth}.tar"));
            backup(&center.data, &file).success();
            restore(&file, &elsewhere.path().join(format!("data{nth}"))).success();
        }
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn a_blob_that_is_not_its_digest_stops_a_backup() {
    let center = Center::start();
    std::fs::write(blob(&center.data, b"a model"), b"A model").unwrap();
    let file = center.data.parent().unwrap().join("center.tar");
    let ended = backup(&center.data, &file);
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not what its digest or size says"), "{}", ended.stderr);
    assert!(!file.exists());
}

#[test]
fn a_restore_writes_over_nothing() {
    let center = Center::start();
    let file = center.data.parent().unwrap().join("center.tar");
    backup(&center.data, &file).success();
    let ended = restore(&file, &center.data);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("not empty, or in use"), "{}", ended.stderr);
    center.get("/v1/api/users/me").ok();
}

#[test]
fn a_backup_that_was_cut_or_changed_anywhere_is_refused_and_leaves_nothing() {
    let center = Center::start();
    blob(&center.data, &[b'm'; 2000]);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("center.tar");
    backup(&center.data, &file).success();
    let whole = std::fs::read(&file).unwrap();
    let data = elsewhere.path().join("data");
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&file, bytes).unwrap();
        let ended = restore(&file, &data);
        assert_eq!(ended.code(), 7, "{what}: {}", ended.stderr);
        assert!(!data.exists(), "{what}");
    };
    for part in 1..8 {
        refused(&whole[..whole.len() * part / 8], &format!("{part} eighths"));
    }
    let model = whole.windows(20).position(|window| window == [b'm'; 20]).unwrap();
    let records = whole.windows(16).position(|window| window == b"SQLite format 3\0").unwrap();
    for at in [model, records + 5000] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        refused(&changed, &format!("byte {at}"));
    }
    // A name that leads out of the directory.
    let mut changed = whole.clone();
    let name = b"keys/../../escaped";
    changed[..100].fill(0);
    changed[..name.len()].copy_from_slice(name);
    changed[148..156].fill(b' ');
    let sum: u32 = changed[..512].iter().map(|byte| u32::from(*byte)).sum();
    changed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    refused(&changed, "a name that leads out");
    assert!(!elsewhere.path().join("escaped").exists());
    std::fs::write(&file, &whole).unwrap();
    restore(&file, &data).success();
}

#[test]
fn two_centers_never_have_one_directory() {
    let center = Center::start();
    let ended = run(&mut command(&center.data));
    assert_eq!(ended.code(), 8, "{}", ended.stderr);
    assert!(ended.stderr.contains("another ops center has"), "{}", ended.stderr);
}
