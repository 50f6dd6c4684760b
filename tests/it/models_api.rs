//! Models of the ops center: uploaded by curl and Python, checked at once, and refused by name.

use crate::support::center::{Center, TOKEN, problem, upload, version_id};
use crate::support::fixture;
use crate::support::process::run;
use crate::support::python::python;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

fn sha256(file: &Path) -> String {
    let ended = run(Command::new("sha256sum").arg(file)).success();
    ended.stdout.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_uploaded_model_is_checked_and_described() {
    let center = Center::start();
    let file = fixture("models/fraud.onnx");
    let version = center.checked("fraud", &file);
    assert_eq!(version["status"], "ready", "{version}");
    assert_eq!(version["sha"], sha256(&file));
    assert_eq!(version["file_name"], "fraud.onnx");
    let facts = &version["facts"];
    assert_eq!(facts["inputs"][0]["type"], "float", "{facts}");
    assert!(facts["outputs"][0]["name"].is_string(), "{facts}");
    assert_eq!(facts["unsupported"], json!([]));
    for number in ["parameters", "peak_memory_bytes", "latency_us"] {
        assert!(facts[number].as_f64().is_some_and(|number| number > 0.0), "{number} in {facts}");
    }
    let models = center.ok("models/list", &json!({ "workspace_id": center.workspace }));
    assert_eq!(models["models"][0]["name"], "fraud", "{models}");
    let asked = json!({ "model_id": "fraud", "models_pk_id": models["models"][0]["id"] });
    let versions = center.ok("models/list_versions", &asked);
    assert_eq!(versions[0]["model_version"], version["model_version"], "{versions}");
    let by_uuid = center.ok("models/get_version", &json!({ "version": version["model_version"] }));
    assert_eq!(by_uuid["id"], version["id"]);
}

#[test]
fn python_uploads_as_the_originals_sdk_does_whichever_part_comes_first() {
    let center = Center::start();
    for first in ["metadata", "file"] {
        let mut command = Command::new(python());
        command.arg(fixture("upload.py")).args([&center.url, TOKEN]);
        command.args([&center.workspace.to_string(), "fraud"]).arg(fixture("models/fraud.onnx"));
        let printed = run(command.arg(first)).success().stdout;
        let (status, body) = printed.split_once('\n').unwrap();
        assert_eq!(status, "200", "{body}");
        let version = center.wait_for(version_id(&serde_json::from_str(body).unwrap()));
        assert_eq!(
            (&version["status"], &version["file_name"]),
            (&json!("ready"), &json!("fraud.onnx"))
        );
    }
    assert_eq!(center.blobs().len(), 1, "identical files are stored once");
}

#[test]
fn a_file_as_the_whole_body_is_a_model_too() {
    let center = Center::start();
    let path = format!(
        "models/upload_stream?name=fraud&filename=a%20b.onnx&workspace_id={}",
        center.workspace
    );
    let body = format!("@{}", fixture("models/fraud.onnx").display());
    for how in ["Content-Length", "Transfer-Encoding: chunked"] {
        let mut arguments = vec!["-X", "POST", "--data-binary", &body];
        if how.ends_with("chunked") {
            arguments.extend(["-H", how]);
        }
        let answer = center.curl(&path, &arguments);
        assert_eq!(answer.status, 200, "{how}: {}", answer.body);
        let version = center.wait_for(version_id(&answer.json()));
        assert_eq!(version["file_name"], "a b.onnx");
        assert_eq!(version["status"], "ready", "{version}");
    }
}

#[test]
fn what_does_not_load_is_an_error_with_its_reasons() {
    let center = Center::start();
    let version = center.checked("odd", &fixture("models/broken/unknown_operator.onnx"));
    assert_eq!(version["status"], "error", "{version}");
    let missing = &version["facts"]["unsupported"][0];
    assert!(
        missing["operator"].is_string() && !missing["nodes"].as_array().unwrap().is_empty(),
        "{version}"
    );
    let version = center.checked("noise", &fixture("models/broken/not_onnx.onnx"));
    assert_eq!(version["status"], "error");
    assert!(version["error"].as_str().unwrap().contains("not an ONNX model"), "{version}");
    let versions = [center.checked("cut", &fixture("models/broken/truncated.onnx"))];
    assert_eq!(versions[0]["status"], "error");
    assert_eq!(center.checked("fraud", &fixture("models/fraud.onnx"))["status"], "ready");
}

#[test]
fn a_restart_in_the_middle_of_a_check_checks_again() {
    let mut center = Center::start();
    let ids = ["a", "b", "c"].map(|name| center.upload(name, &fixture("models/vision.onnx")));
    center.kill_and_start();
    for id in ids {
        assert_eq!(center.wait_for(id)["status"], "ready");
    }
}

#[test]
fn two_uploads_of_one_file_at_once_are_two_versions_of_one_blob() {
    let center = Center::start();
    let (url, workspace) = (&center.url, center.workspace);
    let one = || upload(url, workspace, "vision", &fixture("models/vision.onnx"));
    let ids: Vec<i64> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        uploads.into_iter().map(|upload| version_id(&upload.join().unwrap().json())).collect()
    });
    let mut uuids: Vec<Value> =
        ids.iter().map(|id| center.wait_for(*id)["model_version"].clone()).collect();
    uuids.sort_by_key(Value::to_string);
    uuids.dedup();
    assert_eq!(uuids.len(), 4);
    assert_eq!(center.blobs().len(), 1);
    assert_eq!(center.litter(), [""; 0]);
}

