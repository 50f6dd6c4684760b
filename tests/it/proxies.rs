//! Registries behind a proxy: reached through it, and each of its refusals told by name.

use crate::support::certificates::{Authority, GOOD};
use crate::support::engine::{Engine, command};
use crate::support::golden;
use crate::support::ops::{Published, ops};
use crate::support::process::{Ended, run};
use crate::support::proxy::{Manner, Proxy};
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::signing::Keys;
use base64::Engine as _;
use potoroo::http::client::{Client, Error, Network, ProxyFault, Timeouts};
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A name that nobody but the tests' proxy connects to.
const HOST: &str = "registry.example";

/// `edge:s3cret@` as a proxy is shown it; in the URL the last letter is percent-encoded.
const LOGIN: &str = "Basic ZWRnZTpzM2NyZXQ=";

fn start(variables: &[(&str, &str)]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    run(command(home.path()).envs(variables.iter().copied()))
}

#[test]
fn a_registry_behind_a_proxy_that_wants_a_login_is_pushed_to_and_pulled_from() {
    let authority = Authority::new();
    let shown = authority.shown(&[HOST], GOOD);
    let registry = Registry::start_at("127.0.0.1:0", &Auth::None, Some(&shown));
    let behind: SocketAddr = registry.host().to_string().parse().unwrap();
    let proxy = Proxy::start(Manner::Asks(LOGIN), behind);
    let url = format!("http://edge:s3cre%74@{}", proxy.address());
    let ca = authority.file();
    let variables = [("https_proxy", url.as_str()), ("POTOROO_CA_FILE", ca.as_str())];
    let mut publish = ops();
    let file = crate::support::fixture("pipelines/fraud.yaml");
    publish.arg("--debug").arg("publish").arg(file).args(["--registry", HOST]).envs(variables);
    let ended = run(&mut publish).success();
    assert!(!ended.stderr.contains("s3cre"), "{}", ended.stderr);
    let published = Published::from(ended);
    let own = [("PIPELINE_URL", published.pipeline_url.as_str()), ("DEBUG", "true")];
    let mut engine = Engine::start(&[&own[..], &variables[..]].concat());
    assert_eq!(engine.curl("/healthz", &[]).status, 200);
    let log = engine.process.seen().join("\n");
    assert!(!log.contains("s3cre") && !log.contains("ZWRnZT"), "{log}");
    let asked = proxy.asked();
    assert!(asked.len() >= 2, "{asked:?}");
    assert!(asked.iter().all(|line| line == "CONNECT registry.example:443 HTTP/1.1"), "{asked:?}");
}

/// Signing, export and import go where publishing goes, and log in as others do.
#[test]
fn what_is_signed_is_exported_and_imported_through_a_proxy_with_the_login_of_another_tool() {
    let authority = Authority::new();
    let shown = authority.shown(&[HOST], GOOD);
    let registry = Registry::start_at("127.0.0.1:0", &Auth::Htpasswd("me"), Some(&shown));
    let behind: SocketAddr = registry.host().to_string().parse().unwrap();
    let proxy = Proxy::start(Manner::Asks(LOGIN), behind);
    let (keys, directory) = (Keys::make(), tempfile::tempdir().unwrap());
    let login = directory.path().join("auth.json");
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
    std::fs::write(&login, format!("{{\"auths\":{{\"{HOST}\":{{\"auth\":\"{auth}\"}}}}}}"))
        .unwrap();
    let url = format!("http://edge:s3cre%74@{}", proxy.address());
    let (ca, login) = (authority.file(), login.display().to_string());
    let variables = [
        ("https_proxy", url.as_str()),
        ("POTOROO_CA_FILE", ca.as_str()),
        ("REGISTRY_AUTH_FILE", login.as_str()),
    ];
    let said = |arguments: &[&str]| {
        let mut command = ops();
        command
            .args(arguments)
            .envs(variables)
            .env("COSIGN_PASSWORD", crate::support::signing::PASSWORD);
        let before = proxy.asked().len();
        let ended = run(&mut command).success();
        assert!(proxy.asked().len() > before, "{arguments:?} went by the proxy");
        ended.stdout
    };
    let (pipeline, key) = (crate::support::fixture("pipelines/fraud.yaml"), keys.private());
    let (pipeline, key) = (pipeline.display().to_string(), key.display().to_string());
    let published = said(&["publish", &pipeline, "--registry", HOST, "--sign", &key]);
    let from = published.lines().find_map(|line| line.strip_prefix("pipeline_url: ")).unwrap();
    let file = directory.path().join("fraud.tar").display().to_string();
    let exported = said(&["export", from, &file]);
    assert!(exported.contains("signatures: 2\n"), "{exported}");
    let imported = said(&["import", &file, &format!("{HOST}/mirror/fraud:1")]);
    assert!(imported.contains("signatures: 2\n"), "{imported}");
}

