//! Heads that must be refused, each with its own answer and then the end of the connection.

use super::*;

/// Sends each head with a smuggled request behind it, and reports all whose answer is another.
fn refuses(cases: &[(&str, &str, u16)]) {
    let server = serve(limits());
    let mut wrong = Vec::new();
    for (name, head, expected) in cases {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = server.say(format!("{head}{smuggled}"));
        let closes = answer.contains("\r\nConnection: close\r\n");
        if statuses(&answer) != [*expected] || !closes {
            wrong.push((*name, *expected, answer));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(server.is_alive());
}

#[test]
fn a_line_that_is_not_to_the_letter_is_refused() {
    refuses(&[
        ("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
        ("bare LF after CRLF", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
        ("bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", 400),
        ("CR twice", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
        ("CR twice after a value", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
        ("CR in the target", "GET /\ra HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
        ("blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("DEL", "GET / HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n", 400),
        ("tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", 400),
        ("space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        ("empty name", "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("words after the version", "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", 400),
        ("no version", "GET /\r\nHost: a\r\n\r\n", 400),
        ("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("another protocol", "GET / FTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("target without slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ]);
}

#[test]
fn a_version_that_is_not_spoken_is_refused() {
    refuses(&[
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("HTTP/2.0", "GET / HTTP/2.0\r\n\r\n", 505),
        ("HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505),
        ("HTTP/1.2, which nobody wrote", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    ]);
}

#[test]
fn a_host_that_is_not_exactly_one_name_is_refused() {
    refuses(&[
        ("missing", "GET / HTTP/1.1\r\n\r\n", 400),
        ("duplicate", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("duplicate in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        ("without a name", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        ("with a word for a port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        ("in no target", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ]);
}

#[test]
fn a_length_that_two_readers_could_read_differently_is_refused() {
    let post = |fields: &str| post("/", fields, "");
    refuses(&[
        ("negative", &post("Content-Length: -1\r\n"), 400),
        ("signed", &post("Content-Length: +5\r\n"), 400),
        ("a word", &post("Content-Length: abc\r\n"), 400),
        ("empty", &post("Content-Length: \r\n"), 400),
        ("hexadecimal", &post("Content-Length: 0x5\r\n"), 400),
        ("a list", &post("Content-Length: 5, 5\r\n"), 400),
        ("twice the same", &post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
        ("twice", &post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        ("2^64", &post("Content-Length: 18446744073709551616\r\n"), 400),
        ("2^64-1", &post("Content-Length: 18446744073709551615\r\n"), 413),
        ("2^63", &post("Content-Length: 9223372036854775808\r\n"), 413),
        ("10^12", &post("Content-Length: 1000000000000\r\n"), 413),
    ]);
}

#[test]
fn a_coding_that_two_readers_could_read_differently_is_refused() {
    let te = |value: &str| post("/", &format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n");
    refuses(&[
        (
            "with a length",
            &post("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", ""),
            400,
        ),
        (
            "length after",
            &post("/", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", ""),
            400,
        ),
        ("on 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("xchunked", &te("xchunked"), 501),
        ("identity", &te("identity"), 501),
        ("gzip, chunked", &te("gzip, chunked"), 501),
        ("empty", &te(""), 501),
        ("chunked, gzip", &te("chunked, gzip"), 400),
        ("chunked, chunked", &te("chunked, chunked"), 400),
        ("two fields", &te("chunked\r\nTransfer-Encoding: identity"), 400),
        ("an empty element", &te(", chunked"), 501),
        ("with a parameter", &te("chunked;a=b"), 501),
    ]);
}

#[test]
fn an_unknown_expectation_is_refused() {
    refuses(&[
        ("foo", &post("/", "Expect: foo\r\nContent-Length: 1\r\n", ""), 417),
        ("one of two", &post("/", "Expect: 100-continue, foo\r\nContent-Length: 1\r\n", ""), 417),
    ]);
}

#[test]
fn a_tls_client_is_told_at_once() {
    let server = serve(Limits { head_deadline: PATIENCE, ..limits() });
    let answer = server.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(statuses(&answer), [400]);
}

#[test]
fn an_endless_header_line_and_endless_headers_are_refused() {
    let server = serve(limits());
    for unit in ["x", "a: b\r\n"] {
        let flood = unit.repeat((1 << 20) / unit.len());
        let answer = server.say(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {flood}"));
        assert_eq!(statuses(&answer), [431], "{unit:?}");
    }
    let many = "a: b\r\n".repeat(super::super::HEADERS_MAX);
    assert_eq!(statuses(&server.say(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"))), [431]);
    assert!(server.is_alive());
}

#[test]
fn an_endless_target_is_refused() {
    let server = serve(limits());
    assert_eq!(statuses(&server.say(format!("GET /{}", "a".repeat(1 << 20)))), [414]);
}

#[test]
fn one_empty_line_before_a_request_is_forgiven() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("\r");
    client.send("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
}

#[test]
fn a_head_without_body_has_the_length_but_no_body() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n\
                    HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    assert_eq!(client.rest(), expected);
}

#[test]
fn a_head_request_is_refused_without_a_body() {
    let server = serve(limits());
    let answer = server.say("HEAD / HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer:?}");
}
