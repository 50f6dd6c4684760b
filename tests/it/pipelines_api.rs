//! Pipelines of the ops center: saved in both forms, refused with the place of the fault, and copied.

use crate::support::center::{Center, TOKEN, problem};
use crate::support::fixture;
use serde_json::{Value, json};
use std::process::Command;

/// A step that runs these model versions, in the original's form.
fn inference(versions: &[&Value]) -> Value {
    let models: Vec<Value> = versions.iter().map(|version| key(version)).collect();
    json!({ "ModelInference": { "models": models } })
}

fn key(version: &Value) -> Value {
    json!({ "name": version["model_id"], "version": version["model_version"], "sha": version["sha"] })
}

fn create(center: &Center, name: &str, steps: Value) -> Value {
    json!({ "pipeline_id": name, "workspace_id": center.workspace, "definition": { "steps": steps } })
}

fn config(center: &Center, saved: &Value) -> Value {
    let asked = json!({ "version": saved["pipeline_variant_version"] });
    center.ok("pipelines/get_version", &asked)["config"].clone()
}

#[test]
fn a_definition_of_the_original_is_saved_and_given_back() {
    let center = Center::start();
    let (net, score) = (
        center.checked("fraud-mlp", &fixture("models/fraud.onnx")),
        center.checked("fraud-score", &fixture("models/score.onnx")),
    );
    let steps = json!([inference(&[&net]), inference(&[&score])]);
    let saved = center.ok("pipelines/create", &create(&center, "two-steps", steps.clone()));
    let uuid = saved["pipeline_variant_version"].as_str().unwrap();
    assert_eq!(uuid.len(), 36, "{saved}");
    let version = center.ok("pipelines/get_version", &json!({ "version": uuid }));
    assert_eq!(version["pipeline_id"], "two-steps");
    assert_eq!(version["definition"]["steps"], steps);
    let config = &version["config"];
    assert_eq!((&config["version"], &config["id"]), (&json!(uuid), &json!("two-steps")));
    assert_eq!(config["inputs"][0]["type"], "float", "{config}");
    assert!(config["outputs"][0]["name"].is_string(), "{config}");
    // The engine's own form has each key under `Model`.
    let within = json!([{ "ModelInference": { "models": [{ "Model": key(&net) }] } }]);
    let again = center.ok("pipelines/create", &create(&center, "two-steps", within));
    assert_eq!(again["pipeline_pk_id"], saved["pipeline_pk_id"], "a further version of the same");
    let asked = json!({ "pipeline_id": saved["pipeline_pk_id"], "workspace_id": center.workspace });
    let history = center.ok("pipelines/list_pipeline_versions", &asked);
    let history: Vec<&Value> = history["pipeline_versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["pipeline_version"]["version"])
        .collect();
    assert_eq!(history, [&again["pipeline_variant_version"], &json!(uuid)]);
}

#[test]
fn a_recipe_with_validations_and_known_answers_is_saved() {
    let center = Center::start();
    center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let recipe = "name: guarded\nmodels: [{name: fraud-mlp}]\nsteps: [{model: fraud-mlp}]\n\
                  validations: [{name: unlikely, must_hold: 'out.fraud_probability[0] < 0.5'}]\n";
    let zeros = vec![0.5; 29];
    let asked = json!({
        "workspace_id": center.workspace,
        "recipe": recipe,
        "known_answers": [{ "features": zeros }],
    });
    let saved = center.ok("pipelines/create", &asked);
    let config = config(&center, &saved);
    assert!(config["known_answers"]["rows"][0]["out"].is_object(), "{config}");
    assert_eq!(config["steps"][1]["Check"]["validations"][0]["name"], "unlikely", "{config}");
    let sent = center
        .ok("pipelines/get_version", &json!({ "version": saved["pipeline_variant_version"] }));
    assert_eq!(sent["definition"]["steps"], config["steps"]);
    let json_form = json!({ "name": "g", "models": [{ "name": "fraud-mlp" }], "steps": [{ "model": "fraud-mlp" }] });
    center
        .ok("pipelines/create", &json!({ "workspace_id": center.workspace, "recipe": json_form }));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place_and_not_saved() {
    let center = Center::start();
    let net = center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let score = center.checked("fraud-score", &fixture("models/score.onnx"));
    let broken = center.checked("noise", &fixture("models/broken/not_onnx.onnx"));
    let step = inference(&[&net]);
    let changed = |name: &str, value: Value| {
        let mut key = key(&net);
        key[name] = value;
        json!([{ "ModelInference": { "models": [key] } }])
    };
    let check = |expression: &str| {
        let validation = json!({ "name": "v", "expression": expression });
        json!([step, { "Check": { "tree": [], "validations": [validation] } }])
    };
    let tree = json!({ "values": { "high": { "root": { "node": "binop", "op": "<",
        "left": { "node": "variable", "variant_id": { "name": "fraud-mlp" }, "position": "output", "key": [7, 0] },
        "right": { "node": "literal", "float": 0.9 } }, "required_data": [{ "name": "fraud-mlp" }] } },
        "gauges": [], "validations": ["high"] });
    let cases = [
        (
            changed("version", json!("none")),
            400,
            "unknown_model",
            "step 1 of the pipeline names the model `fraud-mlp`",
        ),
        (changed("name", json!("none")), 400, "unknown_model", "`none`"),
        (changed("sha", json!("0".repeat(64))), 400, "sha", "step 1"),
        (changed("sha", json!("0")), 400, "definition", "pipeline definition"),
        (json!([]), 400, "definition", "the number of steps"),
        (json!([{ "Explode": {} }]), 400, "definition", "step 1 of the pipeline is a `Explode`"),
        (json!([step, { "Nth": { "index": 3 } }]), 400, "unfit", "step 2 of the pipeline, `Nth`"),
        (json!([step, step]), 400, "unfit", "the steps do not fit each other"),
        (json!([inference(&[&score]), inference(&[&net])]), 400, "unfit", "nothing was saved"),
        (check("out.none[0] < 1"), 400, "unfit", "the validation `v`"),
        (check("out.fraud_probability[0] <"), 400, "definition", "the validation `v`"),
        (check("out.fraud_probability[0] < \"a\""), 400, "unfit", "the validation `v`"),
        (
            json!([step, { "Check": { "tree": [tree.to_string()] } }]),
            400,
            "unfit",
            "the validation `high`",
        ),
        (json!([inference(&[&broken])]), 409, "model_error", "not an ONNX model"),
    ];
    for (steps, status, kind, part) in cases {
        let found =
            center.refused("pipelines/create", &create(&center, "p", steps.clone()), status);
        assert!(found.0 == kind && found.1.contains(part), "{steps} gave {found:?}");
    }
    let bodies = [
        (json!({ "workspace_id": center.workspace }), 400, "body"),
        (
            json!({ "workspace_id": center.workspace, "definition": { "steps": [step] } }),
            400,
            "name",
        ),
        (create(&center, "Not-A-Name", json!([step])), 400, "name"),
        (json!({ "workspace_id": center.workspace, "recipe": "name: p" }), 400, "recipe"),
        (json!({ "workspace_id": 99, "recipe": "name: p" }), 404, "unknown"),
    ];
    for (body, status, kind) in bodies {
        assert_eq!(center.refused("pipelines/create", &body, status).0, kind, "{body}");
    }
    let mut known = create(&center, "p", json!([step]));
    known["known_answers"] = json!({ "rows": [{ "in": { "features": vec![0.5; 29] }, "out": { "fraud_probability": [7.0] } }] });
    let found = center.refused("pipelines/create", &known, 400);
    assert!(found.1.contains("differ from the known answers"), "{found:?}");
    let listed =
        center.ok("pipelines/list_pipelines", &json!({ "workspace_id": center.workspace }));
    assert_eq!(listed["pipelines"], json!([]));
}

#[test]
fn a_pipeline_of_a_model_that_is_still_checked_waits_for_it() {
    let center = Center::start();
    let id = center.upload("vision", &fixture("models/vision.onnx"));
    let recipe =
        json!({ "name": "v", "models": [{ "name": "vision" }], "steps": [{ "model": "vision" }] });
    center.ok("pipelines/create", &json!({ "workspace_id": center.workspace, "recipe": recipe }));
    assert_eq!(center.wait_for(id)["status"], "ready");
}

#[test]
fn the_columns_that_a_model_was_told_are_in_the_pipelines_config() {
    let center = Center::start();
    let net = center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let told = json!({ "model_version_id": net["id"], "tensor_fields": ["tensor"] });
    center.ok("models/insert_model_config", &told);
    let saved = center.ok("pipelines/create", &create(&center, "p", json!([inference(&[&net])])));
    let config = config(&center, &saved);
    assert_eq!(config["models"][0]["tensor_fields"], json!(["tensor"]));
    assert_eq!(config["inputs"][0]["name"], "tensor");
}

#[test]
fn a_copy_has_the_same_steps_in_its_own_workspace_and_in_another_with_the_same_file() {
    let center = Center::start();
    let net = center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let saved = center.ok("pipelines/create", &create(&center, "p", json!([inference(&[&net])])));
    let copy = |name: &str, workspace: i64| json!({ "name": name, "workspace_id": workspace, "source_pipeline": saved["pipeline_pk_id"] });
    let copied = center.ok("pipelines/copy", &copy("q", center.workspace));
    assert_eq!((&copied["pipeline_version"], &copied["deployment"]), (&Value::Null, &Value::Null));
    let by_name = json!({ "pipeline_name": "q", "workspace_id": center.workspace });
    let found = center.ok("pipelines/get_pipeline_by_name", &by_name);
    assert_eq!(found["pipeline"]["id"], copied["pipeline_pk_id"], "{found}");
    assert_eq!(center.refused("pipelines/copy", &copy("q", center.workspace), 409).0, "name_taken");
    let other = center.new_workspace("other");
    let missing = center.refused("pipelines/copy", &copy("q", other), 409);
    assert!(missing.0 == "model_missing" && missing.1.contains("fraud-mlp"), "{missing:?}");
    let there = center.upload_to(other, "fraud-mlp", &fixture("models/fraud.onnx"));
    assert_eq!(there.status, 200, "{}", there.body);
    center.ok("pipelines/copy", &copy("q", other));
    let listed = center.ok("pipelines/list_pipelines", &json!({ "workspace_name": "other" }));
    let version = &listed["pipelines"][0]["pipeline_version"]["version"];
    let config =
        center.ok("pipelines/get_version", &json!({ "version": version }))["config"].clone();
    assert_eq!((&config["version"], &config["id"]), (version, &json!("q")));
    let step = &config["steps"][0]["ModelInference"]["models"][0];
    assert_eq!(step["version"], there.json()["model_version"]);
    assert_ne!(step["version"], net["model_version"]);
    assert_eq!(
        center.ok("pipelines/list_pipelines", &json!({}))["pipelines"].as_array().unwrap().len(),
        3
    );
}

#[test]
fn a_stranger_sees_no_pipelines_and_nothing_is_deployed_here() {
    let center = Center::start();
    let net = center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let body = create(&center, "p", json!([inference(&[&net])]));
    let saved = center.ok("pipelines/create", &body);
    let stranger = center.new_user("2");
    let id = &saved["pipeline_pk_id"];
    let asked = [
        ("pipelines/create", body),
        ("pipelines/get_version", json!({ "version": saved["pipeline_variant_version"] })),
        ("pipelines/list_pipelines", json!({ "workspace_id": center.workspace })),
        ("pipelines/list_pipeline_versions", json!({ "pipeline_id": id })),
        (
            "pipelines/get_pipeline_by_name",
            json!({ "pipeline_name": "p", "workspace_id": center.workspace }),
        ),
        (
            "pipelines/copy",
            json!({ "name": "q", "workspace_id": center.workspace, "source_pipeline": id }),
        ),
    ];
    for (path, body) in asked {
        problem(&center.post_as(&stranger, path, &body), 404);
    }
    let seen = center.post_as(&stranger, "pipelines/list_pipelines", &json!({})).json();
    assert_eq!(seen["pipelines"], json!([]));
    for path in ["pipelines/deploy", "pipelines/undeploy", "status/get_deployment"] {
        assert_eq!(problem(&center.post_as(TOKEN, path, &json!({})), 501).0, "no_cluster");
    }
}

/// The config blob is what an engine reads: an image layout made of it by hand is served.
#[test]
fn an_engine_reads_the_config_that_was_saved() {
    use crate::support::engine::Engine;
    use crate::support::layout::by_hand;
    let center = Center::start();
    let net = center.checked("fraud-mlp", &fixture("models/fraud.onnx"));
    let saved =
        center.ok("pipelines/create", &create(&center, "fraud", json!([inference(&[&net])])));
    let blob = center.home.path().join("blobs/blobs/sha256").join(net["sha"].as_str().unwrap());
    let model = std::fs::read(blob).unwrap();
    let config = config(&center, &saved).to_string();
    let layout = by_hand(config.as_bytes(), &[(&model, None)]);
    let engine = Engine::start(&[("PIPELINE_URL", &layout.url)]);
    let pipelines = engine.curl("/pipelines", &[]).json();
    assert_eq!(pipelines["pipelines"][0]["id"], "fraud", "{pipelines}");
    let models = engine.curl("/models", &[]).json();
    assert_eq!(models["models"][0]["version"], net["model_version"], "{models}");
}

/// A pipeline's steps are tried in a process, which the system may end at any time.
#[test]
fn the_center_goes_on_when_a_trial_is_killed() {
    let center = Center::start();
    let ids = ["a", "b"].map(|name| center.upload(name, &fixture("models/vision.onnx")));
    // Whichever trial runs now ends; that no child is left is shown by the checks that end.
    for task in std::fs::read_dir(format!("/proc/{}/task", center.process.id())).unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children"));
        for child in children.unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
    }
    for id in ids {
        let version = center.wait_for(id);
        let killed = version["error"].as_str().is_some_and(|error| error.contains("broke down"));
        assert!(version["status"] == "ready" || killed, "{version}");
    }
    assert_eq!(center.checked("c", &fixture("models/fraud.onnx"))["status"], "ready");
}
