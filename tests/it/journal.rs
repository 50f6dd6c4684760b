//! What was inferred, as the journal of the real engine has it: read back, cut by kills, and refused.

use crate::support::engine::{Engine, command};
use crate::support::fixture;
use crate::support::ops::{ops, publish_layout};
use crate::support::process::run;
use crate::support::python::{ARROW, RECORDS, read_arrow, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const KEPT: [(&str, &str); 1] = [("LOCAL_INFERENCE_STORAGE", "16Mi")];

/// Serves a fixture and keeps what it infers in `home`.
fn serving(home: &Path, file: &str, more: &[(&str, &str)]) -> Engine {
    let layout = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture(file), layout.path());
    let url = [("PIPELINE_URL", published.pipeline_url.as_str())];
    Engine::start_in(home, &[&url[..], &KEPT, more].concat())
}

fn post(engine: &Engine, path: &str, content_type: &str, body: &str) -> String {
    let content_type = format!("Content-Type: {content_type}");
    let answer = engine.curl(path, &["-g", "-H", &content_type, "--data-binary", body]);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// The elements of a list, as they are written.
fn elements(list: &str) -> &str {
    list.strip_prefix('[').unwrap().strip_suffix(']').unwrap()
}

fn features(values: &[f64]) -> String {
    let rows = values.iter().map(|value| json!({ "features": vec![*value; 29] }));
    Value::Array(rows.collect()).to_string()
}

#[test]
fn the_log_has_each_row_as_it_was_answered() {
    let routed = json!([
        { "features": vec![0.5; 29], "card_type": "gold" },
        { "features": vec![0.25; 29], "card_type": "other \"card\" ü" },
    ]);
    let [arrow, records] =
        ["two_inputs.arrow", "two_inputs.json"].map(|name| format!("@{}", request(name).display()));
    let cases = [
        (
            "pipelines/guarded.yaml",
            RECORDS,
            vec![features(&[0.25, -0.5, 2000.0]), features(&[1.0])],
        ),
        ("pipelines/routed.yaml", RECORDS, vec![routed.to_string()]),
        ("models/two_in_two_out.onnx", ARROW, vec![arrow]),
        ("models/two_in_two_out.onnx", RECORDS, vec![records.clone(), records]),
    ];
    for (file, content_type, bodies) in cases {
        let home = tempfile::tempdir().unwrap();
        let engine = serving(home.path(), file, &[]);
        let answers = bodies.iter().map(|body| post(&engine, "/infer", content_type, body));
        let answers: Vec<String> = answers.map(|answer| elements(&answer).to_owned()).collect();
        let expected = format!("[{}]", answers.join(","));
        assert_eq!(post(&engine, "/logs", "application/json", "{}"), expected, "{file}");
        // The next start has them, too.
        drop(engine);
        let engine = serving(home.path(), file, &[]);
        assert_eq!(post(&engine, "/logs", "application/json", ""), expected, "{file}");
    }
}

#[test]
fn inferences_by_every_protocol_are_in_the_log() {
    let home = tempfile::tempdir().unwrap();
    let engine = serving(home.path(), "models/fraud.onnx", &[]);
    let record = post(&engine, "/pipelines/fraud", RECORDS, &features(&[0.5, 1.0]));
    let record: Value = serde_json::from_str(&record).unwrap();
    let tensor = json!({
        "inputs": [{ "name": "features", "shape": [1, 29], "datatype": "FP32", "data": vec![0.75; 29] }]
    });
    let asked = post(&engine, "/v2/models/fraud/infer", "application/json", &tensor.to_string());
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let log = post(&engine, "/logs?dataset[]=out&dataset[]=time", "application/json", "{}");
    let log: Value = serde_json::from_str(&log).unwrap();
    let output =
        |row: usize| log[row]["out"].as_object().unwrap().values().next().unwrap()[0].as_f64();
    let data = &record[0]["outputs"][0]["Float"]["data"];
    for row in 0..2 {
        let difference = output(row).unwrap() - data[row].as_f64().unwrap();
        assert!(difference.abs() < 1e-7, "{log} {record}");
        assert_eq!(log[row]["time"], record[0]["time"]);
    }
    let difference = output(2).unwrap() - asked["outputs"][0]["data"][0].as_f64().unwrap();
    assert!(difference.abs() < 1e-7, "{log} {asked}");
    let metrics = engine.curl("/metrics", &[]).body;
    assert!(metrics.contains("\npotoroo_journal_records_total 2\n"), "{metrics}");
    assert!(metrics.contains("\npotoroo_journal_lost_total{reason=\"queue\"} 0\n"), "{metrics}");
}

#[test]
fn the_log_comes_in_pages_and_as_an_arrow_file() {
    let home = tempfile::tempdir().unwrap();
    let engine = serving(home.path(), "models/fraud.onnx", &[("PLATEAU_PAGE_SIZE", "4")]);
    for value in 0..3 {
        post(&engine, "/infer", RECORDS, &features(&[f64::from(value); 3]));
    }
    let page = |body: &str| {
        let url = engine.url("/logs?dataset[]=in");
        let mut curl = std::process::Command::new("curl");
        let ended = run(curl.args(["-sS", "-g", "-D", "-", "--data-binary", body, &url])).success();
        let (head, body) = ended.stdout.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_start_matches(": ").to_owned())
        };
        let rows: Vec<Value> = serde_json::from_str(body).unwrap();
        let values = rows.iter().map(|row| row["features"][0].as_f64().unwrap() as i64);
        (values.collect::<Vec<_>>(), header("x-iteration-status"), header("x-iteration-cursor"))
    };
    let limited = Some("RecordLimited".to_owned());
    let (values, status, cursor) = page("{}");
    assert_eq!((values, status), (vec![0, 0, 0, 1], limited.clone()));
    let (values, status, _) = page(&json!({ "cursor": cursor, "page_size": 9 }).to_string());
    assert_eq!((values, status), (vec![1, 1, 2, 2, 2], Some("All".to_owned())));
    let (values, status, cursor) = page(r#"{"order":"desc","page_size":5}"#);
    assert_eq!((values, status), (vec![2, 2, 2, 1, 1], limited));
    let (values, _, _) = page(&json!({ "cursor": cursor, "order": "desc" }).to_string());
    assert_eq!(values, [1, 0, 0, 0]);

    let out = home.path().join("log.arrow");
    let (accept, out_text) = (format!("Accept: {ARROW}"), out.display().to_string());
    let options = ["-H", &accept, "--data-binary", r#"{"page_size":9}"#, "-o", &out_text];
    assert_eq!(engine.curl("/logs", &options).content_type, ARROW);
    let read = read_arrow(&out);
    assert_eq!(read["rows"].as_array().unwrap().len(), 9);
    assert_eq!(read["rows"][8]["in"]["features"][28], 2.0);
}

#[test]
fn the_command_reads_the_log_beside_a_running_engine() {
    let home = tempfile::tempdir().unwrap();
    let engine = serving(home.path(), "models/fraud.onnx", &[]);
    let answer = post(&engine, "/infer", RECORDS, &features(&[0.5, 1.0]));
    // This waits until it is on the disk.
    post(&engine, "/logs", "application/json", "{}");
    let lines = run(command(home.path()).arg("logs")).success().stdout;
    assert_eq!(format!("[{}]", lines.trim_end().replace('\n', ",")), answer);
    let out = home.path().join("log.arrow");
    let file = std::fs::File::create(&out).unwrap();
    assert!(
        command(home.path()).args(["logs", "--arrow"]).stdout(file).status().unwrap().success()
    );
    assert_eq!(read_arrow(&out)["rows"].as_array().unwrap().len(), 2);
    let doctor = run(command(home.path()).arg("doctor").envs(KEPT)).stdout;
    assert!(doctor.contains("journal     2 rows of inferences are kept"), "{doctor}");
    let nothing = tempfile::tempdir().unwrap();
    let ended = run(command(nothing.path()).arg("logs"));
    assert!(ended.stderr.contains("there is no journal in"), "{}", ended.stderr);
}

#[test]
fn long_values_are_left_out_and_named() {
    let home = tempfile::tempdir().unwrap();
    let engine = serving(home.path(), "models/fraud.onnx", &[("POTOROO_LOG_VALUE", "64")]);
    post(&engine, "/infer", RECORDS, &features(&[0.5]));
    let log = post(&engine, "/logs", "application/json", "{}");
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log[0]["in"], json!({}));
    assert_eq!(log[0]["metadata"]["dropped"], json!(["in.features"]));
    assert_eq!(log[0]["out"].as_object().unwrap().len(), 1);
}

