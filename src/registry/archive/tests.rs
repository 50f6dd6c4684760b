//! Tar files as strangers may make them: read where they are a layout, refused by name elsewhere.

use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use super::header::{self, BLOCK_BYTES, Kind};
use super::{Archive, Contents, write_archive};
use crate::exit;
use crate::oci::{Descriptor, Digest, Manifest, Tag, Version, media_type};
use crate::registry::signature::{bundle_manifest, tag_manifest};
use crate::registry::{Error, Fetched, verify};

const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

/// A header with a flag of one's choice, its sum made right again.
fn flagged(name: &[u8], bytes: u64, flag: u8) -> Vec<u8> {
    let mut block = header::write("", bytes, Kind::File);
    block[..name.len()].copy_from_slice(name);
    block[156] = flag;
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
    [flagged(name.as_bytes(), bytes.len() as u64, b'0'), padded(bytes.to_vec())].concat()
}

/// A header that goes before another, with its data.
fn before(flag: u8, data: &[u8]) -> Vec<u8> {
    [flagged(b"before", data.len() as u64, flag), padded(data.to_vec())].concat()
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Marker and index, these entries, and the end.
fn opened(entries: &[Vec<u8>]) -> Result<Archive, Error> {
    let mut bytes = [entry("oci-layout", MARKER), entry("index.json", INDEX)].concat();
    bytes.extend(entries.concat());
    bytes.extend([0; 2 * BLOCK_BYTES]);
    Archive::open(file(&bytes).path())
}

fn refusal(result: Result<Archive, Error>) -> String {
    exit::chain(&result.unwrap_err())
}

#[test]
fn what_a_layout_never_has_is_refused_by_name() {
    let blob = format!("blobs/sha256/{}", Digest::of(b"x").hex());
    let long = vec![b'a'; 70_000];
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("way out", vec![entry("../x", b"")], "`../x` leads out of its directory"),
        ("way out inside", vec![entry("blobs/../../x", b"")], "leads out of its directory"),
        ("root", vec![entry("/etc/passwd", b"")], "`/etc/passwd` begins at the root of the disk"),
        ("directory out", vec![flagged(b"../d", 0, b'5')], "leads out of its directory"),
        ("symlink", vec![flagged(blob.as_bytes(), 0, b'2')], "is a symbolic link"),
        ("hard link", vec![flagged(b"a", 0, b'1')], "`a` is a hard link"),
        ("device", vec![flagged(b"a", 0, b'3')], "`a` is a device"),
        ("pipe", vec![flagged(b"a", 0, b'6')], "`a` is a pipe"),
        ("sparse", vec![flagged(b"a", 0, b'S')], "`a` is a sparse file"),
        ("unknown", vec![flagged(b"a", 0, b'Z')], "`a` is of an unknown kind"),
        ("not text", vec![flagged(b"a\xff", 0, b'0')], "is not UTF-8"),
        ("twice", vec![entry(&blob, b"x"), entry(&blob, b"y")], "is in it twice"),
        ("twice by a dot", vec![entry("./index.json", b"{}")], "`index.json` is in it twice"),
        (
            "twice by a long name",
            vec![before(b'L', b"index.json\0"), entry("other", b"{}")],
            "`index.json` is in it twice",
        ),
        (
            "way out by record",
            vec![before(b'x', &record("path", "../x")), entry("a", b"")],
            "leads out of its directory",
        ),
        (
            "size by record",
            vec![before(b'x', &record("size", "99999999")), entry("a", b"b")],
            "it was cut short",
        ),
        (
            "size over the end of numbers",
            vec![before(b'x', &record("size", "18446744073709551615")), entry("a", b"b")],
            "it was cut short",
        ),
        (
            "size past numbers",
            vec![before(b'x', &record("size", "18446744073709551616")), entry("a", b"b")],
            "its size is no number",
        ),
        (
            "size below nothing",
            vec![before(b'x', &record("size", "-1")), entry("a", b"b")],
            "its size is no number",
        ),
        (
            "sparse by record",
            vec![before(b'x', &record("GNU.sparse.major", "1")), entry("a", b"b")],
            "it is for a sparse file",
        ),
        (
            "one name for all",
            vec![before(b'g', &record("path", "index.json")), entry("a", b"b")],
            "it gives one name or size to all entries",
        ),
        ("no record", vec![before(b'x', b"999 path=a\n")], "its records are none"),
        ("record without end", vec![before(b'x', b"8 path=a")], "its records are none"),
        ("long record", vec![before(b'x', &long)], "announces 70000 bytes of names and notes"),
        ("long name", vec![before(b'L', &long)], "announces 70000 bytes of names and notes"),
        ("size past the end", vec![flagged(b"a", 1 << 40, b'0')], "it was cut short"),
        ("broken header", vec![vec![b'x'; BLOCK_BYTES]], "its checksum is wrong"),
    ];
    let wrong: Vec<_> = cases
        .into_iter()
        .map(|(name, entries, expected)| (name, expected, refusal(opened(&entries))))
        .filter(|(_, expected, found)| !found.contains(expected))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn more_entries_than_any_layout_has_are_not_read() {
    let many = vec![entry("x", b""); 17_000];
    assert!(refusal(opened(&many)).contains("more than 16384 entries"));
}

#[test]
fn what_is_no_tar_file_is_told_apart() {
    for (bytes, expected) in [
        (&b"\x1f\x8b\x08\x00"[..], "it is compressed (gzip)"),
        (b"\x28\xb5\x2f\xfd", "it is compressed (zstd)"),
        (b"", "it does not begin with the header of a tar file"),
        (&[0; 2048], "it does not begin with the header of a tar file"),
        (b"PK\x03\x04", "it does not begin with the header of a tar file"),
    ] {
        assert!(refusal(Archive::open(file(bytes).path())).contains(expected), "{expected}");
    }
    let error = Archive::open(Path::new("/dev/null")).unwrap_err();
    assert!(exit::chain(&error).contains("it is not a regular file"), "{error:?}");
    let nothing = file(&[entry("a", b""), vec![0; 1024]].concat());
    let found = refusal(Archive::open(nothing.path()));
    assert!(found.contains("it has no file oci-layout"), "{found}");
}

/// An artifact of one layer, in a tar file under the tag `v1` and with both forms of signatures.
fn written() -> (NamedTempFile, Fetched, Vec<u8>) {
    let model = vec![7; 3000];
    let config = Descriptor::of(media_type::PIPELINE_CONFIG, b"{}");
    let layer = Descriptor::of(media_type::MODEL_WEIGHT, &model);
    let manifest = Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: None,
        // A blob that is named twice is written once.
        layers: vec![layer.clone(), layer.clone()],
        config,
        annotations: [].into(),
    };
    let bytes = manifest.to_bytes();
    let artifact = Fetched { digest: Digest::of(&bytes), manifest, bytes };
    let subject = Descriptor::of(media_type::MANIFEST, &artifact.bytes);
    let signatures = [
        tag_manifest(None, b"payload".to_vec(), b"signature"),
        bundle_manifest(&subject, b"bundle".to_vec()),
    ];
    let tag: Tag = "v1".parse().unwrap();
    let target = NamedTempFile::new().unwrap();
    let contents = Contents { artifact: &artifact, tag: Some(&tag), signatures: &signatures };
    write_archive(target.path(), &contents, &mut |blob, into| {
        let from: &[u8] = if blob.digest == layer.digest { &model } else { b"{}" };
        Ok(verify::copy(from, blob, into, &mut |_| {}).unwrap())
    })
    .unwrap();
    (target, artifact, model)
}

