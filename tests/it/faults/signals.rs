//! Signals: what runs is answered, what is idle is closed, and a second one is the end.

use super::*;
use std::net::TcpStream;

/// A request whose body the engine waits for: it has asked for it.
fn in_flight(subject: &Subject) -> Client {
    let mut client = subject.connect();
    let fields = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", ROW.len());
    client.send(infer(&fields, ""));
    assert_eq!(client.head().unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client
}

#[test]
fn a_signal_while_a_request_is_in_flight() {
    for signal in ["TERM", "INT"] {
        let mut subject = Subject::start();
        let mut idle = subject.connect();
        idle.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(idle.answer().0, 200);
        let mut client = in_flight(&subject);
        subject.engine.process.send(signal);
        subject.engine.process.line_with("msg=stopping");
        assert!(idle.is_ended());
        let refused = TcpStream::connect(&subject.engine.address).map(drop);
        assert!(refused.is_err(), "nobody else is taken in");
        client.send(ROW.as_str());
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("Connection: close"), "{head}");
        let line = subject.engine.process.line_with("msg=stopped");
        assert!(line.contains("drained=true"), "{line}");
        assert_eq!(subject.engine.process.wait().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_signal_while_nothing_runs() {
    let mut subject = Subject::start();
    let begun = Instant::now();
    assert_eq!(subject.engine.process.signal("TERM").code(), Some(0));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn a_second_signal() {
    let mut subject = Subject::start();
    let client = in_flight(&subject);
    subject.engine.process.send("TERM");
    subject.engine.process.line_with("msg=stopping");
    let begun = Instant::now();
    assert_eq!(subject.engine.process.signal("TERM").code(), Some(1));
    assert!(begun.elapsed() < PATIENCE, "at once: {:?}", begun.elapsed());
    drop(client);
}
