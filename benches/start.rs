//! Start: bytes of the engine, time from process start to the first answer, and resident memory.

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
