//! An engine of another processor, by qemu's emulation, beside this machine's: the same answers.
//!
//! `cross/test TARGET` names it and runs the engine's side of this crate with it; otherwise these have
//! nothing to compare, and say so.

use crate::support::engine::{Engine, built};
use crate::support::ops::publish_layout;
use crate::support::process::run;
use crate::support::{fixture, python};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Relative to the larger of the two, or to a tenth of the output's largest: kernels of other
/// processors add in another order.
const TOLERANCE: f64 = 1e-4;

/// Steps of quantisation: a sum that falls on the border of two goes either way.
const STEPS_MAX: f64 = 1.01;

/// How `tests/fixtures/ml/trees.py` begins the names of its models.
const TREES: [&str; 3] = ["classifier", "newest", "regressor"];

/// Whether there is another engine than the one that was built with the tests.
#[expect(clippy::print_stderr, reason = "a test that is not run, and a figure, is to be read")]
fn other_engine() -> bool {
    let named = std::env::var_os("POTOROO_ENGINE").is_some();
    if !named {
        eprintln!("skipped: POTOROO_ENGINE names no engine of another processor; cross/test does");
    }
    named
}

/// A request by the Open Inference Protocol with the inputs that are written beside a model.
fn asked(written: &Value) -> Value {
    let inputs = written["inputs"].as_array().unwrap().iter().map(|input| {
        let element = match input["dtype"].as_str().unwrap() {
            "float32" => "FP32",
            "float64" => "FP64",
            "int64" => "INT64",
            "int32" => "INT32",
            "int8" => "INT8",
            "uint8" => "UINT8",
            "bool" => "BOOL",
            other => panic!("no name for {other}"),
        };
        // JSON has no word for what is no number; both engines get the same in its place.
        let data = input["data"].as_array().unwrap().iter();
        let data: Vec<Value> =
            data.map(|value| if value.is_null() { json!(0) } else { value.clone() }).collect();
        json!({ "name": input["name"], "shape": input["dim"], "datatype": element, "data": data })
    });
    json!({ "inputs": inputs.collect::<Vec<_>>() })
}

/// The outputs of one engine for this request.
fn outputs(program: &Path, model: &Path, request: &Value) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let layout = home.path().join("layout");
    // A name that every model may have; files are called with underscores.
    let named = home.path().join("net.onnx");
    std::fs::copy(model, &named).unwrap();
    let url = publish_layout(&named, &layout).pipeline_url;
    let engine = Engine::start_of(program, &[("PIPELINE_URL", &url)]);
    let body = home.path().join("request.json");
    std::fs::write(&body, request.to_string()).unwrap();
    let body = format!("@{}", body.display());
    let answer = engine.curl("/v2/models/net/infer", &["--data-binary", &body]);
    assert_eq!(answer.status, 200, "{}: {}", model.display(), answer.body);
    answer.json()["outputs"].as_array().unwrap().clone()
}

/// Where the two differ by more than they may, in a sentence.
fn difference(theirs: &[Value], ours: &[Value], step: Option<f64>) -> Option<String> {
    for (theirs, ours) in theirs.iter().zip(ours) {
        for key in ["name", "shape", "datatype"] {
            if theirs[key] != ours[key] {
                return Some(format!("{key} is {} where {} was expected", theirs[key], ours[key]));
            }
        }
        let numbers = |output: &Value| -> Vec<Value> { output["data"].as_array().unwrap().clone() };
        let (theirs, ours) = (numbers(theirs), numbers(ours));
        let largest = ours.iter().filter_map(Value::as_f64).fold(0.0, |a: f64, b| a.max(b.abs()));
        for (place, (one, other)) in theirs.iter().zip(&ours).enumerate() {
            let near = match (one.as_f64(), other.as_f64()) {
                (Some(a), Some(b)) => {
                    let relative = TOLERANCE * a.abs().max(b.abs()).max(largest / 10.0);
                    (a - b).abs() <= step.map_or(relative, |step| STEPS_MAX * step)
                }
                _ => one == other,
            };
            if !near {
                return Some(format!("{one} at {place} where {other} was expected"));
            }
        }
    }
    (theirs.len() != ours.len()).then(|| format!("{} outputs, not {}", theirs.len(), ours.len()))
}

/// Asks both engines for each model of the directory that this picks.
fn compare(directory: &Path, picked: impl Fn(&str) -> bool, at_least: usize) {
    let mut models: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .filter(|path| picked(&path.file_stem().unwrap().to_string_lossy()))
        .collect();
    models.sort();
    assert!(models.len() >= at_least, "{} models are not all of them", models.len());
    let other = crate::support::engine::path();
    let far = models.iter().filter_map(|model| {
        let written = std::fs::read(model.with_extension("json")).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let request = asked(&written);
        let [theirs, ours] = [&other, &built()].map(|program| outputs(program, model, &request));
        let found = difference(&theirs, &ours, written["step"].as_f64())?;
        Some(format!("{}: {found}", model.display()))
    });
    let far: Vec<String> = far.collect();
    assert!(far.is_empty(), "\n{}", far.join("\n"));
}

/// The models that a script of the fixtures makes, with their inputs.
fn made_by(script: &str) -> TempDir {
    let made = tempfile::tempdir().unwrap();
    let script = fixture(script);
    run(Command::new(python::python()).arg("-B").arg(script).arg(made.path())).success();
    made
}

#[test]
fn quantised_nets_answer_on_another_processor_as_here() {
    if other_engine() {
        compare(&fixture("quantised"), |_| true, 9);
    }
}

#[test]
fn trees_answer_on_another_processor_as_here() {
    if other_engine() {
        let made = made_by("ml/make.py");
        // Forms of the same family cost a start of an engine each: every eighth shows them.
        let picked: Vec<String> = tree_names(made.path()).into_iter().step_by(8).collect();
        compare(made.path(), |name| picked.iter().any(|picked| picked == name), 4);
    }
}

#[test]
fn transforms_of_any_length_answer_on_another_processor_as_here() {
    if other_engine() {
        let made = made_by("transforms.py");
        compare(made.path(), |_| true, 2);
    }
}

/// Of the models in the directory, those whose name says that they are trees.
fn tree_names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| TREES.iter().any(|family| name.starts_with(family)))
        .collect();
    names.sort();
    names
}

#[test]
fn a_small_net_and_an_image_answer_on_another_processor_as_here() {
    if !other_engine() {
        return;
    }
    for (model, body) in [("fraud", "fraud_1000.arrow"), ("vision", "images_3.arrow")] {
        let home = tempfile::tempdir().unwrap();
        let file = fixture(&format!("models/{model}.onnx"));
        let url = publish_layout(&file, home.path()).pipeline_url;
        let [theirs, ours] = [crate::support::engine::path(), built()].map(|program| {
            let engine = Engine::start_of(&program, &[("PIPELINE_URL", &url)]);
            let answer = engine.infer_file(model, &python::request(body));
            assert_eq!(answer.status, 200, "{}", answer.body);
            flat(&answer.json()[0]["outputs"])
        });
        assert_eq!(difference(&theirs, &ours, None), None, "{model}");
    }
}

/// Outputs of a record in the form of the other protocol's.
fn flat(outputs: &Value) -> Vec<Value> {
    let one = |output: &Value| {
        let (element, tensor) = output.as_object().unwrap().iter().next().unwrap();
        json!({ "name": "", "shape": tensor["dim"], "datatype": element, "data": tensor["data"] })
    };
    outputs.as_array().unwrap().iter().map(one).collect()
}
