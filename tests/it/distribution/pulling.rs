//! The pull side of the specification, asked by curl.

use potoroo::oci::{Descriptor, Digest, media_type};
use potoroo::registry::signature::bundle_manifest;

use crate::support::built_in::BuiltIn;

const REPOSITORY: &str = "pipelines/edge";

#[test]
fn a_manifest_is_found_by_tag_and_digest_and_a_head_says_the_same() {
    let registry = BuiltIn::start();
    let digest = registry.put(REPOSITORY, "v1", b"model");
    let bytes = registry.layout(REPOSITORY).whole_manifest(&digest).unwrap();
    for reference in ["v1".to_owned(), digest.to_string(), digest.to_string().replace(':', "%3a")] {
        let path = format!("/v2/{REPOSITORY}/manifests/{reference}");
        let got = registry.get(&path);
        assert_eq!((got.status, &got.body), (200, &bytes), "{reference}");
        assert_eq!(got.header("content-type"), Some(media_type::MANIFEST));
        assert_eq!(got.header("docker-content-digest"), Some(digest.to_string().as_str()));
        assert_eq!(got.header("etag"), Some(format!("\"{digest}\"").as_str()));
        assert_eq!(got.header("docker-distribution-api-version"), Some("registry/2.0"));
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        let head = registry.get_with(&path, &["-I"]);
        assert_eq!((head.status, &head.head), (200, &got.head), "{reference}");
    }
    let known = format!("If-None-Match: \"{digest}\"");
    let got = registry.get_with(&format!("/v2/{REPOSITORY}/manifests/v1"), &["-H", &known]);
    assert_eq!((got.status, got.body.len()), (304, 0));
}

#[test]
fn a_tag_that_moves_is_seen_at_once() {
    let registry = BuiltIn::start();
    for model in 0..20_u8 {
        let digest = registry.put(REPOSITORY, "latest", &[model]);
        let got = registry.get(&format!("/v2/{REPOSITORY}/manifests/latest"));
        assert_eq!(got.header("docker-content-digest"), Some(digest.to_string().as_str()));
        let blob = registry.get(&format!("/v2/{REPOSITORY}/blobs/{}", Digest::of(&[model])));
        assert_eq!(blob.body, [model]);
    }
}

#[test]
fn a_blob_comes_whole_or_in_the_part_that_is_asked_for() {
    let registry = BuiltIn::start();
    let model: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    registry.put(REPOSITORY, "v1", &model);
    let digest = Digest::of(&model);
    let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
    let end = model.len();
    let (same, other) = (format!("If-Range: \"{digest}\""), "If-Range: \"sha256:0\"");
    let cases: [(&[&str], u16, std::ops::Range<usize>); 9] = [
        (&[], 200, 0..end),
        (&["-H", "Range: bytes=0-0"], 206, 0..1),
        (&["-H", "Range: bytes=70000-199999"], 206, 70_000..200_000),
        (&["-H", "Range: bytes=1000000-"], 206, 1_000_000..end),
        (&["-H", "Range: bytes=-7"], 206, end - 7..end),
        (&["-H", "Range: bytes=0-1,5-6"], 200, 0..end),
        (&["-H", "Range: items=0-1"], 200, 0..end),
        (&["-H", "Range: bytes=5-", "-H", &same], 206, 5..end),
        (&["-H", "Range: bytes=5-", "-H", other], 200, 0..end),
    ];
    for (fields, status, part) in cases {
        let got = registry.get_with(&path, fields);
        assert_eq!(got.status, status, "{fields:?}");
        assert!(got.body == model[part.clone()], "{fields:?}: {} bytes", got.body.len());
        let range = format!("bytes {}-{}/{end}", part.start, part.end - 1);
        assert_eq!(got.header("content-range"), (status == 206).then_some(range.as_str()));
        assert_eq!(got.header("docker-content-digest"), Some(digest.to_string().as_str()));
        assert_eq!(got.header("content-type"), Some(media_type::OCTET_STREAM));
        assert_eq!(got.header("accept-ranges"), Some("bytes"));
    }
    let head = registry.get_with(&path, &["-I", "-H", "Range: bytes=5-"]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("1200000")));
    let outside = registry.get_with(&path, &["-H", "Range: bytes=1200000-"]);
    assert_eq!((outside.status, outside.code().as_str()), (416, "RANGE_INVALID"));
    assert_eq!(outside.header("content-range"), Some("bytes */1200000"));
}

/// The tags of each page, following `Link` to the last.
fn pages(registry: &BuiltIn, path: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), path.to_owned());
    loop {
        let got = registry.get(&path);
        assert_eq!((got.status, got.json()["name"].as_str()), (200, Some(REPOSITORY)));
        pages.push(serde_json::from_value(got.json()["tags"].clone()).unwrap());
        let Some(link) = got.header("link") else { return pages };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
}

