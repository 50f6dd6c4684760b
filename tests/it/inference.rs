//! Answers beside onnxruntime's on the same bytes, which pyarrow and pandas wrote.

use crate::support::engine::{Answer, Engine, curl};
use crate::support::python::{self, ARROW, RECORDS, expected, request};
use serde_json::Value;

/// Relative to the larger of the two, or to this small number for values near zero.
const TOLERANCE: f64 = 1e-4;
const NEAR_ZERO: f64 = 1e-6;

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= TOLERANCE * ours.abs().max(theirs.abs()).max(NEAR_ZERO)
}

/// Compares a record list with onnxruntime's outputs: order, type, dimensions, values.
fn assert_as_onnxruntime(answer: &Answer, expected: &Value) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let outputs = answer.json()[0]["outputs"].as_array().unwrap().clone();
    let expected = expected.as_array().unwrap();
    assert_eq!(outputs.len(), expected.len());
    for (output, expected) in outputs.iter().zip(expected) {
        let (element, output) = output.as_object().unwrap().iter().next().unwrap();
        let wanted = match expected["dtype"].as_str().unwrap() {
            "float32" => "Float",
            "float64" => "Double",
            "int64" => "Int64",
            "int32" => "Int32",
            "int8" => "Int8",
            "uint8" => "Uint8",
            "bool" => "Bool",
            other => panic!("no record key for {other}"),
        };
        assert_eq!(element, wanted);
        assert_eq!(output["dim"], expected["dim"], "{}", expected["name"]);
        assert_eq!(output["v"], 1);
        let (ours, theirs) =
            (output["data"].as_array().unwrap(), expected["data"].as_array().unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            let same = match (ours.as_f64(), theirs.as_f64()) {
                (Some(ours), Some(theirs)) => close(ours, theirs),
                _ => ours == theirs,
            };
            assert!(same, "{}: {ours} where onnxruntime has {theirs}", expected["name"]);
        }
    }
}

/// One engine, several bodies for the same model.
fn compare(pipeline: &str, bodies: &[&str]) {
    let engine = Engine::serving(&format!("models/{pipeline}.onnx"));
    let name = pipeline.replace('_', "-");
    for body in bodies {
        let body = request(body);
        let answer = engine.infer_file(&name, &body);
        assert_as_onnxruntime(&answer, &expected(&format!("{pipeline}.onnx"), &body));
    }
}

#[test]
fn the_fraud_model_answers_as_onnxruntime_for_each_form_of_input() {
    compare(
        "fraud",
        &[
            "fraud_1.json",
            "fraud_1_tensor.json",
            "fraud_1000.json",
            "fraud_1.arrow",
            "fraud_1000.arrow",
            "fraud_list.arrow",
            "fraud_batches.arrow",
            "fraud_float64.arrow",
            "fraud_feather.arrow",
        ],
    );
}

#[test]
fn an_image_answers_as_onnxruntime_with_and_without_its_shape() {
    compare("vision", &["image_224x224.arrow", "image_plain.arrow", "images_3.arrow"]);
}

#[test]
fn rows_of_a_model_with_a_fixed_batch_run_one_by_one() {
    compare("vision_fixed", &["image_224x224.arrow", "images_3.arrow"]);
}

#[test]
fn columns_bind_to_several_inputs_by_name() {
    compare("two_in_two_out", &["two_inputs.arrow", "two_inputs.json"]);
}

#[test]
fn integers_doubles_and_truth_values_keep_their_types() {
    compare("counter", &["counter.arrow", "counter.json", "counter_nan.arrow", "counter_nan.json"]);
    compare("double", &["double.arrow", "double.json"]);
    compare("small_ints", &["small_ints.arrow", "small_ints.json"]);
}

