//! The ops center with many records and logs: how long its lists and pages take, from the first byte asked to the last answered.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "center/logs.rs"]
mod logs;
#[path = "support/ops_center.rs"]
mod ops_center;

use ops_center::{Center, TOKEN};
use potoroo::clock::{DeviceClock, unix_ms};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PUBLISHES: usize = 10_000;
/// Edges, unless `POTOROO_EDGES` says how many.
const EDGES: usize = 10_000;
const ROUNDS: usize = 41;

fn main() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    drop(Center::start(&data)); // makes the tables
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/center/seed.py");
    let list = data.join("frames");
    std::fs::write(&list, logs::write(&data.join("logs"), unix_ms(&DeviceClock).cast_signed()))
        .unwrap();
    let edges = std::env::var("POTOROO_EDGES").map_or(EDGES, |count| count.parse().unwrap());
    let counts = [PUBLISHES, edges].map(|count| count.to_string());
    let mut seeds = Command::new("python3");
    seeds.arg(seed).arg(data.join("records.db")).args(counts).arg(TOKEN);
    seeds.arg(list).args([&logs::PIPELINE.to_string(), logs::VERSION]);
    assert!(seeds.status().unwrap().success());
    let center = Center::start(&data);
    println!("{PUBLISHES} publishes, {edges} edges; medians and worst of {ROUNDS}");
    for (path, body, what) in [
        ("pipelines/list_publishes", "{}", "all publishes with all edges"),
        ("pipelines/list_publishes", r#"{"limit":100}"#, "the newest 100 publishes with all edges"),
        ("pipelines/list_publishes_for_pipeline", r#"{"pipeline_id":7}"#, "those of one pipeline"),
        ("pipelines/list_edges", "{}", "all edges"),
        ("pipelines/list_edges", r#"{"tag":"site-7"}"#, "edges with a tag, one in fifty"),
    ] {
        measured(what, || center.post(path, body));
    }
    for (path, what) in [
        ("/workspaces/1/pipelines", "page: pipelines"),
        ("/pipelines/7", "page: a pipeline with its Version History"),
        ("/publishes/7", "page: Check Info"),
        ("/workspaces/1/edges", "page: edges, the first hundred"),
        ("/workspaces/1/edges?after=edge-09000", "page: edges, the last thousand"),
        ("/workspaces/1/edges?tag=site-7", "page: edges with a tag"),
        ("/workspaces/1/edges?state=lost", "page: edges of a state that none has"),
        ("/edges/edge-00007", "page: an edge without inferences"),
        ("/audit", "page: audit"),
    ] {
        measured(what, || center.get(path));
    }
    println!("with {} rows of logs over ten days by 300 edges", logs::ROWS);
    let version = format!("/pipelines/7/logs?version={}", logs::VERSION);
    for (path, what) in [
        ("/pipelines/7/logs", "page: logs"),
        ("/pipelines/7/logs?edge=edge-00058", "page: logs of an edge"),
        ("/pipelines/7/logs?edge=nobody", "page: logs of an edge that is not there"),
        (version.as_str(), "page: logs of a version"),
        ("/pipelines/7/logs?version=none", "page: logs of a version that none is of"),
        ("/pipelines/7/logs?failures=yes", "page: logs with failed checks"),
        ("/pipelines/7/logs?failures=yes&edge=edge-00058", "page: the same of an edge"),
        (
            "/pipelines/7/logs?from=2020-01-01T00:00&until=2020-01-02T00:00",
            "page: logs of a day without",
        ),
        ("/edges/edge-00058", "page: an edge with inferences"),
        ("/workspaces/1/pipelines", "page: pipelines"),
    ] {
        measured(what, || center.get(path));
    }
    drift(&center);
    // Each asks whether the rollout goes on, as a report does.
    let next = std::cell::Cell::new(0);
    measured("an edge of a rollout to all edges is removed", || {
        next.set(next.get() + 1);
        center.post("pipelines/remove_edge", &format!(r#"{{"name":"edge-{:05}"}}"#, next.get()))
    });
}

/// A baseline of all logs, how long until they are counted for it, and its page.
fn drift(center: &Center) {
    let start = Instant::now();
    let made = center.post("drift/create_baseline", r#"{"pipeline_id":7,"name":"all"}"#);
    assert!(made.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&made));
    println!("{:7.1} ms: a baseline of all rows", start.elapsed().as_secs_f64() * 1e3);
    loop {
        let found = center.post("drift/get", r#"{"id":1}"#);
        if String::from_utf8_lossy(&found).contains("\"behind_frames\":0") {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{:7.1} ms: until all rows are counted", start.elapsed().as_secs_f64() * 1e3);
    for (path, what) in [
        ("/pipelines/7/drift", "page: drift of a week"),
        (
            "/pipelines/7/drift?from=2020-01-01T00:00&until=2020-01-02T00:00",
            "page: drift of a day without",
        ),
        ("/pipelines/7/drift?edge=edge-00058", "page: drift of an edge"),
    ] {
        measured(what, || center.get(path));
    }
}

/// Prints how long it takes to be answered.
fn measured(what: &str, ask: impl Fn() -> Vec<u8>) {
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let answer = ask();
        times.push(start.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        bytes = answer.len();
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (ms(times[ROUNDS / 2]), ms(times[ROUNDS - 1]));
    println!("{median:7.1} ms, worst {worst:7.1} ms, {bytes:9} bytes: {what}");
}

impl Center {
    /// A page of the dashboard.
    fn get(&self, path: &str) -> Vec<u8> {
        let Center { address, .. } = self;
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n"
        ))
    }

    fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let Center { address, .. } = self;
        let length = body.len();
        self.ask(&format!(
            "POST /v1/api/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n{body}"
        ))
    }

    fn ask(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }
}
