//! The faults: each does its worst to a server and panics where it sees something wrong.

use crate::client::Client;
use crate::peer::Peer;
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// Its name, words of a shell before the server starts, and what is done.
type Fault = (&'static str, &'static str, fn(&Peer));

pub const FAULTS: [Fault; 18] = [
    ("5 bursts of 16 keep-alive clients, two rounds each", "true", |peer| bursts(peer, 16)),
    ("5 bursts of 64", "true", |peer| bursts(peer, 64)),
    ("accept without descriptors (64, 80 idle clients)", "ulimit -n 64", no_descriptors),
    ("HTTP/2 preface, 50 times", "true", http_2),
    ("Content-Length 10^12, body unread", "true", unread_terabyte),
    ("Content-Length abc: no second request in its body", "true", length_abc),
    ("Content-Length with Transfer-Encoding", "true", length_and_coding),
    ("unread chunked body: no second request in it", "true", unread_chunks),
    ("body cut off by the client", "true", cut_off),
    ("bare LF", "true", bare_line_feed),
    ("endless header line, 64 MiB", "true", |peer| {
        flood(peer, "GET / HTTP/1.1\r\nHost: a\r\nX: ", "x");
    }),
    ("endless headers, 64 MiB", "true", |peer| {
        flood(peer, "GET / HTTP/1.1\r\nHost: a\r\n", "a:b\r\n");
    }),
    ("endless chunk size, 64 MiB", "true", |peer| {
        flood(peer, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1");
    }),
    ("dribbled head", "true", |peer| dribble(peer, "GET / HTTP/1.1\r\nX: ")),
    ("dribbled body", "true", |peer| {
        dribble(peer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    }),
    ("4 stalled bodies, others meanwhile", "true", stalled_bodies),
    ("1500 connections reset after their request", "true", resets),
    ("pipelined requests, answers unread", "true", unread_answers),
];

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// How many answers come for these bytes until the connection ends or is silent.
fn answers(peer: &Peer, bytes: &str) -> Vec<u16> {
    let mut client = peer.connect();
    client.patience(Duration::from_secs(3));
    client.send(bytes);
    std::iter::from_fn(|| client.next()).map(|(status, _)| status).collect()
}

/// Five times over: whether tiny_http loses clients depends on when its threads wake.
fn bursts(peer: &Peer, count: usize) {
    for _ in 0..5 {
        burst(peer, count);
    }
}

fn burst(peer: &Peer, count: usize) {
    let mut clients: Vec<Client> = (0..count).map(|_| peer.connect()).collect();
    for _ in 0..2 {
        let begun = Instant::now();
        let mut answered = 0;
        for client in &mut clients {
            client.send(get("/"));
        }
        for client in &mut clients {
            // All together wait for 5 s, not each of them.
            let left = Duration::from_secs(5).saturating_sub(begun.elapsed());
            client.patience(left.max(Duration::from_millis(10)));
            answered += usize::from(client.next().is_some());
        }
        assert!(answered == count, "{answered} of {count} answered");
    }
}

fn no_descriptors(peer: &Peer) {
    let idle: Vec<Client> = (0..80).map(|_| peer.connect()).collect();
    // One more makes sure that the server has come to the end of its descriptors.
    drop(peer.connect());
    drop(idle);
    let begun = Instant::now();
    while peer.held()[1] > 16 && begun.elapsed() < Duration::from_secs(3) {
        std::thread::yield_now();
    }
}

fn http_2(peer: &Peer) {
    for _ in 0..50 {
        let mut client = peer.connect();
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
}

fn unread_terabyte(peer: &Peer) {
    let mut client = peer.connect();
    client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n");
    assert!(client.next().is_some(), "no answer");
    // A server that goes down over it does so after its answer.
    let _ = client.rest();
}

fn length_abc(peer: &Peer) {
    let body = get("/smuggled");
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n";
    let found = answers(peer, &format!("{head}{body}"));
    assert!(found == [400], "answers {found:?}");
}

fn length_and_coding(peer: &Peer) {
    let fields = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let found =
        answers(peer, &format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n{}", get("/")));
    assert!(found == [400], "answers {found:?}");
}

fn unread_chunks(peer: &Peer) {
    let inner = get("/smuggled");
    let head = "POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let found = answers(peer, &format!("{head}{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()));
    assert!(found == [200] || found == [413], "answers {found:?}");
}

fn cut_off(peer: &Peer) {
    let mut client = peer.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc");
    client.socket().shutdown(Shutdown::Write).unwrap();
    let head = client.head().expect("no answer");
    assert!(head.starts_with("HTTP/1.1 400"), "answers {}", &head[9..12]);
}

fn bare_line_feed(peer: &Peer) {
    let found = answers(peer, "GET / HTTP/1.1\nHost: a\n\n");
    assert!(found == [400], "answers {found:?}");
}

fn flood(peer: &Peer, begin: &str, unit: &str) {
    let mut client = peer.connect();
    client.send(begin);
    client.flood(unit, 64 << 20);
}

fn dribble(peer: &Peer, begin: &str) {
    let mut client = peer.connect();
    let begun = Instant::now();
    client.send(begin);
    let tick = Duration::from_millis(100);
    client.dribble("x", tick, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(10), "no end after 10 s");
}

fn stalled_bodies(peer: &Peer) {
    let mut stalled: Vec<Client> = (0..4).map(|_| peer.connect()).collect();
    for client in &mut stalled {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc");
    }
    peer.serves();
}

fn resets(peer: &Peer) {
    for _ in 0..1_500 {
        let mut client = peer.connect();
        client.send(get("/"));
        // Closing with an unread answer is what makes it a reset.
        assert!(client.socket().peek(&mut [0]).is_ok_and(|count| count > 0), "no answer");
    }
}

fn unread_answers(peer: &Peer) {
    let mut clients: Vec<Client> = (0..6).map(|_| peer.connect()).collect();
    for client in &mut clients {
        client.patience(Duration::from_millis(300));
        client.flood(&get("/"), 64 << 20);
        peer.serves();
    }
}
