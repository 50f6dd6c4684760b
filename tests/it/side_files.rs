//! Models with weights in files beside them, published to a real registry and served from it.

use crate::support::engine::{Engine, curl};
use crate::support::fixture;
use crate::support::founded::Center;
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::run;
use crate::support::publishing::{Author, until};
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

/// `potoroo-ops` as the administrator of a center.
fn at(center: &Center, arguments: &[&str]) -> Command {
    let mut command = ops();
    command.env("POTOROO_OPS_URL", center.url("")).env("POTOROO_OPS_TOKEN", &center.token);
    command.args(arguments);
    command
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn models_that_an_ops_center_was_given_with_their_files_are_served_with_them() {
    let (folder, expected) = made();
    let center = Center::start();
    for name in ["one", "two"] {
        let file = folder.path().join(name).join("net.onnx");
        let arguments = ["model", "upload", text(&file), "--name", name, "--json"];
        let version = run(&mut at(&center, &arguments)).success().stdout;
        let version: Value = serde_json::from_str(&version).unwrap();
        assert_eq!(version["status"], "ready", "{version}");
        let locations = version["side_files"].as_array().unwrap().iter();
        let locations: Vec<_> = locations.map(|file| file["location"].as_str().unwrap()).collect();
        assert_eq!(locations, ["first.bin", "parts/second.bin"]);
    }
    let recipe = folder.path().join("pipeline.yaml");
    run(&mut at(&center, &["pipeline", "create", text(&recipe)])).success();
    run(&mut at(&center, &["publish", "start", "trained"])).success();
    let publish = Author::of(&center).status(1);
    assert_eq!(publish["status"], "Published", "{publish}");
    let home = tempfile::tempdir().unwrap();
    let variables = [
        ("PIPELINE_URL", publish["pipeline_url"].as_str().unwrap()),
        ("OCI_USERNAME", "anyone"),
        ("OCI_PASSWORD", center.token.as_str()),
    ];
    assert_as_onnxruntime(&Engine::start_in(home.path(), &variables), &expected);
}

/// Uploads a model in one body with these further parts; gives what its check came to.
fn uploaded(center: &Center, file: &Path, further: &[String]) -> Value {
    let metadata = json!({ "name": "net", "workspace_id": center.workspace });
    let mut parts = vec![format!("metadata={metadata}"), format!("file=@{}", file.display())];
    parts.extend_from_slice(further);
    let bearer = format!("Authorization: Bearer {}", center.token);
    let mut arguments = vec!["-H", bearer.as_str()];
    arguments.extend(parts.iter().flat_map(|part| ["-F", part]));
    let answer = curl(&center.url("/v1/api/models/upload"), &arguments);
    if answer.status != 200 {
        return answer.json();
    }
    let id = answer.json()["insert_models"]["returning"][0]["models"][0]["id"].clone();
    until(|| {
        let version = center.post("/v1/api/models/get_version", &json!({ "id": id })).ok();
        (version["status"] != "attempting_load_native").then_some(version)
    })
}

#[test]
fn one_body_may_have_the_files_beside_a_model_and_is_told_which_are_missing() {
    let (folder, _) = made();
    let center = Center::start();
    let one = folder.path().join("one");
    let net = one.join("net.onnx");
    let side = |field: &str, file: &str, location: &str| {
        format!("{field}=@{};filename={location}", one.join(file).display())
    };
    let first = side("side_file", "first.bin", "first.bin");
    let second = side("side_file", "parts/second.bin", "parts/second.bin");
    let version = uploaded(&center, &net, &[first.clone(), second.clone()]);
    assert_eq!(version["status"], "ready", "{version}");
    // As a form's one field for several files sends them.
    let as_file = [side("file", "first.bin", "first.bin"), second.clone()];
    assert_eq!(uploaded(&center, &net, &as_file)["status"], "ready");
    let version = uploaded(&center, &net, std::slice::from_ref(&first));
    assert_eq!(version["status"], "error", "{version}");
    let error = version["error"].as_str().unwrap();
    assert!(error.contains("parts/second.bin"), "{error}");
    for (further, part) in [
        (vec![first.clone(), first.clone()], "`first.bin`: send each once"),
        (vec![side("side_file", "first.bin", "../first.bin")], "relative path"),
    ] {
        let refused = uploaded(&center, &net, &further);
        assert!(refused["msg"].as_str().is_some_and(|msg| msg.contains(part)), "{refused}");
    }
}

#[test]
fn a_model_is_not_finished_before_the_files_beside_it_are_nor_taken_away_what_it_names() {
    let (folder, _) = made();
    let center = Center::start();
    let net = std::fs::read(folder.path().join("one/net.onnx")).unwrap();
    let begun = |name: &str, beside: Option<&Value>| {
        let order = json!({
            "workspace_id": center.workspace, "name": "net", "filename": name, "beside": beside,
        });
        center.post("/v1/api/uploads", &order).json()["id"].clone()
    };
    let sent = |id: &Value, bytes: &[u8]| {
        let range = format!("bytes 0-{}/{}", bytes.len() - 1, bytes.len());
        let client = center.client().with("Content-Range", &range);
        let path = format!("/v1/api/uploads/{}", id.as_str().unwrap());
        client.send("PUT", &path, "application/octet-stream", bytes).ok();
    };
    let finished = |id: &Value| {
        let path = format!("/v1/api/uploads/{}/finish", id.as_str().unwrap());
        center.post(&path, &json!({}))
    };
    let model = begun("net.onnx", None);
    sent(&model, &net);
    let first = begun("first.bin", Some(&model));
    let refused = finished(&model);
    assert_eq!(refused.status, 409, "{}", refused.text());
    sent(&first, b"four bytes and more");
    let told = finished(&first).ok();
    assert_eq!(told["side_files"][0]["location"], "first.bin", "{told}");

    // The blob of an upload under way is named by it, and garbage once that is given up.
    let collected = || center.post("/v1/api/garbage/collect", &json!({})).ok()["blobs"].clone();
    assert_eq!(collected(), 0);
    let path = format!("/v1/api/uploads/{}", model.as_str().unwrap());
    center.client().send("DELETE", &path, "application/json", b"").ok();
    assert_eq!((collected(), collected()), (json!(1), json!(0)));
}