#[test]
fn what_cannot_be_uploaded_is_refused_by_name_and_leaves_nothing() {
    let center = Center::start();
    let file = format!("file=@{}", fixture("models/fraud.onnx").display());
    let metadata = |json: Value| format!("metadata={json};type=application/json");
    let good = json!({ "name": "fraud", "workspace_id": center.workspace });
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        metadata(changed)
    };
    let empty = format!("file=@{};filename=x", "/dev/null");
    let long = "x".repeat(64);
    let cases: Vec<(Vec<String>, u16, &str, &str)> = vec![
        (
            vec![with("name", json!("Fraud")), file.clone()],
            400,
            "name",
            "`Fraud` cannot be the name",
        ),
        (vec![with("name", json!(long)), file.clone()], 400, "name", "cannot be the name"),
        (vec![with("workspace_id", json!(99)), file.clone()], 404, "unknown", "no workspace 99"),
        (vec![with("visibility", json!("secret")), file.clone()], 400, "metadata", "visibility"),
        (
            vec![with("conversion", json!({ "framework": "keras" })), file.clone()],
            400,
            "metadata",
            "`keras`",
        ),
        (
            vec![metadata(json!({ "name": "fraud" })), file.clone()],
            400,
            "metadata",
            "`workspace_id` is missing",
        ),
        (vec![metadata(good.clone())], 400, "multipart", "no part `file`"),
        (vec![file.clone()], 400, "metadata", "`name` is missing"),
        (vec!["metadata=no json".into(), file.clone()], 400, "metadata", "not the JSON"),
        (
            vec![metadata(good.clone()), file.clone(), file.clone()],
            400,
            "multipart",
            "two parts `file`",
        ),
        (vec![metadata(good.clone()), empty], 400, "empty", "the file is empty"),
    ];
    for (parts, status, kind, part) in cases {
        let arguments: Vec<&str> = parts.iter().flat_map(|part| ["-F", part]).collect();
        let found = problem(&center.curl("models/upload", &arguments), status);
        assert!(found.0 == kind && found.1.contains(part), "{parts:?} gave {found:?}");
    }
    let found = problem(&center.curl("models/upload", &["-d", "{}"]), 415);
    assert_eq!(found.0, "multipart");
    assert_eq!((center.blobs().len(), center.litter().len()), (0, 0));
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let center = Center::start();
    let address = center.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let path = format!("/v1/api/models/upload_stream?name=fraud&workspace_id={}", center.workspace);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[7; 500_000]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!((center.blobs().len(), center.litter().len()), (0, 0));
}

#[test]
fn nobody_else_sees_or_changes_the_models_of_a_workspace() {
    let center = Center::start();
    let version = center.checked("fraud", &fixture("models/fraud.onnx"));
    let stranger = center.new_user("2");
    let id = &version["id"];
    let asked = [
        ("models/list", json!({ "workspace_id": center.workspace })),
        ("models/list_versions", json!({ "models_pk_id": version["models_pk_id"] })),
        ("models/get_version", json!({ "id": id })),
        ("models/get_version", json!({ "version": version["model_version"] })),
        ("models/get_config_by_id", json!({ "model_id": id })),
        ("models/insert_model_config", json!({ "model_version_id": id })),
        ("uploads", json!({ "workspace_id": center.workspace, "name": "fraud" })),
    ];
    for (path, body) in asked {
        problem(&center.post_as(&stranger, path, &body), 404);
        problem(&center.post_as("no-token", path, &body), 401);
    }
}

#[test]
fn settings_of_a_model_are_kept_and_held_against_its_inputs() {
    let center = Center::start();
    let version = center.checked("pair", &fixture("models/two_in_two_out.onnx"));
    let id = &version["id"];
    let config = center.ok("models/get_config_by_id", &json!({ "model_id": id }));
    assert_eq!(config["model_config"]["runtime"], "onnx");
    let fields =
        json!({ "model_version_id": id, "tensor_fields": ["x", "y"], "batch_config": "single" });
    center.ok("models/insert_model_config", &fields);
    let config = center.ok("models/get_config_by_id", &json!({ "model_id": id }));
    assert_eq!(config["model_config"]["tensor_fields"], json!(["x", "y"]));
    assert_eq!(config["model_config"]["batch_config"], "single");
    let wrong = json!({ "model_version_id": id, "tensor_fields": ["x"] });
    let found = center.refused("models/insert_model_config", &wrong, 400);
    assert!(found.1.contains("1 tensor_fields for the 2 inputs"), "{found:?}");
}

