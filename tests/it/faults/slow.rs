//! Clients that stall or dribble, all at once: each meets the end of its time, and nobody waits.

use super::*;
use potoroo::http::server::{GRACE, HEAD_DEADLINE};

/// Between two bytes of a client that dribbles: far more often than any time-out for one read.
const TICK: Duration = Duration::from_millis(250);

/// Above a deadline, for the machine.
const LATE: Duration = Duration::from_secs(4);

#[test]
fn stalled_and_dribbled_requests() {
    let chunked = |body: &str| infer("Transfer-Encoding: chunked\r\n", body);
    let cases = [
        ("a dribbled request line", "GET /".to_owned(), "a", HEAD_DEADLINE),
        ("a dribbled header", "GET / HTTP/1.1\r\nX: ".to_owned(), "x", HEAD_DEADLINE),
        ("a stalled head", "GET / HTTP/1.1\r\n".to_owned(), "", HEAD_DEADLINE),
        ("a dribbled body", infer("Content-Length: 5000\r\n", ""), "[", GRACE),
        ("a stalled body", infer("Content-Length: 5000\r\n", "["), "", GRACE),
        ("a dribbled chunk", chunked("fff\r\n"), "[", GRACE),
        ("a dribbled trailer", chunked("0\r\na: "), "b", GRACE),
    ];
    let subject = Subject::start();
    let address = subject.engine.address.as_str();
    std::thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || meets_its_deadline(address, case)))
            .collect();
        // The others are served all the while, each as one that has just come.
        while running.iter().any(|case| !case.is_finished()) {
            subject.serves();
        }
        let wrong: Vec<String> =
            running.into_iter().filter_map(|case| case.join().unwrap()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
    subject.is_well();
}

/// What was wrong with the end of one of them.
fn meets_its_deadline(
    address: &str,
    (name, begin, byte, deadline): &(&str, String, &str, Duration),
) -> Option<String> {
    let mut client = Client::connect(address);
    let begun = Instant::now();
    client.send(begin);
    if !byte.is_empty() {
        client.dribble(byte, TICK, HEAD_DEADLINE + LATE);
    }
    let (status, _) = client.answer();
    let took = begun.elapsed();
    // Dribbled bytes earn a little time.
    let in_time = took < *deadline + LATE && took > *deadline * 9 / 10;
    (status != 408 || !in_time).then(|| format!("{name}: {status} after {took:?}"))
}
