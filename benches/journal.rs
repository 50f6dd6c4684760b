//! Journal: what answers cost with the log of inferences on and off, the two engines taking turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "serve/load.rs"]
mod load;
mod support;

use load::Load;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{Engine, file, published};

/// The engines take turns, a short one each: what else the machine does meets both.
const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_secs(1);

const CONNECTIONS: [usize; 2] = [1, 16];

/// `/proc/PID/stat` counts in these on every Linux that Rust runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

const RECORDS: &str = "application/json; format=pandas-records";
const ARROW: &str = "application/vnd.apache.arrow.file";

const WORKLOADS: [(&str, &str, &str); 2] =
    [("1 row, JSON", "fraud_1.json", RECORDS), ("1000 rows, Arrow", "fraud_1000.arrow", ARROW)];

/// What one engine did in one round.
struct Round {
    per_second: f64,
    middle: Duration,
    cpu_us: f64,
}

fn main() {
    let engine = support::engine();
    let bodies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal");
    std::fs::create_dir_all(&bodies).unwrap();
    let script = file("tests/fixtures/reference.py");
    let python = file("target/python/bin/python");
    let made = Command::new(python).arg(script).arg("inputs").arg(&bodies).status().unwrap();
    assert!(made.success(), "the bodies are not made");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average at the start: {}", load.trim());
    println!("medians of {ROUNDS} rounds of {} s; on / off in each round", ROUND.as_secs());
    let (on_home, off_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |home: &Path, more: &[(&str, &str)]| {
        let url = published("models/fraud.onnx", home);
        Engine::start(&engine, &url, home, &[&[("CONFIG_CPUS", "2")], more].concat())
    };
    let on = start(on_home.path(), &[("LOCAL_INFERENCE_STORAGE", "64Mi")]);
    let off = start(off_home.path(), &[]);
    for (title, body, content_type) in WORKLOADS {
        let body = std::fs::read(bodies.join(body)).unwrap();
        let request = request(content_type, &body);
        for connections in CONNECTIONS {
            let (mut ons, mut offs) = (Vec::new(), Vec::new());
            round(&on, &request, connections);
            round(&off, &request, connections);
            for index in 0..ROUNDS {
                // Whoever goes first in a round does not always.
                if index % 2 == 0 {
                    ons.push(round(&on, &request, connections));
                    offs.push(round(&off, &request, connections));
                } else {
                    offs.push(round(&off, &request, connections));
                    ons.push(round(&on, &request, connections));
                }
            }
            let ratio = |value: fn(&Round) -> f64| {
                let ratios = ons.iter().zip(&offs).map(|(on, off)| value(on) / value(off));
                median(ratios.collect())
            };
            let of = |rounds: &[Round], value: fn(&Round) -> f64| {
                median(rounds.iter().map(value).collect())
            };
            println!(
                "{title}, {connections} connections: answers/s {:.0} on, {:.0} off ({:.3}); p50 \
                 {:.0} us on, {:.0} us off ({:.3}); CPU {:.1} us on, {:.1} us off ({:.3})",
                of(&ons, |it| it.per_second),
                of(&offs, |it| it.per_second),
                ratio(|it| it.per_second),
                of(&ons, |it| it.middle.as_secs_f64() * 1e6),
                of(&offs, |it| it.middle.as_secs_f64() * 1e6),
                ratio(|it| it.middle.as_secs_f64()),
                of(&ons, |it| it.cpu_us),
                of(&offs, |it| it.cpu_us),
                ratio(|it| it.cpu_us),
            );
        }
    }
    let url = format!("http://{}/metrics", on.address);
    let metrics = Command::new("curl").args(["-sS", &url]).output().unwrap().stdout;
    for line in String::from_utf8_lossy(&metrics).lines() {
        if line.starts_with("potoroo_journal_") || line.starts_with("process_resident") {
            println!("{line}");
        }
    }
}

fn request(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /infer HTTP/1.1\r\nHost: engine\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn round(engine: &Engine, request: &[u8], connections: usize) -> Round {
    let before = cpu(engine);
    let load = Load::run(&engine.address, request, connections, ROUND);
    let answers = load.latencies.len() as f64;
    Round {
        per_second: answers / load.took.as_secs_f64(),
        middle: load.percentile(50),
        cpu_us: (cpu(engine) - before) * 1e6 / answers,
    }
}

/// Seconds of CPU time that the engine has taken.
fn cpu(engine: &Engine) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.id())).unwrap();
    // utime and stime are fields 14 and 15; the second, in brackets, may have blanks.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>() as f64 / TICKS_PER_SECOND
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
