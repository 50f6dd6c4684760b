//! Bodies that other servers wait for, lose, or take for the next request.

use super::*;
use std::net::Shutdown;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn chunk_sizes_that_are_not_to_the_letter() {
    let subject = Subject::start();
    for body in ["+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n"] {
        assert_eq!(subject.say(infer(CHUNKED, body)), [400], "{body:?}");
    }
    subject.is_well();
}

#[test]
fn a_refused_body_that_is_never_sent() {
    let subject = Subject::start();
    let begun = Instant::now();
    let mut waiting: Vec<Client> = (0..16).map(|_| subject.connect()).collect();
    for client in &mut waiting {
        client.send(infer("Content-Length: 68157440\r\n", ""));
        assert_eq!(client.answer().0, 413);
    }
    assert!(begun.elapsed() < PATIENCE, "at once: {:?}", begun.elapsed());
    subject.serves();
    drop(waiting);
    subject.is_well();
}

#[test]
fn a_refused_body_that_is_sent_at_once() {
    let subject = Subject::start();
    let body = "x".repeat(600 << 10);
    for _ in 0..10 {
        assert_eq!(subject.say(infer("Content-Length: 68157440\r\n", &body)), [413]);
    }
    subject.is_well();
}

#[test]
fn an_unread_body_that_holds_a_request() {
    let subject = Subject::start();
    let smuggled = "GET /models HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunk = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let unread = |fields: &str, body: &str| {
        format!("POST /nowhere HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
    };
    assert_eq!(subject.say(unread(CHUNKED, &chunk)), [404]);
    assert_eq!(subject.say(unread("Content-Length: 1000000\r\n", smuggled)), [404]);
    subject.is_well();
}

#[test]
fn bodies_that_end_too_early() {
    let subject = Subject::start();
    let cases = [
        infer("Content-Length: 5000\r\n", "[{"),
        infer(CHUNKED, "5\r\n[{"),
        infer(CHUNKED, "2\r\n[]\r\n"),
        infer(CHUNKED, "2\r\n[]\r\n0\r\n"),
    ];
    for case in cases {
        let mut client = subject.connect();
        client.send(&case);
        client.socket().shutdown(Shutdown::Write).unwrap();
        let (status, body) = client.answer();
        assert!(status == 400 && body.contains("body_truncated"), "{status} {body}");
    }
    subject.is_well();
}

#[test]
fn expectations_of_an_interim_answer() {
    let subject = Subject::start();
    let expecting =
        |length: usize| infer(&format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"), "");
    let mut client = subject.connect();
    client.send(expecting(ROW.len()));
    assert_eq!(client.head().unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(ROW.as_str());
    assert_eq!(client.answer().0, 200);
    drop(client);
    assert_eq!(subject.say(expecting(68_157_440)), [413], "refused without asking for it");
    subject.is_well();
}

#[test]
fn pipelined_requests() {
    let subject = Subject::start();
    let mut client = subject.connect();
    let head = "HEAD /models HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(one_row() + head + &one_row() + "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().0, 200);
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "), "and no body follows");
    assert_eq!((client.answer().0, client.answer().0), (200, 404));
    drop(client);
    subject.is_well();
}
