//! The operators of `ai.onnx.ml` beside onnxruntime, each attribute of each of them.

use crate::support::case::{cases, chain};
use crate::support::engine::Engine;
use crate::support::process::run;
use crate::support::python::request;
use crate::support::{fixture, golden, python};
use potoroo::runtime::{Model, Pool};
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
