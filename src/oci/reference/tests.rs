//! What `PIPELINE_URL` accepts, and what each wrong one is told.

use super::{Reference, ReferenceError, RegistryHost, Repository, Source, Tag, Version};
use crate::oci::Digest;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn parse(text: &str) -> Result<Reference, ReferenceError> {
    text.parse()
}

#[test]
fn every_form_reads_back_as_it_is_written() {
    for text in [
        "sample-registry.com/pipelines/edge-cv-retail:bf70eaf7-8c11-4b46-b751-916a43b1a555",
        "us-central1-docker.pkg.dev/project-253816/uat/pipelines/edge:v1",
        "localhost/a:_",
        "localhost:5000/a/b/c:v1.2_x-y",
        "127.0.0.1:5000/a:v1",
        "[::1]:5000/a:v1",
        "[fe80::1]/a__b/c---d.e:v1",
        "registry:5000/a:v1",
        &format!("ghcr.io/a/b@{DIGEST}"),
        &format!("ghcr.io/a/b:v1@{DIGEST}"),
    ] {
        assert_eq!(parse(text).map(|r| r.to_string()).as_deref(), Ok(text));
    }
}

#[test]
fn a_scheme_in_front_changes_nothing() {
    let bare = parse("ghcr.io/a/b:v1").unwrap();
    assert_eq!(parse("https://ghcr.io/a/b:v1").unwrap(), bare);
    assert_eq!(parse("oci://ghcr.io/a/b:v1").unwrap(), bare);
    assert_eq!(parse("GHCR.io/a/b:v1").unwrap(), bare);
}

#[test]
fn a_digest_wins_over_the_tag_and_the_tag_is_kept() {
    let reference = parse(&format!("ghcr.io/a:v1@{DIGEST}")).unwrap();
    let digest: Digest = DIGEST.parse().unwrap();
    assert_eq!(reference.version.digest(), Some(&digest));
    assert_eq!(reference.version.tag().map(Tag::as_str), Some("v1"));
    assert!(matches!(reference.version, Version::Pinned { .. }));
}

