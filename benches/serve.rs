//! Serve: a whole request, from a client's first byte to its last, beside servers of Python.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "serve/agreement.rs"]
mod agreement;
#[path = "serve/load.rs"]
mod load;
#[path = "serve/servers.rs"]
mod servers;
mod support;

use load::Load;
use servers::Server;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::file;

/// The servers take turns: what else the machine does meets all of them.
const ROUNDS: usize = 5;

/// How long each server has the load in one round.
const ROUND: Duration = Duration::from_secs(2);

/// Before the first round: pools are started, plans made, caches filled.
const WARM_UP: Duration = Duration::from_secs(1);

const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Where requests wait for a turn, so that there is something to compute together. The engine has
/// 256 seats.
const CROWDS: [usize; 3] = [16, 64, 250];

const RECORDS: &str = "application/json; format=pandas-records";
const ARROW: &str = "application/vnd.apache.arrow.file";

struct Workload {
    title: &'static str,
    /// A file that `tests/fixtures/reference.py` makes.
    body: &'static str,
    content_type: &'static str,
}

/// Each model with what is asked of it, so that its servers are started once.
const MODELS: [(&str, &[Workload]); 2] = [
    (
        "fraud",
        &[
            Workload { title: "fraud, 1 row, JSON", body: "fraud_1.json", content_type: RECORDS },
            Workload {
                title: "fraud, 1000 rows, Arrow",
                body: "fraud_1000.arrow",
                content_type: ARROW,
            },
        ],
    ),
    (
        "vision",
        &[Workload {
            title: "vision, 1 image, Arrow",
            body: "image_224x224.arrow",
            content_type: ARROW,
        }],
    ),
];

fn main() {
    let engine = support::engine();
    let bodies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serve");
    make_bodies(&bodies);
    println!("load average at the start: {}", load_average());
    println!("median of {ROUNDS} rounds of {} s; in brackets theirs / ours", ROUND.as_secs());
    for (model, workloads) in MODELS {
        let home = tempfile::tempdir().unwrap();
        let servers = servers::all(&engine, model, home.path());
        for workload in workloads {
            measure(&servers, model, workload, &bodies, &CONNECTIONS);
        }
    }
    println!("\nrows that wait compute together (POTOROO_BATCH), and not");
    let home = tempfile::tempdir().unwrap();
    let (model, workloads) = MODELS[0];
    let servers = servers::with_and_without_batches(&engine, model, home.path());
    measure(&servers, model, &workloads[0], &bodies, &CROWDS);
    println!("\nload average at the end: {}", load_average());
}

/// Has the servers answer the same, then under each number of connections, and prints it.
fn measure(
    servers: &[Server],
    model: &str,
    workload: &Workload,
    bodies: &Path,
    connections: &[usize],
) {
    let request = request(model, workload, bodies);
    let answers: Vec<_> = servers.iter().map(|server| server.answer(&request)).collect();
    for (server, answer) in servers.iter().zip(&answers).skip(1) {
        agreement::assert_agree(&answers[0], answer, server.name);
    }
    for connections in connections {
        let figures = compare(servers, &request, *connections);
        print(workload, request.len(), *connections, servers, &figures);
    }
}

/// Request bodies, by pyarrow and pandas.
fn make_bodies(directory: &Path) {
    let python = file("target/python/bin/python");
    assert!(python.exists(), "{} is missing: run tests/setup.sh", python.display());
    let script = file("tests/fixtures/reference.py");
    let made = Command::new(python).arg(script).arg("inputs").arg(directory).status().unwrap();
    assert!(made.success());
}

fn request(model: &str, workload: &Workload, bodies: &Path) -> Vec<u8> {
    let body = std::fs::read(bodies.join(workload.body)).unwrap();
    let head = format!(
        "POST /pipelines/{model} HTTP/1.1\r\nHost: bench\r\nContent-Type: {}\r\nContent-Length: \
         {}\r\n\r\n",
        workload.content_type,
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// How one server did, medians over the rounds.
struct Figures {
    p50_us: f64,
    p99_us: f64,
    per_second: f64,
    /// CPU time for one request.
    cpu_us: f64,
    resident_mib: f64,
}

fn compare(servers: &[Server], request: &[u8], connections: usize) -> Vec<Figures> {
    for server in servers {
        Load::run(&server.address, request, connections, WARM_UP);
    }
    let mut rounds: Vec<Vec<Figures>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            rounds.push(round(server, request, connections));
        }
    }
    rounds.iter().map(|rounds| medians(rounds)).collect()
}

fn round(server: &Server, request: &[u8], connections: usize) -> Figures {
    let before = server.usage();
    let load = Load::run(&server.address, request, connections, ROUND);
    let after = server.usage();
    // Each client has asked once more, before its time began.
    let answers = (load.latencies.len() + connections) as f64;
    Figures {
        p50_us: load.percentile(50).as_secs_f64() * 1e6,
        p99_us: load.percentile(99).as_secs_f64() * 1e6,
        per_second: load.latencies.len() as f64 / load.took.as_secs_f64(),
        cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6 / answers,
        resident_mib: after.resident_kib as f64 / 1024.0,
    }
}

fn medians(rounds: &[Figures]) -> Figures {
    let median = |of: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures {
        p50_us: median(|it| it.p50_us),
        p99_us: median(|it| it.p99_us),
        per_second: median(|it| it.per_second),
        cpu_us: median(|it| it.cpu_us),
        resident_mib: median(|it| it.resident_mib),
    }
}

fn print(
    workload: &Workload,
    bytes: usize,
    connections: usize,
    servers: &[Server],
    figures: &[Figures],
) {
    println!("\n{} ({bytes} bytes), connections: {connections}", workload.title);
    println!(
        "{:10} {:>18} {:>18} {:>18} {:>18} {:>18}",
        "", "p50 us", "p99 us", "requests/s", "CPU us/request", "resident MiB"
    );
    let columns: [fn(&Figures) -> f64; 5] =
        [|it| it.p50_us, |it| it.p99_us, |it| it.per_second, |it| it.cpu_us, |it| it.resident_mib];
    for (index, (server, theirs)) in servers.iter().zip(figures).enumerate() {
        let cells = columns.map(|of| {
            let (ours, theirs) = (of(&figures[0]), of(theirs));
            let ratio = match index {
                0 => " ".repeat(9),
                _ => format!(" {:>8}", format!("({:.2})", theirs / ours)),
            };
            format!("{theirs:.*}{ratio}", usize::from(theirs < 100.0))
        });
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>18}")).collect();
        println!("{:10} {}", server.name, cells.join(" "));
    }
}

/// Of the last minute: near zero on a machine that does nothing else.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap_or_default().to_owned()
}
