//! What a client does wrong: a JSON error that says what and where, and the engine goes on.

use crate::support::engine::{Answer, Engine};
use crate::support::golden;
use crate::support::python::{ARROW, RECORDS, request};
use serde_json::Value;
use std::fmt::Write;

/// An error answer has the original's keys and ours.
fn problem(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!(answer.content_type, "application/json", "{}", answer.body);
    assert_eq!(body["code"], answer.status, "{}", answer.body);
    assert_eq!((&body["status"], &body["source"]), (&"error".into(), &"engine".into()));
    assert!(!body["error"].as_str().unwrap().is_empty() && body["kind"].is_string());
    body
}

fn assert_serves(engine: &Engine) {
    let answer = engine.infer_file("fraud", &request("fraud_1.json"));
    assert_eq!(answer.status, 200, "the engine does not serve any more: {}", answer.body);
}

/// Each bad body with its status, kind, column and row; the sentences are in a golden file.
#[test]
fn each_bad_body_gets_a_sentence_that_names_column_and_row() {
    let engine = Engine::serving("models/fraud.onnx");
    let at = |row: u64| Some(row);
    let cases = [
        ("bad_missing_column.json", 400, "wrong_shape", Some("left"), at(0)),
        ("bad_wrong_length.json", 400, "wrong_shape", Some("features"), at(0)),
        ("bad_wrong_length.arrow", 400, "wrong_shape", Some("features"), at(0)),
        ("bad_ragged_rows.json", 400, "wrong_shape", Some("features"), at(1)),
        ("bad_ragged_rows.arrow", 400, "wrong_shape", Some("features"), at(1)),
        ("bad_null.json", 400, "null_value", Some("features"), at(1)),
        ("bad_null.arrow", 400, "null_value", Some("features"), at(1)),
        ("bad_null_row.json", 400, "null_value", Some("features"), at(1)),
        ("bad_null_row.arrow", 400, "null_value", Some("features"), at(1)),
        ("bad_strings.json", 400, "wrong_type", Some("features"), at(1)),
        ("bad_strings.arrow", 400, "wrong_type", Some("features"), at(0)),
        ("bad_nan.json", 400, "not_a_number", Some("features"), at(1)),
        ("bad_tensor_type.arrow", 400, "wrong_shape", Some("features"), None),
        ("fraud_float64_rounding.arrow", 400, "value_range", Some("features"), at(0)),
        ("fraud_no_rows.arrow", 400, "no_rows", None, None),
        ("bad_truncated.arrow", 400, "unreadable", None, None),
        ("bad_truncated.json", 400, "unreadable", None, None),
        ("bad_empty.json", 400, "no_rows", None, None),
    ];
    let mut sentences = String::new();
    for (body, status, kind, column, row) in cases {
        let answer = engine.infer_file("fraud", &request(body));
        let problem = problem(&answer);
        writeln!(sentences, "{body}: {}", problem["error"].as_str().unwrap()).unwrap();
        assert_eq!(
            (answer.status, problem["kind"].as_str()),
            (status, Some(kind)),
            "{body}: {problem}"
        );
        assert_eq!(problem["column"].as_str(), column, "{body}: {problem}");
        if row.is_some() {
            assert_eq!(problem["row"].as_u64(), row, "{body}: {problem}");
            assert!(problem["expected"].is_string() == problem["found"].is_string());
        }
    }
    golden("bad_bodies.txt", &sentences);
    assert_serves(&engine);
}

#[test]
fn a_missing_column_of_several_is_named() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    for body in ["bad_missing_column.json", "bad_missing_column.arrow"] {
        let answer = engine.infer_file("two-in-two-out", &request(body));
        let problem = problem(&answer);
        assert_eq!(problem["kind"], "missing_column", "{problem}");
        assert_eq!(problem["column"], "right", "{problem}");
    }
}

#[test]
fn each_wrong_question_gets_its_status() {
    let engine = Engine::serving("models/fraud.onnx");
    let body = request("fraud_1.json");
    let data = format!("@{}", body.display());
    let json = format!("Content-Type: {RECORDS}");
    let cases: [(&str, &[&str], u16, &str); 9] = [
        ("/pipelines/other", &["-H", &json, "--data-binary", &data], 404, "unknown_pipeline"),
        ("/pipeline", &[], 404, "unknown_path"),
        ("/pipelines/fraud", &[], 405, "method_not_allowed"),
        ("/models", &["-X", "DELETE"], 405, "method_not_allowed"),
        (
            "/pipelines/fraud",
            &["-H", "Content-Type: text/csv", "-d", "1,2"],
            415,
            "unsupported_content_type",
        ),
        (
            "/pipelines/fraud",
            &["-H", "Content-Type:", "--data-binary", &data],
            415,
            "unsupported_content_type",
        ),
        ("/pipelines/fraud", &["-d", "x"], 415, "unsupported_content_type"),
        ("/pipelines/fraud", &["-H", &json, "-d", ""], 400, "no_rows"),
        ("/pipelines/fraud", &["-H", &json, "-d", "[]"], 400, "no_rows"),
    ];
    for (path, arguments, status, kind) in cases {
        let answer = engine.curl(path, arguments);
        let problem = problem(&answer);
        assert_eq!(
            (answer.status, problem["kind"].as_str()),
            (status, Some(kind)),
            "{path} {problem}"
        );
    }
    let allowed = engine.curl("/pipelines/fraud", &["-i"]);
    assert!(allowed.body.to_lowercase().contains("allow: post"), "{}", allowed.body);
    assert_serves(&engine);
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_is_sent() {
    let engine = Engine::serving("models/fraud.onnx");
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len(65 << 20).unwrap(); // sparse: one mebibyte over the limit
    for arguments in [&["-H", "Expect:"][..], &[][..], &["-H", "Transfer-Encoding: chunked"][..]] {
        let data = format!("@{}", large.display());
        let content_type = format!("Content-Type: {ARROW}");
        let mut all = vec!["-H", &content_type, "--data-binary", &data];
        all.extend(arguments);
        let answer = engine.curl("/pipelines/fraud", &all);
        assert_eq!(answer.status, 413, "{}", answer.body);
        assert_eq!(answer.json()["code"], 413);
    }
    assert_serves(&engine);
}
