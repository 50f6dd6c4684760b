//! Known answers on their whole way: made by onnxruntime, published, and proven by the engine.

use crate::doctor::findings;
use crate::support::engine::{Engine, command};
use crate::support::fixture;
use crate::support::layout::by_hand;
use crate::support::ops::{Published, ops};
use crate::support::process::{Running, run};
use crate::support::python::{python, request};
use potoroo::oci::Digest;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Known answers of the fraud model, computed by onnxruntime.
fn known() -> Value {
    let made = run(Command::new(python()).args([
        fixture("known_answers.py"),
        fixture("models/fraud.onnx"),
        request("fraud_1.json"),
    ]));
    serde_json::from_str(&made.success().stdout).unwrap()
}

fn publish(known: &Value, directory: &Path) -> crate::support::process::Ended {
    let file = directory.join("known.json");
    std::fs::write(&file, known.to_string()).unwrap();
    let layout = directory.join("layout");
    run(ops()
        .arg("publish")
        .arg(fixture("pipelines/fraud.yaml"))
        .arg("--layout")
        .arg(layout)
        .arg("--known-answers")
        .arg(file))
}

fn differ(engine: &Engine) -> String {
    let metrics = engine.curl("/metrics", &[]).body;
    let line = metrics.lines().find_map(|it| it.strip_prefix("potoroo_known_answers_differ "));
    line.unwrap().to_owned()
}

#[test]
fn answers_of_onnxruntime_are_proven_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let published = Published::from(publish(&known(), directory.path()));
    let url = ("PIPELINE_URL", published.pipeline_url.as_str());
    let engine = Engine::start(&[url, ("POTOROO_KNOWN_ANSWERS", "require")]);
    assert_eq!(differ(&engine), "0");
    let page = engine.curl("/", &[]).body;
    assert!(page.contains("1 rows, all as the publisher computed them"), "{page}");
    assert!(!page.contains("href=\"#known\""), "{page}");
    let home = tempfile::tempdir().unwrap();
    let mut doctor = command(home.path());
    let ended = run(doctor.arg("doctor").arg("--json").env(url.0, url.1)).success();
    assert_eq!(findings(&ended)["answers"], "ok|1 rows, all as the publisher computed them|");
}

#[test]
fn rows_without_answers_get_those_of_the_publishers_machine() {
    let directory = tempfile::tempdir().unwrap();
    let row = known()["rows"][0]["in"].clone();
    let published = Published::from(publish(&json!([row]), directory.path()));
    let engine = Engine::start(&[("PIPELINE_URL", &published.pipeline_url)]);
    assert_eq!(differ(&engine), "0");
    assert!(engine.curl("/", &[]).body.contains("1 rows, all as the publisher computed them"));
}

#[test]
fn wrong_answers_are_not_published() {
    let directory = tempfile::tempdir().unwrap();
    let mut known = known();
    known["rows"][0]["out"]["fraud_probability"] = json!([0.25]);
    let ended = publish(&known, directory.path());
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    let part = "row 0, output `fraud_probability`, place 0: expected 0.25, found 0.";
    assert!(ended.stderr.contains(part), "{}", ended.stderr);
    assert!(!directory.path().join("layout/index.json").exists());
}

/// What another processor would be: the same model, whose answers are not those in the artifact.
#[test]
fn a_device_that_computes_something_else_says_so_or_does_not_serve() {
    let model = std::fs::read(fixture("models/fraud.onnx")).unwrap();
    let sha = Digest::of(&model).hex();
    let key = json!({"name": "m", "version": "v", "sha": sha, "runtime": "onnx"});
    let row = known()["rows"][0]["in"].clone();
    let config = json!({
        "id": "fraud",
        "steps": [{"ModelInference": {"models": [&key]}}],
        "models": [&key],
        "known_answers": {"rows": [{"in": row, "out": {"fraud_probability": [0.25]}}]},
    });
    let artifact = by_hand(config.to_string().as_bytes(), &[(&model, None)]);
    let engine = Engine::start(&[("PIPELINE_URL", &artifact.url)]);
    assert_eq!(differ(&engine), "1");
    let page = engine.curl("/", &[]).body;
    assert!(page.contains("href=\"#known\">1 output differs</a>"), "{page}");
    let told = page.split("place 0: expected 0.25, found 0.").nth(1).unwrap();
    assert!(told.lines().next().unwrap().contains(" apart"), "{page}");
    drop(engine);
    for (proving, code, wanted) in [
        ("warn", 0, "warn|1 outputs of 1 known rows differ: row 0, output `fraud_probability`"),
        ("require", 1, "fail|1 outputs of 1 known rows differ: row 0, output `fraud_probability`"),
        ("off", 0, "ok|they are not computed"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mut doctor = command(home.path());
        doctor.arg("doctor").arg("--json").env("PIPELINE_URL", &artifact.url);
        let ended = run(doctor.env("POTOROO_KNOWN_ANSWERS", proving));
        assert_eq!(ended.code(), code, "{proving}: {}", ended.stdout);
        let told = &findings(&ended)["answers"];
        assert!(told.starts_with(wanted), "{proving}: {told}");
        assert_eq!(told.contains(" apart"), proving != "off", "{proving}: {told}");
    }
    let engine =
        Engine::start(&[("PIPELINE_URL", &artifact.url), ("POTOROO_KNOWN_ANSWERS", "off")]);
    assert_eq!(differ(&engine), "0");
    let home = tempfile::tempdir().unwrap();
    let mut strict = command(home.path());
    strict.env("PIPELINE_URL", &artifact.url).env("POTOROO_KNOWN_ANSWERS", "require");
    let mut strict = Running::start(&mut strict);
    assert!(strict.line_with("1 outputs of 1 known rows differ").contains("place 0"));
}
