//! More clients than there is room for, and clients that come and go faster than they are served.

use super::*;

/// Connections that the engine serves at the same time.
const CONNECTIONS: usize = potoroo::http::server::CONNECTIONS_MAX;

/// Clients in the middle of a request, whom nothing may push aside.
fn busy(subject: &Subject, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = subject.connect();
        client.send(infer("Content-Length: 100\r\n", "["));
        clients.push(client);
    }
    clients
}

#[test]
fn bursts_of_keep_alive_clients() {
    let subject = Subject::start();
    for count in [16, 64, CONNECTIONS] {
        let mut clients: Vec<Client> = (0..count).map(|_| subject.connect()).collect();
        for round in 0..2 {
            for client in &mut clients {
                client.send(one_row());
            }
            let answered = clients.iter_mut().filter_map(|client| {
                let (status, _) = client.answer();
                (status == 200).then_some(())
            });
            assert_eq!(answered.count(), count, "of {count}, in round {round}");
        }
        drop(clients);
        subject.until("they are gone", |subject| subject.connections() == 0);
    }
    subject.is_well();
}

#[test]
fn more_idle_connections_than_there_are_places() {
    let subject = Subject::start();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS + 64 {
        let mut client = subject.connect();
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().0, 200);
        idle.push(client);
    }
    subject.serves();
    drop(idle);
    subject.is_well();
}

#[test]
fn silent_connections_in_all_places() {
    let subject = Subject::start();
    let silent: Vec<Client> = (0..CONNECTIONS).map(|_| subject.connect()).collect();
    let begun = Instant::now();
    let protection = potoroo::http::server::HEAD_PROTECTED;
    let mut is_served = false;
    while !is_served {
        assert!(begun.elapsed() < protection + PATIENCE, "their protection never ended");
        let mut client = subject.connect();
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        is_served = client.head().is_some_and(|head| head.starts_with("HTTP/1.1 200 "));
    }
    drop(silent);
    subject.is_well();
}

#[test]
fn requests_in_all_places() {
    let subject = Subject::start();
    let mut clients = busy(&subject, CONNECTIONS);
    subject.until("all are served", |subject| subject.connections() == CONNECTIONS);
    let mut refused = subject.connect();
    refused.send(one_row());
    let head = refused.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: 1\r\n"), "{head}");
    for client in &mut clients {
        client.send(" ".repeat(97) + "1]");
        assert_eq!(client.answer().0, 400, "it kept its place, and its body was read whole");
    }
    drop((clients, refused));
    subject.is_well();
}

#[test]
fn connections_that_are_reset() {
    let subject = Subject::start();
    for round in 0..1_500 {
        let mut client = subject.connect();
        if round % 3 > 0 {
            client.send(one_row());
        }
        if round % 3 > 1 {
            assert_ne!(client.socket().peek(&mut [0]).unwrap(), 0);
        }
        // Not to linger makes closing a reset: before a request, behind it, and behind its answer.
        let socket = socket2::SockRef::from(client.socket());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    subject.is_well();
}

/// Each announces the largest body there may be, and sends a little of it.
#[test]
fn large_bodies_announced_in_all_places() {
    let subject = Subject::start();
    let length = potoroo::http::server::BODY_BYTES_MAX;
    let mut clients: Vec<Client> = (0..CONNECTIONS - 1).map(|_| subject.connect()).collect();
    for client in &mut clients {
        client.send(infer(&format!("Content-Length: {length}\r\n"), "[1"));
    }
    subject.until("all are served", |subject| subject.connections() == CONNECTIONS - 1);
    subject.serves();
    drop(clients);
    subject.is_well();
}

#[test]
fn threads_that_run_out() {
    use crate::support::process::run;
    let subject = Subject::start();
    // Address space for a few more stacks, and then for small things only.
    let bytes = (subject.status("VmSize") << 10) + (3 << 20);
    let process = subject.engine.process.id().to_string();
    let limit = |bytes: &str| {
        run(Command::new("prlimit").args(["--pid", &process, &format!("--as={bytes}")])).success()
    };
    limit(&format!("{bytes}:unlimited"));
    let mut clients = Vec::new();
    let mut refused = 0;
    for _ in 0..64 {
        let mut client = subject.connect();
        client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, _) = client.answer();
        refused += usize::from(status == 503);
        clients.push(client);
    }
    assert!(refused > 0, "the limit was not met");
    drop(clients);
    limit("unlimited:unlimited");
    subject.is_well();
}

#[test]
fn a_flood_of_pipelined_requests_whose_answers_nobody_reads() {
    let subject = Subject::start();
    let flood = |client: &mut Client| {
        client.patience(Duration::from_millis(200));
        client.flood("GET /models HTTP/1.1\r\nHost: a\r\n\r\n", 256 << 20)
    };
    let mut clients: Vec<Client> = (0..6).map(|_| subject.connect()).collect();
    for client in &mut clients {
        let sent = flood(client);
        assert!(sent < 64 << 20, "it was taken in: {sent} bytes");
        subject.serves();
    }
    let grace = potoroo::http::server::GRACE;
    let begun = Instant::now();
    subject.until("they are given up", |subject| subject.connections() == 0);
    assert!(begun.elapsed() < grace * 2, "{:?}", begun.elapsed());
    drop(clients);
    subject.is_well();
}