#[test]
fn a_log_that_is_not_kept_or_not_understood_is_refused_with_what_to_do() {
    let without = Engine::serving("models/fraud.onnx");
    let refused = without.curl("/logs", &["--data-binary", "{}"]);
    assert_eq!((refused.status, &refused.json()["kind"]), (404, &json!("no_logs")));
    assert!(refused.body.contains("LOCAL_INFERENCE_STORAGE"), "{}", refused.body);
    let home = tempfile::tempdir().unwrap();
    let engine = serving(home.path(), "models/fraud.onnx", &[]);
    assert_eq!(engine.curl("/logs", &[]).status, 405);
    for body in ["[", r#"{"page_size":0}"#, r#"{"order":"up"}"#, r#"{"cursor":"x"}"#, r#"{"a":1}"#]
    {
        let refused = engine.curl("/logs", &["--data-binary", body]);
        assert_eq!((refused.status, &refused.json()["kind"]), (400, &json!("logs")), "{body}");
    }
    assert_eq!(post(&engine, "/logs", "application/json", "{}"), "[]");
}

/// One request on a connection of its own; `None` when the engine goes meanwhile.
fn asked(address: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {RECORDS}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let told = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    (head.starts_with("HTTP/1.1 200") && told.parse() == Ok(body.len())).then(|| body.to_owned())
}

#[test]
fn a_kill_under_load_takes_nothing_that_was_on_the_disk() {
    const CLIENTS: usize = 3;
    let home = tempfile::tempdir().unwrap();
    let seconds = [("POTOROO_LOG_SECONDS", "1")];
    let mut engine = serving(home.path(), "models/fraud.onnx", &seconds);
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for round in 0..3 {
        let answers: Mutex<Vec<String>> = Mutex::default();
        let stop = AtomicBool::new(false);
        let address = engine.address.clone();
        let mut safe = 0;
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (answers, stop, address) = (&answers, &stop, &address);
                scope.spawn(move || {
                    let mut number = 0;
                    while !stop.load(Relaxed) {
                        number += 1;
                        let value = f64::from(number) + client as f64 / 10.0;
                        let Some(answer) = asked(address, "/infer", &features(&[value])) else {
                            break;
                        };
                        answers.lock().unwrap().push(elements(&answer).to_owned());
                    }
                });
            }
            for _ in 0..3 {
                let wanted = answers.lock().unwrap().len() + 50;
                while answers.lock().unwrap().len() < wanted {
                    std::thread::yield_now();
                }
                let before = answers.lock().unwrap().len();
                let page = asked(&address, "/logs", r#"{"order":"desc","page_size":1}"#);
                if page.is_some() {
                    safe = before;
                }
            }
            engine.process.signal("KILL");
            stop.store(true, Relaxed);
        });
        let answers = answers.into_inner().unwrap();
        assert!(150 <= safe, "{safe}");
        kept.extend(answers[..safe].iter().cloned());
        engine = serving(home.path(), "models/fraud.onnx", &seconds);
        let lines = run(command(home.path()).arg("logs")).success().stdout;
        let found: BTreeSet<String> = lines.lines().map(str::to_owned).collect();
        assert_eq!(found.len(), lines.lines().count(), "round {round}: a row is there twice");
        let missing = kept.difference(&found).count();
        assert_eq!(missing, 0, "round {round}: of {} that were safe", kept.len());
        // Beyond what was answered, only what was on its way can be there.
        let answered: BTreeSet<String> = kept.iter().chain(&answers).cloned().collect();
        assert!(found.difference(&answered).count() <= CLIENTS, "round {round}");
        kept = found;
        let metrics = engine.curl("/metrics", &[]).body;
        assert!(metrics.contains("\npotoroo_journal_crashed 1\n"), "{metrics}");
    }
}

