//! The images: built by the project's files, run by the contract's commands, and what a supervisor does to them.

use crate::support::fixture;
use crate::support::ops::Published;
use crate::support::podman::{ENGINE, OPS, REGISTRY, Yard, yard};
use crate::support::process::{Running, run};
use crate::support::python::{RECORDS, request};
use crate::support::registry::PASSWORD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const USER: &str = "_json_key_base64";

const OPS_PROGRAM: &str = env!("CARGO_BIN_EXE_potoroo-ops");

/// Publishes to the registry of the yard, as a person there would.
fn published(yard: &Yard, file: &str) -> String {
    let file = fixture(file);
    let words = ["publish", file.to_str().unwrap(), "--registry", REGISTRY];
    let login = [("OCI_USERNAME", USER), ("OCI_PASSWORD", PASSWORD)];
    Published::from(yard.beside(OPS_PROGRAM, &words, &login)).pipeline_url
}

/// The contract's question about a card, and the answer's record.
fn infers(yard: &Yard, pipeline: &str) {
    let body = format!("@{}", request("fraud_1.json").display());
    let kind = format!("Content-Type: {RECORDS}");
    let url = format!("localhost:8080/pipelines/{pipeline}");
    let (body, status) = yard.curl(&["-X", "POST", &url, "-H", &kind, "--data-binary", &body]);
    assert_eq!(status, "200", "{body}");
    let records: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(records[0]["pipeline_name"], pipeline);
}

fn inspected(yard: &Yard, image: &str) -> Value {
    let text = yard.podman(&["image", "inspect", image]).success().stdout;
    let found: Value = serde_json::from_str(&text).unwrap();
    found[0].clone()
}

#[test]
fn an_image_is_one_user_without_rights_one_volume_one_port_and_its_own_health() {
    let Some(yard) = yard() else { return };
    for (image, port, volume, program) in [
        (ENGINE, "8080/tcp", "/persist", "/usr/bin/potoroo-engine"),
        (OPS, "8090/tcp", "/data", "/usr/bin/potoroo-ops"),
    ] {
        let found = inspected(&yard, image);
        let config = &found["Config"];
        assert_eq!(config["User"], "10001:10001", "{config}");
        assert_eq!(config["Volumes"], json!({ volume: {} }));
        assert_eq!(config["ExposedPorts"], json!({ port: {} }));
        assert_eq!(config["Entrypoint"], json!([program]));
        assert_eq!(found["HealthCheck"]["Test"], json!(["CMD", program, "healthcheck"]), "{found}");
        let labels = &found["Labels"];
        assert_eq!(labels["org.opencontainers.image.licenses"], "MIT OR Apache-2.0");
        assert_eq!(labels["org.opencontainers.image.version"], "0.0.0-test");
        let help = yard.podman(&["run", "--rm", "--read-only", image, "--help"]).success();
        assert!(help.stdout.contains("Usage: potoroo"), "{}", help.stdout);
    }
}

/// The contract's command without observability, and what a supervisor does to the container.
#[test]
fn the_contracts_docker_run_serves_and_stops_in_time_and_comes_back_from_a_kill() {
    let Some(yard) = yard() else { return };
    let url = published(&yard, "pipelines/fraud.yaml");
    let script = format!(
        "docker run -p 8080:8080 \\
         -e DEBUG=true \\
         -e OCI_REGISTRY=$REGISTRYURL \\
         -e CONFIG_CPUS=1 \\
         -e OCI_USERNAME=$REGISTRYUSERNAME \\
         -e OCI_PASSWORD=$REGISTRYPASSWORD \\
         -e PIPELINE_URL={url} \\
         {ENGINE}"
    );
    // The password of these tests has spaces, and the contract's command has no quotes.
    let script = script.replace("$REGISTRYPASSWORD", "\"$REGISTRYPASSWORD\"");
    let shell =
        [("REGISTRYURL", REGISTRY), ("REGISTRYUSERNAME", USER), ("REGISTRYPASSWORD", PASSWORD)];
    let mut docker = Running::start(&mut yard.shell(&script, &shell));
    docker.line_with("msg=ready");
    let said = docker.seen().join("\n");
    for line in ["Login Succeeded", "  name: fraud-mlp", "Fetched", "Starting engine"] {
        assert!(said.lines().any(|found| found == line), "no `{line}` in\n{said}");
    }
    infers(&yard, "fraud");
    let container = yard.latest();
    let health = yard.podman(&["healthcheck", "run", &container]);
    assert_eq!(health.code(), 0, "{}", health.stderr);

    let asked = Instant::now();
    yard.podman(&["stop", "--time", "10", &container]).success();
    assert!(asked.elapsed() < Duration::from_secs(9), "killed after {:?}", asked.elapsed());
    assert_eq!(docker.wait().code(), Some(0), "{}", docker.seen().join("\n"));
    assert!(docker.seen().iter().any(|line| line.contains("msg=stopped drained=true")));
}

#[test]
fn a_directory_of_roots_is_taken_over_and_outlives_a_kill_under_a_read_only_root() {
    let Some(yard) = yard() else { return };
    let url = published(&yard, "pipelines/fraud.yaml");
    let data = yard.home().join("data");
    std::fs::create_dir(&data).unwrap();
    let script = format!(
        "docker run --name device --read-only --memory 64m --cpus 1 -p 8080:8080 -v ./data:/persist \\
         -e OCI_REGISTRY={REGISTRY} -e OCI_USERNAME={USER} -e OCI_PASSWORD=\"$PASSWORD\" \\
         -e PIPELINE_URL={url} {ENGINE}"
    );
    let mut docker = Running::start(&mut yard.shell(&script, &[("PASSWORD", PASSWORD)]));
    docker.line_with("msg=ready");
    infers(&yard, "fraud");
    let top = yard.podman(&["top", "device", "huser", "hcaps"]).success().stdout;
    assert!(top.lines().last().unwrap().starts_with("10001"), "{top}");
    assert!(!top.contains("CHOWN") && !top.contains("SETUID"), "{top}");
    let kept = run(std::process::Command::new("stat").args(["-c", "%u %a"]).arg(&data)).success();
    assert_eq!(kept.stdout.trim(), "10001 755");

    yard.podman(&["kill", "--signal", "KILL", "device"]).success();
    docker.wait();
    yard.podman(&["start", "device"]).success();
    yard.until("second start", || {
        yard.curl(&["localhost:8080/pipelines"]).0.contains("\"status\":\"Running\"")
    });
    infers(&yard, "fraud");
}

#[test]
fn a_directory_that_is_somebody_elses_is_left_alone_and_the_engine_says_what_to_do() {
    let Some(yard) = yard() else { return };
    let data = yard.home().join("home");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("letter.txt"), "dear").unwrap();
    let words = ["run", "--rm", "-v", "./home:/persist", "-e", "PIPELINE_URL=a.io/b:c", ENGINE];
    let ended = yard.podman(&words);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("/persist"), "{}", ended.stderr);
    assert!(ended.stderr.contains("chown 10001"), "{}", ended.stderr);
    // The same where the image may not take any rights.
    std::fs::create_dir(yard.home().join("empty")).unwrap();
    let words = [
        "run",
        "--rm",
        "--security-opt",
        "no-new-privileges",
        "-v",
        "./empty:/persist",
        "-e",
        "PIPELINE_URL=a.io/b:c",
        ENGINE,
    ];
    let ended = yard.podman(&words);
    assert!(ended.stderr.contains("chown 10001"), "{}", ended.stderr);
}
