//! The list of what refers to an artifact: asked of registries that have one, and kept by us elsewhere.

use crate::support::registry::{Auth, Registry};
use crate::support::scripted::{Scripted, Step, answer, raw};
use potoroo::http::client::Timeouts;
use potoroo::oci::{Descriptor, Digest, media_type};
use potoroo::registry::signature::{Attached, attached, bundle_manifest};
use potoroo::registry::{Error, Remote, Transport};
use serde_json::json;

fn subject() -> Descriptor {
    Descriptor::of(media_type::MANIFEST, b"the manifest")
}

fn bundle() -> Attached {
    bundle_manifest(&subject(), b"{\"a\":\"bundle\"}".to_vec())
}

fn remote(registry: &Scripted) -> Remote {
    let transport = Transport::new(Timeouts::EDGE, Vec::new());
    let host = registry.address().to_string().parse().unwrap();
    Remote::new(transport, host, "pipelines/edge".parse().unwrap(), None)
}

fn list(entries: &[&Descriptor]) -> Vec<u8> {
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries});
    index.to_string().into_bytes()
}

/// The answers for a bundle's manifest, its config and itself.
fn whole(bundle: &Attached) -> Vec<Step> {
    let mut steps = vec![answer(200, &[], &bundle.manifest)];
    steps.extend(bundle.blobs().map(|(_, bytes)| answer(200, &[], bytes)));
    steps
}

#[test]
fn a_registry_that_lists_referrers_is_asked_for_those_that_count() {
    let bundle = bundle();
    // A registry may leave the filter to us.
    let mut other = Descriptor::of(media_type::MANIFEST, b"a bill of materials");
    other.artifact_type = Some("application/spdx+json".to_owned());
    let steps = [answer(200, &[], &list(&[&other, &bundle.descriptor])), answer(404, &[], b"")];
    let registry = Scripted::start(steps.into_iter().chain(whole(&bundle)));
    let (found, flaws) = attached(&remote(&registry), &subject().digest).unwrap();
    assert_eq!((found.as_slice(), flaws.len()), ([bundle.clone()].as_slice(), 0));
    let digest = subject().digest;
    assert_eq!(
        registry.asked()[..3],
        [
            format!(
                "GET /v2/pipelines/edge/referrers/{digest}?artifactType=\
                 application/vnd.dev.sigstore.bundle.v0.3%2Bjson"
            ),
            format!("GET /v2/pipelines/edge/manifests/sha256-{}.sig", digest.hex()),
            format!("GET /v2/pipelines/edge/manifests/{}", bundle.descriptor.digest),
        ]
    );
}

#[test]
fn a_registry_that_does_not_is_asked_for_the_tag_whatever_it_says_instead() {
    let bundle = bundle();
    for (status, body) in [(404, "404 page not found"), (400, "{}"), (405, ""), (200, "<html>")] {
        let steps = [
            answer(status, &[], body.as_bytes()),
            answer(200, &[], &list(&[&bundle.descriptor])),
            answer(404, &[], b""),
        ];
        let registry = Scripted::start(steps.into_iter().chain(whole(&bundle)));
        let (found, _) = attached(&remote(&registry), &subject().digest).unwrap();
        assert_eq!(found, std::slice::from_ref(&bundle), "{status}");
        let tag = format!("/manifests/sha256-{}", subject().digest.hex());
        assert!(registry.asked()[1].ends_with(&tag), "{:?}", registry.asked());
    }
}

