//! The operators of `ai.onnx.ml` beside onnxruntime, each attribute of each of them.

use crate::support::case::{cases, chain};
use crate::support::engine::Engine;
use crate::support::process::run;
use crate::support::python::{RECORDS, request};
use crate::support::{fixture, golden, python};
use potoroo::runtime::{Model, Pool};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What `tests/fixtures/ml/make.py` makes, once in a test run.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ml-{}", std::process::id()));
        run(Command::new(python::python()).arg(fixture("ml/make.py")).arg(&directory)).success();
        directory
    })
}

#[test]
fn every_operator_of_the_domain_answers_as_onnxruntime_does() {
    let pool = Pool::start(2).unwrap();
    let cases = cases(made());
    assert!(cases.len() > 200, "{} cases are not all of them", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, case.difference(&pool).err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// The originals of these twins ran, too, and on the rows that the tutorials ask them: 12 of 12 as
/// onnxruntime. They are not ours to give on.
#[test]
fn twins_of_the_twelve_models_of_the_originals_tutorials_answer_as_onnxruntime_does() {
    let (pool, twins) = (Pool::start(2).unwrap(), made().join("tutorials"));
    let cases = cases(&twins);
    assert_eq!(cases.len(), 12);
    for case in &cases {
        case.difference(&pool).unwrap_or_else(|reason| panic!("{}: {reason}", case.name));
    }
    // Those whose files are the oddest, as they are published, served and asked.
    for (name, input) in [
        ("house_price_keras", "dense_input"),
        ("demand_curve_v1", "double_input"),
        ("modelA", "float_input"),
    ] {
        let written = std::fs::read(twins.join(format!("{name}.json"))).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let (asked, told) = (&written["inputs"][0], &written["outputs"][0]);
        let wide = asked["dim"][1].as_u64().unwrap() as usize;
        let rows = asked["data"].as_array().unwrap().chunks(wide);
        let rows: Vec<Value> = rows.map(|row| json!({ input: row })).collect();
        let body = Value::Array(rows).to_string();
        let engine = Engine::serving(twins.join(format!("{name}.onnx")).to_str().unwrap());
        let path = format!("/pipelines/{}", name.replace('_', "-").to_lowercase());
        let header = format!("Content-Type: {RECORDS}");
        let answer = engine.curl(&path, &["-H", &header, "--data-binary", &body]);
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        let output = &answer.json()[0]["outputs"][0];
        let output = output.as_object().unwrap().values().next().unwrap();
        assert_eq!(output["dim"], told["dim"], "{name}");
        let numbers = |values: &Value| -> Vec<f64> {
            values.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
        };
        for (ours, theirs) in numbers(&output["data"]).iter().zip(numbers(&told["data"])) {
            assert!(
                (ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0),
                "{name}: {ours} {theirs}"
            );
        }
    }
}

#[test]
fn trees_that_lead_around_and_attributes_that_do_not_fit_are_refused_by_name() {
    let mut files: Vec<PathBuf> =
        made().join("hostile").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut refused = String::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let sentence = match Model::load(&file) {
            Ok(_) => "LOADED".to_owned(),
            Err(error) => chain(&error),
        };
        refused += &format!("{name}: {sentence}\n");
    }
    golden("ml_refused.txt", &refused);
}

#[test]
fn a_damaged_byte_of_a_model_is_refused_or_answered_and_never_breaks_it() {
    const DAMAGES_OF_A_MODEL: u64 = 12;
    let pool = Pool::start(2).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("damaged.onnx");
    let mut broken = Vec::new();
    for (case, number) in cases(made()).iter().zip(0_u64..) {
        let bytes = case.bytes();
        for damage in 0..DAMAGES_OF_A_MODEL {
            // A place and a value that look random and are the same on every run.
            let dice = (number * DAMAGES_OF_A_MODEL + damage).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut damaged = bytes.clone();
            let place = (dice >> 20) as usize % bytes.len();
            damaged[place] = damaged[place].wrapping_add(1 + (dice >> 8) as u8 % 255);
            std::fs::write(&file, &damaged).unwrap();
            if let Some(text) = case.break_of(&file, &pool) {
                broken.push(format!("{} at {place}: {text}", case.name));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn texts_go_in_and_come_out_of_an_engine() {
    for (case, element, wanted) in [
        (
            "label_encoder_strings_strings",
            "String",
            serde_json::json!(["x", "yy", "ü", "none", "none", "x"]),
        ),
        ("category_mapper_text", "Int64", serde_json::json!([0, 5, 1, -1, -1, 0])),
    ] {
        let model = made().join(format!("{case}.onnx"));
        let engine = Engine::serving(model.to_str().unwrap());
        for body in ["words.json", "words.arrow"] {
            let answer = engine.infer_file(&case.replace('_', "-"), &request(body));
            assert_eq!(answer.status, 200, "{case}, {body}: {}", answer.body);
            let output = &answer.json()[0]["outputs"][0][element];
            assert_eq!(output["data"], wanted, "{case}, {body}");
            assert_eq!(output["dim"], serde_json::json!([3, 2]));
        }
    }
}
