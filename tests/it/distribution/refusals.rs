//! What is refused and in which words; hostile paths, and every way to push.

use potoroo::oci::Digest;

use crate::support::built_in::{BuiltIn, EDGE, PASSWORD};
use crate::support::golden;

const REPOSITORY: &str = "pipelines/edge";

#[test]
fn each_refusal_has_its_status_code_and_sentence() {
    let registry = BuiltIn::start();
    registry.put(REPOSITORY, "v1", b"model");
    let (model, other) = (Digest::of(b"model"), Digest::of(b"other"));
    let person = format!("person:{PASSWORD}");
    let edge = format!("{EDGE}:{PASSWORD}");
    let long = "a".repeat(256);
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("/v2/".into(), vec![]),
        (format!("/v2/{REPOSITORY}/manifests/v1"), vec![]),
        ("/v2/".into(), vec!["-u", "person:wrong"]),
        ("/v2/".into(), vec!["-H", "Authorization: Bearer abc"]),
        ("/v2/".into(), vec!["-H", "Authorization: Digest abc"]),
        ("/v2/charts/edge/tags/list".into(), vec!["-u", &edge]),
        ("/v2/token".into(), vec![]),
        ("/v2/token?service=other".into(), vec!["-u", &person]),
        ("/v2/none/tags/list".into(), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/manifests/v2"), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/manifests/{other}"), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/manifests/..."), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/blobs/{other}"), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/blobs/sha512:abc"), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/blobs/{model}"), vec!["-u", &person, "-H", "Range: bytes=5-"]),
        (format!("/v2/{REPOSITORY}/tags/list?n=x"), vec!["-u", &person]),
        ("/v2/Edge/tags/list".into(), vec!["-u", &person]),
        (format!("/v2/{long}/tags/list"), vec!["-u", &person]),
        ("/v2/_catalog".into(), vec!["-u", &person]),
        (format!("/v2/{REPOSITORY}/blobs/uploads/"), vec!["-u", &person, "-X", "POST"]),
    ];
    let mut said = String::new();
    for (path, arguments) in cases {
        let got = registry.ask(&path, &arguments);
        assert_eq!(got.header("content-type"), Some("application/json"), "{path}");
        let fields = ["WWW-Authenticate", "Content-Range", "Allow"]
            .iter()
            .filter_map(|name| got.header(name).map(|value| format!("{name}: {value}\n")));
        let who = arguments.iter().filter(|it| !it.starts_with('-')).copied().collect::<Vec<_>>();
        let line = format!("{path} [{}]\n{}\n", who.join(" "), got.status);
        said += &format!("{line}{}{}\n", fields.collect::<String>(), got.text());
    }
    let said =
        said.replace(&registry.host(), "HOST").replace(PASSWORD, "…").replace(&long, "a{256}");
    golden("distribution_refused.txt", &said);
}

#[test]
fn no_path_leads_out_of_a_repository() {
    let registry = BuiltIn::start();
    registry.put(REPOSITORY, "v1", b"model");
    let key = std::fs::read(registry.directory.path().join("tokens.key")).unwrap();
    let hex = Digest::of(REPOSITORY.as_bytes()).hex();
    let model = Digest::of(b"model");
    let paths = [
        "/v2/../tokens.key".to_owned(),
        "/v2/../../etc/passwd".to_owned(),
        "/v2/%2e%2e/%2e%2e/tokens.key".to_owned(),
        "/v2/..%2f..%2ftokens.key/manifests/v1".to_owned(),
        format!("/v2/{REPOSITORY}/../{REPOSITORY}/manifests/v1"),
        format!("/v2/{REPOSITORY}/./manifests/v1"),
        format!("/v2//{REPOSITORY}/manifests/v1"),
        format!("/v2/pipelines%2Fedge/manifests/v1"),
        format!("/v2/{REPOSITORY}/manifests/..%2f..%2f..%2ftokens.key"),
        format!("/v2/{REPOSITORY}/manifests/%2e%2e"),
        format!("/v2/{REPOSITORY}/manifests/v1%00"),
        format!("/v2/{REPOSITORY}/manifests/{}", "v".repeat(129)),
        format!("/v2/{REPOSITORY}/blobs/sha256:../../../tokens.key"),
        format!("/v2/{REPOSITORY}/blobs/..%2f..%2f..%2ftokens.key"),
        format!("/v2/{REPOSITORY}/blobs/{model}/"),
        format!("/v2/{REPOSITORY}/blobs/{model}%00"),
        format!("/v2/{REPOSITORY}/blobs/{model}/../{model}"),
        format!("/v2/{hex}/manifests/v1"),
        "/v2/repository/manifests/v1".to_owned(),
        "/v2/oci-layout".to_owned(),
        format!("/v2/{}/tags/list", "a/".repeat(4_000)),
        format!("/v2/{REPOSITORY}/tags/list?last={}", "%".repeat(4_000)),
        format!("/v2/{REPOSITORY}/referrers/{model}?last=../../tokens.key"),
        "/v2/pipelines/edge/manifests/v1/../../../../tokens.key".to_owned(),
    ];
    for path in paths {
        let got = registry.get(&path);
        let is_list = path.contains("tags/list?last");
        assert!(is_list || (400..=404).contains(&got.status), "{path}: {got:?}");
        assert!(!got.body.windows(key.len()).any(|part| part == key), "{path}");
    }
    assert_eq!(registry.get(&format!("/v2/{REPOSITORY}/manifests/v1")).status, 200);
}

#[test]
fn nothing_can_be_pushed_changed_or_taken_away() {
    let registry = BuiltIn::start();
    let digest = registry.put(REPOSITORY, "v1", b"model");
    let model = Digest::of(b"model");
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(20_000_000).unwrap();
    let body = format!("@{}", large.path().display());
    for (method, path) in [
        ("POST", format!("/v2/{REPOSITORY}/blobs/uploads/")),
        ("POST", format!("/v2/{REPOSITORY}/blobs/uploads/?digest={model}")),
        ("PATCH", format!("/v2/{REPOSITORY}/blobs/uploads/1")),
        ("PUT", format!("/v2/{REPOSITORY}/manifests/v2")),
        ("DELETE", format!("/v2/{REPOSITORY}/manifests/{digest}")),
        ("DELETE", format!("/v2/{REPOSITORY}/blobs/{model}")),
        ("POST", "/v2/token".to_owned()),
        ("OPTIONS", "/v2/".to_owned()),
    ] {
        for arguments in [&["-X", method][..], &["-X", method, "--data-binary", &body]] {
            let got = registry.get_with(&path, arguments);
            assert_eq!((got.status, got.code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
            assert_eq!(got.header("allow"), Some("GET, HEAD"));
        }
    }
    assert_eq!(registry.get(&format!("/v2/{REPOSITORY}/blobs/{model}")).body, b"model");
}