#[test]
fn each_wrong_reference_names_the_part_that_is_wrong() {
    let long_name = format!("ghcr.io/{}:v1", "a".repeat(250));
    let long_tag = format!("ghcr.io/a:{}", "t".repeat(129));
    let long_label = format!("{}.io/a:v1", "h".repeat(64));
    let cases = [
        ("", "empty"),
        ("ftp://ghcr.io/a:v1", "begins with `ftp://`"),
        ("http://ghcr.io/a:v1", "POTOROO_PLAIN_HTTP"),
        ("ghcr.io", "names no repository"),
        ("ghcr.io/", "names no repository"),
        ("ghcr.io/:v1", "names no repository"),
        ("pipelines/edge:v1", "`pipelines` does not name a registry"),
        ("/edge:v1", "`` does not name a registry"),
        ("ghcr.io/a", "neither tag nor digest"),
        ("ghcr.io/A:v1", "repository `A` cannot be used: it is written in lower case"),
        ("ghcr.io/a//b:v1", "between, before and after each `/`"),
        ("ghcr.io/a/:v1", "between, before and after each `/`"),
        ("ghcr.io/../b:v1", "begins and ends with a letter"),
        ("ghcr.io/a..b:v1", "one `.`"),
        ("ghcr.io/a___b:v1", "one `.`"),
        ("ghcr.io/a.-b:v1", "one `.`"),
        ("ghcr.io/a?b:v1", "letters, digits"),
        ("ghcr.io/a:", "tag `` cannot be used: it is empty"),
        ("ghcr.io/a:.v", "tag `.v` cannot be used: it begins"),
        ("ghcr.io/a:v+1", "tag `v+1` cannot be used: it has"),
        (&long_tag, "more than 128 bytes"),
        (&long_name, "258 bytes, and at most 255"),
        (&long_label, "more than 63 bytes"),
        ("ghcr.io/a@sha256:12", "digest after `@`"),
        ("ghcr.io/a@md5:12", "digest after `@`"),
        ("ghcr.io:0/a:v1", "port `0`"),
        ("ghcr.io:99999/a:v1", "port `99999`"),
        ("ghcr.io:+80/a:v1", "port `+80`"),
        ("ghcr.io:/a:v1", "port ``"),
        ("gh cr.io/a:v1", "letters, digits"),
        ("-gh.io/a:v1", "begins or ends with `-`"),
        ("gh..io/a:v1", "between the dots"),
        ("127.1/a:v1", "four numbers"),
        ("::1/a:v1", "in brackets"),
        ("[::1/a:v1", "not closed"),
        ("[::1]x:1/a:v1", "only `:port`"),
        ("[ghcr.io]:1/a:v1", "brackets hold an IPv6 address"),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .map(|(text, expected)| (text, expected, parse(text).map_err(|e| e.to_string())))
        .filter(|(_, expected, found)| !found.as_ref().is_err_and(|e| e.contains(*expected)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn credentials_inside_a_reference_are_refused_and_not_repeated() {
    for text in [
        "https://user:hunter2@ghcr.io/a:v1",
        "user:hunter2@ghcr.io/a:v1",
        "https://user:hun/hunter2@ghcr.io/a:v1",
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error, ReferenceError::Credentials);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn only_this_machine_is_loopback() {
    let is_loopback = |text: &str| text.parse::<RegistryHost>().unwrap().is_loopback();
    for text in
        ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]"]
    {
        assert!(is_loopback(text), "{text}");
    }
    for text in ["localhost.example.com", "10.0.0.1", "128.0.0.1", "[::2]", "registry"] {
        assert!(!is_loopback(text), "{text}");
    }
}

fn layout(text: &str) -> Result<(String, Option<String>), ReferenceError> {
    text.parse().map(|source| match source {
        Source::Layout { path, version } => {
            (path.display().to_string(), version.map(|version| version.to_string()))
        }
        Source::Registry(reference) => panic!("{reference}"),
    })
}

#[test]
fn a_layout_has_its_version_after_the_path() {
    let (tag, digest) = (":v1".to_owned(), format!("@{DIGEST}"));
    let both = format!("{tag}{digest}");
    for (path, version) in [
        ("/var/lib/some:dir", Some(&tag)),
        ("fraud.tar", Some(&tag)),
        ("fraud.tar", Some(&digest)),
        ("me@home/fraud.tar", Some(&both)),
        ("fraud.tar", None),
        ("/mnt/a:b/fraud.tar", None),
    ] {
        let text = format!("oci-layout:{path}{}", version.map_or("", String::as_str));
        assert_eq!(layout(&text), Ok((path.to_owned(), version.cloned())), "{text}");
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    assert_eq!(layout("oci-layout::v1"), Err(ReferenceError::NoLayoutPath));
    assert_eq!(layout("oci-layout:"), Err(ReferenceError::NoLayoutPath));
    assert!(matches!(layout("oci-layout:dir:"), Err(ReferenceError::Tag { .. })));
    assert!(matches!(layout("oci-layout:dir@sha256:1"), Err(ReferenceError::Digest(_))));
}

#[test]
fn a_source_without_the_prefix_is_in_a_registry() {
    let source: Source = "oci://ghcr.io/a:v1".parse().unwrap();
    assert_eq!(source, Source::Registry(parse("ghcr.io/a:v1").unwrap()));
}

#[test]
fn the_last_part_of_a_repository_names_the_pipeline() {
    let last = |text: &str| text.parse::<Repository>().unwrap().last_part().to_owned();
    assert_eq!(last("pipelines/edge-cv"), "edge-cv");
    assert_eq!(last("edge"), "edge");
}

#[test]
fn no_prefix_and_no_flipped_byte_makes_the_parser_panic() {
    let text = format!("[::1]:5000/a__b/c:v1@{DIGEST}");
    for at in 0..text.len() {
        let _ = text[..at].parse::<Source>();
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 0x15;
        let flipped = String::from_utf8(bytes).unwrap();
        if let Ok(source) = flipped.parse::<Source>() {
            assert_eq!(source.to_string().parse::<Source>(), Ok(source));
        }
    }
}
