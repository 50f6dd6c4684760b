//! The contract's story with real parts: publish to a registry, pull with the engine, ask with curl.

use crate::support::engine::Engine;
use crate::support::ops::{Published, publish};
use crate::support::python::{ARROW, RECORDS, request};
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::token_server::{Policy, TokenServer};
use crate::support::{fixture, golden};
use serde_json::Value;

const USER: &str = "_json_key_base64";

/// The three questions of the contract, to an engine that has nothing but the contract's
/// environment variables.
#[test]
fn an_engine_with_the_contracts_variables_answers_the_contracts_three_commands() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let host = registry.host().to_string();
    let ended = publish(&fixture("pipelines/vision.json"), &host, Some((USER, PASSWORD)));
    let published = Published::from(ended);
    let mut engine = Engine::start(&[
        ("DEBUG", "true"),
        ("OCI_REGISTRY", &host),
        ("OCI_USERNAME", USER),
        ("OCI_PASSWORD", PASSWORD),
        ("PIPELINE_URL", &published.pipeline_url),
    ]);
    let name = "vision";

    let pipelines = engine.curl("/pipelines", &[]);
    assert_eq!((pipelines.status, pipelines.content_type.as_str()), (200, "application/json"));
    golden("pipelines.json", &pipelines.body);
    golden("models.json", &engine.curl("/models", &[]).body);

    let image = format!("@{}", request("image_224x224.arrow").display());
    let answer = engine.curl(
        &format!("/pipelines/{name}"),
        &[
            "-X",
            "POST",
            "-H",
            &format!("Content-Type: {ARROW}"),
            "-H",
            &format!("Accept: {RECORDS}"),
            "--data-binary",
            &image,
        ],
    );
    assert_eq!((answer.status, answer.content_type.as_str()), (200, RECORDS), "{}", answer.body);
    golden("inference.json", &masked(&answer.body));
    assert_eq!(engine.curl("/healthz", &[]).status, 200);

    let said = engine.process.seen().join("\n");
    assert!(!said.contains(PASSWORD), "the password stands in:\n{said}");
    golden("start_up.txt", &start_up(&said, &host));
    assert_eq!(engine.process.signal("TERM").code(), Some(0));
}

/// The start-up lines of stdout, with the registry's random port taken out.
fn start_up(said: &str, host: &str) -> String {
    let ours = said.lines().filter(|line| !line.starts_with("t="));
    ours.map(|line| line.replace(host, "sample-registry.com") + "\n").collect()
}

/// Times are `0`, and of each long list of numbers the first is kept: what is left is the form,
/// its key order and the values that must not change. Floats are masked: kernels differ by CPU.
fn masked(body: &str) -> String {
    let mut records: Value = serde_json::from_str(body).unwrap();
    let record = &mut records[0];
    record["time"] = 0.into();
    for elapsed in record["elapsed"].as_array_mut().unwrap() {
        assert!(elapsed.as_u64().unwrap() > 0);
        *elapsed = 0.into();
    }
    for output in record["outputs"].as_array_mut().unwrap() {
        let (element, output) = output.as_object_mut().unwrap().iter_mut().next().unwrap();
        if element == "Float" {
            let data = output["data"].as_array_mut().unwrap();
            assert_eq!(data.len(), 1001);
            assert!(data.iter().all(|value| value.as_f64().is_some_and(|v| v > 0.0 && v < 1.0)));
            *data = vec!["1001 floats".into()];
        }
    }
    // serde_json keeps keys sorted, as the contract's are; that the body's own were so is checked
    // by comparing the order in which they stand.
    let order = [
        "check_failures",
        "elapsed",
        "model_name",
        "model_version",
        "original_data",
        "outputs",
        "pipeline_name",
        "shadow_data",
        "time",
    ];
    let places: Vec<usize> =
        order.iter().map(|key| body.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "keys out of order in {body}");
    serde_json::to_string_pretty(&records).unwrap() + "\n"
}

#[test]
fn a_registry_with_tokens_serves_the_same() {
    let tokens = TokenServer::start(Policy {
        username: USER,
        password: PASSWORD,
        user_may: &["pull", "push"],
        anyone_may: &[],
        expires_in: 300,
        key: "token",
    });
    let registry = Registry::start(&Auth::Token(&tokens));
    let host = registry.host().to_string();
    let ended = publish(&fixture("pipelines/fraud.yaml"), &host, Some((USER, PASSWORD)));
    let published = Published::from(ended);
    let mut engine = Engine::start(&[
        ("OCI_REGISTRY", &host),
        ("OCI_USERNAME", USER),
        ("OCI_PASSWORD", PASSWORD),
        ("PIPELINE_URL", &published.pipeline_url),
    ]);
    let said = engine.process.seen().join("\n");
    assert!(said.contains("Login Succeeded") && !said.contains(PASSWORD), "{said}");
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
}

#[test]
fn an_open_registry_needs_no_credentials_and_a_digest_pins_the_pipeline() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let ended = publish(&fixture("pipelines/fraud.yaml"), &host, None);
    let published = Published::from(ended);
    let pinned = format!("oci://{host}/pipelines/fraud@{}", published.digest);
    let mut engine = Engine::start(&[("PIPELINE_URL", &pinned)]);
    assert!(!engine.process.seen().join("\n").contains("Login Succeeded"));
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.arrow")).status, 200);
}
