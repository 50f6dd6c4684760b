//! Start: bytes of the engine, time to the first answer, resident memory, and how soon a large net is ready.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Engine, file};

const ROUNDS: usize = 21;

/// Starts with the large net, from its file and from its graph each.
const LARGE_ROUNDS: usize = 9;

/// Runs the model once in a fresh interpreter, without pandas or a web framework: the least that
/// a Python service would do before its first answer.
const PEER: &str = "
import json, sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
row = numpy.array([json.load(open(sys.argv[2]))[0]['features']], dtype=numpy.float32)
answer = session.run(None, {session.get_inputs()[0].name: row})[0]
rss = [line for line in open('/proc/self/status') if line.startswith('VmRSS')][0].split()[1]
print(float(answer[0][0]), rss)
";

struct Sample {
    first_answer: Duration,
    resident_kib: u64,
}

fn main() {
    let engine = support::engine();
    let home = tempfile::tempdir().unwrap();
    let url = support::published("pipelines/fraud.yaml", home.path());
    let body = std::fs::read(file("tests/fixtures/requests/fraud_1.json")).unwrap();
    let python = file("target/python/bin/python");
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(start_engine(&engine, &url, home.path(), &body));
        if python.exists() {
            theirs.push(start_python(&python));
        }
    }
    let bytes = std::fs::metadata(&engine).unwrap().len();
    println!("engine file                {bytes} bytes ({:.1} MiB)", bytes as f64 / 1048576.0);
    let (ms, kib) = medians(&mut ours);
    println!("start to first answer      {ms:.1} ms (median of {ROUNDS}; fraud model, layout)");
    println!("resident after it          {:.1} MiB (median of {ROUNDS})", kib / 1024.0);
    if python.exists() {
        start_large(&engine, &python);
    }
    if theirs.is_empty() {
        println!("python + onnxruntime       not measured: run tests/setup.sh first");
    } else {
        let (their_ms, their_kib) = medians(&mut theirs);
        println!(
            "python + onnxruntime       {their_ms:.1} ms, {:.1} MiB: {:.0} times the time, {:.1} times the memory",
            their_kib / 1024.0,
            their_ms / ms,
            their_kib / kib
        );
    }
}

/// From process start to ready with a ResNet-50 of 102 MB, without and with what an earlier start kept.
fn start_large(engine: &Path, python: &Path) {
    let home = tempfile::tempdir().unwrap();
    let nets = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime");
    let script = file("benches/runtime/nets.py");
    let made = Command::new(python).arg(script).arg("make").arg(&nets).arg("resnet50").status();
    assert!(made.unwrap().success(), "the net could not be made");
    let url = support::published(nets.join("resnet50.onnx").to_str().unwrap(), home.path());
    let graphs = home.path().join("persist/graphs");
    let mut ready = [Vec::new(), Vec::new()];
    for _ in 0..LARGE_ROUNDS {
        let _ = std::fs::remove_dir_all(&graphs); // the first start has none
        for ready in &mut ready {
            let start = Instant::now();
            let engine = Engine::start(engine, &url, home.path(), &[("CONFIG_CPUS", "2")]);
            ready.push((start.elapsed().as_secs_f64() * 1e3, cpu_ms(engine.id())));
        }
    }
    for (what, mut ready) in ["from its file", "from its graph"].into_iter().zip(ready) {
        ready.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (wall, _) = ready[LARGE_ROUNDS / 2];
        let quickest = ready[0].0;
        ready.sort_by(|one, other| one.1.total_cmp(&other.1));
        let (_, cpu) = ready[LARGE_ROUNDS / 2];
        println!(
            "resnet50 ready, {what:<15}{wall:.0} ms, at best {quickest:.0}, {cpu:.0} ms of CPU time (medians of {LARGE_ROUNDS})"
        );
    }
}

/// What a process has computed so far, ended threads included: in hundredths of a second.
fn cpu_ms(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) * 10.0
}

fn medians(samples: &mut [Sample]) -> (f64, f64) {
    let middle = samples.len() / 2;
    samples.sort_by_key(|sample| sample.first_answer);
    let ms = samples[middle].first_answer.as_secs_f64() * 1e3;
    samples.sort_by_key(|sample| sample.resident_kib);
    (ms, samples[middle].resident_kib as f64)
}

fn start_engine(engine: &Path, url: &str, home: &Path, body: &[u8]) -> Sample {
    let start = Instant::now();
    let engine = Engine::start(engine, url, home, &[]);
    let mut stream = TcpStream::connect(&engine.address).unwrap();
    let head = format!(
        "POST /pipelines/fraud HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: \
         application/json; format=pandas-records\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let first_answer = start.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id())).unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let resident_kib = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    Sample { first_answer, resident_kib }
}

fn start_python(python: &Path) -> Sample {
    let start = Instant::now();
    let output = Command::new(python)
        .args(["-c", PEER])
        .arg(file("tests/fixtures/models/fraud.onnx"))
        .arg(file("tests/fixtures/requests/fraud_1.json"))
        .output()
        .unwrap();
    let first_answer = start.elapsed();
    let text = String::from_utf8(output.stdout).unwrap();
    let resident_kib = text.split_whitespace().nth(1).expect("python failed").parse().unwrap();
    Sample { first_answer, resident_kib }
}
