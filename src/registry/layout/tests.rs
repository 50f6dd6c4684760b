//! What a layout keeps, and what it refuses to take for its own.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{INDEX, Layout, MARKER};
use crate::oci::{Descriptor, Digest, Manifest, Tag, Version, architecture, media_type};
use crate::registry::partial::Partial;
use crate::registry::{Error, INDEX_BYTES_MAX, LayoutFault, Pushed};

fn layout() -> (TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("a/layout")).unwrap();
    (dir, layout)
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(media_type::OCTET_STREAM, bytes)
}

fn manifest(model: &[u8]) -> Vec<u8> {
    Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: blob(b"{}"),
        layers: vec![blob(model)],
        annotations: [].into(),
    }
    .to_bytes()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn by_tag(text: &str) -> Version {
    Version::Tag(tag(text))
}

fn index(layout: &Layout) -> Value {
    serde_json::from_slice(&fs::read(layout.root.join(INDEX)).unwrap()).unwrap()
}

#[test]
fn creating_twice_changes_nothing() {
    let (_dir, layout) = layout();
    layout.put_manifest(&tag("v1"), &manifest(b"m")).unwrap();
    let before = index(&layout);
    Layout::create(&layout.root).unwrap();
    assert_eq!(index(&layout), before);
}

#[test]
fn a_manifest_is_found_by_tag_and_by_digest() {
    let (_dir, layout) = layout();
    let bytes = manifest(b"m");
    let entry = layout.put_manifest(&tag("v1"), &bytes).unwrap();
    let fetched = layout.manifest(&by_tag("v1")).unwrap();
    assert_eq!((fetched.digest, &fetched.bytes), (entry.digest, &bytes));
    assert_eq!(layout.manifest(&Version::Digest(entry.digest)).unwrap(), fetched);
}

#[test]
fn a_tag_moves_and_other_entries_stay_to_the_key() {
    let (_dir, layout) = layout();
    let foreign = json!({ "digest": "sha512:x", "size": 1, "platform": { "os": "linux" } });
    let start = json!({ "schemaVersion": 2, "manifests": [foreign], "custom": [1] });
    fs::write(layout.root.join(INDEX), start.to_string()).unwrap();
    layout.put_manifest(&tag("v1"), &manifest(b"one")).unwrap();
    layout.put_manifest(&tag("v2"), &manifest(b"one")).unwrap();
    let two = layout.put_manifest(&tag("v1"), &manifest(b"two")).unwrap();
    let index = index(&layout);
    assert_eq!(index["custom"], json!([1]));
    assert_eq!(index["manifests"][0], foreign);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(layout.manifest(&by_tag("v1")).unwrap().digest, two.digest);
    assert_ne!(layout.manifest(&by_tag("v2")).unwrap().digest, two.digest);
}

#[test]
fn writers_at_the_same_time_lose_no_tag() {
    let (_dir, layout) = layout();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let layout = &layout;
            scope.spawn(move || {
                layout.put_manifest(&tag(&format!("v{writer}")), &manifest(b"m")).unwrap();
            });
        }
    });
    assert_eq!(index(&layout)["manifests"].as_array().unwrap().len(), 8);
}