#[test]
fn each_refusal_of_a_proxy_names_it_and_shows_no_password() {
    let nowhere = free();
    let proxies = [
        ("it wants another login", Some(Manner::Asks(LOGIN))),
        ("it says so in the words of a server", Some(Manner::Refuses(401))),
        ("it does not allow the host", Some(Manner::Refuses(403))),
        ("it does not get through", Some(Manner::Refuses(502))),
        ("nobody listens", None),
    ];
    let mut sentences = String::new();
    for (case, manner) in proxies {
        let proxy = manner.map(|manner| Proxy::start(manner, nowhere));
        let address = proxy.as_ref().map_or(nowhere, Proxy::address).to_string();
        let url = format!("http://edge:hunter2@{address}/");
        let pipeline = format!("{HOST}/pipelines/fraud:1");
        let ended = start(&[("PIPELINE_URL", &pipeline), ("HTTPS_PROXY", &url), ("DEBUG", "true")]);
        assert_eq!(ended.code(), 6, "{case}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{case}: {}", ended.stderr);
        let said: Vec<&str> = ended.stderr.lines().filter(|l| !l.starts_with("t=")).collect();
        let said = said.join("\n").replace(&address, "proxy:3128");
        writeln!(sentences, "{case}\n{said}\n").unwrap();
    }
    golden("proxy_refused.txt", &sentences);
}

#[test]
fn a_registry_without_tls_is_reached_through_the_proxy_for_those() {
    let registry = Registry::start(&Auth::None);
    let proxy = Proxy::start(Manner::Connects, registry.host().to_string().parse().unwrap());
    let url = format!("{}", proxy.address());
    let pipeline = format!("{HOST}:5000/pipelines/fraud:1");
    let plain = format!("{HOST}:5000");
    let variables =
        [("PIPELINE_URL", &*pipeline), ("HTTP_PROXY", &*url), ("POTOROO_PLAIN_HTTP", &*plain)];
    let ended = start(&variables);
    assert_eq!(ended.code(), 5, "the registry answers that there is none: {}", ended.stderr);
    assert_eq!(proxy.asked()[0], "CONNECT registry.example:5000 HTTP/1.1");
}

#[test]
fn a_proxy_that_says_nothing_is_given_up_and_named() {
    let proxy = Proxy::start(Manner::Hangs, free());
    let name = proxy.address().to_string();
    let read = Network::read(|variable| (variable == "all_proxy").then(|| name.clone()));
    let timeouts = Timeouts { connect: Duration::from_millis(100), ..Timeouts::EDGE };
    let uri = format!("https://{HOST}/v2/").parse().unwrap();
    let error = Client::through(timeouts, &read.network).knock(&uri).unwrap_err();
    let Error::Proxy { proxy, fault: ProxyFault::Lost(lost), .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**lost, Error::TimedOut { .. }), "{lost:?}");
    assert_eq!(*proxy, name);
}

/// An address that nobody listens at: its port was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_at_start_and_not_repeated() {
    let pipeline = format!("{HOST}/pipelines/fraud:1");
    let ended = start(&[("PIPELINE_URL", &pipeline), ("ALL_PROXY", "socks5://u:hunter2@p:1080")]);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("ALL_PROXY names a proxy of the kind `socks5`"));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}
