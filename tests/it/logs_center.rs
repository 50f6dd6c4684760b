//! Logs from real engines at a real ops center: what was answered is what is told, once, in every form.

use crate::support::engine::Engine;
use crate::support::founded::{Center, Reply};
use crate::support::link_proxy::{LinkProxy, Luck};
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::publishing::{Author, Saved, edge_variables, until};
use crate::support::python::{ARROW, RECORDS, python, request};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// An ops center behind a link that stays where it is, a pipeline there, and an edge that runs it.
struct Stage {
    proxy: LinkProxy,
    center: Center,
    pipeline: i64,
    engine: Option<Engine>,
    home: tempfile::TempDir,
    /// The edge's bundle and login.
    variables: [(&'static str, String); 3],
}

impl Stage {
    fn start() -> Stage {
        Stage::start_with(|author| author.save("fraud", "fraud.onnx"))
    }

    /// With the pipeline that is saved so.
    fn start_with(save: impl Fn(&Author) -> Saved) -> Stage {
        let proxy = LinkProxy::start(|_| Luck::Good);
        let home = tempfile::tempdir().unwrap();
        let mut center = Center::behind(&proxy, &home.path().join("data"));
        center.first_run();
        let author = Author::of(&center);
        let saved = save(&author);
        let publish = author.published(saved.id);
        let added = author.add_edge(&publish, "till-7");
        let variables = edge_variables(&added).map(|(name, value)| (name, value.to_owned()));
        let pipeline = saved.pipeline;
        let mut stage = Stage { proxy, center, pipeline, engine: None, home, variables };
        stage.start_engine();
        stage
    }

    /// Starts the engine over what it kept.
    fn start_engine(&mut self) {
        let variables = self.variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.engine = Some(Engine::start_in(&self.home.path().join("edge"), &variables));
    }

    /// Kills the ops center and starts it again over its data.
    fn kill_center(&mut self) {
        self.proxy.lead_to(None);
        self.center.process.signal("KILL");
        let mut next = Center::behind(&self.proxy, &self.center.data);
        (next.token, next.workspace) = (self.center.token.clone(), self.center.workspace);
        self.center = next;
    }

    /// The rows that the engine answers with, in the later form.
    fn infer(&self, body: &str) -> Vec<Value> {
        let engine = self.engine.as_ref().unwrap();
        let body = format!("@{}", request(body).display());
        let content_type = format!("Content-Type: {RECORDS}");
        let arguments = ["-H", &content_type, "--data-binary", &body];
        let answer = engine.curl("/infer", &arguments);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json().as_array().unwrap().clone()
    }

    fn page(&self, path: &str, mut asked: Value) -> Reply {
        asked["pipeline_id"] = self.pipeline.into();
        self.center.post(&format!("/v1/api/pipelines/{path}"), &asked)
    }

    /// All rows, the earliest first, page by page.
    fn rows(&self, page_size: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let asked = json!({ "order": "asc", "page_size": page_size, "cursor": cursor });
            let page = self.page("get_logs", asked);
            rows.extend(page.ok().as_array().unwrap().iter().cloned());
            match page.header("x-iteration-cursor") {
                Some(next) => cursor = next.into(),
                None => return rows,
            }
        }
    }

    fn rows_when(&self, count: usize) -> Vec<Value> {
        until(|| Some(self.rows(10_000)).filter(|rows| count <= rows.len()))
    }

    fn command(&self, arguments: &[&str]) -> String {
        let mut command = ops();
        command.args(arguments).env("POTOROO_OPS_URL", self.center.url(""));
        run(command.env("POTOROO_OPS_TOKEN", &self.center.token)).success().stdout
    }

    fn python(&self, script: &str, arguments: &[&Path]) -> Value {
        let mut command = Command::new(python());
        command.args(["-c", script]).args(arguments);
        serde_json::from_str(&run(&mut command).success().stdout).unwrap()
    }
}

/// A row without what the ops center says of where it comes from.
fn plain(row: &Value) -> Value {
    let mut row = row.clone();
    for key in ["partition", "time_source"] {
        row["metadata"].as_object_mut().unwrap().remove(key);
    }
    row
}

/// What pandas makes of a file: its columns, how many rows, and the sum of all outputs.
const READ: &str = r#"
import json, sys
import numpy as np, pandas as pd, pyarrow as pa
path = sys.argv[1]
if path.endswith(".parquet"):
    frame = pd.read_parquet(path)
elif path.endswith(".arrow"):
    frame = pa.ipc.open_file(path).read_all().to_pandas()
else:
    frame = pd.read_csv(path)
lists = lambda name: [json.loads(one) if isinstance(one, str) else list(one) for one in frame[name]]
outs = [name for name in frame if name.startswith("out.")]
total = sum(float(np.sum(np.asarray(lists(name), dtype="float32").astype(float))) for name in outs)
print(json.dumps({"columns": list(frame), "rows": len(frame), "total": total,
                  "edges": sorted(set(frame["metadata.partition"])), "times": [int(t) for t in frame["time"]]}))
"#;

#[test]
fn what_an_engine_answered_is_what_the_ops_center_tells_in_every_form() {
    let stage = Stage::start();
    let mut answered: Vec<Value> = (0..5).flat_map(|_| stage.infer("fraud_1.json")).collect();
    answered.extend(stage.infer("fraud_1000.json"));
    let rows = stage.rows_when(answered.len());
    let told: Vec<Value> = rows.iter().map(plain).collect();
    let wanted: Vec<Value> = answered.iter().map(plain).collect();
    assert_eq!(told.len(), wanted.len());
    for (at, (told, wanted)) in told.iter().zip(&wanted).enumerate() {
        assert_eq!(told, wanted, "row {at}");
    }
    assert_eq!(rows[0]["metadata"]["partition"], "till-7");
    assert_eq!(rows[0]["metadata"]["time_source"], "device");
    assert_eq!(stage.rows(7), rows, "in small pages");
    let last = stage.page("get_logs", json!({ "page_size": 1 }));
    assert_eq!(last.header("x-iteration-status"), Some("RecordLimited"));
    assert_eq!(last.header("content-type"), Some(RECORDS));
    assert_eq!(last.ok()[0], rows[rows.len() - 1]);
    let until_first = json!({ "end_time": "2020-01-01T00:00:00Z" });
    assert_eq!(stage.page("get_logs", until_first).ok(), json!([]));
    assert_eq!(stage.page("get_log_losses", json!({})).ok(), json!({ "losses": [] }));

    // A part of it, flat, as the original's SDK asks.
    let query = "get_logs?dataset[]=time&dataset[]=out.fraud_probability&dataset.separator=.";
    let flat = stage.page(query, json!({ "page_size": 1 })).ok();
    let keys: Vec<&String> = flat[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["out.fraud_probability", "time"]);

    // The same as files, by the command.
    let out: Vec<f64> = answered
        .iter()
        .flat_map(|row| row["out"].as_object().unwrap().values())
        .flat_map(|list| list.as_array().unwrap())
        .map(|value| f64::from(value.as_f64().unwrap() as f32))
        .collect();
    let total: f64 = out.iter().sum();
    let mut columns = Value::Null;
    for format in ["parquet", "arrow", "csv"] {
        let file = stage.home.path().join(format!("logs.{format}"));
        let said = stage.command(&[
            "export-logs",
            "fraud",
            "--format",
            format,
            "--output",
            file.to_str().unwrap(),
        ]);
        assert!(said.starts_with("logs: "), "{said}");
        let read = stage.python(READ, &[&file]);
        assert_eq!(read["rows"], answered.len(), "{format}");
        assert!((read["total"].as_f64().unwrap() - total).abs() < 1e-3, "{format}: {read}");
        assert_eq!(read["edges"], json!(["till-7"]));
        let times: Vec<&Value> = rows.iter().map(|row| &row["time"]).collect();
        assert_eq!(read["times"].as_array().unwrap().iter().collect::<Vec<_>>(), times);
        if columns.is_null() {
            columns = read["columns"].clone();
        }
        assert_eq!(read["columns"], columns, "{format}");
    }
    let table = stage.command(&["logs", "fraud", "--limit", "3"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.lines().nth(1).unwrap().contains("till-7"), "{table}");
    let lines = stage.command(&["logs", "fraud", "--format", "json", "--limit", "2000"]);
    assert_eq!(lines.lines().count(), answered.len());

    // And by the Python package.
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/python");
    run(Command::new(python())
        .arg(tests.join("tests/test_logs.py"))
        .env_clear()
        .env("PYTHONPATH", tests.join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("POTOROO_OPS_URL", stage.center.url(""))
        .env("POTOROO_OPS_TOKEN", &stage.center.token)
        .env("POTOROO_TEST_ROWS", answered.len().to_string())
        .env("POTOROO_TEST_DIRECTORY", stage.home.path()))
    .success();
}

#[test]
fn an_arrow_page_has_the_columns_of_the_engines_own_answer() {
    let stage = Stage::start();
    stage.infer("fraud_1.json");
    stage.rows_when(1);
    let client = stage.center.client().with("Accept", ARROW);
    let page = client.post("/v1/api/pipelines/get_logs", &json!({ "pipeline_id": stage.pipeline }));
    assert_eq!((page.status, page.header("content-type")), (200, Some(ARROW)));
    let file = stage.home.path().join("page.arrow");
    std::fs::write(&file, &page.body).unwrap();
    let script = "import json, sys, pyarrow as pa; table = pa.ipc.open_file(sys.argv[1]).read_all(); \
                  print(json.dumps([table.column_names, json.loads(table.schema.metadata[b'status'])]))";
    let read = stage.python(script, &[&file]);
    assert_eq!(read[0], json!(["time", "in", "out", "anomaly", "metadata"]));
    assert_eq!(read[1], json!({ "status": "All", "next": {} }));
    // By the topic that the original's SDK goes by.
    stage.infer("fraud_1.json");
    let rows = stage.rows_when(2);
    let topic = format!("workspace-{}-pipeline-fraud-inference", stage.center.workspace);
    let path = format!("/v1/logs/topic/{topic}/records?page_size=1&order=asc");
    let first = stage.center.post(&path, &json!({}));
    let next = json!({ first.header("x-iteration-cursor").unwrap(): 0 });
    assert_eq!(first.ok(), json!([rows[0]]));
    let second = stage.center.post(&path, &next);
    assert_eq!(second.header("x-iteration-status"), Some("All"));
    assert_eq!(second.ok(), json!([rows[1]]));
    let other = "/v1/logs/topic/workspace-9-pipeline-fraud-inference/records";
    assert_eq!(stage.center.post(other, &json!({})).status, 404);
}

#[test]
fn a_kill_of_the_ops_center_at_any_moment_loses_and_doubles_nothing() {
    let mut stage = Stage::start();
    let mut answered = Vec::new();
    for round in 0..4 {
        for _ in 0..15 {
            answered.extend(stage.infer("fraud_1.json"));
        }
        // While some of it is on its way, or has just been taken in.
        if round % 2 == 0 {
            stage.rows_when(answered.len() / 2);
        }
        stage.kill_center();
    }
    let rows = stage.rows_when(answered.len());
    let told: Vec<Value> = rows.iter().map(plain).collect();
    let wanted: Vec<Value> = answered.iter().map(plain).collect();
    assert_eq!(told, wanted);
    assert_eq!(stage.page("get_log_losses", json!({})).ok(), json!({ "losses": [] }));
    // A backup has them, too.
    let file = stage.home.path().join("center.tar");
    let data = stage.home.path().join("restored");
    run(ops().arg("backup").arg(&file).arg("--data").arg(&stage.center.data)).success();
    run(ops().arg("restore").arg(&file).arg("--data").arg(&data)).success();
    let mut restored = Center::serve(&data, &[]);
    restored.token = stage.center.token.clone();
    stage.center = restored;
    assert_eq!(stage.rows(10_000), rows);
}

/// On a metered link: a stop closes a summary before its minute is over, and the next start sends it.
#[test]
fn an_edge_that_tells_counts_alone_sends_no_value_and_its_counts_are_exact() {
    let mut stage = Stage::start_with(|author| {
        author.upload("fraud.onnx");
        let recipe = "name: metered\nmodels: [{name: fraud}]\nsteps: [{model: fraud}]\n\
                      validations: [{name: unlikely, must_hold: 'out.fraud_probability[0] < 0.5'}]\n\
                      log: {summaries: true}\n";
        author.save_as(&json!({ "workspace_id": author.workspace, "recipe": recipe }))
    });
    let answered: Vec<Value> =
        ["fraud_1.json", "fraud_1000.json"].iter().flat_map(|body| stage.infer(body)).collect();
    let outputs = answered.iter().map(|row| row["out"]["fraud_probability"][0].as_f64().unwrap());
    let outputs: Vec<f64> = outputs.collect();
    let failed = outputs.iter().filter(|output| 0.5 <= **output).count();
    assert!(0 < failed && failed < answered.len(), "{failed}");
    let mut stopped = stage.engine.take().unwrap();
    stopped.process.signal("TERM");
    stage.start_engine();

    let told = until(|| {
        let told = stage.page("get_log_summaries", json!({})).ok()["summaries"].clone();
        (!told.as_array().unwrap().is_empty()).then_some(told)
    });
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    let told = &told[0];
    assert_eq!((&told["edge"], &told["inferences"]), (&json!("till-7"), &json!(2)), "{told}");
    assert_eq!((&told["rows"], &told["failures"]), (&json!(1001), &json!(failed)), "{told}");
    let spread = &told["columns"]["out.fraud_probability"];
    let least = outputs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = outputs.iter().sum::<f64>() / 1001.0;
    for (name, wanted) in [("min", least), ("max", most), ("mean", mean)] {
        let found = spread[name].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-6, "{name} is {found}, and {wanted} of the answers");
    }
    let shown = stage.command(&["logs", "metered", "--summaries"]);
    assert!(shown.contains("till-7") && shown.contains("out.fraud_probability"), "{shown}");
    assert_eq!(stage.rows(10_000), Vec::<Value>::new());
    assert_eq!(stage.page("get_log_losses", json!({})).ok(), json!({ "losses": [] }));
}

/// The image of an SD card is put back, or a volume is rolled back: the engine gives out numbers again
/// that it gave out before, for inferences that the ops center does not have.
#[test]
fn a_persistent_directory_that_is_put_back_loses_no_inference() {
    for is_away in [false, true] {
        let mut stage = Stage::start();
        let (edge, image) = (stage.home.path().join("edge"), stage.home.path().join("image"));
        let copy = |from: &Path, to: &Path| {
            let _ = std::fs::remove_dir_all(to);
            run(Command::new("cp").arg("-a").arg(from).arg(to)).success();
        };
        let mut answered = Vec::new();
        let mut infer = |stage: &Stage, count: usize| {
            (0..count).for_each(|_| answered.extend(stage.infer("fraud_1.json")));
            answered.len()
        };
        let stop = |stage: &mut Stage| stage.engine.take().unwrap().process.signal("TERM");
        let all = infer(&stage, 3);
        stage.rows_when(all);
        // The image has inferences, too, that the ops center has not.
        stage.proxy.lead_to(None);
        infer(&stage, 2);
        stop(&mut stage);
        copy(&edge, &image);
        stage.proxy.lead_to(Some(&stage.center.address));
        stage.start_engine();
        let all = infer(&stage, 4);
        stage.rows_when(all);
        stop(&mut stage);
        copy(&image, &edge);
        if is_away {
            stage.proxy.lead_to(None);
        }
        stage.start_engine();
        let all = infer(&stage, 5);
        if is_away {
            // One start more before the ops center is there again.
            stop(&mut stage);
            stage.start_engine();
            stage.proxy.lead_to(Some(&stage.center.address));
        }
        let told: Vec<Value> = stage.rows_when(all).iter().map(plain).collect();
        let wanted: Vec<Value> = answered.iter().map(plain).collect();
        assert_eq!(told, wanted, "away at the last start: {is_away}");
        let losses = stage.page("get_log_losses", json!({})).ok();
        assert_eq!(losses, json!({ "losses": [] }));
    }
}

/// What an edge sent after the backup is gone with the ops center that had it, and no more than that.
#[test]
fn an_ops_center_that_is_put_back_misses_what_it_had_since_and_nothing_else() {
    let mut stage = Stage::start();
    let mut answered: Vec<Value> = (0..3).flat_map(|_| stage.infer("fraud_1.json")).collect();
    stage.rows_when(3);
    let [file, data] = ["center.tar", "restored"].map(|name| stage.home.path().join(name));
    run(ops().arg("backup").arg(&file).arg("--data").arg(&stage.center.data)).success();
    // A start of the engine that the backup knows nothing of, and inferences since.
    stage.engine.take().unwrap().process.signal("TERM");
    stage.start_engine();
    (0..4).for_each(|_| drop(stage.infer("fraud_1.json")));
    stage.rows_when(7);
    let sent = "potoroo_journal_waiting_records 0";
    let metrics = || stage.engine.as_ref().unwrap().curl("/metrics", &[]).body;
    until(|| metrics().lines().any(|line| line == sent).then_some(()));
    run(ops().arg("restore").arg(&file).arg("--data").arg(&data)).success();
    stage.center.data = data;
    stage.kill_center();
    answered.extend((0..2).flat_map(|_| stage.infer("fraud_1.json")));
    let told: Vec<Value> = stage.rows_when(5).iter().map(plain).collect();
    assert_eq!(told, answered.iter().map(plain).collect::<Vec<_>>());
    let losses = stage.page("get_log_losses", json!({})).ok();
    let losses = losses["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert_eq!((&losses[0]["reason"], &losses[0]["count"]), (&json!("gap"), &json!(4)));
}

#[test]
fn only_members_of_its_workspace_read_the_logs_of_a_pipeline() {
    let stage = Stage::start();
    let invited = json!({ "email": "eve@example.com" });
    let invited = stage.center.post("/v1/api/users/invite", &invited).ok();
    assert!(invited.is_object(), "{invited}");
    let asked = json!({ "pipeline_id": stage.pipeline });
    for path in ["get_logs", "export_logs", "get_log_losses"] {
        let path = format!("/v1/api/pipelines/{path}");
        assert_eq!(stage.center.stranger().post(&path, &asked).status, 401, "{path}");
        let unknown = stage.center.post(&path, &json!({ "pipeline_id": 99 })).refused(404);
        assert_eq!(unknown["kind"], "unknown", "{path}");
        let nothing = stage.center.post(&path, &json!({})).refused(400);
        assert_eq!(nothing["kind"], "pipeline_id", "{path}");
    }
    for (key, value, kind) in [
        ("order", json!("up"), "order"),
        ("page_size", json!(0), "page_size"),
        ("cursor", json!("here"), "cursor"),
        ("start_time", json!("yesterday"), "time"),
    ] {
        let mut asked = asked.clone();
        asked[key] = value;
        let refused = stage.center.post("/v1/api/pipelines/get_logs", &asked).refused(400);
        assert_eq!(refused["kind"], kind);
    }
}