#[test]
fn a_pipeline_says_what_of_its_inferences_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let pipeline = home.path().join("private.yaml");
    let (model, salt) = (fixture("models/fraud.onnx"), "3f9c61d27be04a5c8d1e");
    let text = |log: &str| {
        format!(
            "name: private\nmodels: [{{name: fraud, path: {}}}, {{name: gold, path: {}}}]\nsteps:\n  \
             - route: {{by: card, to: {{gold: gold}}, otherwise: fraud}}\nlog: {log}\n",
            model.display(),
            model.display()
        )
    };
    let log = format!("{{sample: 2, drop: [in.features], hash: [in.card], salt: {salt}}}");
    std::fs::write(&pipeline, text(&log)).unwrap();
    let layout = home.path().join("layout");
    let published = publish_layout(&pipeline, &layout);
    let url = [("PIPELINE_URL", published.pipeline_url.as_str())];
    let engine = Engine::start_in(home.path(), &[&url[..], &KEPT].concat());
    for card in ["one", "two", "gold", "four"] {
        let row = json!([{ "features": vec![0.5; 29], "card": card }]);
        post(&engine, "/infer", RECORDS, &row.to_string());
    }
    let log: Value =
        serde_json::from_str(&post(&engine, "/logs", "application/json", "{}")).unwrap();
    let rows = log.as_array().unwrap();
    let hash = |card: &str| {
        let sum = format!("printf '%s%s' {salt} {card} | sha256sum | cut -d' ' -f1");
        run(std::process::Command::new("sh").args(["-c", &sum])).success().stdout.trim().to_owned()
    };
    let found: Vec<&Value> = rows.iter().map(|row| &row["in"]).collect();
    assert_eq!(found, [&json!({"card": hash("one")}), &json!({"card": hash("gold")})]);
    assert_eq!(rows[0]["metadata"]["dropped"], json!(["in.features"]));
    let metrics = engine.curl("/metrics", &[]).body;
    assert!(metrics.contains("\npotoroo_journal_passed_over_total 2\n"), "{metrics}");

    for (log, why) in [
        ("{drop: [in.image]}", "there is no column `in.image`"),
        ("{hash: [in.card]}", "needs a `salt`"),
        ("{keep: [in.card]}", "keep"),
    ] {
        std::fs::write(&pipeline, text(log)).unwrap();
        let ended = run(ops().arg("publish").arg(&pipeline).arg("--layout").arg(&layout));
        assert!(ended.code() == 2 && ended.stderr.contains(why), "{log}: {}", ended.stderr);
    }
}