#[test]
fn a_wrong_blob_is_not_stored_and_leaves_no_litter() {
    let (_dir, layout) = layout();
    let promised = blob(b"hello");
    for (bytes, is_expected) in [
        (
            b"hallo".as_slice(),
            (|e| matches!(e, Error::DigestMismatch { .. })) as fn(&Error) -> bool,
        ),
        (b"hell", |e| matches!(e, Error::Ended { got: 4, expected: 5, .. })),
        (b"hello!", |e| matches!(e, Error::TooLong { expected: 5, .. })),
    ] {
        let error = layout.put_blob_from(&promised, &mut &*bytes).unwrap_err();
        assert!(is_expected(&error), "{error:?}");
    }
    assert!(!layout.has_blob(&promised).unwrap());
    assert_eq!(fs::read_dir(layout.root.join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
fn a_blob_that_is_there_is_not_written_again() {
    let (_dir, layout) = layout();
    let hello = blob(b"hello");
    assert_eq!(layout.put_blob_from(&hello, &mut b"hello".as_slice()).unwrap(), Pushed::Sent);
    let again = layout.put_blob(&hello, &mut |_| panic!("the blob is fetched again"));
    assert_eq!(again.unwrap(), Pushed::AlreadyThere);
}

#[test]
fn a_blob_that_rotted_on_disk_is_noticed_and_one_that_is_cut_is_replaced() {
    let (_dir, layout) = layout();
    let hello = blob(b"hello");
    layout.put_blob_from(&hello, &mut b"hello".as_slice()).unwrap();
    let _ = layout.verify_blob(&hello).unwrap();
    fs::write(layout.blob_path(&hello.digest), b"hallo").unwrap();
    assert!(matches!(layout.verify_blob(&hello), Err(Error::DigestMismatch { .. })));
    fs::write(layout.blob_path(&hello.digest), b"hel").unwrap();
    assert!(!layout.has_blob(&hello).unwrap());
    assert_eq!(layout.put_blob_from(&hello, &mut b"hello".as_slice()).unwrap(), Pushed::Sent);
    let _ = layout.verify_blob(&hello).unwrap();
}

#[test]
fn what_is_unknown_is_told_apart() {
    let (_dir, layout) = layout();
    let entry = layout.put_manifest(&tag("v1"), &manifest(b"m")).unwrap();
    assert!(matches!(layout.manifest(&by_tag("v2")), Err(Error::UnknownVersion { .. })));
    let other = Version::Digest(Digest::of(b"other"));
    assert!(matches!(layout.manifest(&other), Err(Error::UnknownVersion { .. })));
    assert!(matches!(layout.verify_blob(&blob(b"x")), Err(Error::UnknownBlob { .. })));
    fs::remove_file(layout.blob_path(&entry.digest)).unwrap();
    assert!(matches!(layout.manifest(&by_tag("v1")), Err(Error::UnknownBlob { .. })));
}

#[test]
fn a_directory_that_is_no_layout_is_refused_with_the_reason() {
    let (_dir, layout) = layout();
    let root = layout.root.clone();
    let fault = || match Layout::open(&root).and_then(|it| it.manifest(&by_tag("v1"))) {
        Err(Error::NotALayout { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    fs::write(root.join(INDEX), "[]").unwrap();
    assert_eq!(fault(), LayoutFault::Index);
    fs::remove_file(root.join(INDEX)).unwrap();
    assert_eq!(fault(), LayoutFault::NoIndex);
    fs::write(root.join(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert_eq!(fault(), LayoutFault::Version);
    fs::remove_file(root.join(MARKER)).unwrap();
    assert_eq!(fault(), LayoutFault::NoMarker);
}

#[test]
fn an_index_over_the_limit_is_refused() {
    let (_dir, layout) = layout();
    let bytes = vec![b' '; usize::try_from(INDEX_BYTES_MAX).unwrap() + 1];
    fs::write(layout.root.join(INDEX), bytes).unwrap();
    assert!(matches!(layout.manifest(&by_tag("v1")), Err(Error::Disk(_))));
}

#[test]
fn what_a_killed_writer_left_is_taken_away_by_the_next_writer_and_not_by_a_reader() {
    let (_dir, layout) = layout();
    let litter = ["", "blobs/sha256"]
        .map(|directory| layout.root.join(directory).join(".0123456789abcdef.unfinished"));
    for path in &litter {
        fs::write(path, b"half").unwrap();
    }
    Layout::open(&layout.root).unwrap();
    assert!(litter.iter().all(|path| path.exists()));
    Layout::create(&layout.root).unwrap();
    assert!(litter.iter().all(|path| !path.exists()));
}

#[test]
fn a_part_that_is_being_fetched_is_not_discarded() {
    let (_dir, layout) = layout();
    let hello = blob(b"hello");
    let mut partial = Partial::open(&layout, &hello).unwrap();
    partial.write(b"hello").unwrap();
    layout.discard_partial(&hello.digest).unwrap();
    assert_eq!(layout.partial_bytes(&hello.digest).unwrap(), 5);
    drop(partial);
    layout.discard_partial(&hello.digest).unwrap();
    assert_eq!(layout.partial_bytes(&hello.digest).unwrap(), 0);
}

#[test]
fn an_index_is_followed_to_the_manifest_for_this_device() {
    let (_dir, layout) = layout();
    let entry = |bytes: &[u8], architecture: &str| {
        let mut entry = json!(Descriptor::of(media_type::MANIFEST, bytes));
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let (ours, other) = (manifest(b"ours"), manifest(b"other"));
    let ours_entry = layout.put_manifest(&tag("ours"), &ours).unwrap();
    let list = [entry(&other, "pdp11"), entry(&ours, architecture())];
    let list = json!({ "schemaVersion": 2, "manifests": list }).to_string().into_bytes();
    let list_entry = Descriptor::of(media_type::INDEX, &list);
    layout.put_blob_from(&list_entry, &mut list.as_slice()).unwrap();
    let fetched = layout.manifest(&Version::Digest(list_entry.digest)).unwrap();
    assert_eq!((fetched.digest, fetched.bytes), (ours_entry.digest, ours));
    fs::remove_file(layout.blob_path(&ours_entry.digest)).unwrap();
    let error = layout.manifest(&Version::Digest(list_entry.digest)).unwrap_err();
    assert!(matches!(error, Error::UnknownBlob { digest, .. } if digest == ours_entry.digest));
}
