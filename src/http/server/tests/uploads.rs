//! Bodies for which a service allows more or less than is usual, or has no room.

use super::*;
use crate::http::server::Head;

/// Takes 8 MiB at `/models`, 10 bytes at `/forms`, and the usual elsewhere.
struct Store;

impl Service for Store {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        if request.header("x-in-memory").is_some() {
            return match request.body() {
                Ok(body) => text(200, body.len().to_string()),
                Err(error) => text(error.status(), error.to_string()),
            };
        }
        if request.header("x-unwanted").is_some() {
            return text(409, "not wanted");
        }
        match std::io::copy(request, &mut std::io::sink()) {
            Ok(bytes) => text(200, bytes.to_string()),
            Err(error) => text(413, error.to_string()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }

    fn body_bytes_max(&self, head: &Head<'_>, limit_bytes: u64) -> u64 {
        match (head.method(), head.path()) {
            ("POST", "/models") => 8 << 20,
            (_, "/forms") => 10,
            (_, "/panic") => panic!("asked for by the test"),
            _ => limit_bytes,
        }
    }
}

/// A server that allows 100 kB usually, and has no more memory than that for all bodies.
fn store() -> Running {
    serve_with(Limits { body_bytes_max: 100_000, bodies_bytes_max: 100_000, ..limits() }, Store)
}

fn chunked(bytes: usize) -> String {
    let chunk = format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000));
    chunk.repeat(bytes / 10_000) + "0\r\n\r\n"
}

#[test]
fn a_larger_body_is_read_in_parts_where_the_service_allows_it() {
    let server = store();
    let mut client = server.connect();
    client.send(post("/models", "Content-Length: 4000000\r\nExpect: 100-continue\r\n", ""));
    assert_eq!(client.answer().head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("x".repeat(4_000_000));
    assert_eq!(client.answer().body, "4000000");
    client.send(post("/models", "Transfer-Encoding: chunked\r\n", &chunked(4_000_000)));
    assert_eq!(client.answer().body, "4000000");
    client.send(post("/", "Content-Length: 100000\r\n", &"x".repeat(100_000)));
    assert_eq!(client.answer().body, "100000");
}

#[test]
fn a_larger_body_is_not_taken_into_memory() {
    let limits = Limits { body_bytes_max: 100_000, ..limits() };
    let server = serve_with(limits, Store);
    for (framing, body) in [
        ("Content-Length: 4000000\r\n", "x".repeat(4_000_000)),
        ("Transfer-Encoding: chunked\r\n", chunked(4_000_000)),
    ] {
        let answer = server.say(post("/models", &format!("{framing}X-In-Memory: 1\r\n"), &body));
        assert_eq!(statuses(&answer), [413], "{framing}");
    }
}

#[test]
fn a_body_over_what_the_service_allows_is_refused_unread() {
    let server = store();
    let cases: [(&str, usize); 3] = [("/models", 8 << 20 | 1), ("/forms", 11), ("/", 100_001)];
    for (path, bytes) in cases {
        let fields = format!("Content-Length: {bytes}\r\nExpect: 100-continue\r\n");
        assert_eq!(statuses(&server.say(post(path, &fields, ""))), [413], "{path}");
        let body = chunked(bytes.next_multiple_of(10_000));
        let answer = server.say(post(path, "Transfer-Encoding: chunked\r\n", &body));
        assert_eq!(statuses(&answer), [413], "{path} in chunks");
    }
    let put = post("/models", "Content-Length: 100001\r\n", "").replacen("POST", "PUT", 1);
    assert_eq!(statuses(&server.say(put)), [413], "the service asks for the method, too");
}

#[test]
fn an_upload_that_is_not_wanted_is_answered_before_its_body() {
    let server = store();
    let fields = "Content-Length: 4000000\r\nX-Unwanted: 1\r\nExpect: 100-continue\r\n";
    assert_eq!(statuses(&server.say(post("/models", fields, ""))), [409]);
    let fields = fields.replace("Expect: 100-continue\r\n", "");
    let answer = server.say(post("/models", &fields, &"x".repeat(1_000_000)));
    assert_eq!(statuses(&answer), [409], "who sends at once reads the answer all the same");
}

#[test]
fn a_panic_over_the_size_of_a_body_is_answered() {
    let server = store();
    assert_eq!(statuses(&server.say(post("/panic", "Content-Length: 1\r\n", "x"))), [500]);
    assert!(
        server.say(post("/", "Connection: close\r\nContent-Length: 1\r\n", "x")).ends_with('1')
    );
}
