//! Where a password may go.

use super::{Action, Bearer, percent};
use crate::http::client::Timeouts;
use crate::registry::{Error, Oddity, Remote, Transport};

fn token_uri(registry: &str, realm: &str, scope: Option<&str>) -> Result<String, Error> {
    let transport = Transport::new(Timeouts::EDGE, vec!["plain.io:5000".parse().unwrap()]);
    let repository = "a/b".parse().unwrap();
    let remote = Remote::new(transport, registry.parse().unwrap(), repository, None);
    let bearer = Bearer {
        realm: realm.to_owned(),
        service: Some("the registry".to_owned()),
        scope: scope.map(str::to_owned),
        error: None,
    };
    remote.token_uri(&bearer, Action::Push).map(|uri| uri.to_string())
}

#[test]
fn the_scope_that_is_asked_for_is_the_scope_that_is_fetched() {
    let own = token_uri("r.io", "https://t.io/token", None).unwrap();
    assert_eq!(own, "https://t.io/token?service=the%20registry&scope=repository:a/b:pull,push");
    let asked = token_uri("r.io", "https://t.io/token?x=1", Some("a:b:c d&e")).unwrap();
    assert_eq!(asked, "https://t.io/token?x=1&service=the%20registry&scope=a:b:c&scope=d%26e");
}

#[test]
fn a_token_service_without_tls_serves_registries_without_tls_only() {
    for (registry, realm, is_allowed) in [
        ("r.io", "https://t.io/", true),
        ("r.io", "http://t.io/", false),
        ("r.io", "http://127.0.0.1/", false),
        ("127.0.0.1:5000", "http://127.0.0.1:5001/", true),
        ("127.0.0.1:5000", "http://plain.io:5000/", true),
        ("127.0.0.1:5000", "http://t.io/", false),
        ("plain.io:5000", "http://plain.io:5000/", true),
        ("plain.io:5001", "http://plain.io:5000/", false),
        ("r.io", "https://user:hunter2@t.io/", false),
        ("r.io", "file:///etc/passwd", false),
        ("r.io", "/token", false),
        ("r.io", "", false),
    ] {
        match token_uri(registry, realm, None) {
            Ok(_) => assert!(is_allowed, "{registry} {realm}"),
            Err(Error::Protocol { oddity: Oddity::Realm { realm: shown }, .. }) => {
                assert!(!is_allowed, "{registry} {realm}");
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_query_value_cannot_begin_another() {
    assert_eq!(percent::encoded("a&b=c#d é", super::KEPT_IN_QUERY), "a%26b%3Dc%23d%20%C3%A9");
}
