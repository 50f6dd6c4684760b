//! Drift from real engines' logs: the index is numpy's, of files in each form and of a window, by edge and by time.

use crate::dashboard::signed_in;
use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::founded::Center;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::publishing::{Author, edge_variables, until};
use crate::support::python::{RECORDS, python, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rows of what is sent at once.
const ROWS: u64 = 1000;

struct Stage {
    center: Center,
    engines: Vec<Engine>,
    pipeline: i64,
    home: tempfile::TempDir,
}

impl Stage {
    /// An ops center with a pipeline, and two edges that run it.
    fn start() -> Stage {
        let center = Center::start_with(&["--report-seconds", "1"]);
        let home = tempfile::tempdir().unwrap();
        let author = Author::of(&center);
        let saved = author.save("fraud", "fraud.onnx");
        let publish = author.published(saved.id);
        let engine = |name: &str| {
            let added = author.add_edge(&publish, name);
            Engine::start_in(&home.path().join(name), &edge_variables(&added))
        };
        let engines = vec![engine("till-1"), engine("till-2")];
        Stage { engines, pipeline: saved.pipeline, center, home }
    }

    fn infer(&self, engine: usize, body: &Path) {
        let body = format!("@{}", body.display());
        let content_type = format!("Content-Type: {RECORDS}");
        let arguments = ["-H", &content_type, "--data-binary", &body];
        let answer = self.engines[engine].curl("/infer", &arguments);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let mut body = body;
        if body["id"].is_null() {
            body["pipeline_id"] = self.pipeline.into();
        }
        self.center.post(&format!("/v1/api/drift/{path}"), &body).ok()
    }

    /// How far it is, once all that came is counted.
    fn drift(&self, id: &Value, edge: Option<&str>, rows: u64) -> Value {
        until(|| {
            let found = self.post("get", json!({ "id": id, "edge": edge }));
            let is_counted = found["behind_frames"] == 0 && found["rows"] == rows;
            is_counted.then_some(found)
        })
    }

    fn script(&self, arguments: &[&OsStr]) -> String {
        run(Command::new(python()).arg(fixture("drift.py")).args(arguments)).success().stdout
    }

    /// What numpy has for each column.
    fn by_numpy(&self, base: &Path, edge: Option<&str>) -> BTreeMap<String, f64> {
        let logs = self.path("logs.parquet");
        self.command(&["export-logs", "fraud", "--output", logs.to_str().unwrap()]);
        let mut arguments = vec!["psi".as_ref(), base.as_os_str(), logs.as_os_str()];
        arguments.extend(edge.map(OsStr::new));
        serde_json::from_str(&self.script(&arguments)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> String {
        let mut command = ops();
        command.args(arguments).env("POTOROO_OPS_URL", self.center.url(""));
        run(command.env("POTOROO_OPS_TOKEN", &self.center.token)).success().stdout
    }
}

fn told(drift: &Value) -> BTreeMap<String, f64> {
    let columns = drift["columns"].as_array().unwrap().iter();
    let named = columns.filter_map(|column| {
        Some((column["column"].as_str()?.to_owned(), column["psi"].as_f64()?))
    });
    named.collect()
}

#[track_caller]
fn agree(told: &BTreeMap<String, f64>, wanted: &BTreeMap<String, f64>) {
    assert!(
        !wanted.is_empty() && wanted.keys().all(|name| told.contains_key(name)),
        "{told:?} {wanted:?}"
    );
    for (name, wanted) in wanted {
        let found = told[name];
        // All elements of the lists together are more values than a baseline's sample has.
        let most = if name == "in.features" { 0.02 } else { 1e-9 };
        assert!((found - wanted).abs() < most, "{name}: {found}, by numpy {wanted}");
    }
}

#[test]
fn the_index_is_that_of_numpy_of_files_and_of_a_window_and_of_each_edge() {
    let stage = Stage::start();
    let rows = request("fraud_1000.json");
    let moved = stage.path("moved.json");
    stage.script(&["rows".as_ref(), rows.as_os_str(), moved.as_os_str()]);
    stage.script(&["files".as_ref(), rows.as_os_str(), stage.home.path().as_os_str()]);
    let base = stage.path("base.json");

    // What edges infer as the baseline has it.
    stage.infer(0, &rows);
    let mut made = Vec::new();
    for form in ["json", "csv", "parquet", "arrow"] {
        let file = stage.path(&format!("base.{form}"));
        let said = stage.command(&[
            "drift",
            "baseline",
            "fraud",
            "--name",
            form,
            "--file",
            file.to_str().unwrap(),
            "--json",
        ]);
        let baseline: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(baseline["rows"], ROWS, "{form}");
        let drift = stage.drift(&baseline["id"], None, ROWS);
        let found = told(&drift);
        agree(&found, &stage.by_numpy(&base, None));
        assert!(found.values().all(|psi| *psi < 0.01), "nothing moved: {found:?}");
        made.push((baseline["id"].clone(), found));
    }
    assert!(made.windows(2).all(|pair| pair[0].1 == pair[1].1), "each form has the same columns");

    // Of a window, with the outputs.
    let window = stage.post("create_baseline", json!({ "name": "first-hour" }));
    let window_base = stage.path("window.parquet");
    stage.command(&["export-logs", "fraud", "--output", window_base.to_str().unwrap()]);

    // Another edge infers something else.
    stage.infer(1, &moved);
    stage.infer(1, &moved);
    let all = stage.drift(&window["id"], None, 3 * ROWS);
    let found = told(&all);
    agree(&found, &stage.by_numpy(&window_base, None));
    assert!(found.keys().any(|name| name.starts_with("out.")), "{found:?}");
    let columns = all["columns"].as_array().unwrap();
    let moved = columns.iter().find(|it| it["column"] == "in.features[0]").unwrap();
    assert_eq!(moved["level"], "significant", "{moved}");
    for (edge, rows) in [("till-1", ROWS), ("till-2", 2 * ROWS)] {
        let drift = stage.drift(&window["id"], Some(edge), rows);
        agree(&told(&drift), &stage.by_numpy(&window_base, Some(edge)));
    }
    assert_eq!(all["edges"][0]["edge"], "till-2");
    assert!(
        all["edges"][0]["psi"].as_f64() > Some(0.25) && all["edges"][1]["psi"].as_f64() < Some(0.1)
    );
    let points = moved["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|it| it["values"].as_u64().unwrap()).sum::<u64>(), 3 * ROWS);

    // No page grows with what is logged, and each says what it is about.
    let (browser, _) = signed_in(&stage.center);
    for (path, words) in [
        ("/pipelines/1/logs", "Earlier"),
        ("/edges/till-2", "Latency"),
        ("/pipelines/1/drift", "in.features[0]"),
        (
            "/pipelines/1/drift?edge=till-2&column=out.fraud_probability",
            "How its values are spread",
        ),
    ] {
        let page = browser.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(words), "{path}: {}", page.text());
        assert!(page.body.len() < 100_000, "{path} has {} bytes", page.body.len());
    }

    // In a person's words, and gone when it is to go.
    let shown = stage.command(&["drift", "show", "fraud", "--baseline", "first-hour"]);
    assert!(shown.contains("in.features[0]") && shown.contains("significant"), "{shown}");
    let listed = stage.command(&["drift", "list", "fraud"]);
    assert_eq!(listed.lines().count(), 6, "{listed}");
    stage.command(&["drift", "remove", &window["id"].to_string()]);
    let gone = json!({ "id": window["id"] });
    assert_eq!(stage.center.post("/v1/api/drift/get", &gone).status, 404);

    // A kill in between counts nothing twice.
    let id = made[0].0.clone();
    let center = stage.center.killed_and_started();
    let stage = Stage { center, ..stage };
    stage.drift(&id, None, 3 * ROWS);
}

#[test]
fn a_baseline_comes_by_a_form_without_a_script_if_the_token_comes_before_it() {
    let center = Center::start();
    let author = Author::of(&center);
    author.save("fraud", "fraud.onnx");
    let (browser, csrf) = signed_in(&center);
    let send = |token: &str, file: &str| {
        let part = |name: &str, value: &str| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = part("file\"; filename=\"training.csv", file);
        let body =
            [part("csrf_token", token), part("pipeline", "1"), part("name", "training"), file];
        let body = body.concat() + "--edge--\r\n";
        browser.send(
            "POST",
            "/drift/baselines",
            "multipart/form-data; boundary=edge",
            body.as_bytes(),
        )
    };
    for token in ["", "wrong"] {
        assert_eq!(send(token, "x\n1\n").status, 403, "{token:?}");
    }
    let refused = send(&csrf, "time\n");
    assert_eq!(refused.status, 422, "{}", refused.text());
    let sent = send(&csrf, "amount,kind\n1.5,a\n2.5,b\n");
    assert_eq!(sent.header("Location"), Some("/pipelines/1/drift?baseline=1"), "{}", sent.text());
    let page = browser.get("/pipelines/1/drift").text();
    assert!(
        page.contains("the file training.csv") && page.contains("Nothing was inferred"),
        "{page}"
    );
    let refused = send(&csrf, "amount\n1\n");
    assert_eq!(refused.status, 409, "a name is given once: {}", refused.text());
    let fields = [("csrf_token", csrf.as_str()), ("name", "empty")];
    let refused = browser.form("/pipelines/1/drift/window", &fields);
    assert_eq!(refused.status, 422, "{}", refused.text());
    let fields = [("csrf_token", csrf.as_str()), ("baseline", "1")];
    assert_eq!(browser.form("/pipelines/1/drift/remove", &fields).status, 303);
    assert!(browser.get("/pipelines/1/drift").text().contains("No baseline yet"));
}

#[test]
fn an_edge_is_told_to_run_another_publish_from_its_page() {
    let center = Center::start();
    let author = Author::of(&center);
    let first = author.published(author.save("fraud", "fraud.onnx").id);
    let second = author.published(author.save("fraud", "fraud.onnx").id);
    author.add_edge(&first, "till-1");
    let (browser, csrf) = signed_in(&center);
    let page = browser.get("/edges/till-1").text();
    assert!(page.contains("Run another publish") && page.contains("start a rollout"), "{page}");
    let id = second["id"].to_string();
    let fields = [("csrf_token", csrf.as_str()), ("publish", id.as_str())];
    let sent = browser.form("/edges/till-1/assign", &fields);
    assert_eq!((sent.status, sent.header("Location")), (303, Some("/edges/till-1")));
    let assignments = author.post("edges/assignments", &json!({ "name": "till-1" })).ok();
    assert_eq!(assignments["assignments"][0]["publish_id"], second["id"]);
    let unknown = [("csrf_token", csrf.as_str()), ("publish", "99")];
    assert_eq!(browser.form("/edges/till-1/assign", &unknown).status, 404);
}
