//! What publishing leaves behind, read by other tools, and what it refuses.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::layout::by_hand;
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::run;
use crate::support::python::{ARROW, request};
use crate::support::registry::{Auth, Registry};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn sha256(file: &Path) -> String {
    let ended = run(Command::new("sha256sum").arg(file)).success();
    ended.stdout.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn skopeo_reads_the_manifest_and_a_layers_digest_is_the_files_sha256() {
    let registry = Registry::start(&Auth::None);
    let model = fixture("models/fraud.onnx");
    let published = Published::from(publish(
        &fixture("pipelines/fraud.yaml"),
        &registry.host().to_string(),
        None,
    ));
    let image = format!("docker://{}", published.pipeline_url);
    let raw = run(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
    let manifest: Value = serde_json::from_str(&raw.success().stdout).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let layer = &manifest["layers"][0];
    let sha = sha256(&model);
    assert_eq!(layer["digest"], format!("sha256:{sha}"));
    assert_eq!(layer["mediaType"], "application/vnd.cncf.model.weight.v1.raw");
    assert_eq!(layer["annotations"]["filename"], sha);
    assert_eq!(layer["annotations"]["wallaroo_file_type"], "model");
    assert_eq!(layer["annotations"]["org.opencontainers.image.title"], "fraud-mlp.onnx");

    let copy = tempfile::tempdir().unwrap();
    let directory = format!("dir:{}", copy.path().display());
    run(Command::new("skopeo").args(["copy", "--src-tls-verify=false", &image, &directory]))
        .success();
    assert_eq!(std::fs::read(copy.path().join(&sha)).unwrap(), std::fs::read(&model).unwrap());
}

#[test]
fn skopeo_reads_a_layout_too() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let image = format!("oci:{}:{}", layout.path().display(), published.tag());
    let raw = run(Command::new("skopeo").args(["inspect", "--raw", &image])).success();
    let digest = run(Command::new("skopeo").args(["manifest-digest", "/dev/stdin"]).stdin({
        let file = layout.path().join("raw");
        std::fs::write(&file, &raw.stdout).unwrap();
        std::fs::File::open(file).unwrap()
    }));
    assert_eq!(digest.success().stdout.trim(), published.digest);
}

#[test]
fn the_same_input_gives_the_same_url_and_digest() {
    let registry = Registry::start(&Auth::None);
    let publish = || {
        Published::from(publish(
            &fixture("pipelines/two_steps.yaml"),
            &registry.host().to_string(),
            None,
        ))
    };
    let (first, second) = (publish(), publish());
    assert_eq!(first.pipeline_url, second.pipeline_url);
    assert_eq!(first.digest, second.digest);
    let uuid: Vec<usize> = first.tag().split('-').map(str::len).collect();
    assert_eq!(uuid, [8, 4, 4, 4, 12]);
}

#[test]
fn a_prefix_of_the_registry_and_a_name_of_ones_own_are_kept() {
    let registry = Registry::start(&Auth::None);
    let mut command = ops();
    command.arg("publish").arg(fixture("models/fraud.onnx"));
    command.args(["--registry", &format!("{}/my/team", registry.host()), "--name", "card-fraud"]);
    let published = Published::from(run(&mut command));
    let wanted = format!("{}/my/team/pipelines/card-fraud:", registry.host());
    assert!(published.pipeline_url.starts_with(&wanted), "{}", published.pipeline_url);
    assert!(published.text.contains("docker run -p 8080:8080"), "{}", published.text);
    assert!(published.text.contains(&format!("PIPELINE_URL: {}", published.pipeline_url)));
}

#[test]
fn a_publish_without_rights_says_so_and_shows_no_password() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let login = Some(("me", "wr0ng-password"));
    let ended = publish(&fixture("pipelines/fraud.yaml"), &registry.host().to_string(), login);
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("wr0ng"), "{}", ended.stderr);
}

#[test]
fn a_file_that_is_no_pipeline_is_refused_as_usage() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pipeline.yaml");
    std::fs::write(&file, "name: fraud\nmodel: fraud.onnx\n").unwrap();
    let ended = run(ops().arg("publish").arg(&file).arg("--layout").arg(directory.path()));
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("pipeline.yaml"), "{}", ended.stderr);
}

/// As ORAS and ModelPack write it: an empty config, and the file's name as its title.
#[test]
fn one_onnx_file_that_another_tool_pushed_is_served_as_it_is() {
    let model = std::fs::read(fixture("models/fraud.onnx")).unwrap();
    let layers: [(&[u8], Option<&str>); 2] =
        [(b"about this model", Some("README.md")), (&model, Some("fraud.onnx"))];
    let layout = by_hand(b"{}", &layers);
    let engine = Engine::start(&[("PIPELINE_URL", &layout.url)]);
    assert_eq!(engine.curl("/models", &[]).json()["models"][0]["name"], "fraud");
    let body = format!("@{}", request("fraud_1.arrow").display());
    let content_type = format!("Content-Type: {ARROW}");
    let answer = engine.curl("/infer", &["-H", &content_type, "--data-binary", &body]);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Versions follow content, so the README can tell the URL of its example; here it is held to it.
#[test]
fn the_readme_tells_the_url_that_its_example_gets() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("pipelines/fraud.yaml"), layout.path());
    let readme = include_str!("../../README.md");
    let url = format!("PIPELINE_URL=localhost:5000/pipelines/fraud:{} ", published.tag());
    assert!(readme.contains(&url), "README.md does not have {url}");
}