#[test]
fn integers_beyond_a_doubles_precision_are_exact() {
    let engine = Engine::serving("models/counter.onnx");
    for body in ["counter_large.arrow", "counter_large.json"] {
        let answer = engine.infer_file("counter", &request(body));
        let totals: Vec<i64> = answer.json()[0]["outputs"][0]["Int64"]["data"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", answer.body))
            .iter()
            .map(|total| total.as_i64().unwrap())
            .collect();
        assert_eq!(totals, [(1 << 53) + 1, (1 << 53) + 3, -(1 << 62) - 3], "{body}");
    }
}

#[test]
fn two_models_run_in_turn_with_a_time_for_each() {
    let engine = Engine::serving("pipelines/two_steps.yaml");
    let name = engine.curl("/pipelines", &[]).json()["pipelines"][0]["id"].clone();
    let body = request("fraud_1000.arrow");
    let answer = engine.infer_file(name.as_str().unwrap(), &body);
    let record = &answer.json()[0];
    assert_eq!(record["elapsed"].as_array().unwrap().len(), 3, "{}", answer.body);
    let fraud = expected("fraud.onnx", &body)[0]["data"].as_array().unwrap().clone();
    let scores = record["outputs"][0]["Float"]["data"].as_array().unwrap();
    for (score, fraud) in scores.iter().zip(fraud) {
        assert!(close(score.as_f64().unwrap(), fraud.as_f64().unwrap() * 100.0));
    }
    assert_eq!(engine.curl("/models", &[]).json()["models"].as_array().unwrap().len(), 2);
}

/// f32 widened to f64 and printed shortest, as the original does.
#[test]
fn floats_are_printed_as_the_original_prints_them() {
    let engine = Engine::serving("models/fraud.onnx");
    let body = request("fraud_1000.arrow");
    let answer = engine.infer_file("fraud", &body);
    let from = answer.body.find("\"data\":[").unwrap() + "\"data\":[".len();
    let to = from + answer.body[from..].find(']').unwrap();
    for text in answer.body[from..to].split(',') {
        let value: f64 = text.parse().unwrap();
        assert_eq!(f64::from(value as f32), value, "{text} is no widened f32");
        assert_eq!(text.contains('e'), value.abs() < 1e-5, "{text}");
    }
}

#[test]
fn an_arrow_answer_is_read_by_pyarrow() {
    let engine = Engine::serving("models/two_in_two_out.onnx");
    let body = request("two_inputs.arrow");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("answer.arrow");
    let answer = engine.curl(
        "/pipelines/two-in-two-out",
        &[
            "-H",
            &format!("Content-Type: {ARROW}"),
            "-H",
            &format!("Accept: {ARROW}"),
            "--data-binary",
            &format!("@{}", body.display()),
            "-o",
            &out.display().to_string(),
        ],
    );
    assert_eq!((answer.status, answer.content_type.as_str()), (200, ARROW));
    let read = python::read_arrow(&out);
    let names: Vec<&str> =
        read["fields"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["time", "in", "out", "check_failures", "metadata"]);
    let rows = read["rows"].as_array().unwrap();
    let expected = expected("two_in_two_out.onnx", &body);
    assert_eq!(rows.len(), 5);
    for (index, row) in rows.iter().enumerate() {
        for (output, name) in [(0, "sum"), (1, "product")] {
            let ours = row["out"][name].as_array().unwrap();
            for (place, ours) in ours.iter().enumerate() {
                let theirs = expected[output]["data"][index * 2 + place].as_f64().unwrap();
                assert!(close(ours.as_f64().unwrap(), theirs), "{name} of row {index}");
            }
        }
        assert_eq!(row["in"]["left"].as_array().unwrap().len(), 4);
        assert_eq!(row["check_failures"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn the_content_type_is_understood_in_the_forms_that_clients_send() {
    let engine = Engine::serving("models/fraud.onnx");
    for content_type in [
        RECORDS,
        "application/json;format=pandas-records",
        "Application/JSON; charset=utf-8; FORMAT=\"pandas-records\"",
        "application/json",
    ] {
        let answer = engine.infer("fraud", content_type, &request("fraud_1.json"));
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
    }
}

#[test]
fn many_clients_at_once_each_get_their_own_answer() {
    let engine = Engine::serving("models/counter.onnx");
    std::thread::scope(|scope| {
        for client in 0..16 {
            let url = engine.url("/pipelines/counter");
            scope.spawn(move || {
                for round in 0..4 {
                    let body = format!("[{{\"x\":[{client},{round}]}}]");
                    let content_type = format!("Content-Type: {RECORDS}");
                    let answer = curl(&url, &["-H", &content_type, "-d", &body]);
                    assert_eq!(answer.json()[0]["outputs"][0]["Int64"]["data"][0], client + round);
                }
            });
        }
    });
}