#[test]
fn a_registry_in_trouble_is_no_artifact_without_signatures() {
    for (status, expected) in [(500, "fails with status 500"), (403, "does not allow")] {
        let registry = Scripted::start((0..9).map(|_| answer(status, &[], b"")));
        let error = attached(&remote(&registry), &subject().digest).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let endless = Step::Answer(raw(200, &[], &vec![b' '; 5 << 20]));
    let registry = Scripted::start([endless]);
    let error = attached(&remote(&registry), &subject().digest).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_list_without_end_is_cut_and_a_huge_bundle_is_not_fetched() {
    let kind = || Some(media_type::SIGSTORE_BUNDLE.to_owned());
    let many: Vec<Descriptor> = (0..1000)
        .map(|number: u32| {
            let digest = Digest::of(&number.to_le_bytes());
            let mut one = Descriptor::new(media_type::MANIFEST, digest, 9);
            one.artifact_type = kind();
            one
        })
        .collect();
    let steps = [answer(200, &[], &list(&many.iter().collect::<Vec<_>>()))];
    let registry =
        Scripted::start(steps.into_iter().chain((0..100).map(|_| answer(404, &[], b""))));
    let (found, flaws) = attached(&remote(&registry), &subject().digest).unwrap();
    assert_eq!((found.len(), flaws.len()), (0, 64));
    assert_eq!(registry.asked().len(), 1 + 1 + 64);

    let huge = bundle_manifest(&subject(), vec![b'x'; 300 << 10]);
    let steps = [answer(200, &[], &list(&[&huge.descriptor])), answer(404, &[], b"")];
    let registry = Scripted::start(steps.into_iter().chain(whole(&huge)));
    let (_, flaws) = attached(&remote(&registry), &subject().digest).unwrap();
    assert!(flaws[0].to_string().contains("more than 262144 bytes"), "{flaws:?}");
    assert_eq!(registry.asked().len(), 4, "the manifest and its config, and not the bundle");
}

#[test]
fn who_pushes_keeps_the_list_only_where_the_registry_keeps_none() {
    let bundle = bundle();
    let there =
        |bytes: &[u8]| Step::Answer(raw(200, &[("content-length", &bytes.len().to_string())], b""));
    let blobs = || bundle.blobs().map(|(_, bytes)| there(bytes)).collect::<Vec<_>>();
    let subject_header = [("oci-subject", subject().digest.to_string())];
    let noted: Vec<(&str, &str)> =
        subject_header.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let registry = Scripted::start(blobs().into_iter().chain([answer(201, &noted, b"")]));
    remote(&registry).push_attached(&subject().digest, &bundle).unwrap();
    assert_eq!(registry.asked().len(), 3, "{:?}", registry.asked());

    let rest = [answer(201, &[], b""), answer(404, &[], b""), answer(201, &[], b"")];
    let registry = Scripted::start(blobs().into_iter().chain(rest));
    remote(&registry).push_attached(&subject().digest, &bundle).unwrap();
    let tag = format!("/v2/pipelines/edge/manifests/sha256-{}", subject().digest.hex());
    assert_eq!(registry.asked()[3..], [format!("GET {tag}"), format!("PUT {tag}")]);
}

#[test]
fn two_that_push_to_debians_registry_are_both_found() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    remote.push_blob(&config, &mut || Ok(Box::new(std::io::Cursor::new(b"{}".to_vec())))).unwrap();
    let manifest = potoroo::oci::Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: None,
        config,
        layers: Vec::new(),
        annotations: [].into(),
    }
    .to_bytes();
    let tag = potoroo::oci::Version::Tag("v1".parse().unwrap());
    let digest = remote.push_manifest(&tag, &manifest).unwrap();
    let subject = Descriptor::of(media_type::MANIFEST, &manifest);
    let mut pushed = [b"one".to_vec(), b"two".to_vec()].map(|one| bundle_manifest(&subject, one));
    for one in pushed.iter().chain(&pushed) {
        remote.push_attached(&digest, one).unwrap();
    }
    let (mut found, flaws) = attached(&remote, &digest).unwrap();
    let by_digest = |one: &Attached| one.descriptor.digest;
    found.sort_by_key(by_digest);
    pushed.sort_by_key(by_digest);
    assert_eq!((found, flaws.len()), (pushed.to_vec(), 0));
}
