//! The HTTP clients that people use, each with the same questions on a connection that stays.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::process::run;
use crate::support::python::{ARROW, RECORDS, python, request};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// Runs a script of `tests/fixtures` as `client` against an engine, and checks its report.
fn drive(program: &Path, script: &str, client: &str, connections_max: u64) {
    let engine = Engine::serving("models/fraud.onnx");
    let bodies = request("fraud_1.json");
    let mut command = Command::new(program);
    // A proxy of the machine's is not for loopback.
    command.env("NO_PROXY", "127.0.0.1").arg(fixture(script)).arg(client).arg(&engine.address);
    let report = run(command.arg(bodies.parent().unwrap())).success().stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_report(&report);
    let connections = report["connections"].as_u64().unwrap();
    assert!((1..=connections_max).contains(&connections), "{connections} for eight questions");
}

/// The dimensions of the only output.
fn dimensions(answer: &Value) -> &Value {
    &answer["body"][0]["outputs"][0]["Float"]["dim"]
}

/// As much of an answer as a person reads.
fn excerpt(answer: &Value) -> String {
    answer.to_string().chars().take(500).collect()
}

fn assert_report(report: &Value) {
    let answers = report["answers"].as_object().unwrap();
    for (question, answer) in answers {
        let inferred = ["json", "arrow", "chunked", "last"].contains(&question.as_str());
        let content_type = if inferred { RECORDS } else { "application/json" };
        assert_eq!(answer["content_type"], content_type, "{question}: {}", excerpt(answer));
        // All offer to unpack gzip, or are made to.
        assert_eq!(answer["content_encoding"], Value::Null, "{question}");
        if question != "head" {
            assert_eq!(answer["bytes"], answer["content_length"], "{question}");
        }
    }
    for (question, rows) in [("json", 1), ("arrow", 1000), ("chunked", 1000), ("last", 1)] {
        let answer = &answers[question];
        assert_eq!(answer["status"], 200, "{question}: {}", excerpt(answer));
        assert_eq!(*dimensions(answer), serde_json::json!([rows, 1]), "{question}");
    }
    let (head, got) = (&answers["head"], &answers["get"]);
    assert_eq!((&head["status"], &head["bytes"]), (&200.into(), &0.into()), "{head}");
    assert_eq!(head["content_length"], got["bytes"], "HEAD tells the length that GET has");
    assert_eq!(got["body"]["models"][0]["name"], "fraud", "{got}");
    let wrong = &answers["wrong"];
    assert_eq!((&wrong["status"], &wrong["body"]["code"]), (&400.into(), &400.into()), "{wrong}");
    assert_eq!(wrong["body"]["kind"], "null_value", "{wrong}");
    assert_eq!(wrong["body"]["column"], "features", "{wrong}");
    assert_eq!(wrong["body"]["row"], 1, "{wrong}");
    let unknown = &answers["unknown"];
    assert_eq!(unknown["status"], 404, "{unknown}");
    assert_eq!(unknown["body"]["kind"], "unknown_path", "{unknown}");
    let after = &report["after_leaving"];
    assert_eq!(
        after["status"],
        200,
        "a client that left early took something along: {}",
        excerpt(after)
    );
    assert_eq!(*dimensions(after), serde_json::json!([1, 1]));
}

#[test]
fn python_requests_is_served() {
    drive(&python(), "clients.py", "requests", 1);
}

#[test]
fn python_httpx_is_served() {
    drive(&python(), "clients.py", "httpx", 1);
}

#[test]
fn python_urllib3_is_served() {
    drive(&python(), "clients.py", "urllib3", 1);
}

#[test]
fn python_http_client_is_served() {
    drive(&python(), "clients.py", "http.client", 1);
}

/// It gives up the connection of a HEAD by itself, and opens a second one when it is asked before
/// it has put the first away.
#[test]
fn node_fetch_is_served() {
    drive_node("fetch", 4);
}

#[test]
fn node_http_is_served() {
    drive_node("http", 1);
}

/// Node is no part of the tests' set-up: where it is missing, this is said and nothing is run.
fn drive_node(client: &str, connections_max: u64) {
    let node = Path::new("node");
    if Command::new(node).arg("--version").output().is_err() {
        let note = format!("note: node is not on PATH, so its {client} was not run\n");
        // Not through `print`, which the harness keeps to itself while a test succeeds.
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    }
    drive(node, "clients.mjs", client, connections_max);
}

/// Above a mebibyte curl asks before it sends, and then waits a second for the answer.
#[test]
fn curl_is_told_to_go_on_before_a_large_body() {
    let engine = Engine::serving("models/fraud.onnx");
    let rows = std::fs::read_to_string(request("fraud_1000.json")).unwrap();
    let rows = rows.trim().strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large.json");
    std::fs::write(&large, format!("[{}]", [rows; 4].join(","))).unwrap();
    assert!(1 << 20 < large.metadata().unwrap().len());
    let content_type = format!("Content-Type: {RECORDS}");
    let data = format!("@{}", large.display());
    let url = engine.url("/pipelines/fraud");
    let mut curl = Command::new("curl");
    curl.args(["-sSv", "--noproxy", "*", "--max-time", "60", "--expect100-timeout", "30", &url]);
    // With its own head, so that curl releases which ask less often ask too.
    curl.args(["-H", "Expect: 100-continue", "-H", &content_type, "--data-binary", &data]);
    // The second goes on the connection of the first.
    curl.args(["--next", "-sS", "--noproxy", "*", &engine.url("/pipelines")]);
    let ended = run(&mut curl).success();
    assert!(ended.stderr.contains("< HTTP/1.1 100 Continue"), "{}", ended.stderr);
    assert!(ended.stderr.contains("Re-using existing connection"), "{}", ended.stderr);
    assert!(ended.stdout.contains("\"dim\":[4000,1]"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("{\"pipelines\":[{\"id\":\"fraud\",\"status\":\"Running\"}]}"));
}

#[test]
fn posts_that_are_sent_at_once_are_answered_in_their_order() {
    let engine = Engine::serving("models/fraud.onnx");
    let posts = [
        ("fraud_1.json", RECORDS, "\"dim\":[1,1]"),
        ("fraud_1000.arrow", ARROW, "\"dim\":[1000,1]"),
        ("bad_null.json", RECORDS, "\"kind\":\"null_value\""),
        ("fraud_1000.json", RECORDS, "\"dim\":[1000,1]"),
        ("fraud_1.arrow", ARROW, "\"dim\":[1,1]"),
    ];
    let mut all = Vec::new();
    for (body, content_type, _) in posts {
        let body = std::fs::read(request(body)).unwrap();
        let length = body.len();
        write!(all, "POST /pipelines/fraud HTTP/1.1\r\nHost: test\r\n").unwrap();
        write!(all, "Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n").unwrap();
        all.extend(body);
    }
    let stream = TcpStream::connect(&engine.address).unwrap();
    let mut answers = BufReader::new(&stream);
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&all).unwrap());
        for (body, _, part) in posts {
            let answer = read_answer(&mut answers);
            assert!(answer.contains(part), "{body}: {answer}");
        }
    });
}

/// The body of the next answer on a connection.
fn read_answer(stream: &mut impl BufRead) -> String {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the connection ended");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}
