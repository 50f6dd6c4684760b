//! Who is let in: logins, tokens, and how each is turned away.

use std::time::Duration;

use crate::support::built_in::{BuiltIn, EDGE, Got, PASSWORD, PERSON};

const PIPELINE: &str = "pipelines/edge";
const CHART: &str = "charts/edge";

/// A registry with one artifact for edges and one that is not.
fn registry() -> BuiltIn {
    let registry = BuiltIn::start();
    registry.put(PIPELINE, "v1", b"model");
    registry.put(CHART, "v1", b"chart");
    registry
}

/// What `/v2/token` says to this login about these scopes.
fn token(registry: &BuiltIn, user: &str, scopes: &[&str]) -> Got {
    let scopes: String = scopes.iter().map(|it| format!("&scope={it}")).collect();
    let login = format!("{user}:{PASSWORD}");
    registry.ask(&format!("/v2/token?service=potoroo&account={user}{scopes}"), &["-u", &login])
}

fn with_token(registry: &BuiltIn, repository: &str, token: &str) -> Got {
    let header = format!("Authorization: Bearer {token}");
    registry.ask(&format!("/v2/{repository}/manifests/v1"), &["-H", &header])
}

#[test]
fn nobody_in_particular_is_told_where_tokens_are() {
    let registry = registry();
    let host = registry.host();
    let bearer = format!("Bearer realm=\"http://{host}/v2/token\",service=\"potoroo\"");
    let scope = format!("{bearer},scope=\"repository:{PIPELINE}:pull\"");
    for (path, challenge) in [
        ("/v2/".to_owned(), &bearer),
        (format!("/v2/{PIPELINE}/manifests/v1"), &scope),
        (format!("/v2/{PIPELINE}/tags/list"), &scope),
        ("/v2/token?service=potoroo".to_owned(), &"Basic realm=\"potoroo\"".to_owned()),
    ] {
        let got = registry.ask(&path, &[]);
        assert_eq!((got.status, got.code().as_str()), (401, "UNAUTHORIZED"), "{path}");
        assert_eq!(got.header("www-authenticate"), Some(challenge.as_str()), "{path}");
    }
    // Whether a repository is there is nobody's business who may not pull from it.
    let unknown = registry.ask("/v2/pipelines/none/tags/list", &[]);
    assert_eq!(unknown.status, 401);
}

#[test]
fn a_token_pulls_what_it_was_given_for_and_a_login_pulls_without_one() {
    let registry = registry();
    let scope = format!("repository:{PIPELINE}:pull,push");
    let got = token(&registry, EDGE, &[&scope]);
    assert_eq!((got.status, got.json()["expires_in"].as_u64()), (200, Some(300)), "{got:?}");
    assert_eq!(got.json()["token"], got.json()["access_token"]);
    assert_eq!(got.header("cache-control"), Some("no-store"));
    let text = got.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(with_token(&registry, PIPELINE, &text).status, 200);
    let base = registry.ask("/v2/", &["-H", &format!("Authorization: Bearer {text}")]);
    assert_eq!((base.status, base.text()), (200, "{}"));

    let other = with_token(&registry, CHART, &text);
    let challenge = other.header("www-authenticate").unwrap().to_owned();
    assert_eq!(other.status, 401);
    assert!(
        challenge.ends_with(",scope=\"repository:charts/edge:pull\",error=\"insufficient_scope\""),
        "{challenge}"
    );
    let forged = with_token(&registry, PIPELINE, &format!("{text}A"));
    assert!(forged.status == 401 && forged.head.contains("error=\"invalid_token\""), "{forged:?}");

    let login = format!("{EDGE}:{PASSWORD}");
    let path = |repository| format!("/v2/{repository}/manifests/v1");
    assert_eq!(registry.ask(&path(PIPELINE), &["-u", &login]).status, 200);
    let denied = registry.ask(&path(CHART), &["-u", &login]);
    assert_eq!((denied.status, denied.code().as_str()), (403, "DENIED"));
}

#[test]
fn a_token_is_for_what_the_login_may_pull_and_never_to_push() {
    let registry = registry();
    let scopes = [PIPELINE, CHART].map(|it| format!("repository:{it}:pull"));
    let [pipeline, chart] = scopes.each_ref().map(String::as_str);
    let both = token(&registry, EDGE, &[pipeline, chart]).json();
    let both = both["token"].as_str().unwrap();
    assert_eq!(with_token(&registry, PIPELINE, both).status, 200);
    let denied = with_token(&registry, CHART, both);
    assert_eq!((denied.status, denied.code().as_str()), (403, "DENIED"));
    let joint = format!("{pipeline}%20{chart}");
    let joint = token(&registry, PERSON, &[&joint]).json();
    let joint = joint["token"].as_str().unwrap();
    assert_eq!(with_token(&registry, PIPELINE, joint).status, 200);
    assert_eq!(with_token(&registry, CHART, joint).status, 200);

    let nothing = token(&registry, EDGE, &[]);
    assert_eq!(nothing.status, 200, "a login alone is looked at");
    let nothing = nothing.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(with_token(&registry, PIPELINE, &nothing).status, 401);
    let many: Vec<String> = (0..9).map(|n| format!("repository:pipelines/e{n}:pull")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let too_many = token(&registry, EDGE, &many);
    assert_eq!((too_many.status, too_many.code().as_str()), (400, "UNSUPPORTED"));
    let to_push = token(&registry, EDGE, &[&format!("repository:{PIPELINE}:push")]).json();
    assert_eq!(with_token(&registry, PIPELINE, to_push["token"].as_str().unwrap()).status, 401);
    let login = format!("{EDGE}:{PASSWORD}");
    let other = registry.ask("/v2/token?service=registry.example.com", &["-u", &login]);
    assert_eq!((other.status, other.code().as_str()), (400, "UNSUPPORTED"));
}

#[test]
fn logins_that_fail_are_slowed_down_and_the_others_are_not() {
    let registry = registry();
    let path = format!("/v2/{PIPELINE}/manifests/v1");
    let guess = || registry.ask(&path, &["-u", &format!("{EDGE}:guess")]);
    let guesses: Vec<u16> = (0..8).map(|_| guess().status).collect();
    assert_eq!(guesses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let got = guess();
    assert_eq!(got.code(), "TOOMANYREQUESTS");
    let wait: u64 = got.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    let at_token = token(&registry, EDGE, &[]);
    assert_eq!(at_token.status, 429, "by either way");
    assert_eq!(registry.get(&path).status, 200, "who does not guess is served");
    for _ in 0..20 {
        assert_eq!(registry.get(&path).status, 200);
    }
}

#[test]
fn a_store_of_logins_in_trouble_is_no_wrong_password() {
    let registry = registry();
    for path in ["/v2/", "/v2/token"] {
        for _ in 0..7 {
            let got = registry.ask(path, &["-u", "nobody-knows:x"]);
            assert_eq!((got.status, got.code().as_str()), (503, "UNAVAILABLE"));
            let wait = got.header("retry-after").map(|it| Duration::from_secs(it.parse().unwrap()));
            assert_eq!(wait, Some(Duration::from_secs(5)));
        }
    }
}
