//! The later generation of answers, and the Open Inference Protocol with its own client.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::process::run;
use crate::support::python::{self, ARROW, RECORDS, expected, request};
use serde_json::Value;
use std::process::Command;

/// Posts a body of two inputs to `path` and gives the answer's JSON.
fn ask(engine: &Engine, path: &str, status: u16) -> Value {
    let body = format!("@{}", request("two_inputs.json").display());
    let content_type = format!("Content-Type: {RECORDS}");
    let answer = engine.curl(path, &["-g", "-H", &content_type, "--data-binary", &body]);
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    answer.json()
}

#[test]
fn the_later_path_answers_row_by_row_and_either_form_can_be_asked_for() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    let rows = ask(&engine, "/infer", 200);
    let expected = expected("two_in_two_out.onnx", &request("two_inputs.json"));
    for (index, row) in rows.as_array().unwrap().iter().enumerate() {
        assert_eq!(row["in"]["left"].as_array().unwrap().len(), 4);
        let sum = row["out"]["sum"][1].as_f64().unwrap();
        let theirs = expected[0]["data"][index * 2 + 1].as_f64().unwrap();
        assert!((sum - theirs).abs() <= 1e-4 * theirs.abs().max(1e-2), "{sum} {theirs}");
        assert_eq!(row["anomaly"], serde_json::json!({"count": 0}));
        let last: Value =
            serde_json::from_str(row["metadata"]["last_model"].as_str().unwrap()).unwrap();
        assert_eq!(last["model_name"], "two-in-two-out");
    }
    let record = ask(&engine, "/infer?answer=record", 200);
    assert!(record[0]["outputs"].is_array(), "{record}");
    let rows = ask(&engine, "/pipelines/two-in-two-out?answer=rows", 200);
    assert_eq!(rows.as_array().unwrap().len(), 5);
    ask(&engine, "/infer?answer=both", 400);
}

/// What the original's client library always sends.
#[test]
fn parts_of_the_answer_can_be_asked_for() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    let query = "?dataset[]=*&dataset.exclude[]=metadata&dataset.separator=.";
    let rows = ask(&engine, &format!("/pipelines/two-in-two-out{query}"), 200);
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["anomaly.count", "in.left", "in.right", "out.product", "out.sum", "time"]);
    let refused = ask(&engine, "/infer?dataset[]=out.nothing", 400);
    assert!(refused["error"].as_str().unwrap().contains("out.nothing"), "{refused}");
}

#[test]
fn later_arrow_answers_are_read_by_pyarrow() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("answer.arrow");
    let answer = engine.curl(
        "/infer",
        &[
            "-H",
            &format!("Content-Type: {ARROW}"),
            "-H",
            &format!("Accept: {ARROW}"),
            "--data-binary",
            &format!("@{}", request("two_inputs.arrow").display()),
            "-o",
            &out.display().to_string(),
        ],
    );
    assert_eq!((answer.status, answer.content_type.as_str()), (200, ARROW));
    let read = python::read_arrow(&out);
    assert_eq!(read["rows"].as_array().unwrap().len(), 5);
    assert_eq!(read["rows"][0]["anomaly"]["count"], 0);
}

#[test]
fn the_real_tritonclient_drives_the_engine_unchanged() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    let records: Value =
        serde_json::from_slice(&std::fs::read(request("two_inputs.json")).unwrap()).unwrap();
    let column = |name: &str| -> Vec<Value> {
        records.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input.json");
    let columns = serde_json::json!({"left": column("left"), "right": column("right")});
    std::fs::write(&input, columns.to_string()).unwrap();
    let mut command = Command::new(python::python());
    command.arg(fixture("triton.py")).args([&engine.address, "two-in-two-out"]).arg(&input);
    let answer: Value = serde_json::from_str(&run(&mut command).success().stdout).unwrap();
    for question in ["live", "ready", "model_ready"] {
        assert_eq!(answer[question], true, "{question}");
    }
    assert_eq!(answer["model"]["inputs"][0]["shape"], serde_json::json!([-1, 4]));
    assert_eq!(answer["json"], answer["binary"]);
    let expected = expected("two_in_two_out.onnx", &request("two_inputs.json"));
    for output in expected.as_array().unwrap() {
        let ours = &answer["json"][output["name"].as_str().unwrap()];
        assert_eq!(ours["dim"], output["dim"]);
        let pairs = ours["data"].as_array().unwrap().iter().zip(output["data"].as_array().unwrap());
        for (ours, theirs) in pairs {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1e-2), "{ours} {theirs}");
        }
    }
    assert!(answer["unknown"].as_str().unwrap().contains("two-in-two-out"), "{answer}");
    assert!(answer["empty"].as_str().unwrap().contains("left"), "{answer}");
}