#[test]
fn an_upload_in_parts_goes_on_after_a_cut_and_a_restart() {
    let mut center = Center::start();
    let file = fixture("models/vision.onnx");
    let bytes = std::fs::read(&file).unwrap();
    let (total, half) = (bytes.len(), bytes.len() / 2);
    let directory = tempfile::tempdir().unwrap();
    let part = |from: usize, to: usize| {
        let path = directory.path().join(format!("{from}-{to}"));
        std::fs::write(&path, &bytes[from..to]).unwrap();
        format!("@{}", path.display())
    };
    let begun = json!({ "workspace_id": center.workspace, "name": "vision", "size_bytes": total });
    let id = center.ok("uploads", &begun)["id"].as_str().unwrap().to_owned();
    let put = |center: &Center, range: &str, body: &str| {
        let range = format!("Content-Range: {range}");
        center.curl(&format!("uploads/{id}"), &["-X", "PUT", "-H", &range, "--data-binary", body])
    };
    let first = put(&center, &format!("bytes 0-{}/{total}", half - 1), &part(0, half));
    assert_eq!(first.json()["received_bytes"], half, "{}", first.body);
    let again = put(&center, &format!("bytes 0-{}/{total}", half - 1), &part(0, half));
    assert!(problem(&again, 409).1.contains(&format!("has {half} bytes so far")));
    let wrong = put(&center, "bytes 1-2/x", &part(0, half));
    assert_eq!(problem(&wrong, 400).0, "range");
    let more = put(&center, &format!("bytes {half}-{total}/{}", total + 1), &part(half, total));
    problem(&more, 400);
    let found = center.refused(&format!("uploads/{id}/finish"), &json!({}), 409);
    assert!(found.1.contains("send the rest first"), "{found:?}");
    center.kill_and_start();
    let state = center.curl(&format!("uploads/{id}"), &[]).json();
    assert_eq!(state["received_bytes"], half, "{state}");
    let rest = put(&center, &format!("bytes {half}-{}/{total}", total - 1), &part(half, total));
    assert_eq!(rest.json()["received_bytes"], total, "{}", rest.body);
    let finished = center.ok(&format!("uploads/{id}/finish"), &json!({ "sha256": sha256(&file) }));
    let repeated = center.ok(&format!("uploads/{id}/finish"), &json!({}));
    assert_eq!(version_id(&finished), version_id(&repeated), "a lost answer costs nothing");
    let version = center.wait_for(version_id(&finished));
    assert_eq!((&version["status"], &version["sha"]), (&json!("ready"), &json!(sha256(&file))));
    assert_eq!(center.litter(), [""; 0]);
}

#[test]
fn an_upload_of_other_bytes_than_its_digest_is_gone() {
    let center = Center::start();
    let begun = json!({ "workspace_id": center.workspace, "name": "fraud" });
    let id = center.ok("uploads", &begun)["id"].as_str().unwrap().to_owned();
    let put = ["-X", "PUT", "-H", "Content-Range: bytes 0-3/*", "-d", "abcd"];
    assert_eq!(center.curl(&format!("uploads/{id}"), &put).status, 200);
    let sha = json!({ "sha256": "0".repeat(64) });
    let found = center.refused(&format!("uploads/{id}/finish"), &sha, 400);
    assert_eq!(found.0, "sha256", "{found:?}");
    problem(&center.curl(&format!("uploads/{id}"), &[]), 404);
    assert_eq!((center.blobs().len(), center.litter().len()), (0, 0));
}

#[test]
fn a_stranger_has_no_part_in_an_upload_and_its_owner_can_take_it_away() {
    let center = Center::start();
    let begun = json!({ "workspace_id": center.workspace, "name": "fraud" });
    let id = center.ok("uploads", &begun)["id"].as_str().unwrap().to_owned();
    let stranger = center.new_user("2");
    problem(&center.post_as(&stranger, &format!("uploads/{id}/finish"), &json!({})), 404);
    assert_eq!(center.curl(&format!("uploads/{id}"), &["-X", "DELETE"]).status, 200);
    problem(&center.curl(&format!("uploads/{id}"), &[]), 404);
    problem(&center.curl("uploads/..%2f..%2flock", &[]), 404);
    assert_eq!(center.litter(), [""; 0]);
}
