//! The engine as a service: how it counts, names requests, bounds its work, and stops.

use crate::support::engine::{Engine, curl};
use crate::support::fixture;
use crate::support::ops::publish_layout;
use crate::support::process::run;
use crate::support::python::{RECORDS, request};
use std::process::Command;

/// The value of a line of `/metrics`.
fn metric(engine: &Engine, line: &str) -> Option<f64> {
    let text = engine.curl("/metrics", &[]).body;
    let found = text.lines().find_map(|found| found.strip_prefix(line));
    found.map(|value| value.trim().parse().unwrap_or_else(|_| panic!("{line}: {value}")))
}

#[test]
fn metrics_count_answers_rows_stages_and_refusals() {
    let engine = Engine::serving("models/counter.onnx");
    assert_eq!(engine.infer_file("counter", &request("counter_nan.json")).status, 200);
    assert_eq!(engine.infer_file("counter", &request("bad_empty.json")).status, 400);
    assert_eq!(engine.curl("/nothing", &[]).status, 404);
    let counted = |line: &str| metric(&engine, line).unwrap_or_else(|| panic!("no {line}"));
    assert_eq!(counted("tensor_throughput_batch_count{pipeline_name=\"counter\"}"), 2.0);
    assert_eq!(counted("potoroo_requests_total{status=\"400\"}"), 1.0);
    assert_eq!(counted("potoroo_refused_total{kind=\"unknown_path\"}"), 1.0);
    assert_eq!(counted("potoroo_outputs_not_finite_total"), 1.0);
    assert_eq!(counted("latency_histogram_ns_count{pipeline_name=\"counter\"}"), 1.0);
    assert_eq!(counted("potoroo_stage_ns_count{stage=\"run\"}"), 1.0);
    assert!(counted("process_resident_memory_bytes") > 1e6);
    assert!(counted("potoroo_received_bytes_total") > 10.0);
    let text = engine.curl("/metrics", &[]);
    assert_eq!(text.content_type, "text/plain; version=0.0.4; charset=utf-8");
    for line in text.body.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "not a sample: {line}");
    }
}

#[test]
fn a_clients_fault_and_the_log_have_the_same_request_id() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let mut engine = Engine::start(&[("PIPELINE_URL", &published.pipeline_url), ("DEBUG", "true")]);
    let answer = engine.curl("/nothing", &["-i"]).body;
    let id = answer.lines().find_map(|line| line.strip_prefix("X-Request-Id: ")).unwrap().trim();
    assert!(engine.process.line_with(id).contains("unknown_path"));
}

#[test]
fn the_inference_path_without_the_name_answers_too() {
    let engine = Engine::serving("models/fraud.onnx");
    let body = format!("@{}", request("fraud_1.json").display());
    let content_type = format!("Content-Type: {RECORDS}");
    let answer = engine.curl("/infer", &["-H", &content_type, "--data-binary", &body]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(engine.curl("/infer", &[]).status, 405);
}

/// One compute thread and many clients: each waits for its turn, and nothing is left behind. How long
/// that takes is up to the machine, and no limit of time is to end it.
#[test]
fn more_clients_than_compute_threads_wait_for_their_turn() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/vision.onnx"), layout.path());
    let engine = Engine::start(&[
        ("PIPELINE_URL", &published.pipeline_url),
        ("CONFIG_CPUS", "1"),
        ("POTOROO_REQUEST_SECONDS", "3600"),
    ]);
    let url = engine.url("/pipelines/vision");
    let data = format!("@{}", request("images_3.arrow").display());
    let content_type = "Content-Type: application/vnd.apache.arrow.file";
    let asked =
        ["--max-time", "3600", "-H", content_type, "-H", "Expect:", "--data-binary", data.as_str()];
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..40).map(|_| scope.spawn(|| curl(&url, &asked))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(metric(&engine, "potoroo_waiting"), Some(0.0));
    assert_eq!(metric(&engine, "potoroo_running"), Some(0.0));
}

#[test]
fn after_a_signal_it_serves_on_but_says_that_it_is_not_ready() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let mut engine = Engine::start(&[
        ("PIPELINE_URL", &published.pipeline_url),
        ("POTOROO_GRACE_SECONDS", "3600"),
    ]);
    let id = engine.process.id().to_string();
    run(Command::new("kill").args(["-s", "TERM", &id])).success();
    engine.process.line_with("msg=stopping");
    assert_eq!(engine.curl("/healthz", &[]).status, 503);
    assert!(engine.curl("/", &[]).body.contains(">Stopping<"));
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
    assert_eq!(engine.process.signal("TERM").code(), Some(1), "a second signal ends at once");
}
