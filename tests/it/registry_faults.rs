//! A registry that lies, stalls, cuts or sends us elsewhere: each has its own refusal.

use std::time::Duration;

use potoroo::http::client::{self, Timeouts};
use potoroo::oci::{Descriptor, Digest, MANIFEST_BYTES_MAX, ManifestError, Version, media_type};
use potoroo::registry::{Action, Error, Oddity, Remote, Transport};

use crate::support::registry::credentials;
use crate::support::scripted::{Scripted, Step, answer, raw};

const BASIC: (&str, &str) = ("www-authenticate", "Basic realm=\"x\"");

/// A session with a scripted registry, as a user whose password is `hunter2`.
fn remote(registry: &Scripted, timeouts: Timeouts) -> Remote {
    let transport = Transport::new(timeouts, Vec::new());
    let host = registry.address().to_string().parse().unwrap();
    Remote::new(transport, host, "a/b".parse().unwrap(), credentials("user", "hunter2"))
}

fn manifest(steps: impl IntoIterator<Item = Step>) -> Error {
    let registry = Scripted::start(steps);
    remote(&registry, Timeouts::EDGE).manifest(&version()).unwrap_err()
}

fn version() -> Version {
    Version::Tag("v1".parse().unwrap())
}

fn hello() -> Descriptor {
    Descriptor::of(media_type::OCTET_STREAM, b"hello")
}

/// The bytes that got through, and why there are no more.
fn blob(step: Step) -> (Vec<u8>, Error) {
    let registry = Scripted::start([step]);
    let mut bytes = Vec::new();
    let fetched = remote(&registry, Timeouts::EDGE).blob(&hello(), &mut bytes, &mut |_| {});
    (bytes, fetched.unwrap_err())
}

#[test]
fn a_blob_that_is_cut_says_how_far_it_came() {
    let (bytes, error) = blob(Step::Answer(raw(200, &[("content-length", "5")], b"hel")));
    assert!(matches!(error, Error::Ended { got: 3, expected: 5, .. }), "{error:?}");
    assert!(error.to_string().starts_with("the blob ended after 3 of 5 bytes"));
    assert_eq!(bytes, b"hel");
}

#[test]
fn a_blob_with_other_bytes_is_refused() {
    let (_, error) = blob(answer(200, &[], b"hallo"));
    assert!(matches!(error, Error::DigestMismatch { expected, found, .. }
        if expected == hello().digest && found == Digest::of(b"hallo")));
}

#[test]
fn a_blob_of_another_size_is_refused_before_its_first_byte() {
    let (bytes, error) = blob(answer(200, &[], b"hello!"));
    assert!(matches!(error, Error::SizeMismatch { announced: 6, expected: 5, .. }), "{error:?}");
    assert_eq!(bytes, b"");
}

#[test]
fn a_blob_without_announced_size_is_not_read_beyond_its_own() {
    let endless = [b"hello".as_slice(), &[b'x'; 100_000]].concat();
    let (bytes, error) = blob(Step::Answer(raw(200, &[], &endless)));
    assert!(matches!(error, Error::TooLong { expected: 5, .. }), "{error:?}");
    assert_eq!(bytes, b"hello");
}

#[test]
fn a_blob_that_stalls_is_given_up() {
    let registry = Scripted::start([Step::Hang(raw(200, &[("content-length", "5")], b"he"))]);
    let timeouts = Timeouts { stall: Duration::from_millis(100), ..Timeouts::EDGE };
    let error =
        remote(&registry, timeouts).blob(&hello(), &mut Vec::new(), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { source: client::Error::TimedOut { .. }, .. }),
        "{error:?}"
    );
}

