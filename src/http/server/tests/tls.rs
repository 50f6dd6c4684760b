//! The server over TLS: the same service and limits, with a certificate made for each test.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::super::{Content, Tls, TlsError};
use super::contents::Giving;
use super::*;
use crate::disk::Stretch;

mod files;

/// A certificate for loopback and its key, as files that go with the test.
struct Identity {
    directory: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Identity {
    fn new() -> Identity {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key"));
        let identity = Identity { directory, certificate, key };
        identity.renew();
        identity
    }

    /// Writes another certificate and key into the same files.
    fn renew(&self) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(&self.certificate, made.cert.pem()).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
    }

    /// Files that are looked at for every connection.
    fn load(&self) -> Tls {
        Tls::looking_every(Duration::ZERO, &self.certificate, &self.key).unwrap()
    }

    fn serve(&self, limits: Limits) -> Running {
        run(Server::bind("127.0.0.1:0", limits).unwrap().with_tls(self.load()))
    }

    /// A client that trusts the certificate that is in the file now, and no other.
    fn trusting(
        &self,
        version: &'static SupportedProtocolVersion,
        protocol: &[u8],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    fn client(&self, server: &Running) -> Secure {
        Secure::connect(server, self.trusting(&rustls::version::TLS13, b"http/1.1"))
    }
}

struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    fn connect(server: &Running, config: ClientConfig) -> Secure {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect_timeout(&server.address, PATIENCE).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Secure(StreamOwned::new(session, socket))
    }

    /// Sends, and reads to the end, which without TLS's goodbye is an error.
    fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<String> {
        self.0.write_all(bytes.as_ref())?;
        self.0.flush()?;
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }
}

/// A request that is the last of its connection.
fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

fn is_alive(identity: &Identity, server: &Running) -> bool {
    identity.client(server).say(last("/")).is_ok_and(|answer| answer.ends_with("hello"))
}

#[test]
fn requests_of_either_version_are_answered_on_one_connection() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let body = "0123456789abcdef".repeat(40_000);
    let length = format!("Content-Length: {}\r\n", body.len());
    let requests = post("/", &length, &body) + &post("/read", &length, &body) + &last("/");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = Secure::connect(&server, identity.trusting(version, b"http/1.1"));
        let answer = client.say(&requests).unwrap();
        assert_eq!(statuses(&answer), [200, 200, 200], "{version:?}");
        assert_eq!(answer.matches(&body).count(), 2, "{version:?}");
        assert_eq!(client.0.conn.protocol_version(), Some(version.version));
        assert_eq!(client.0.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
    }
    let large = identity.client(&server).say(last("/large")).unwrap();
    assert!(large.len() > LARGE.len() && large.ends_with("xxx"));
}

#[test]
fn a_file_and_a_stream_arrive_whole_and_one_that_is_cut_has_no_goodbye() {
    let (identity, file) = (Identity::new(), tempfile::NamedTempFile::new().unwrap());
    let text = "0123456789abcdef".repeat(40_000);
    std::fs::write(file.path(), &text).unwrap();
    let path = file.path().to_owned();
    let service = Giving(move |asked: &str| {
        let reading = std::fs::File::open(&path).unwrap();
        let content = match asked {
            "/file" => Content::of(&Stretch::whole(path.clone())).unwrap(),
            // More than there is, as if the file had shrunk.
            "/cut" => Content::of(&Stretch::part(path.clone(), 0, 10_000_000)).unwrap(),
            _ => Content::stream(reading, u64::MAX),
        };
        Response::new(200, "text/plain", content)
    });
    let server = Server::bind("127.0.0.1:0", limits()).unwrap().with_tls(identity.load());
    let server = start(server, service, mpsc::channel().1, mpsc::channel().0);
    let whole = identity.client(&server).say(last("/file")).unwrap();
    assert!(whole.ends_with(&text) && statuses(&whole) == [200]);
    let streamed = last("/stream").replace("HTTP/1.1", "HTTP/1.0");
    assert!(identity.client(&server).say(streamed).unwrap().ends_with(&text));
    let cut = identity.client(&server).say(last("/cut")).unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn curl_trusts_the_certificate_that_it_was_given() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let run = |arguments: &[&str]| {
        let url = format!("https://127.0.0.1:{}/", server.address.port());
        Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).arg(url).output()
    };
    let certificate = identity.certificate.display().to_string();
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let trusting = run(&[version, &["--cacert", &certificate, "-d", "body"]].concat()).unwrap();
        assert_eq!(String::from_utf8_lossy(&trusting.stdout), "body", "{trusting:?}");
    }
    assert!(!run(&[]).unwrap().status.success(), "nobody else trusts it");
    assert!(is_alive(&identity, &server));
}

#[test]
fn a_client_of_http_2_alone_is_told_so_in_the_handshake() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let config = identity.trusting(&rustls::version::TLS13, b"h2");
    let error = Secure::connect(&server, config).say(last("/")).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    assert!(is_alive(&identity, &server));
}

#[test]
fn a_plain_request_on_the_tls_port_is_told_so() {
    let identity = Identity::new();
    let server = identity.serve(Limits { head_deadline: PATIENCE, ..limits() });
    let answer = server.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(statuses(&answer) == [400] && answer.contains("https"), "{answer}");
    assert!(is_alive(&identity, &server));
}

