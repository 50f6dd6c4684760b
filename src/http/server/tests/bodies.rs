//! Bodies: read whole, refused when doubtful, and never taken for the next request.

use std::net::Shutdown;

use super::*;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn a_body_arrives_whole_whatever_its_framing() {
    let server = serve(limits());
    let long = "0123456789abcdef".repeat(40_000);
    let chunks = |text: &str, size: usize| -> String {
        let parts = text.as_bytes().chunks(size).map(|part| String::from_utf8_lossy(part));
        parts.map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect()
    };
    let mut client = server.connect();
    for path in ["/", "/read"] {
        for body in ["x", long.as_str()] {
            client.send(post(path, &format!("Content-Length: {}\r\n", body.len()), body));
            assert!(client.answer().body == body, "{path} by length");
            for size in [7, 100_000] {
                let chunked = chunks(body, size) + "0\r\nChecksum: 1\r\n\r\n";
                client.send(post(path, CHUNKED, &chunked));
                assert!(client.answer().body == body, "{path} in chunks of {size}");
            }
        }
    }
    client.send(post("/", "Content-Length: 0\r\n", ""));
    assert_eq!(client.answer().body, "hello");
}

#[test]
fn chunked_framing_that_is_not_to_the_letter_is_refused() {
    let server = serve(limits());
    let cases = [
        ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        ("a blank after the size", "5 \r\nhello\r\n0\r\n\r\n"),
        ("a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
        ("bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
        ("data beyond the size", "5\r\nhello!\r\n0\r\n\r\n"),
        ("bare LF after the last", "0\n\n"),
        ("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a trailer without colon", "0\r\nabc\r\n\r\n"),
        ("a folded trailer", "0\r\na: b\r\n c\r\n\r\n"),
        ("an endless size", &"1".repeat(1 << 20)),
        ("an endless trailer", &format!("0\r\na: {}", "b".repeat(1 << 20))),
        ("endless trailers", &format!("0\r\n{}", "a: b\r\n".repeat(1 << 17))),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .map(|(name, body)| (name, server.say(post("/", CHUNKED, body))))
        .filter(|(_, answer)| statuses(answer) != [400])
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(server.is_alive());
}

#[test]
fn a_chunked_body_over_the_limit_is_refused() {
    let server = serve(Limits { body_bytes_max: 1_000, ..limits() });
    for body in ["3e8\r\n", "ffffffffffffffff\r\n", &"1\r\nx\r\n".repeat(500)] {
        assert_eq!(statuses(&server.say(post("/", CHUNKED, body))), [413], "{body}");
    }
}

#[test]
fn a_client_that_is_still_sending_receives_the_early_413() {
    let server = serve(limits());
    let flood = "x".repeat(2 << 20);
    let answer = server.say(post("/", "Content-Length: 1000000000000\r\n", &flood));
    assert_eq!(statuses(&answer), [413]);
}

#[test]
fn an_unread_body_is_not_taken_for_a_request() {
    let server = serve(limits());
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let answer = server.say(post("/unread", CHUNKED, &chunk));
    assert!(answer.ends_with("unread") && statuses(&answer) == [200], "{answer:?}");
    let length = format!("Content-Length: {}\r\n", smuggled.len() + 1_000_000);
    let answer = server.say(post("/unread", &length, smuggled));
    assert!(answer.ends_with("unread") && statuses(&answer) == [200], "{answer:?}");
}

#[test]
fn a_body_that_has_arrived_unread_is_skipped_and_the_connection_stays() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send(post("/unread", "Content-Length: 5\r\n", "GET /"));
    assert_eq!(client.answer().body, "unread");
    assert_eq!(client.get("/").body, "hello");
}

#[test]
fn a_truncated_body_is_recognised() {
    let server = serve(limits());
    let cases = [
        post("/", "Content-Length: 5000\r\n", "abc"),
        post("/", CHUNKED, "5\r\nhel"),
        post("/", CHUNKED, "5\r\nhello\r\n"),
        post("/", CHUNKED, "5\r\nhello\r\n0\r\n"),
    ];
    for case in cases {
        let mut client = server.connect();
        client.send(&case);
        client.socket().shutdown(Shutdown::Write).unwrap();
        let answer = client.rest();
        assert!(statuses(&answer) == [400] && answer.contains("ended after"), "{answer:?}");
        let mut client = server.connect();
        client.send(case.replace("POST / ", "POST /read "));
        client.socket().shutdown(Shutdown::Write).unwrap();
        assert!(client.rest().ends_with("UnexpectedEof"), "{case:?}");
    }
}

#[test]
fn the_interim_answer_is_sent_when_the_body_is_read() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send(post("/", "Content-Length: 2\r\nExpect: 100-Continue\r\n", ""));
    let interim = client.answer();
    assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi");
    assert_eq!(client.answer().body, "hi");
    client.send(post("/", "Content-Length: 2\r\nExpect: 100-continue\r\n", "hi"));
    assert_eq!(client.answer().body, "hi", "the body was there: nothing to ask for");
}

#[test]
fn the_interim_answer_is_not_sent_for_a_body_nobody_reads() {
    let server = serve(limits());
    let expecting = "Content-Length: 2\r\nExpect: 100-continue\r\n";
    assert_eq!(statuses(&server.say(post("/unread", expecting, ""))), [200]);
    let oversized = "Content-Length: 9999999999\r\nExpect: 100-continue\r\n";
    assert_eq!(statuses(&server.say(post("/", oversized, ""))), [413]);
}

#[test]
fn the_interim_answer_is_not_sent_to_http_1_0() {
    let server = serve(limits());
    let head = "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    // Nothing but the timeout comes, so the interim answer would be the first thing read.
    assert_eq!(statuses(&server.say(head)), [408]);
}

#[test]
fn a_declared_length_takes_no_memory_before_its_bytes() {
    let server = serve(Limits { bodies_bytes_max: 100 << 10, ..limits() });
    let mut client = server.connect();
    client.send(post("/", "Content-Length: 4000000\r\n", "abc"));
    client.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&client.rest()), [400], "truncated, and not over the memory of all");
    let body = "x".repeat(200 << 10);
    let answer = server.say(post("/", &format!("Content-Length: {}\r\n", body.len()), &body));
    assert_eq!(statuses(&answer), [503]);
}

