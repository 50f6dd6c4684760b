//! Models with weights in files beside them, published to a real registry and served from it.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::run;
use crate::support::python::{RECORDS, python};
use crate::support::registry::{Auth, Registry};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The folder that `beside.py` fills, with onnxruntime's outputs.
fn made() -> (TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(python()).arg(fixture("beside.py")).arg(folder.path())).success();
    let expected = std::fs::read(folder.path().join("expected.json")).unwrap();
    (folder, serde_json::from_slice(&expected).unwrap())
}

/// What the pipeline answers for a row of the model `which`.
fn answered(engine: &Engine, which: &str) -> Vec<f64> {
    let row = json!([{ "x": [0.5, 0.5, 0.5, 0.5], "which": which }]).to_string();
    let content_type = format!("Content-Type: {RECORDS}");
    let arguments = ["-H", &content_type, "--data-binary", &row];
    let answer = engine.curl("/pipelines/trained", &arguments);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let data = answer.json()[0]["outputs"][0]["Float"]["data"].clone();
    data.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn assert_as_onnxruntime(engine: &Engine, expected: &Value) {
    for which in ["one", "two"] {
        let found = answered(engine, which);
        let wanted = expected[which].as_array().unwrap();
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted.as_f64().unwrap()).abs() < 1e-5, "{which}: {found} {wanted}");
        }
    }
}

#[test]
fn two_trainings_of_one_net_keep_their_weights_through_a_registry_and_a_start_without_it() {
    let (folder, expected) = made();
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let published = Published::from(publish(&folder.path().join("pipeline.yaml"), &host, None));
    let home = tempfile::tempdir().unwrap();
    let url = [("PIPELINE_URL", published.pipeline_url.as_str())];
    let engine = Engine::start_in(home.path(), &url);
    assert_as_onnxruntime(&engine, &expected);
    let models = engine.curl("/models", &[]).json();
    let model =
        |at: usize| (models["models"][at]["sha"].clone(), models["models"][at]["version"].clone());
    assert_eq!(model(0).0, model(1).0, "the nets have one file");
    assert_ne!(model(0).1, model(1).1, "and are not one model");
    drop((engine, registry));
    assert_as_onnxruntime(&Engine::start_in(home.path(), &url), &expected);
}

#[test]
fn each_file_beside_a_model_is_a_layer_that_tells_whose_it_is() {
    let (folder, _) = made();
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&folder.path().join("one/net.onnx"), layout.path());
    let image = format!("oci:{}:{}", layout.path().display(), published.tag());
    let raw = run(Command::new("skopeo").args(["inspect", "--raw", &image])).success();
    let manifest: Value = serde_json::from_str(&raw.stdout).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let told = layers.iter().map(|layer| {
        let told = |key: &str| layer["annotations"][key].as_str().unwrap().to_owned();
        (told("wallaroo_file_type"), told("name"), told("org.opencontainers.image.title"))
    });
    let layer = |kind: &str, title: &str| (kind.to_owned(), "net".to_owned(), title.to_owned());
    let wanted = [
        layer("model", "net.onnx"),
        layer("external_data", "first.bin"),
        layer("external_data", "parts/second.bin"),
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_model_whose_files_are_missing_short_or_elsewhere_is_not_published() {
    // What is told, and what is done to the file before.
    type Case = (&'static str, fn(&Path));
    let cases: [Case; 3] = [
        ("cannot be read", |file| std::fs::remove_file(file).unwrap()),
        ("only a part of it", |file| std::fs::write(file, [0; 63]).unwrap()),
        ("leads outside of the model's folder", |file| {
            std::fs::rename(file, file.with_file_name("../away.bin")).unwrap();
            std::os::unix::fs::symlink("../away.bin", file).unwrap();
        }),
    ];
    for (words, damage) in cases {
        let (folder, _) = made();
        let one = folder.path().join("one");
        damage(&one.join("first.bin"));
        let layout = folder.path().join("layout");
        let ended =
            run(ops().arg("publish").arg(one.join("net.onnx")).arg("--layout").arg(&layout));
        assert_eq!(ended.code(), 3, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}
