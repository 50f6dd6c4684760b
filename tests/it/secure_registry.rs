//! Registries that speak TLS by an authority of our own, by name and by address, and all that can be
//! wrong with that.

use crate::support::certificates::{Authority, GOOD, LOOPBACK, OVER, TO_COME};
use crate::support::engine::{Engine, command};
use crate::support::listener::header;
use crate::support::ops::{Published, ops};
use crate::support::process::{Ended, run};
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::scripted::{Scripted, answer, raw};
use crate::support::tls_front::TlsFront;
use crate::support::token_server::{Policy, TokenServer};
use crate::support::{fixture, golden};
use potoroo::http::client::Timeouts;
use potoroo::oci::{RegistryHost, Repository};
use potoroo::registry::{Action, Logins, Remote, Transport};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// Variables for a program.
type Variables<'a> = Vec<(&'a str, &'a str)>;

const LOGIN: [(&str, &str); 2] = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", PASSWORD)];

/// Publishes the sample pipeline to a registry that is spoken to by TLS.
fn publish(registry: &str, variables: &Variables<'_>) -> Published {
    let mut command = ops();
    let file = fixture("pipelines/fraud.yaml");
    command.arg("publish").arg(file).args(["--registry", &format!("https://{registry}")]);
    Published::from(run(command.envs(variables.iter().copied())))
}

fn start(variables: &[(&str, &str)]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    run(command(home.path()).envs(variables.iter().copied()))
}

#[test]
fn each_way_of_logging_in_works_through_tls_with_the_authoritys_file() {
    let authority = Authority::new();
    let shown = authority.shown(&LOOPBACK, GOOD);
    let tokens = TokenServer::start(Policy {
        username: "me",
        password: PASSWORD,
        user_may: &["pull", "push"],
        anyone_may: &[],
        expires_in: 300,
        key: "token",
    });
    let front = TlsFront::start(&shown, tokens.address());
    let realm = format!("https://{}/token", front.address());
    for (address, auth, login) in [
        ("127.0.0.1:0", Auth::None, &[] as &[(&str, &str)]),
        ("[::1]:0", Auth::None, &[]),
        ("127.0.0.1:0", Auth::Htpasswd("me"), &LOGIN),
        ("[::1]:0", Auth::TokenAt(&tokens, &realm), &LOGIN),
    ] {
        let registry = Registry::start_at(address, &auth, Some(&shown));
        let ca = authority.file();
        let mut variables = vec![("POTOROO_CA_FILE", ca.as_str())];
        variables.extend(login);
        let published = publish(&registry.host().to_string(), &variables);
        let url = format!("https://{}", published.pipeline_url);
        variables.push(("PIPELINE_URL", &url));
        let engine = Engine::start(&variables);
        let models = engine.curl("/models", &[]).json();
        assert_eq!(models["models"][0]["name"], "fraud-mlp", "{address}");
    }
    assert!(!tokens.scopes().is_empty(), "the token service was asked");
}

/// On loopback nothing but `https://` says that TLS is spoken.
#[test]
fn export_and_import_speak_tls_to_a_registry_that_is_written_with_https() {
    let authority = Authority::new();
    let shown = authority.shown(&LOOPBACK, GOOD);
    let registry = Registry::start_at("127.0.0.1:0", &Auth::None, Some(&shown));
    let ca = authority.file();
    let variables = vec![("POTOROO_CA_FILE", ca.as_str())];
    let published = publish(&registry.host().to_string(), &variables);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fraud.tar");
    let mut export = ops();
    export.arg("export").arg(format!("https://{}", published.pipeline_url)).arg(&file);
    let said = run(export.envs(variables.iter().copied())).success().stdout;
    assert!(said.contains(&published.digest), "{said}");
    let mut import = ops();
    import.arg("import").arg(&file).arg(format!("https://{}/mirror/fraud:1", registry.host()));
    let said = run(import.envs(variables.iter().copied())).success().stdout;
    assert!(said.contains(&published.digest), "{said}");
}

#[test]
fn a_registry_without_tls_is_found_by_its_version_6_address() {
    let registry = Registry::start_at("[::1]:0", &Auth::None, None);
    let host = registry.host().to_string();
    assert!(host.starts_with("[::1]:"), "{host}");
    let mut command = ops();
    command.arg("publish").arg(fixture("pipelines/fraud.yaml")).args(["--registry", &host]);
    let published = Published::from(run(&mut command));
    let engine = Engine::start(&[("PIPELINE_URL", &published.pipeline_url)]);
    assert_eq!(engine.curl("/healthz", &[]).status, 200);
}