#[test]
fn tags_are_listed_in_order_and_in_pages() {
    let registry = BuiltIn::start();
    for tag in ["v2", "v10", "a", "V1", "v1"] {
        registry.put(REPOSITORY, tag, tag.as_bytes());
    }
    let path = format!("/v2/{REPOSITORY}/tags/list");
    let cases: [(&str, &[&[&str]]); 7] = [
        ("", &[&["V1", "a", "v1", "v10", "v2"]]),
        ("?n=2", &[&["V1", "a"], &["v1", "v10"], &["v2"]]),
        ("?n=5", &[&["V1", "a", "v1", "v10", "v2"]]),
        ("?n=3&last=a", &[&["v1", "v10", "v2"]]),
        ("?last=b", &[&["v1", "v10", "v2"]]),
        ("?n=99999999999999999999999&last=v2", &[&[]]),
        ("?n=0", &[&[]]),
    ];
    for (query, expected) in cases {
        assert_eq!(pages(&registry, &format!("{path}{query}")), expected, "{query}");
    }
    for query in ["?n=-1", "?n=", "?n=two"] {
        let got = registry.get(&format!("{path}{query}"));
        assert_eq!(
            (got.status, got.code().as_str()),
            (400, "PAGINATION_NUMBER_INVALID"),
            "{query}"
        );
    }
}

#[test]
fn what_refers_to_a_manifest_is_listed_with_its_kind() {
    let registry = BuiltIn::start();
    let digest = registry.put(REPOSITORY, "v1", b"model");
    let subject = Descriptor::new(media_type::MANIFEST, digest, 1);
    let layout = registry.layout(REPOSITORY);
    let mut bundles: Vec<Descriptor> = Vec::new();
    for bundle in [b"{}".to_vec(), b"{ }".to_vec()] {
        let bundle = bundle_manifest(&subject, bundle);
        layout.put_attached(&digest, &bundle).unwrap();
        bundles.push(bundle.descriptor);
    }
    bundles.sort_by_key(|it| it.digest);
    let path = format!("/v2/{REPOSITORY}/referrers/{digest}");
    let kind = media_type::SIGSTORE_BUNDLE.replace('+', "%2B");
    for (query, expected) in [
        ("", 2),
        (format!("?artifactType={kind}").as_str(), 2),
        ("?artifactType=application%2Fspdx%2Bjson", 0),
        (format!("?last={}", bundles[0].digest).as_str(), 1),
    ] {
        let got = registry.get(&format!("{path}{query}"));
        assert_eq!((got.status, got.header("content-type")), (200, Some(media_type::INDEX)));
        let list = got.json()["manifests"].clone();
        let found = list.as_array().unwrap();
        assert_eq!(found.len(), expected, "{query}");
        for entry in found {
            assert_eq!(entry["artifactType"], media_type::SIGSTORE_BUNDLE);
            assert_eq!(entry["mediaType"], media_type::MANIFEST);
            let entry_of = bundles.iter().find(|it| entry["digest"] == it.digest.to_string());
            assert_eq!(entry["size"], entry_of.unwrap().size);
        }
        let filtered = query.starts_with("?artifactType").then_some("artifactType");
        assert_eq!(got.header("oci-filters-applied"), filtered, "{query}");
    }
    let none = registry.get(&format!("/v2/{REPOSITORY}/referrers/{}", Digest::of(b"none")));
    assert_eq!((none.status, none.json()["manifests"].as_array().unwrap().len()), (200, 0));
}

#[test]
fn a_repository_serves_what_its_own_manifests_name_and_nothing_else() {
    let registry = BuiltIn::start();
    let digest = registry.put("pipelines/one", "v1", b"model");
    registry.put("pipelines/two", "v1", b"other");
    let (model, manifest) = (Digest::of(b"model"), digest);
    let statuses = || {
        let asked = [
            format!("blobs/{model}"),
            format!("manifests/{manifest}"),
            // It lies beside the blobs and is none.
            format!("blobs/{manifest}"),
        ];
        asked.map(|it| registry.get(&format!("/v2/pipelines/two/{it}")).status)
    };
    assert_eq!(statuses(), [404, 404, 404]);
    registry.put("pipelines/two", "v2", b"model");
    assert_eq!(statuses(), [200, 200, 404]);
    assert_eq!(registry.get(&format!("/v2/pipelines/one/blobs/{model}")).status, 200);
}

#[test]
fn what_is_damaged_on_the_disk_is_not_served_and_harms_nothing_else() {
    let registry = BuiltIn::start();
    let damaged = registry.put(REPOSITORY, "damaged", b"first");
    registry.put(REPOSITORY, "short", b"second");
    registry.put(REPOSITORY, "sound", b"third");
    let layout = registry.layout(REPOSITORY);
    std::fs::write(layout.blob_path(&damaged), "{\"schemaVersion\":2}").unwrap();
    std::fs::write(layout.blob_path(&Digest::of(b"second")), "sec").unwrap();
    let status = |it: &str| registry.get(&format!("/v2/{REPOSITORY}/{it}")).status;
    assert_eq!(status("manifests/damaged"), 404);
    assert_eq!(status(&format!("blobs/{}", Digest::of(b"first"))), 404);
    assert_eq!(status("manifests/short"), 200);
    assert_eq!(status(&format!("blobs/{}", Digest::of(b"second"))), 404);
    assert_eq!(status("manifests/sound"), 200);
    assert_eq!(status(&format!("blobs/{}", Digest::of(b"third"))), 200);
}
