//! Malformed models, published as a person would: each is refused by a sentence, none breaks anything.

use crate::support::fixture;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::python::python;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What an error says where tract panicked: contained, but without a reason that helps anyone.
const PANICKED: &str = "the runtime broke on";

#[test]
fn no_malformed_model_is_more_than_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let models = directory.path().join("models");
    run(Command::new(python()).arg(fixture("malformed.py")).arg(&models)).success();
    let index = std::fs::read(models.join("index.json")).unwrap();
    let index: BTreeMap<String, Option<String>> = serde_json::from_slice(&index).unwrap();
    let verdicts = index.iter().map(|(name, words)| verdict(&models, name, words.as_deref()));
    let slips: Vec<String> = verdicts.flatten().collect();
    assert!(slips.is_empty(), "of {}:\n{}\n", index.len(), slips.join("\n"));
}

/// What is not as it should be with this model; `words` of the refusal, none where it must run.
fn verdict(models: &Path, name: &str, words: Option<&str>) -> Option<String> {
    let layout = models.join(format!("{name}.layout"));
    let ended = run(ops()
        .arg("publish")
        .arg(models.join(format!("{name}.onnx")))
        .arg("--layout")
        .arg(layout));
    let said: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("t=")).collect();
    let said = said.join(" ");
    match (ended.status.code(), words) {
        (Some(0), None) => None,
        (Some(3), Some(words)) if said.contains(words) && !said.contains(PANICKED) => None,
        (code, words) => Some(format!("{name}: exit {code:?}, wanted {words:?}: {said:.400}")),
    }
}