#[test]
fn each_fault_of_tls_has_its_sentence_and_its_remedy() {
    let authority = Authority::new();
    let ca = authority.file();
    let at = |names: &[&str], years| {
        let shown = authority.shown(names, years);
        Registry::start_at("127.0.0.1:0", &Auth::None, Some(&shown))
    };
    let (good, over) = (at(&LOOPBACK, GOOD), at(&LOOPBACK, OVER));
    let (to_come, other) = (at(&LOOPBACK, TO_COME), at(&["registry.example"], GOOD));
    let plain = Registry::start(&Auth::None);
    let trusted = [("POTOROO_CA_FILE", ca.as_str())];
    let common = [("SSL_CERT_FILE", ca.as_str())];
    let mut sentences = String::new();
    for (case, registry, scheme, variables) in [
        ("signed by an authority that is not known", &good, "https://", &[] as &[_]),
        ("over", &over, "https://", &trusted),
        ("not yet begun", &to_come, "https://", &common),
        ("for another name", &other, "https://", &trusted),
        ("TLS is asked for where none is spoken", &plain, "https://", &trusted),
        ("TLS is spoken where none is asked for", &good, "", &trusted),
    ] {
        let host = registry.host().to_string();
        let url = format!("{scheme}{host}/pipelines/fraud:1");
        let ended = start(&[&[("PIPELINE_URL", url.as_str())], variables].concat());
        assert_eq!(ended.code(), 6, "{case}: {}", ended.stderr);
        let said: Vec<&str> = ended.stderr.lines().filter(|l| !l.starts_with("t=")).collect();
        let said = without_time(&said.join("\n").replace(&host, "registry:5000"));
        writeln!(sentences, "{case}\n{said}\n").unwrap();
    }
    golden("tls_refused.txt", &sentences);
}

/// The text with what the clock says taken out.
fn without_time(text: &str) -> String {
    const CLOCK: &str = "clock says ";
    match text.split_once(CLOCK) {
        Some((before, after)) => {
            format!("{before}{CLOCK}NOW{}", &after["2026-01-01T00:00:00Z".len()..])
        }
        None => text.to_owned(),
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem").display().to_string();
    std::fs::write(&path, "no certificate").unwrap();
    let variables = [("PIPELINE_URL", "r.example/p:1"), ("POTOROO_CA_FILE", path.as_str())];
    let ended = start(&variables);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    let sentence = format!("error: POTOROO_CA_FILE cannot be used: {path} holds no certificate");
    assert!(ended.stderr.contains(&sentence), "{}", ended.stderr);
}

/// What `skopeo login` writes is what docker and podman write.
#[test]
fn the_login_that_another_tool_keeps_is_used_and_its_helpers_are_told() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.json").display().to_string();
    let mut skopeo = std::process::Command::new("skopeo");
    let login = ["login", "--tls-verify=false", "-u", "me", "-p", PASSWORD, "--authfile", &file];
    run(skopeo.args(login).arg(&host)).success();
    let config = home.path().display().to_string();
    for variable in [("REGISTRY_AUTH_FILE", file.as_str()), ("DOCKER_CONFIG", config.as_str())] {
        let mut command = ops();
        command.arg("publish").arg(fixture("pipelines/fraud.yaml")).args(["--registry", &host]);
        let published = Published::from(run(command.envs([variable])));
        let mut engine = Engine::start(&[("PIPELINE_URL", &published.pipeline_url), variable]);
        let log = engine.process.seen().join("\n");
        assert!(log.contains("Login Succeeded") && log.contains("login_file="), "{log}");
        assert!(!log.contains(PASSWORD), "{log}");
    }
    std::fs::write(&file, r#"{"credsStore":"secretservice"}"#).unwrap();
    let url = format!("{host}/pipelines/fraud:1");
    let ended = start(&[("PIPELINE_URL", &url), ("DOCKER_CONFIG", &config)]);
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("helper program (`credsStore`"), "{}", ended.stderr);
}

/// A token service's OAuth 2 side: one request, whose head and form are given back.
fn one_exchange(listener: TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&socket);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            reader.read_line(&mut request).unwrap();
        }
        let size = header(&request, "content-length").unwrap().parse().unwrap();
        let mut form = vec![0; size];
        reader.read_exact(&mut form).unwrap();
        let body = br#"{"access_token":"abc","refresh_token":"hunter3","expires_in":300}"#;
        (&socket).write_all(&raw(200, &[], body)).unwrap();
        request + &String::from_utf8(form).unwrap()
    })
}

#[test]
fn an_identity_token_is_exchanged_at_the_token_service_and_goes_nowhere_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let realm = format!(
        "Bearer realm=\"http://{}/token?a=1\",service=\"r\"",
        listener.local_addr().unwrap()
    );
    let exchange = one_exchange(listener);
    let registry = Scripted::start([
        answer(401, &[("www-authenticate", &realm)], b""),
        answer(200, &[], b"{}"),
    ]);
    let host: RegistryHost = registry.address().to_string().parse().unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("auth.json");
    let entry = r#"{"auth":"bWU6","identitytoken":"hunter2+/="}"#;
    std::fs::write(&file, format!(r#"{{"auths":{{"{host}":{entry}}}}}"#)).unwrap();
    let logins =
        Logins::read(|name| (name == "REGISTRY_AUTH_FILE").then(|| file.display().to_string()));
    let repository: Repository = "team/model".parse().unwrap();
    let login = logins.find(&host, &repository);
    let transport = Transport::new(Timeouts::EDGE, Vec::new());
    Remote::new(transport, host, repository, login.credentials).login(Action::Pull).unwrap();
    let asked = exchange.join().unwrap();
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.ends_with(
            "\r\n\r\ngrant_type=refresh_token&client_id=potoroo&a=1&service=r\
         &scope=repository:team/model:pull&refresh_token=hunter2%2B%2F%3D"
        ),
        "{asked}"
    );
    assert_eq!(registry.shown(), [None, Some("Bearer abc".to_owned())]);
}
