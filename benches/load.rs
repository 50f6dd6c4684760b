//! Load: the shipped engine under wrk and hey, from one connection to as many as it has places for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "load/generators.rs"]
mod generators;
mod support;

use generators::{GENERATORS, Target};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{Engine, file};

/// At the most, wrk has half of the engine's places; hey, whose pool opens more, nearly all.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

/// How long each generator asks at each number of connections.
const ROUND: Duration = Duration::from_secs(5);

const BODIES: [(&str, &str, &str); 2] = [
    ("1 row, JSON", "fraud_1.json", "application/json; format=pandas-records"),
    ("1,000 rows, Arrow", "fraud_1000.arrow", "application/vnd.apache.arrow.file"),
];

fn main() {
    let engine = support::engine();
    let bodies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serve");
    let python = file("target/python/bin/python");
    assert!(python.exists(), "{} is missing: run tests/setup.sh", python.display());
    let script = file("tests/fixtures/reference.py");
    let made = Command::new(python).arg(script).arg("inputs").arg(&bodies).status().unwrap();
    assert!(made.success());
    let home = tempfile::tempdir().unwrap();
    let published = support::published("models/fraud.onnx", home.path());
    let engine = Engine::start(&engine, &published, home.path(), &[("CONFIG_CPUS", "2")]);
    let url = format!("http://{}/pipelines/fraud", engine.address);
    println!("{} s each; the load comes from the same two cores", ROUND.as_secs());
    let mut errors = 0;
    for (title, body, content_type) in BODIES {
        let body = bodies.join(body);
        let target = Target { url: &url, body: &body, content_type };
        println!("\n{title} ({} bytes)", body.metadata().unwrap().len());
        println!(
            "{:6} {:>11} {:>9} {:>10} {:>9} {:>9} {:>8} {:>8}",
            "", "connections", "requests", "requests/s", "p50 ms", "p99 ms", "errors", "of 503"
        );
        for connections in CONNECTIONS {
            for (name, run) in GENERATORS {
                let outcome = run(&target, connections, ROUND);
                errors += outcome.errors;
                println!(
                    "{name:6} {connections:>11} {:>9} {:>10.0} {:>9.2} {:>9.2} {:>8} {:>8}",
                    outcome.requests,
                    outcome.requests as f64 / ROUND.as_secs_f64(),
                    outcome.p50_ms,
                    outcome.p99_ms,
                    outcome.errors,
                    outcome.busy.map_or("?".to_owned(), |busy| busy.to_string()),
                );
            }
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("\n{errors} errors in all; {}", peak.split_whitespace().collect::<Vec<_>>().join(" "));
}