#[test]
fn a_manifest_over_the_limit_is_refused_with_and_without_announced_size() {
    let size = (MANIFEST_BYTES_MAX + 1).to_string();
    let error = manifest([Step::Hang(raw(200, &[("content-length", &size)], b""))]);
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    let long = vec![b' '; usize::try_from(MANIFEST_BYTES_MAX).unwrap() + 1];
    let error = manifest([Step::Answer(raw(200, &[], &long))]);
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_manifest_that_comes_too_slowly_is_given_up() {
    let registry = Scripted::start([Step::Hang(raw(200, &[("content-length", "9")], b"{"))]);
    let timeouts = Timeouts { answer: Duration::from_millis(100), ..Timeouts::EDGE };
    let error = remote(&registry, timeouts).manifest(&version()).unwrap_err();
    let Error::Unreachable { source: client::Error::TimedOut { limit, .. }, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit, timeouts.answer);
}

#[test]
fn what_is_no_manifest_is_refused_with_the_reason() {
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let error = manifest([answer(200, &[], index)]);
    assert!(
        matches!(error, Error::NotAManifest { source: ManifestError::NoPlatform { .. }, .. }),
        "{error:?}"
    );
    let error = manifest([answer(200, &[], b"<html>")]);
    assert!(matches!(error, Error::NotAManifest { source: ManifestError::NotJson { .. }, .. }));
}

#[test]
fn a_manifest_that_is_not_what_its_header_or_reference_says_is_refused() {
    let other = Digest::of(b"other").to_string();
    let error = manifest([answer(200, &[("docker-content-digest", &other)], b"{}")]);
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    let error = manifest([answer(200, &[("docker-content-digest", "sha256:xyz")], b"{}")]);
    assert!(matches!(error, Error::Protocol { oddity: Oddity::DigestHeader, .. }), "{error:?}");
    let registry = Scripted::start([answer(200, &[], b"{}")]);
    let pinned = Version::Digest(Digest::of(b"other"));
    let error = remote(&registry, Timeouts::EDGE).manifest(&pinned).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[test]
fn each_refusal_has_its_own_error() {
    let body = br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    let error = manifest([answer(429, &[("retry-after", "7")], body)]);
    assert!(matches!(error, Error::RateLimited { retry_after: Some(wait), .. }
        if wait == Duration::from_secs(7)));
    let error = manifest([answer(503, &[], b"")]);
    assert!(matches!(error, Error::Server { status: 503, .. }), "{error:?}");
    let error = manifest([answer(418, &[], b"")]);
    assert!(matches!(error, Error::Refused { status: 418, .. }), "{error:?}");
    let denied = br#"{"errors":[{"code":"DENIED","message":"not hunter2"}]}"#;
    let error = manifest([answer(403, &[], denied)]);
    assert!(error.to_string().ends_with("(DENIED: not …)"), "{error}");
    let unknown = br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
    let error = manifest([answer(404, &[], unknown)]);
    assert!(matches!(error, Error::UnknownRepository { .. }), "{error:?}");
}

#[test]
fn a_challenge_that_cannot_be_met_is_refused() {
    let error = manifest([answer(401, &[], b"")]);
    assert!(matches!(error, Error::Protocol { oddity: Oddity::NoChallenge, .. }), "{error:?}");
    let realm = ("www-authenticate", "Bearer realm=\"http://example.com/token\"");
    let error = manifest([answer(401, &[realm], b"")]);
    assert!(matches!(error, Error::Protocol { oddity: Oddity::Realm { .. }, .. }), "{error:?}");
}

#[test]
fn a_login_that_never_suffices_ends() {
    let registry = Scripted::start((0..9).map(|_| answer(401, &[BASIC], b"")));
    let error = remote(&registry, Timeouts::EDGE).login(Action::Pull).unwrap_err();
    assert!(matches!(error, Error::CredentialsWrong { .. }), "{error:?}");
    assert_eq!(registry.asked(), ["GET /v2/", "GET /v2/"]);
}

#[test]
fn a_token_answer_over_the_limit_or_without_token_is_refused() {
    let token = |step: Step| {
        let tokens = Scripted::start([step]);
        let realm = format!("Bearer realm=\"http://{}/t\"", tokens.address());
        manifest([answer(401, &[("www-authenticate", realm.as_str())], b"")])
    };
    let error = token(answer(200, &[], &[b' '; 70_000]));
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    for body in ["", "[]", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#] {
        let error = token(answer(200, &[], body.as_bytes()));
        assert!(matches!(error, Error::Protocol { oddity: Oddity::NoToken, .. }), "{error:?}");
    }
}

#[test]
fn the_password_does_not_follow_a_redirect_to_another_port() {
    let storage = Scripted::start([answer(200, &[], b"hello")]);
    let elsewhere = format!("http://{}/blob?sig=1", storage.address());
    let registry = Scripted::start([
        answer(401, &[BASIC], b""),
        answer(307, &[("location", &elsewhere)], b""),
    ]);
    let mut bytes = Vec::new();
    let _ = remote(&registry, Timeouts::EDGE).blob(&hello(), &mut bytes, &mut |_| {}).unwrap();
    assert_eq!(bytes, b"hello");
    assert_eq!(registry.shown(), [None, Some("Basic dXNlcjpodW50ZXIy".to_owned())]);
    assert_eq!(storage.shown(), [None]);
    assert_eq!(storage.asked(), ["GET /blob?sig=1"]);
}

#[test]
fn a_redirect_on_the_same_host_and_port_keeps_the_password() {
    let registry = Scripted::start([
        answer(401, &[BASIC], b""),
        answer(302, &[("location", "/elsewhere")], b""),
        answer(200, &[], b"hello"),
    ]);
    let mut bytes = Vec::new();
    let _ = remote(&registry, Timeouts::EDGE).blob(&hello(), &mut bytes, &mut |_| {}).unwrap();
    assert_eq!(registry.asked()[2], "GET /elsewhere");
    assert_eq!(registry.shown()[2], registry.shown()[1]);
    assert!(registry.shown()[2].is_some());
}

#[test]
fn the_challenge_of_a_storage_service_does_not_get_the_password() {
    let storage = Scripted::start([answer(401, &[BASIC], b""), answer(200, &[], b"hello")]);
    let elsewhere = format!("http://{}/blob", storage.address());
    let registry = Scripted::start((0..3).map(|_| answer(307, &[("location", &elsewhere)], b"")));
    let fetched = remote(&registry, Timeouts::EDGE).blob(&hello(), &mut Vec::new(), &mut |_| {});
    assert!(matches!(fetched, Err(Error::Refused { status: 401, .. })), "{fetched:?}");
    assert_eq!(storage.shown(), [None]);
}

#[test]
fn a_redirect_without_end_ends() {
    let error = manifest((0..20).map(|_| answer(302, &[("location", "/again")], b"")));
    let Error::Protocol { oddity: Oddity::Http(source), .. } = error else { panic!("{error:?}") };
    assert!(matches!(source, client::Error::TooManyRedirects { .. }), "{source:?}");
}

#[test]
fn an_upload_session_elsewhere_does_not_get_the_password() {
    let storage = Scripted::start([answer(201, &[], b"")]);
    let session = format!("http://{}/up?state=1", storage.address());
    let registry = Scripted::start([
        answer(401, &[BASIC], b""),
        answer(404, &[], b""),
        answer(202, &[("location", &session)], b""),
    ]);
    let remote = remote(&registry, Timeouts::EDGE);
    remote.push_blob(&hello(), &mut || Ok(Box::new(b"hello".as_slice()))).unwrap();
    assert_eq!(storage.asked(), [format!("PUT /up?state=1&digest={}", hello().digest)]);
    assert_eq!(storage.shown(), [None]);
    assert!(registry.shown()[2].is_some());
}
