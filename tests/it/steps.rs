//! Pipelines of more than one model through the real engine: challengers, validations, routes.

use crate::support::engine::{Answer, Engine};
use crate::support::layout::by_hand;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::python::{RECORDS, python};
use crate::support::{fixture, golden};
use potoroo::oci::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

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

/// What pyarrow and the tritonclient get for these rows, of which the latter asks for these names.
fn in_other_forms(engine: &Engine, pipeline: &str, rows: &str, names: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.json");
    std::fs::write(&file, rows).unwrap();
    let mut command = Command::new(python());
    command.arg(fixture("step_forms.py")).args([&engine.address, pipeline]).arg(file).args(names);
    serde_json::from_str(&run(&mut command).success().stdout).unwrap()
}

#[test]
fn challengers_show_in_arrow_and_to_who_asks_for_them_by_the_open_inference_protocol() {
    let engine = Engine::serving("pipelines/guarded.yaml");
    let body = rows(&[-0.5, 2000.0], &[]);
    let challenger = "out_fraud-next.fraud_probability";
    let got = in_other_forms(&engine, "guarded", &body, &[challenger, "fraud_probability"]);
    let json = post(&engine, "/pipelines/guarded", &body).json();
    let numbers = |values: &Value| -> Vec<f32> {
        values.as_array().unwrap().iter().map(|it| it.as_f64().unwrap() as f32).collect()
    };
    let wanted = numbers(&json[0]["shadow_data"]["fraud-next"][0]["Float"]["data"]);
    assert_eq!(wanted.len(), 2);
    for form in ["record", "rows"] {
        let rows = got[form].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{form}");
        for (row, wanted) in rows.iter().zip(&wanted) {
            for group in ["out", "out_fraud-next"] {
                assert_eq!(numbers(&row[group]["fraud_probability"]), [*wanted], "{form}: {row}");
            }
        }
    }
    let is_odd = |row: usize| {
        let failed = got["record"][row]["check_failures"].as_array().unwrap();
        failed.iter().any(|it| it.as_str().unwrap().contains("1000"))
    };
    assert_eq!([is_odd(0), is_odd(1)], [false, true], "{}", got["record"]);
    let anomaly = |row: usize| &got["rows"][row]["anomaly"]["odd"];
    assert_eq!([anomaly(0), anomaly(1)], [&json!(false), &json!(true)]);
    for form in ["json", "binary"] {
        for name in [challenger, "fraud_probability"] {
            assert_eq!(numbers(&got[form][name]), wanted, "{form}: {name}");
        }
    }
    // A client that names nothing gets what the metadata promise.
    assert_eq!(got["all"].as_object().unwrap().keys().collect::<Vec<_>>(), ["fraud_probability"]);
    let got = in_other_forms(&engine, "guarded", &body, &["out_nobody.fraud_probability"]);
    let told = got["json"]["error"].as_str().unwrap();
    assert!(told.contains("out_nobody.fraud_probability` is not known"), "{told}");
    assert!(told.contains(challenger), "{told}");
}

#[test]
fn a_column_that_splits_comes_in_every_form_and_the_model_that_a_row_went_to_is_told_in_each() {
    let engine = Engine::serving("pipelines/routed.yaml");
    let keys = [json!({"card_type": "gold"}), json!({"card_type": "plain"})];
    let body = rows(&[0.25, 0.25], &keys);
    let got = in_other_forms(&engine, "routed", &body, &["_model_split"]);
    let name = |text: &Value| -> Value {
        serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap()["name"].clone()
    };
    for form in ["record", "rows"] {
        let chosen = |row: usize| name(&got[form][row]["out"]["_model_split"][0]);
        assert_eq!([chosen(0), chosen(1)], [json!("gold"), json!("standard")], "{form}");
        assert_eq!(got[form][0]["in"]["card_type"], json!("gold"), "{form}");
    }
    for form in ["json", "binary"] {
        let chosen = |row: usize| name(&got[form]["_model_split"][row]);
        assert_eq!([chosen(0), chosen(1)], [json!("gold"), json!("standard")], "{form}");
    }
    assert_eq!(got["all"].as_object().unwrap().keys().collect::<Vec<_>>(), ["fraud_probability"]);
}

