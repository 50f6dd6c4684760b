//! How connections and the server go on, and how they end.

use std::time::Instant;

use super::*;

#[test]
fn a_panic_in_the_service_is_a_500_and_the_server_goes_on() {
    let server = serve(limits());
    for _ in 0..3 {
        let answer = server.say(post("/panic", "Content-Length: 5\r\n", "hello"));
        assert_eq!(statuses(&answer), [500]);
        assert!(server.is_alive());
    }
    assert!(server.handle.shutdown(PATIENCE), "no seat is lost");
}

#[test]
fn a_panic_over_a_refusal_is_the_plain_answer() {
    struct Panicking;
    impl Service for Panicking {
        fn answer(&self, _: &mut Request<'_, '_>) -> Response {
            panic!("asked for by the test")
        }
        fn refuse(&self, _: Refusal) -> Response {
            panic!("asked for by the test")
        }
    }
    let server = Server::bind("127.0.0.1:0", limits()).unwrap();
    let (address, handle) = (server.address(), server.handle().unwrap());
    let thread = thread::spawn(move || server.run(Panicking));
    for (line, status) in [("GET / HTTP/1.1", 500), ("GET / HTTP/3.0", 505)] {
        let mut client = Client::connect(address);
        client.send(format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(statuses(&client.rest()), [status]);
    }
    assert!(handle.shutdown(PATIENCE));
    thread.join().unwrap();
}

#[test]
fn work_left_for_afterwards_keeps_no_answer_back_and_is_done_before_the_next_request() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("GET /afterwards HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().body, "answered", "and the work is not done before this");
    server.entered.recv_timeout(PATIENCE).unwrap();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    server.gate.send(()).unwrap();
    assert_eq!(client.answer().body, "hello");
}

#[test]
fn work_left_for_afterwards_is_done_though_the_client_has_left() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("GET /afterwards HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(client);
    server.entered.recv_timeout(PATIENCE).unwrap();
    server.gate.send(()).unwrap();
    assert!(server.handle.shutdown(PATIENCE), "no seat is lost");
}

#[test]
fn a_panic_after_the_answer_is_of_no_concern_to_the_client() {
    let server = serve(limits());
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /afterwards-panic HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().body, "answered");
    }
    assert!(server.handle.shutdown(PATIENCE), "no seat is lost");
}

#[test]
fn http_1_0_keeps_the_connection_only_when_asked() {
    let server = serve(limits());
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(client.answer().head.contains("\r\nConnection: keep-alive\r\n"));
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.answer().head.contains("\r\nConnection: close\r\n"));
    assert!(client.has_ended());
}

#[test]
fn a_connection_ends_after_its_number_of_requests() {
    let server = serve(Limits { requests_per_connection_max: 2, ..limits() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    assert_eq!(statuses(&client.rest()), [200, 200]);
}

#[test]
fn a_shutdown_answers_what_runs_and_ends_what_is_idle() {
    let server = serve(limits());
    let mut busy = server.connect();
    busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server.wait_for_request();
    let mut idle: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    let handle = server.handle.clone();
    let shutdown = thread::spawn(move || handle.shutdown(PATIENCE));
    for client in &mut idle {
        assert!(client.has_ended());
    }
    assert!(TcpStream::connect_timeout(&server.address, PATIENCE).is_err(), "accepts no more");
    assert!(!shutdown.is_finished(), "one request is running");
    let begun = Instant::now();
    server.gate.send(()).unwrap();
    let answer = busy.answer();
    assert!(answer.status == 200 && answer.head.contains("\r\nConnection: close\r\n"));
    assert!(shutdown.join().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(busy.has_ended());
}

#[test]
fn a_shutdown_cuts_off_what_runs_too_long() {
    let server = serve(limits());
    let mut busy = server.connect();
    busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server.wait_for_request();
    assert!(!server.handle.shutdown(Duration::from_millis(50)));
    assert!(busy.has_ended());
    server.gate.send(()).unwrap();
}

#[test]
fn a_shutdown_before_the_start_is_the_end() {
    let server = Server::bind("127.0.0.1:0", limits()).unwrap();
    let handle = server.handle().unwrap();
    assert!(handle.shutdown(PATIENCE) && handle.shutdown(PATIENCE));
    server.run(Trial {
        entered: Mutex::new(mpsc::channel().0),
        gate: Arc::new(Mutex::new(mpsc::channel().1)),
    });
}

#[test]
fn fields_are_found_whatever_their_case() {
    struct Fields;
    impl Service for Fields {
        fn answer(&self, request: &mut Request<'_, '_>) -> Response {
            let found = [request.header("X-A"), request.header("x-latin"), request.header("x-b")];
            let raw = request.header_bytes("x-latin").unwrap_or_default().to_vec();
            let peer = request.peer().ip().is_loopback();
            text(200, format!("{} {found:?} {raw:?} {peer}", request.method()))
        }
        fn refuse(&self, refusal: Refusal) -> Response {
            Response::from(&refusal)
        }
    }
    let server = Server::bind("127.0.0.1:0", limits()).unwrap();
    let (address, handle) = (server.address(), server.handle().unwrap());
    let thread = thread::spawn(move || server.run(Fields));
    let mut client = Client::connect(address);
    client.send(b"get / HTTP/1.1\r\nHost: a\r\nx-a:  1 2\t\r\nX-Latin: \xe4\r\n\r\n");
    assert_eq!(client.answer().body, r#"get [Some("1 2"), None, None] [228] true"#);
    assert!(handle.shutdown(PATIENCE));
    thread.join().unwrap();
}
