//! What keeps an engine from serving: each cause with its own sentence, next step and exit code.

use crate::support::engine::command;
use crate::support::layout::Artifact;
use crate::support::layout::by_hand;
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::{Ended, run};
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::{fixture, golden};
use std::fmt::Write;
use std::path::Path;

/// An engine that is to end by itself.
fn start(variables: &[(&str, &str)]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    run(command(home.path()).envs(variables.iter().copied()))
}

/// The lines on stderr that are no log lines.
fn errors(ended: &Ended) -> String {
    ended.stderr.lines().filter(|line| !line.starts_with("t=")).map(|l| format!("{l}\n")).collect()
}

#[test]
fn settings_that_are_missing_or_malformed_are_all_named_at_once() {
    let ended = start(&[
        ("OCI_USERNAME", "me"),
        ("CONFIG_CPUS", "many"),
        ("DEBUG", "yes please"),
        ("POTOROO_LISTENS", "1"),
    ]);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    golden("settings_refused.txt", &errors(&ended));
    assert_eq!(ended.stdout, "Potoroo Engine - Standalone mode\n");
}

/// Variables that log in.
type Login<'a> = &'a [(&'a str, &'a str)];

#[test]
fn each_fault_of_a_pull_has_its_sentence_and_exit_code() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let published =
        Published::from(publish(&fixture("pipelines/fraud.yaml"), &host, Some(("me", PASSWORD))));
    let url = published.pipeline_url.as_str();
    let unknown_tag = format!("{host}/pipelines/fraud:nothing");
    let unknown_repository = format!("{host}/pipelines/nothing:1");
    let closed = format!("127.0.0.1:{}", free_port());
    let nobody = format!("{closed}/pipelines/fraud:1");
    let wrong = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", "not-the-s3cret")];
    let right = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", PASSWORD)];
    let cases: [(&str, &str, Login<'_>, i32); 5] = [
        ("wrong password", url, &wrong, 4),
        ("no credentials", url, &[], 4),
        ("unknown tag", &unknown_tag, &right, 5),
        ("unknown repository", &unknown_repository, &right, 5),
        ("nobody listens", &nobody, &right, 6),
    ];
    let mut sentences = String::new();
    for (case, url, login, code) in cases {
        let mut variables = vec![("PIPELINE_URL", url)];
        variables.extend(login);
        let ended = start(&variables);
        assert_eq!(ended.code(), code, "{case}: {}", ended.stderr);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains("s3cret") && !all.contains(PASSWORD), "{case} shows one:\n{all}");
        let said = errors(&ended).replace(&host, "registry:5000").replace(&closed, "closed:5000");
        writeln!(sentences, "{case}, exit code {code}\n{said}").unwrap();
    }
    golden("pull_refused.txt", &sentences);
}

/// A port that nobody listens on: it was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_blob_that_was_changed_is_noticed_by_its_digest() {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture("pipelines/fraud.yaml"), layout.path());
    let blob = largest(&layout.path().join("blobs/sha256"));
    let mut bytes = std::fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let ended = start(&[("PIPELINE_URL", &published.pipeline_url)]);
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert!(ended.stderr.contains("digest"), "{}", ended.stderr);
}

fn largest(directory: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

/// The publisher refuses them with the engine's own runtime, so none of them reaches a device.
#[test]
fn models_that_do_not_load_are_refused_at_publishing() {
    let mut sentences = String::new();
    for model in ["not_onnx", "truncated", "unknown_operator", "missing_output", "division_by_zero"]
    {
        let layout = tempfile::tempdir().unwrap();
        let directory = layout.path().join("layout");
        let model_file = fixture(&format!("models/broken/{model}.onnx"));
        let ended = run(ops().arg("publish").arg(model_file).arg("--layout").arg(&directory));
        assert_eq!(ended.code(), 3, "{model}: {}", ended.stderr);
        assert!(!directory.exists(), "{model} left something behind");
        writeln!(sentences, "{model}\n{}", errors(&ended)).unwrap();
    }
    golden("models_refused.txt", &sentences);
}

/// A model that another publisher let through does not load on the device either.
#[test]
fn an_engine_refuses_a_model_that_does_not_load() {
    let directory = tempfile::tempdir().unwrap();
    let file = fixture("models/broken/unknown_operator.onnx");
    let artifact = Artifact { pipeline: "p", model: "m", file: &file, fields: &[] };
    let ended = start(&[("PIPELINE_URL", &artifact.write(directory.path()))]);
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("FluxCapacitor"), "{}", ended.stderr);
    // A layer without annotations prints `null`, as the original does.
    assert!(ended.stdout.contains("  name: null\n"), "{}", ended.stdout);
}

#[test]
fn an_artifact_without_a_definition_and_without_one_onnx_file_is_refused() {
    let layout = by_hand(b"{}", &[(b"one", None), (b"two", None)]);
    let ended = start(&[("PIPELINE_URL", &layout.url)]);
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("no pipeline definition"), "{}", ended.stderr);
}