#[test]
fn clients_that_declare_much_and_send_nothing_leave_memory_to_those_that_send() {
    let server = serve(Limits { bodies_bytes_max: 1 << 20, grace: PATIENCE, ..limits() });
    let declare = || {
        let mut client = server.connect();
        client.send(post("/", "Content-Length: 400000\r\nExpect: 100-continue\r\n", ""));
        // The server asks for the body, so the memory for its first bytes is taken.
        assert_eq!(client.answer().head, "HTTP/1.1 100 Continue\r\n\r\n");
        client
    };
    let silent: Vec<_> = (0..4).map(|_| declare()).collect();
    let body = "x".repeat(300_000);
    let mut client = server.connect();
    client.send(post("/", "Content-Length: 300000\r\n", &body));
    assert_eq!(client.answer().status, 200);
    drop(silent);
}

#[test]
fn bodies_of_all_connections_together_are_bounded() {
    let server = serve(Limits { bodies_bytes_max: 100 << 10, ..limits() });
    let request = |path| post(path, "Content-Length: 61440\r\n", &"x".repeat(60 << 10));
    let mut first = server.connect();
    first.send(request("/hold-body"));
    server.wait_for_request();
    assert_eq!(statuses(&server.say(request("/"))), [503]);
    server.gate.send(()).unwrap();
    assert_eq!(first.answer().status, 200);
    first.send(request("/"));
    assert_eq!(first.answer().status, 200, "what was reserved is given back");
}