#[test]
fn rubbish_in_place_of_a_handshake_ends_the_connection() {
    let identity = Identity::new();
    let server = identity.serve(Limits { head_deadline: PATIENCE, ..limits() });
    for rubbish in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x16\x03\x01\xff\xff", b"\x16rubbish"] {
        let mut client = server.connect();
        client.send(rubbish);
        let mut alert = Vec::new();
        client.stream.read_to_end(&mut alert).unwrap();
        assert!(matches!(alert.as_slice(), [] | [21, 3, _, 0, 2, 2, _]), "{alert:?}");
    }
    assert!(is_alive(&identity, &server));
}

#[test]
fn a_client_that_stalls_in_the_handshake_is_dropped_by_the_deadline() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let begun = Instant::now();
    let mut stalled: Vec<_> = ["", "\x16", "\x16\x03\x01\x02\x00\x01"]
        .map(|begin| {
            let mut client = server.connect();
            client.send(begin);
            client
        })
        .into();
    let mut dribbling = server.connect();
    dribbling.send("\x16\x03\x01\x3f\x00\x01");
    assert!(is_alive(&identity, &server), "others are served meanwhile");
    dribbling.socket().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while dribbling.stream.fill_buf().is_err() {
        assert!(begun.elapsed() < PATIENCE, "never ended");
        if dribbling.stream.get_mut().write_all(b"\0").is_err() {
            break;
        }
    }
    assert!(stalled.iter_mut().all(Client::has_ended));
    assert!(begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn limits_and_strictness_hold_as_they_do_in_plain() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let flood = "x".repeat(1 << 20);
    let cases = [
        ("bare LF", "GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("HTTP/2", "GET / HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("endless header", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {flood}"), 431),
        ("stalled head", "GET / HTTP/1.1\r\n".to_owned(), 408),
        ("stalled body", post("/", "Content-Length: 9\r\n", "abc"), 408),
        ("early 413", post("/", "Content-Length: 1000000000000\r\n", &flood), 413),
        ("chunk", post("/", "Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n"), 400),
    ];
    for (name, request, status) in cases {
        let answer = identity.client(&server).say(request);
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(statuses(&answer), [status], "{name}");
    }
    let mut cut = identity.client(&server);
    cut.0.write_all(post("/", "Content-Length: 9\r\n", "abc").as_bytes()).unwrap();
    cut.0.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = cut.say("").unwrap();
    assert!(statuses(&answer) == [400] && answer.contains("ended after 3 bytes"), "{answer}");
}

#[test]
fn a_tls_client_that_does_not_read_is_dropped_by_the_deadline() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let mut clients = [identity.client(&server), identity.client(&server)];
    for client in &mut clients {
        client.0.write_all(last("/large").as_bytes()).unwrap();
        assert_ne!(client.0.read(&mut [0]).unwrap(), 0);
    }
    let begun = Instant::now();
    assert!(server.handle.shutdown(PATIENCE), "each ended by itself");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A client that has been answered. Its place may be free a moment after the one before has its
/// answer, so it tries again.
fn admitted(identity: &Identity, server: &Running) -> Secure {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no connection gave way");
        let mut client = identity.client(server);
        let sent = client.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut line = *b"HTTP/1.1 000";
        if sent.is_ok() && client.0.read_exact(&mut line).is_ok() && line.ends_with(b"200") {
            return client;
        }
    }
}

#[test]
fn idle_tls_connections_give_way() {
    let identity = Identity::new();
    let server = identity.serve(Limits { connections_max: 1, ..limits() });
    let mut idle = admitted(&identity, &server);
    drop(admitted(&identity, &server));
    assert!(idle.say("").is_err(), "it gave way, without a goodbye");
}

/// A server whose one connection has a request that the test holds.
fn full(identity: &Identity) -> (Running, Secure) {
    let server = identity.serve(Limits { connections_max: 1, ..limits() });
    let mut busy = identity.client(&server);
    busy.0.write_all(last("/hold").as_bytes()).unwrap();
    busy.0.flush().unwrap();
    server.wait_for_request();
    (server, busy)
}

#[test]
fn at_capacity_a_tls_client_is_told_when_to_come_back() {
    let identity = Identity::new();
    let (server, mut busy) = full(&identity);
    let answer = identity.client(&server).say(last("/")).unwrap();
    assert!(statuses(&answer) == [503] && answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let certificate = identity.certificate.display().to_string();
    let curl = Command::new("curl")
        .args(["-sSi", "--max-time", "20", "--cacert", &certificate, "-d", "body", &url])
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&curl.stdout);
    assert!(curl.status.success() && answer.contains(" 503 "), "{curl:?}");
    let plain = server.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&plain), [503], "in the language of the client");
    server.gate.send(()).unwrap();
    assert_eq!(statuses(&busy.say("").unwrap()), [200]);
}

#[test]
fn refused_tls_clients_that_say_nothing_hold_up_neither_the_door_nor_each_other() {
    let identity = Identity::new();
    let (server, mut busy) = full(&identity);
    let begun = Instant::now();
    // The first of them take all handshakes that run at a time; the others get an alert at once.
    let mut silent: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let mut alerts = 0;
    for client in silent.iter_mut().rev() {
        client.socket().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut alert = [0; 7];
        if client.stream.read_exact(&mut alert).is_ok() {
            assert_eq!(alert, super::super::tls::ALERT);
            alerts += 1;
        }
    }
    assert!(alerts >= 24, "{alerts} of {} were told at once", silent.len());
    for client in &mut silent {
        client.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(client.has_ended(), "within its time");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.gate.send(()).unwrap();
    assert_eq!(statuses(&busy.say("").unwrap()), [200]);
}
