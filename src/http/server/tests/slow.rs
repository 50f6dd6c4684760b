//! Clients that stall, dribble or do not read: each meets the end of its time.

use std::time::Instant;

use super::*;

/// Sends a byte whenever nothing has come for 20 ms, so that only a total deadline can end it.
fn dribble(server: &Running, begin: &str, byte: &str) -> (u16, Duration) {
    let mut client = server.connect();
    let begun = Instant::now();
    client.send(begin);
    client.socket().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while client.stream.fill_buf().is_err() {
        assert!(begun.elapsed() < PATIENCE, "never ended");
        if client.stream.get_mut().write_all(byte.as_bytes()).is_err() {
            break;
        }
    }
    client.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    (client.answer().status, begun.elapsed())
}

#[test]
fn a_dribbled_head_or_body_ends_at_its_total_deadline() {
    let server = serve(limits());
    let chunked = post("/", "Transfer-Encoding: chunked\r\n", "fffff\r\n");
    let trailer = post("/", "Transfer-Encoding: chunked\r\n", "0\r\na: ");
    let cases = [
        ("request line", "G".to_owned(), "G"),
        ("header line", "GET / HTTP/1.1\r\nX: ".to_owned(), "x"),
        ("body", post("/", "Content-Length: 100000\r\n", ""), "x"),
        ("chunk", chunked, "x"),
        ("trailer", trailer, "x"),
    ];
    for (name, begin, byte) in cases {
        let (status, elapsed) = dribble(&server, &begin, byte);
        assert_eq!(status, 408, "{name}");
        assert!(elapsed >= Duration::from_millis(290), "{name} after {elapsed:?}");
        assert!(elapsed < Duration::from_secs(5), "{name} after {elapsed:?}");
    }
}

#[test]
fn a_stalled_head_or_body_is_told_so() {
    let server = serve(limits());
    for begin in ["GET / HTTP", &post("/", "Content-Length: 9\r\n", "abc")] {
        assert_eq!(statuses(&server.say(begin)), [408], "{begin:?}");
    }
}

#[test]
fn a_silent_connection_is_closed_without_an_answer() {
    let server = serve(Limits { idle_max: Duration::from_millis(50), ..limits() });
    assert!(server.connect().has_ended());
    let mut client = server.connect();
    assert_eq!(client.get("/").status, 200);
    assert!(client.has_ended());
}

#[test]
fn a_steady_client_above_the_rate_outlives_the_grace() {
    // Ten times the grace in sum, and never a grace without its share of bytes.
    let grace = Duration::from_millis(100);
    let server = serve(Limits { grace, body_rate_min: 100, ..limits() });
    let mut client = server.connect();
    client.send(post("/", "Content-Length: 200\r\n", ""));
    client.socket().set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    for _ in 0..40 {
        assert!(client.stream.fill_buf().is_err(), "answered before the body was whole");
        client.send("xxxxx");
    }
    client.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(client.answer().body.len(), 200);
}

#[test]
fn a_client_that_does_not_read_is_dropped_by_the_deadline() {
    let server = serve(limits());
    let mut clients = [server.connect(), server.connect(), server.connect()];
    for client in &mut clients {
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_ne!(client.socket().peek(&mut [0]).unwrap(), 0);
    }
    assert!(server.is_alive(), "others are served meanwhile");
    let begun = Instant::now();
    assert!(server.handle.shutdown(PATIENCE), "each ended by itself");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_large_answer_arrives_whole_at_a_client_that_reads() {
    let server = serve(limits());
    assert_eq!(server.connect().get("/large").body.len(), LARGE.len());
}
