//! Many clients at once: all served while there is room, and the right ones refused when not.

use super::*;

#[test]
fn a_burst_of_64_keep_alive_clients_is_answered_whole() {
    let server = serve(limits());
    let mut clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        assert!(clients.iter_mut().all(|client| client.answer().status == 200));
    }
}

#[test]
fn a_burst_that_comes_before_we_look_is_kept_by_the_kernel() {
    // Nobody accepts here. Over the kernel's queue a connection is tried again a second later.
    let server = Server::bind("127.0.0.1:0", limits()).unwrap();
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let count = somaxconn.trim().parse::<usize>().unwrap().min(300);
    let connect = || TcpStream::connect_timeout(&server.address(), Duration::from_millis(500));
    let clients: Vec<_> = (0..count).map_while(|_| connect().ok()).collect();
    assert_eq!(clients.len(), count);
}

#[test]
fn more_keep_alive_clients_than_seats_are_served_one_after_another() {
    let server = serve(Limits { connections_max: 4, ..limits() });
    let mut clients = Vec::new();
    for number in 0..64 {
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 200, "client {number}");
        clients.push(client);
    }
}

#[test]
fn the_longest_idle_connection_gives_way_first() {
    let server = serve(Limits { connections_max: 2, ..limits() });
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!(first.get("/").status, 200);
    // The clock of the table counts milliseconds.
    first.socket().set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    assert!(first.stream.fill_buf().is_err());
    first.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(second.get("/").status, 200);
    let mut third = server.connect();
    assert_eq!(third.get("/").status, 200);
    assert!(first.has_ended());
    assert_eq!(second.get("/").status, 200);
}

#[test]
fn at_capacity_with_all_busy_a_client_is_told_when_to_come_back() {
    let server = serve(Limits { connections_max: 2, ..limits() });
    let mut busy = [server.connect(), server.connect()];
    for client in &mut busy {
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
        server.wait_for_request();
    }
    let body = "x".repeat(100_000);
    let answer = server.say(post("/", "Content-Length: 100000\r\n", &body));
    assert_eq!(statuses(&answer), [503]);
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer:?}");
    for _ in &busy {
        server.gate.send(()).unwrap();
    }
    assert!(busy.iter_mut().all(|client| client.answer().status == 200));
    assert!(server.is_alive());
}

#[test]
fn a_silent_connection_gives_way_when_its_protection_is_over() {
    let limits = |head_protected| Limits { connections_max: 1, head_protected, ..limits() };
    let server = serve(limits(Duration::ZERO));
    let mut silent = server.connect();
    assert_eq!(server.connect().get("/").status, 200);
    assert!(silent.has_ended());

    let server = serve(limits(PATIENCE));
    let mut slow = server.connect();
    slow.send("GET / HT");
    assert_eq!(server.connect().answer().status, 503);
    slow.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(slow.answer().status, 200);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_connection_that_gets_no_thread_is_told_so() {
    // No address space is that large, so the system refuses the thread.
    let server = serve(Limits { thread_stack_bytes: 1 << 47, connections_max: 2, ..limits() });
    for _ in 0..10 {
        let answer = server.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(statuses(&answer), [503]);
        assert!(answer.contains("no thread left"), "and its seat is free again: {answer:?}");
    }
}

#[test]
fn a_storm_of_connections_that_are_reset_leaves_the_server_well() {
    let server = serve(limits());
    for round in 0..500 {
        let mut client = server.connect();
        if round % 3 > 0 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        if round % 3 > 1 {
            // Closing with an unread answer is what makes it a reset.
            assert_ne!(client.socket().peek(&mut [0]).unwrap(), 0);
        }
    }
    assert!(server.is_alive());
    assert!(server.handle.shutdown(PATIENCE), "no connection is left behind");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = serve(limits());
    let mut client = server.connect();
    let requests: String = (0..500)
        .map(|n| post("/", &format!("Content-Length: {}\r\n", 3), &format!("{n:03}")))
        .collect();
    client.send(requests);
    for number in 0..500 {
        assert_eq!(client.answer().body, format!("{number:03}"));
    }
}

#[test]
fn a_flood_of_pipelined_requests_is_not_taken_in() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server.wait_for_request();
    client.socket().set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
    let mut taken = 0;
    while client.stream.get_mut().write_all(requests.as_bytes()).is_ok() {
        taken += requests.len();
        assert!(taken < 256 << 20, "more than all buffers of the kernel hold");
    }
    server.gate.send(()).unwrap();
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.answer().body, "hello");
}