/// An engine that serves these steps of the original's, in which `MODEL a` is the key of a model `a`.
fn of_the_original(steps: &Value) -> Engine {
    let model = std::fs::read(fixture("models/fraud.onnx")).unwrap();
    let key = |name: &str| json!({"name": name, "version": "v", "sha": Digest::of(&model).hex()});
    let mut text = steps.to_string();
    for name in ["a", "b", "c"] {
        text = text.replace(&format!("\"MODEL {name}\""), &key(name).to_string());
    }
    let steps: Value = serde_json::from_str(&text).unwrap();
    let keys = ["a", "b", "c"].map(key);
    let config = json!({"id": "p", "steps": steps, "models": keys}).to_string();
    let layout = by_hand(config.as_bytes(), &[(&model, None)]);
    Engine::start(&[("PIPELINE_URL", &layout.url)])
}

#[test]
fn every_kind_of_the_originals_steps_does_on_an_edge_what_its_name_says() {
    let ask = |steps: &Value| {
        let answer = post(&of_the_original(steps), "/pipelines/p", &rows(&[0.25], &[]));
        assert_eq!(answer.status, 200, "{steps}: {}", answer.body);
        answer.json()[0].clone()
    };
    let group = json!({"ModelInference": {"models": ["MODEL a", "MODEL b", "MODEL c"]}});
    let audit = json!({"AuditResults": {"from": 1, "to": null}});
    let record = ask(&json!([group, audit, {"MultiOut": {}}]));
    assert_eq!(record["model_name"], "a");
    let shadows: Vec<&String> = record["shadow_data"].as_object().unwrap().keys().collect();
    assert_eq!(shadows, ["b", "c"]);
    let audited = ask(&json!([group, {"AuditResults": {"from": 2, "to": null}}, {"MultiOut": {}}]));
    assert_eq!(audited["shadow_data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(ask(&json!([group, {"Nth": {"index": 1}}]))["model_name"], "b");
    let one = json!({"ModelInference": {"models": ["MODEL a"]}});
    let selected = ask(&json!([one, {"ColumnsSelect": {"columns": ["fraud_probability"]}}]));
    assert_eq!(selected["outputs"], record["outputs"]);
    // Trees of both generations, and the text that people write.
    let early = json!({"values": {"early": {"root": {"node": "binop", "op": "<",
        "left": {"node": "variable", "variant_id": {"name": "a"}, "position": "output", "key": [0, 0]},
        "right": {"node": "literal", "float": -1.0}}, "required_data": [{"name": "a"}]}},
        "gauges": [], "validations": ["early"]});
    let late = json!({"Alias": [{"BinaryExpr": {"left": {"Column": "out.fraud_probability"},
        "op": "Gt", "right": {"Literal": {"Float64": -1.0}}}}, "late"]});
    let text = json!([{"name": "text", "expression": "out.fraud_probability[0] < -1"}]);
    for check in [
        json!({"tree": [early.to_string()]}),
        json!({"tree": [late.to_string()]}),
        json!({"tree": [], "validations": text}),
    ] {
        let checked = ask(&json!([one, {"Check": check}]));
        assert_eq!(checked["check_failures"].as_array().unwrap().len(), 1, "{check}");
    }
}

#[test]
fn a_random_split_on_an_edge_sends_the_same_key_to_the_same_model_and_keys_to_both() {
    let weights = json!([{"model": "MODEL a", "weight": 1}, {"model": "MODEL b", "weight": 1}]);
    let split = json!([{"RandomSplit": {"hash_key": "session", "weights": weights}}]);
    let engine = of_the_original(&split);
    let answered = |session: usize| {
        let more = [json!({"session": format!("s{session}")})];
        let answer = post(&engine, "/pipelines/p", &rows(&[0.25], &more));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()[0]["model_name"].as_str().unwrap().to_owned()
    };
    // All of them to one model is as likely as one in half a million.
    let names: Vec<String> = (0..20).map(answered).collect();
    assert_eq!(names, (0..20).map(answered).collect::<Vec<String>>());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 2, "{names:?}");
}