#[test]
fn what_is_written_is_found_by_tag_by_digest_and_as_the_only_one() {
    let (target, artifact, model) = written();
    let archive = Archive::open(target.path()).unwrap();
    let tag = Version::Tag("v1".parse().unwrap());
    for version in [tag, Version::Digest(artifact.digest), archive.only().unwrap()] {
        assert_eq!(archive.manifest(&version).unwrap(), artifact);
    }
    let mut bytes = Vec::new();
    let layer = &artifact.manifest.layers[0];
    let proof = archive.copy_blob(layer, &mut bytes).unwrap();
    assert_eq!((proof.digest(), bytes), (&layer.digest, model));
    let (found, flaws) = crate::registry::signature::attached(&archive, &artifact.digest).unwrap();
    assert_eq!((found.len(), flaws.len()), (2, 0));
    let unknown = archive.manifest(&Version::Tag("v2".parse().unwrap())).unwrap_err();
    assert!(matches!(unknown, Error::UnknownVersion { .. }), "{unknown:?}");
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let bytes = || std::fs::read(written().0.path()).unwrap();
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_file_cut_anywhere_is_refused_when_it_is_opened() {
    let (target, ..) = written();
    let bytes = std::fs::read(target.path()).unwrap();
    for length in (0..bytes.len() - 2 * BLOCK_BYTES).step_by(100) {
        let cut = Archive::open(file(&bytes[..length]).path());
        assert!(matches!(cut, Err(Error::Archive { .. })), "{length}: {cut:?}");
    }
}

#[test]
fn no_flipped_byte_passes_unseen() {
    let (target, artifact, _) = written();
    let bytes = std::fs::read(target.path()).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x41;
        let Ok(archive) = Archive::open(file(&flipped).path()) else { continue };
        let Ok(found) = archive.manifest(&Version::Digest(artifact.digest)) else { continue };
        assert_eq!(found, artifact, "byte {at}");
        for blob in &artifact.manifest.layers {
            let mut copied = Vec::new();
            if archive.copy_blob(blob, &mut copied).is_ok() {
                assert_eq!(Digest::of(&copied), blob.digest, "byte {at}");
            }
        }
    }
}
