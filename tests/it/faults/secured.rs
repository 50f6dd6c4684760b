//! The engine with TLS and a key: asked well, asked badly, and told to stop.

use super::*;
use crate::support::engine::curl;
use potoroo::http::server::CONNECTIONS_MAX;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;

const KEY: &str = "correct-horse-battery";

/// Certificate and key of loopback, and the engine that shows them.
fn start() -> (tempfile::TempDir, Engine) {
    LazyLock::force(&ROOM);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(path("cert"), made.cert.pem()).unwrap();
    fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(path("api-key"), format!("{KEY}\n")).unwrap();
    let engine = Engine::start(&[
        ("PIPELINE_URL", PIPELINE_URL.as_str()),
        ("POTOROO_TLS_CERT", &path("cert")),
        ("POTOROO_TLS_KEY", &path("key")),
        ("POTOROO_API_KEY_FILE", &path("api-key")),
        ("DEBUG", "true"),
    ]);
    (directory, engine)
}

#[test]
fn a_wrong_key_or_none() {
    let (directory, mut engine) = start();
    let certificate = directory.path().join("cert").display().to_string();
    let ask = |path: &str, field: &str| {
        let url = format!("https://{}{path}", engine.address);
        curl(&url, &["--cacert", &certificate, "-H", field])
    };
    let bearer = format!("Authorization: Bearer {KEY}");
    for field in [bearer.as_str(), &format!("x-api-key: {KEY}")] {
        assert_eq!(ask("/models", field).status, 200, "{field}");
    }
    assert_eq!(ask("/healthz", "X: none").status, 200, "a health check has no key");
    for field in ["X: none", "X-API-Key: correct-horse", "Authorization: Bearer"] {
        for path in ["/models", "/pipelines", "/pipelines/fraud", "/nowhere"] {
            let answer = ask(path, field);
            assert_eq!((answer.status, &answer.json()["kind"]), (401, &"unauthorized".into()));
        }
    }
    let url = format!("https://{}/models", engine.address);
    let shown = curl(&url, &["--cacert", &certificate, "-i"]).body;
    assert!(shown.to_lowercase().contains("www-authenticate: bearer"), "{shown}");
    assert_eq!(engine.process.signal("TERM").code(), Some(0));
    let log = engine.process.seen().join("\n");
    assert!(log.contains("scheme=https") && log.contains("status=401"), "{log}");
    assert!(!log.contains(KEY) && !log.contains("PRIVATE"), "{log}");
}

#[test]
fn handshakes_that_stall_and_requests_without_one() {
    let (directory, engine) = start();
    let certificate = directory.path().join("cert").display().to_string();
    let url = format!("https://{}/healthz", engine.address);
    let serves = || {
        let begun = Instant::now();
        assert_eq!(curl(&url, &["--cacert", &certificate]).status, 200);
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    };
    let mut stalled: Vec<Client> = ["", "\x16", "\x16\x03\x01\x02\x00\x01"]
        .into_iter()
        .map(|begin| {
            let mut client = Client::connect(&engine.address);
            client.send(begin);
            client
        })
        .collect();
    serves();
    for _ in 0..20 {
        let mut plain = Client::connect(&engine.address);
        plain.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(plain.statuses(), [400]);
    }
    assert!(stalled.iter_mut().all(Client::is_ended), "by the deadline of a head");
    serves();
}

/// A client that speaks TLS and trusts the certificate in `directory`.
struct Secure(StreamOwned<ClientConnection, TcpStream>);

fn trusting(directory: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("cert")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth())
}

impl Secure {
    fn connect(engine: &Engine, config: &Arc<ClientConfig>) -> Secure {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(config), name).unwrap();
        let socket = TcpStream::connect(&engine.address).unwrap();
        socket.set_read_timeout(Some(SETTLING)).unwrap();
        Secure(StreamOwned::new(session, socket))
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()
    }

    fn rest(&mut self) -> io::Result<String> {
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }
}

#[test]
fn a_flood_of_handshakes_while_requests_are_in_all_places() {
    let (directory, engine) = start();
    let config = trusting(directory.path());
    let fields =
        format!("Authorization: Bearer {KEY}\r\nConnection: close\r\nContent-Length: 100\r\n");
    let mut busy: Vec<Secure> = (0..CONNECTIONS_MAX)
        .map(|_| {
            let mut client = Secure::connect(&engine, &config);
            client.send(&infer(&fields, "[")).unwrap();
            client
        })
        .collect();
    let begun = Instant::now();
    let (mut told, mut alerted) = (0, 0);
    while begun.elapsed() < Duration::from_secs(2) {
        let mut client = Secure::connect(&engine, &config);
        let sent = client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        match sent.and_then(|()| client.rest()) {
            Ok(answer) => {
                assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
                assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
                told += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("InternalError"), "{error}");
                alerted += 1;
            }
        }
    }
    // Sixteen in each second that was begun.
    assert!((1..=48).contains(&told), "{told} heard why, {alerted} got an alert");
    for client in &mut busy {
        client.send(&(" ".repeat(97) + "1]")).unwrap();
        let answer = client.rest().unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "it kept its place: {answer}");
    }
    drop(busy);
    let certificate = directory.path().join("cert").display().to_string();
    let url = format!("https://{}/healthz", engine.address);
    assert_eq!(curl(&url, &["--cacert", &certificate]).status, 200);
    if std::env::var_os("POTOROO_ENGINE").is_some() {
        let line = format!("secured: of refused handshakes {told} heard 503, {alerted} an alert\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
}
