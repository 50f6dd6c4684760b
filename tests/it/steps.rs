//! Pipelines of more than one model through the real engine: challengers, validations, routes.

use crate::support::engine::{Answer, Engine};
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::python::RECORDS;
use crate::support::{fixture, golden};
use serde_json::{Value, json};

/// Rows of the fraud model whose values all are `value`, each with the further members of `more`.
fn rows(values: &[f64], more: &[Value]) -> String {
    let row = |(index, value): (usize, &f64)| {
        let mut row = json!({ "features": vec![*value; 29] });
        if let Some(Value::Object(more)) = more.get(index) {
            row.as_object_mut().unwrap().extend(more.clone());
        }
        row
    };
    Value::Array(values.iter().enumerate().map(row).collect()).to_string()
}

fn post(engine: &Engine, path: &str, body: &str) -> Answer {
    let content_type = format!("Content-Type: {RECORDS}");
    engine.curl(path, &["-g", "-H", &content_type, "--data-binary", body])
}

/// An answer with the values that differ from run to run blanked.
fn steady(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut json = answer.json();
    for element in json.as_array_mut().unwrap() {
        let element = element.as_object_mut().unwrap();
        for key in ["time", "elapsed"] {
            element.entry(key).and_modify(|value| *value = json!(0));
        }
        if let Some(metadata) = element.get_mut("metadata") {
            metadata["elapsed"] = json!([]);
        }
    }
    serde_json::to_string_pretty(&json).unwrap() + "\n"
}

#[test]
fn challengers_and_validations_show_in_both_generations_of_the_answer() {
    let engine = Engine::serving("pipelines/guarded.yaml");
    let body = rows(&[0.25, -0.5], &[]);
    golden("guarded_record.json", &steady(&post(&engine, "/pipelines/guarded", &body)));
    let query = "?dataset[]=out&dataset[]=out_fraud-next&dataset[]=anomaly";
    golden("guarded_rows.json", &steady(&post(&engine, &format!("/infer{query}"), &body)));
    let metrics = engine.curl("/metrics", &[]).body;
    let failures = "potoroo_validation_failures_total{validation=\"unlikely\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(failures)).unwrap();
    let rows = post(&engine, "/infer?dataset[]=anomaly.unlikely", &body).json();
    let failed = rows.as_array().unwrap().iter().filter(|row| row["unlikely"] == json!(true));
    assert_eq!(count.parse::<usize>().unwrap(), 2 * failed.count());
}

#[test]
fn a_row_goes_to_the_model_that_its_key_names() {
    let engine = Engine::serving("pipelines/routed.yaml");
    let keys = [json!({"card_type": "gold"}), json!({"card_type": "plain"})];
    let body = rows(&[0.25, 0.25], &keys);
    let answer = post(&engine, "/infer?dataset[]=out", &body).json();
    let chosen = |row: usize| -> Value {
        let text = answer[row]["_model_split"][0].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    };
    assert_eq!((&chosen(0)["name"], &chosen(1)["name"]), (&json!("gold"), &json!("standard")));
    assert_eq!(answer[0]["fraud_probability"], answer[1]["fraud_probability"]);
    let record = post(&engine, "/pipelines/routed", &rows(&[0.25], &keys)).json();
    assert_eq!(record[0]["model_name"], "gold");
    let record = post(&engine, "/pipelines/routed", &rows(&[0.25], &[])).json();
    assert_eq!(record[0]["model_name"], "standard", "without the column the rest's model answers");
    let models = engine.curl("/models", &[]).json();
    assert_eq!(models["models"].as_array().unwrap().len(), 2);
}

#[test]
fn a_validation_that_does_not_fit_the_models_is_refused_before_anything_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("out.fraud < 1", "there is no such output; there are `fraud_probability`"),
        ("in.features[29] < 1", "places 0 to 28"),
        ("out.fraud_probability <", "at byte 23: found the end"),
    ];
    for (expression, part) in cases {
        let file = directory.path().join("pipeline.yaml");
        let model = fixture("models/fraud.onnx");
        let text = format!(
            "name: p\nmodels: [{{name: m, path: {}}}]\nsteps: [{{model: m}}]\nvalidations: \
             [{{name: v, must_hold: \"{expression}\"}}]\n",
            model.display()
        );
        std::fs::write(&file, text).unwrap();
        let layout = directory.path().join("layout");
        let ended = run(ops().arg("publish").arg(&file).arg("--layout").arg(&layout));
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
        assert!(!layout.join("index.json").exists(), "{expression} was published");
    }
}
