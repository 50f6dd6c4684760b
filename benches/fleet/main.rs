//! A fleet at an ops center: many edges that send their journals at once, and what that costs it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

mod edge;
#[path = "../support/ops_center.rs"]
mod ops_center;

use edge::Edge;
use ops_center::{Center, TOKEN};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const EDGES: usize = 100;

/// Inferences that each edge makes in a second.
const RATE: usize = 50;

/// How often an edge sends what it has.
const EVERY: Duration = Duration::from_secs(2);

const VERSION: &str = "3b49fba8-94d8-4fca-aecc-c75257fd16c6";

/// `POTOROO_FLEET_SECONDS`, or a minute.
fn seconds() -> u64 {
    std::env::var("POTOROO_FLEET_SECONDS").map_or(60, |text| text.parse().unwrap())
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    drop(Center::start(&data)); // makes the tables
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fleet/seed.py");
    let mut seeds = Command::new("python3");
    seeds.arg(seed).arg(data.join("records.db")).args([&EDGES.to_string(), TOKEN, VERSION]);
    assert!(seeds.status().unwrap().success());
    let center = Center::start(&data);
    let edges: Vec<Edge> =
        (0..EDGES).map(|number| Edge::join(&center.address, number, VERSION)).collect();
    println!("{EDGES} edges have joined; resident {} MiB", center.memory_mib("VmRSS"));
    let (cpu, begun) = (center.cpu_seconds(), Instant::now());
    let rounds = seconds() / EVERY.as_secs();
    let sent: Vec<(u64, usize, usize, Vec<Duration>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = edges
            .into_iter()
            .enumerate()
            .map(|(number, edge)| scope.spawn(move || run(edge, number, rounds, begun)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), center.cpu_seconds() - cpu);
    let acknowledged: u64 = sent.iter().map(|(next, ..)| next - 1).sum();
    let bytes: usize = sent.iter().map(|(_, bytes, ..)| bytes).sum();
    let busy: usize = sent.iter().map(|(_, _, busy, _)| busy).sum();
    let mut times: Vec<Duration> = sent.into_iter().flat_map(|(.., times)| times).collect();
    times.sort();
    let ms = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{acknowledged} inferences acknowledged in {elapsed:.1} s ({:.0} a second), {:.1} MB, {} requests",
        acknowledged as f64 / elapsed,
        bytes as f64 / 1e6,
        times.len()
    );
    println!(
        "a request: {:.1} ms median, {:.1} ms p99, {:.1} ms worst; {busy} told to come again",
        ms(50),
        ms(99),
        ms(100)
    );
    println!(
        "the ops center: {cpu:.1} s of CPU time ({:.0} % of one core), resident {} MiB, at most {} MiB",
        cpu / elapsed * 100.0,
        center.memory_mib("VmRSS"),
        center.memory_mib("VmHWM")
    );
    assert_eq!(acknowledged, rounds * EVERY.as_secs() * (EDGES * RATE) as u64);
    for format in ["csv", "parquet", "arrow"] {
        let (cpu, begun) = (center.cpu_seconds(), Instant::now());
        let (status, bytes, lines) = center.export(format);
        assert_eq!(status, 200);
        println!(
            "exported as {format}: {:.1} MB in {:.1} s, {:.1} s of CPU time, at most {} MiB resident",
            bytes as f64 / 1e6,
            begun.elapsed().as_secs_f64(),
            center.cpu_seconds() - cpu,
            center.memory_mib("VmHWM")
        );
        if format == "csv" {
            assert_eq!(lines as u64, acknowledged + 1, "a line for each, and one of names");
        }
    }
}

/// Sends a frame every while; what was acknowledged, bytes, refusals, and how long each request took.
fn run(
    mut edge: Edge,
    number: usize,
    rounds: u64,
    begun: Instant,
) -> (u64, usize, usize, Vec<Duration>) {
    let (mut bytes, mut busy, mut times) = (0, 0, Vec::new());
    // Edges do not beat in time.
    let mut due = begun + EVERY * number as u32 / EDGES as u32;
    for _ in 0..rounds {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += EVERY;
        let frame = edge.frame(RATE * EVERY.as_secs() as usize);
        bytes += frame.len();
        let asked = Instant::now();
        busy += edge.send(&frame);
        times.push(asked.elapsed());
    }
    (edge.next, bytes, busy, times)
}

impl Center {
    /// User and system time so far (proc(5), `stat`).
    fn cpu_seconds(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = [11, 12].map(|at: usize| fields[at].parse::<u64>().unwrap()).iter().sum();
        ticks as f64 / 100.0
    }

    fn memory_mib(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// All logs as a file that is thrown away: status, bytes, and line ends.
    fn export(&self, format: &str) -> (u16, usize, usize) {
        let body = format!("{{\"pipeline_id\":1,\"format\":\"{format}\"}}");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "POST /v1/api/pipelines/export_logs HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let (mut bytes, mut lines) = (0, 0);
        let mut piece = vec![0; 1 << 16];
        loop {
            let count = reader.read(&mut piece).unwrap();
            if count == 0 {
                return (status, bytes, lines);
            }
            bytes += count;
            lines += piece[..count].iter().filter(|byte| **byte == b'\n').count();
        }
    }
}
