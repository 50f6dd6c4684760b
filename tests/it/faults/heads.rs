//! Heads that other servers hang, leak, desynchronise or run out of memory over.

use super::*;

/// Says each, with a request behind that must not be answered, and reports those answered
/// otherwise.
fn refuses(cases: &[(&str, String, u16)]) {
    let subject = Subject::start();
    let mut wrong = Vec::new();
    for (name, bytes, expected) in cases {
        let found = subject.say(format!("{bytes}GET /models HTTP/1.1\r\nHost: a\r\n\r\n"));
        if found != [*expected] {
            wrong.push((*name, *expected, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    subject.is_well();
}

fn get(lines: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\n{lines}\r\n")
}

#[test]
fn http_2_prefaces() {
    let subject = Subject::start();
    for _ in 0..50 {
        assert_eq!(subject.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), [505]);
        assert_eq!(subject.say("GET / HTTP/2.0\r\n\r\n"), [505]);
    }
    subject.is_well();
}

#[test]
fn http_2_by_prior_knowledge_and_by_upgrade() {
    use crate::support::process::run;
    let subject = Subject::start();
    let url = subject.engine.url("/healthz");
    let prior = ["-sS", "--max-time", "5", "--http2-prior-knowledge", &url];
    let refused = run(Command::new("curl").args(prior));
    assert!(refused.code() != 0 && refused.code() != 28, "refused, not timed out: {refused:?}");
    assert_eq!(subject.engine.curl("/healthz", &["--http2"]).status, 200);
    let upgrade =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let mut client = subject.connect();
    for _ in 0..2 {
        let fields = format!("{upgrade}Content-Length: {}\r\n", ROW.len());
        client.send(infer(&fields, &ROW));
        assert_eq!(client.answer().0, 200, "the body ends where it says, and the client stays");
    }
    drop(client);
    subject.is_well();
}

#[test]
fn a_tls_hello_on_the_plain_port() {
    let subject = Subject::start();
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(subject.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), [400]);
        assert!(begun.elapsed() < PATIENCE, "at once, not by a deadline");
    }
    subject.is_well();
}

#[test]
fn lengths_of_a_terabyte_and_more_that_are_never_sent() {
    let length = |bytes: &str| infer(&format!("Content-Length: {bytes}\r\n"), "");
    refuses(&[
        ("10^12", length("1000000000000"), 413),
        ("2^63", length("9223372036854775808"), 413),
        ("2^64-1", length("18446744073709551615"), 413),
        ("10^12 to what reads none", get("Host: a\r\nContent-Length: 1000000000000\r\n"), 413),
    ]);
}

#[test]
fn lengths_that_are_no_number() {
    let length = |text: &str| infer(&format!("Content-Length: {text}\r\n"), "");
    refuses(&[
        ("-1", length("-1"), 400),
        ("+5", length("+5"), 400),
        ("abc", length("abc"), 400),
        ("5, 5", length("5, 5"), 400),
        ("two", length("5\r\nContent-Length: 6"), 400),
        ("2^65", length("36893488147419103232"), 400),
    ]);
}

#[test]
fn transfer_codings_that_two_readers_read_differently() {
    let coded = |fields: &str| infer(fields, "0\r\n\r\n");
    let old = coded("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0");
    refuses(&[
        ("with a length", coded("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("xchunked", coded("Transfer-Encoding: xchunked\r\n"), 501),
        ("identity", coded("Transfer-Encoding: identity\r\n"), 501),
        ("on HTTP/1.0", old, 400),
    ]);
}

#[test]
fn lines_that_are_not_to_the_letter() {
    refuses(&[
        ("bare LF", "GET /healthz HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("obs-fold", get("Host: a\r\nX: y\r\n z\r\n"), 400),
        ("NUL", get("Host: a\r\nX: y\0z\r\n"), 400),
        ("bare CR", get("Host: a\r\nX: y\rz\r\n"), 400),
        ("no Host", get(""), 400),
        ("two Host", get("Host: a\r\nHost: b\r\n"), 400),
        ("space before the colon", get("Host : a\r\n"), 400),
        ("a name beyond ASCII", get("Host: a\r\nX\u{e4}: y\r\n"), 400),
        ("a path beyond ASCII", "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("Expect: foo", get("Host: a\r\nExpect: foo\r\n"), 417),
    ]);
}

/// Sends up to 32 MiB after this beginning: more than what may be held at once.
fn refuses_flood(begin: &str, unit: &str, expected: u16) {
    let subject = Subject::start();
    let mut client = subject.connect();
    client.send(begin);
    client.flood(unit, 32 << 20);
    // What was sent after the end of lingering resets the connection; the answer came before.
    let head = client.head();
    assert!(head.is_none_or(|head| head.contains(&format!(" {expected} "))), "{unit:?}");
    drop(client);
    let mut brief = subject.connect();
    brief.send(begin);
    brief.flood(unit, 1 << 20);
    assert_eq!(brief.statuses(), [expected], "{unit:?}");
    drop(brief);
    subject.is_well();
}

#[test]
fn an_endless_request_line() {
    refuses_flood("GET /", "a", 414);
}

#[test]
fn an_endless_header_line() {
    refuses_flood("GET / HTTP/1.1\r\nHost: a\r\nX: ", "x", 431);
}

#[test]
fn endless_headers() {
    refuses_flood("GET / HTTP/1.1\r\nHost: a\r\n", "a:b\r\n", 431);
}

#[test]
fn an_endless_chunk_size_line() {
    refuses_flood(&infer("Transfer-Encoding: chunked\r\n", ""), "1", 400);
}

#[test]
fn an_endless_chunk_extension() {
    refuses_flood(&infer("Transfer-Encoding: chunked\r\n", "5;"), "a", 400);
}

#[test]
fn endless_trailers() {
    refuses_flood(&infer("Transfer-Encoding: chunked\r\n", "0\r\n"), "a: b\r\n", 400);
}
