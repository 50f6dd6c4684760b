//! A real registry with no login, with a password and with tokens: what goes in comes out.

use std::io::Read;

use potoroo::oci::{Descriptor, Digest, Manifest, Version, media_type};
use potoroo::registry::{Action, Error, Layout, Pushed, Remote};

use crate::support::registry::{Auth, PASSWORD, Registry, credentials};
use crate::support::token_server::{Policy, TokenServer};

const CONFIG: &[u8] = br#"{"id":"edge"}"#;
const USER: &str = "_json_key_base64";

/// More than the buffers on the way, so that it is streamed.
fn model() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn manifest(model: &[u8]) -> Manifest {
    Manifest {
        media_type: media_type::MANIFEST.to_owned(),
        artifact_type: Some(media_type::PIPELINE.to_owned()),
        config: Descriptor::of(media_type::PIPELINE_CONFIG, CONFIG),
        layers: vec![
            Descriptor::of(media_type::MODEL_WEIGHT, model).with_annotation("runtime", "onnx"),
        ],
        annotations: [].into(),
    }
}

fn tag(text: &str) -> Version {
    Version::Tag(text.parse().unwrap())
}

fn push_bytes(remote: &Remote, blob: &Descriptor, bytes: &[u8]) -> Result<Pushed, Error> {
    let bytes = bytes.to_vec();
    remote
        .push_blob(blob, &mut || Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn Read>))
}

/// Pushes the artifact and gives its digest.
fn push(remote: &Remote) -> Result<Digest, Error> {
    let model = model();
    let manifest = manifest(&model);
    push_bytes(remote, &manifest.layers[0], &model)?;
    push_bytes(remote, &manifest.config, CONFIG)?;
    remote.push_manifest(&tag("v1"), &manifest.to_bytes())
}

fn blob(remote: &Remote, blob: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let proof = remote.blob(blob, &mut bytes, &mut |_| {})?;
    assert_eq!(proof.digest(), &blob.digest);
    Ok(bytes)
}

/// Pulls the artifact and holds it against what was pushed.
fn pull_and_compare(remote: &Remote, digest: Digest) {
    let fetched = remote.manifest(&tag("v1")).unwrap();
    assert_eq!(fetched.digest, digest);
    assert_eq!(fetched.manifest, manifest(&model()));
    assert_eq!(remote.manifest(&Version::Digest(digest)).unwrap(), fetched);
    assert_eq!(blob(remote, &fetched.manifest.config).unwrap(), CONFIG);
    assert!(blob(remote, &fetched.manifest.layers[0]).unwrap() == model());
}

#[test]
fn an_open_registry_gives_back_what_it_was_given() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    remote.login(Action::Push).unwrap();
    let digest = push(&remote).unwrap();
    assert!(registry.storage().join("blobs/sha256").is_dir());
    pull_and_compare(&registry.remote("pipelines/edge", None), digest);
}

#[test]
fn a_blob_that_is_there_is_not_sent_again() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    let config = Descriptor::of(media_type::PIPELINE_CONFIG, CONFIG);
    assert!(!remote.has_blob(&config).unwrap());
    assert_eq!(push_bytes(&remote, &config, CONFIG).unwrap(), Pushed::Sent);
    assert!(remote.has_blob(&config).unwrap());
    let again = remote.push_blob(&config, &mut || panic!("the blob is opened again"));
    assert_eq!(again.unwrap(), Pushed::AlreadyThere);
}

#[test]
fn a_blob_that_is_not_what_it_is_said_to_be_is_not_stored() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    let promised = Descriptor::of(media_type::OCTET_STREAM, b"hello");
    let error = push_bytes(&remote, &promised, b"hallo").unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    let error = push_bytes(&remote, &promised, b"hell").unwrap_err();
    assert!(matches!(error, Error::Ended { got: 4, expected: 5, .. }), "{error:?}");
    assert!(!remote.has_blob(&promised).unwrap());
    assert!(!registry.storage().join("blobs/sha256").exists());
}

#[test]
fn a_blob_of_no_bytes_goes_through() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    let empty = Descriptor::of(media_type::OCTET_STREAM, b"");
    assert_eq!(push_bytes(&remote, &empty, b"").unwrap(), Pushed::Sent);
    assert_eq!(blob(&remote, &empty).unwrap(), b"");
}

#[test]
fn an_unknown_tag_or_repository_or_blob_is_named() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    push(&remote).unwrap();
    let error = remote.manifest(&tag("v2")).unwrap_err();
    assert!(matches!(&error, Error::UnknownVersion { reference, .. }
        if *reference == format!("{}/pipelines/edge:v2", registry.host())));
    let error = registry.remote("pipelines/none", None).manifest(&tag("v1")).unwrap_err();
    assert!(error.to_string().contains("pipelines/none:v1"), "{error}");
    let error = blob(&remote, &Descriptor::of(media_type::OCTET_STREAM, b"none")).unwrap_err();
    assert!(matches!(error, Error::UnknownBlob { .. }), "{error:?}");
}

