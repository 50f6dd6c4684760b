//! The journal over a bad link: lost requests, lost and doubled answers, hours offline, and it arrives once and in order.

use crate::support::edge::Random;
use crate::support::engine::Engine;
use crate::support::founded::Center;
use crate::support::link_proxy::{LinkProxy, Luck};
use crate::support::publishing::{Author, edge_variables, until};
use crate::support::python::{RECORDS, request};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;

/// Inferences of each stretch: online, offline, and after the ops center was killed.
const STRETCH: u64 = 25;

/// Posts the fraud request with this number as the first of its inputs.
fn infer(engine: &Engine, directory: &Path, number: u64) {
    let text = std::fs::read_to_string(request("fraud_1.json")).unwrap();
    let mut rows: Value = serde_json::from_str(&text).unwrap();
    let (_, cell) = rows[0].as_object_mut().unwrap().iter_mut().next().unwrap();
    *first(cell) = json!(number as f64);
    let file = directory.join("request.json");
    std::fs::write(&file, rows.to_string()).unwrap();
    let answer = engine.infer("fraud", RECORDS, &file);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The first number in a cell, however deep it is.
fn first(cell: &mut Value) -> &mut Value {
    if cell.is_array() { first(&mut cell[0]) } else { cell }
}

/// The numbers of all inferences that the ops center has, the earliest first.
fn arrived(center: &Center, pipeline: i64) -> Vec<u64> {
    let asked = json!({ "pipeline_id": pipeline, "order": "asc", "page_size": 10_000 });
    let rows = center.post("/v1/api/pipelines/get_logs", &asked).ok();
    let number = |row: &Value| {
        let mut cell = row["in"].as_object().unwrap().values().next().unwrap().clone();
        first(&mut cell).as_f64().unwrap() as u64
    };
    rows.as_array().unwrap().iter().map(number).collect()
}

#[test]
fn an_edge_that_is_told_to_come_again_later_loses_nothing() {
    let arguments = ["--report-seconds", "1", "--logs-edge-rate", "256", "--debug"];
    let mut center = Center::start_with(&arguments);
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let added = author.add_edge(&author.published(saved.id), "till-7");
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::start_in(&home.path().join("edge"), &edge_variables(&added));
    let (mut next, mut told) = (0, false);
    while !told {
        // One stretch at a time, however fast the machine is: what goes at once has to be waited for.
        for _ in 0..STRETCH {
            infer(&engine, home.path(), next);
            next += 1;
        }
        until(|| {
            told = center.process.seen().iter().any(|line| line.contains("code=busy"));
            (told || arrived(&center, saved.pipeline).len() as u64 >= next).then_some(())
        });
    }
    let all = until(|| Some(arrived(&center, saved.pipeline)).filter(|it| it.len() as u64 >= next));
    assert_eq!(all, (0..next).collect::<Vec<_>>(), "each once, in order");
    let losses = json!({ "pipeline_id": saved.pipeline });
    let losses = center.post("/v1/api/pipelines/get_log_losses", &losses).ok();
    assert_eq!(losses, json!({ "losses": [] }));
}

#[test]
fn what_was_inferred_over_a_bad_link_arrives_once_and_in_order() {
    let lucks = Mutex::new(Random::new(5));
    let proxy = LinkProxy::start(move |_| match lucks.lock().unwrap().below(6) {
        0 => Luck::Swallowed,
        1 => Luck::AnswerLost,
        2 => Luck::Twice,
        _ => Luck::Good,
    });
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::behind(&proxy, &home.path().join("data"));
    center.first_run();
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let publish = author.published(saved.id);
    let added = author.add_edge(&publish, "till-7");
    let engine = Engine::start_in(
        &home.path().join("edge"),
        &[&edge_variables(&added)[..], &[("POTOROO_SEND_KIB", "64")]].concat(),
    );
    let mut next = 0;
    let mut stretch = || {
        for _ in 0..STRETCH {
            infer(&engine, home.path(), next);
            next += 1;
        }
    };
    stretch();
    until(|| (!arrived(&center, saved.pipeline).is_empty()).then_some(()));
    proxy.lead_to(None);
    stretch();
    center.process.signal("KILL");
    stretch();
    let mut again = Center::behind(&proxy, &center.data);
    (again.token, again.workspace) = (center.token.clone(), center.workspace);
    stretch();
    let all =
        until(|| Some(arrived(&again, saved.pipeline)).filter(|it| it.len() as u64 >= 4 * STRETCH));
    assert_eq!(all, (0..4 * STRETCH).collect::<Vec<_>>(), "each once, in order");
    let losses = json!({ "pipeline_id": saved.pipeline });
    let losses = again.post("/v1/api/pipelines/get_log_losses", &losses).ok();
    assert_eq!(losses, json!({ "losses": [] }));
}