#[test]
fn a_password_lets_in_and_nothing_else_does() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let remote = registry.remote("pipelines/edge", credentials(USER, PASSWORD));
    remote.login(Action::Push).unwrap();
    let digest = push(&remote).unwrap();
    pull_and_compare(&registry.remote("pipelines/edge", credentials(USER, PASSWORD)), digest);

    let wrong = registry.remote("pipelines/edge", credentials(USER, "hunter2"));
    let error = wrong.login(Action::Pull).unwrap_err();
    assert!(matches!(error, Error::CredentialsWrong { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {wrong:?}").contains("hunter2"));

    let anonymous = registry.remote("pipelines/edge", None);
    let error = anonymous.login(Action::Pull).unwrap_err();
    assert!(matches!(error, Error::CredentialsMissing { .. }), "{error:?}");
    assert!(error.hint().contains("OCI_USERNAME"));
}

const POLICY: Policy = Policy {
    username: USER,
    password: "a key file",
    user_may: &["pull", "push"],
    anyone_may: &[],
    expires_in: 300,
    key: "token",
};

#[test]
fn a_token_lets_in_and_is_fetched_for_what_is_done() {
    let tokens = TokenServer::start(POLICY);
    let registry = Registry::start(&Auth::Token(&tokens));
    let remote = registry.remote("pipelines/edge", credentials(USER, "a key file"));
    remote.login(Action::Push).unwrap();
    let digest = push(&remote).unwrap();
    assert_eq!(tokens.scopes(), ["repository:pipelines/edge:pull,push"]);

    let remote = registry.remote("pipelines/edge", credentials(USER, "a key file"));
    remote.login(Action::Pull).unwrap();
    pull_and_compare(&remote, digest);
    assert_eq!(tokens.scopes()[1..], ["repository:pipelines/edge:pull"]);
}

#[test]
fn a_token_for_pulling_is_changed_for_one_for_pushing() {
    let tokens = TokenServer::start(Policy { key: "access_token", ..POLICY });
    let registry = Registry::start(&Auth::Token(&tokens));
    let remote = registry.remote("pipelines/edge", credentials(USER, "a key file"));
    remote.login(Action::Pull).unwrap();
    push(&remote).unwrap();
    assert_eq!(tokens.scopes().len(), 2, "{:?}", tokens.scopes());
}

#[test]
fn a_token_that_is_over_is_fetched_anew() {
    let tokens = TokenServer::start(Policy { expires_in: 0, ..POLICY });
    let registry = Registry::start(&Auth::Token(&tokens));
    let remote = registry.remote("pipelines/edge", credentials(USER, "a key file"));
    let digest = push(&remote).unwrap();
    pull_and_compare(&remote, digest);
    assert!(tokens.scopes().len() > 5, "{:?}", tokens.scopes());
}

#[test]
fn a_token_service_tells_wrong_from_missing_from_too_little() {
    let tokens = TokenServer::start(Policy { user_may: &["pull"], ..POLICY });
    let registry = Registry::start(&Auth::Token(&tokens));
    let remote = |credentials| registry.remote("pipelines/edge", credentials);

    let error = remote(credentials(USER, "hunter2")).login(Action::Pull).unwrap_err();
    assert!(matches!(error, Error::CredentialsWrong { .. }), "{error:?}");
    let error = remote(None).manifest(&tag("v1")).unwrap_err();
    assert!(matches!(error, Error::CredentialsMissing { .. }), "{error:?}");
    let error = push(&remote(credentials(USER, "a key file"))).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
}

#[test]
fn anyone_may_pull_with_a_token_for_anyone() {
    let tokens = TokenServer::start(Policy { anyone_may: &["pull"], ..POLICY });
    let registry = Registry::start(&Auth::Token(&tokens));
    let remote = registry.remote("pipelines/edge", credentials(USER, "a key file"));
    let digest = push(&remote).unwrap();
    pull_and_compare(&registry.remote("pipelines/edge", None), digest);
}

#[test]
fn a_pull_into_a_layout_is_whole_and_the_second_one_fetches_nothing() {
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("pipelines/edge", None);
    let digest = push(&remote).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let fetched = remote.manifest(&tag("v1")).unwrap();
    let blobs = || [&fetched.manifest.config, &fetched.manifest.layers[0]].into_iter();
    let mut steps = Vec::new();
    for blob in blobs() {
        let stored = layout
            .put_blob(blob, &mut |into| remote.blob(blob, into, &mut |so_far| steps.push(so_far)));
        assert_eq!(stored.unwrap(), Pushed::Sent);
    }
    assert_eq!(steps.last(), Some(&3_000_000));
    layout.put_manifest(&"v1".parse().unwrap(), &fetched.bytes).unwrap();
    drop(registry);
    let layout = Layout::open(dir.path()).unwrap();
    assert_eq!(layout.manifest(&tag("v1")).unwrap().digest, digest);
    for blob in blobs() {
        let _ = layout.verify_blob(blob).unwrap();
        let again = layout.put_blob(blob, &mut |into| remote.blob(blob, into, &mut |_| {}));
        assert_eq!(again.unwrap(), Pushed::AlreadyThere);
    }
}
