//! The images: built by the project's files, run by the contract's commands, and what a supervisor does to them.

use crate::support::fixture;
use crate::support::ops::Published;
use crate::support::podman::{CENTER, ENGINE, OPS, REGISTRY, Yard, yard};
use crate::support::process::{Running, run};
use crate::support::python::{RECORDS, request};
use crate::support::registry::{PASSWORD, PASSWORD_HASH};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
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
        assert_eq!(found["Healthcheck"]["Test"], json!(["CMD", program, "healthcheck"]), "{found}");
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
    let process =
        yard.podman(&["inspect", "--format", "{{.State.Pid}}", "device"]).success().stdout;
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.trim())).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(line("Uid:"), "10001\t10001\t10001\t10001");
    for rights in ["CapPrm:", "CapEff:"] {
        assert_eq!(line(rights), "0000000000000000", "{status}");
    }
    let kept = run(Command::new("stat").args(["-c", "%u %a"]).arg(&data)).success();
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

/// A file of `deploy`, with these values for what stands behind the keys, and the images of the tests.
fn deployed(yard: &Yard, place: &str, file: &str, values: &[(&str, &str)]) -> Command {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(project.join("deploy").join(file)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for image in ["potoroo-engine", "potoroo-ops"] {
            if line.trim_start() == format!("image: localhost/{image}") {
                *line += ":test";
            }
        }
        if let Some((key, value)) =
            values.iter().find(|(key, _)| line.trim_start().starts_with(&format!("{key}:")))
        {
            let indent = line.len() - line.trim_start().len();
            *line = format!("{}{key}: {value}", " ".repeat(indent));
        }
    }
    let directory = yard.home().join(place);
    std::fs::create_dir_all(directory.join("data")).unwrap();
    std::fs::write(directory.join(file), lines.join("\n") + "\n").unwrap();
    yard.shell(&format!("cd {place} && exec podman-compose -f {file} up"), &[])
}

#[expect(clippy::print_stdout, reason = "a test that is not run, and a figure, is to be read")]
fn has_compose() -> bool {
    let found = run(Command::new("sh").args(["-c", "command -v podman-compose"])).status.success();
    if !found {
        println!("not run: there is no podman-compose");
    }
    found
}

#[test]
fn the_contracts_compose_file_serves() {
    let Some(yard) = yard().filter(|_| has_compose()) else { return };
    let url = published(&yard, "pipelines/fraud.yaml");
    let values = [("PIPELINE_URL", url.as_str()), ("OCI_PASSWORD", PASSWORD)];
    let mut compose = Running::start(&mut deployed(&yard, "device", "compose.yaml", &values));
    compose.line_with("msg=ready");
    infers(&yard, "fraud");
}

/// The contract's file without observability, word for word.
const COMPOSE: &str = "services:
  engine:
    image: {Your Engine URL}
    ports:
      - 8080:8080
    environment:
      PIPELINE_URL: {Your Pipeline URL}
      OCI_REGISTRY: {Your Edge Registry URL}
      OCI_USERNAME:  {Your Registry Username}
      OCI_PASSWORD: {Your Token or Password}
      CONFIG_CPUS: 4
";

#[test]
fn the_compose_file_is_the_contracts_with_values_in_the_places_of_its_own() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let ours = text.lines().filter(|line| !line.starts_with('#'));
    let theirs: Vec<&str> = COMPOSE.lines().collect();
    let filled: Vec<String> = theirs
        .iter()
        .zip(ours.clone())
        .map(|(theirs, ours)| match theirs.split_once('{') {
            Some((key, _)) if ours.starts_with(key) => ours.to_owned(),
            Some(_) | None => (*theirs).to_owned(),
        })
        .collect();
    assert_eq!(ours.collect::<Vec<_>>(), filled);
}

/// The ops center and its registry by their file, with the fraud model published.
struct Center {
    access: [(&'static str, String); 2],
    _running: Running,
}

impl Center {
    fn start(yard: &Yard) -> Center {
        let place = yard.home().join("center");
        yard.certificate(CENTER, &place.join("certs"));
        let settings =
            format!("HOST={CENTER}\nREGISTRY_USERNAME={USER}\nREGISTRY_PASSWORD={PASSWORD}\n");
        std::fs::write(place.join(".env"), settings).unwrap();
        std::fs::write(place.join("htpasswd"), format!("{USER}:{PASSWORD_HASH}\n")).unwrap();
        let mut running = Running::start(&mut deployed(yard, "center", "compose.ops.yaml", &[]));
        let link = running.line_with("/first-run?token=");
        yard.until("center that serves", || {
            running.seen().iter().any(|line| line.contains("msg=ready"))
        });
        let token = link.rsplit_once("token=").unwrap().1.trim();
        let at = format!("https://{CENTER}:8090");
        let order = json!({ "token": token, "email": "admin@example.com", "password": "correct horse battery staple" });
        let resolve = format!("{CENTER}:8090:127.0.0.1");
        let founded = yard.curl(&[
            "--insecure",
            "--resolve",
            &resolve,
            &format!("{at}/v1/api/first_run"),
            "-d",
            &order.to_string(),
        ]);
        let founded: Value =
            serde_json::from_str(&founded.0).unwrap_or_else(|_| panic!("{founded:?}"));
        let token = founded["token"].as_str().unwrap().to_owned();
        let access = [("POTOROO_OPS_URL", at), ("POTOROO_OPS_TOKEN", token)];
        let center = Center { access, _running: running };
        let model = fixture("models/fraud.onnx");
        center.ops(yard, &["model", "upload", model.to_str().unwrap(), "--name", "fraud-mlp"]);
        let pipeline = fixture("pipelines/fraud.yaml");
        center.ops(yard, &["pipeline", "create", pipeline.to_str().unwrap()]);
        center.ops(yard, &["publish", "start", "fraud"]);
        center
    }

    fn ops(&self, yard: &Yard, words: &[&str]) -> String {
        let access = self.access.each_ref().map(|(name, value)| (*name, value.as_str()));
        yard.beside(OPS_PROGRAM, words, &access).success().stdout
    }

    /// Adds an edge: where its pipeline is, and its bundle.
    fn edge(&self, yard: &Yard, name: &str) -> [String; 2] {
        let added = self.ops(yard, &["edge", "add", name, "--publish", "1", "--json"]);
        let added: Value = serde_json::from_str(&added).unwrap();
        let url = added["pipeline_url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{CENTER}:5000/pipelines/fraud:")), "{added}");
        let bundle = added["docker_run_variables"]["EDGE_BUNDLE"].as_str().unwrap();
        [url.to_owned(), bundle.to_owned()]
    }

    /// The edges by their names.
    fn edges(&self, yard: &Yard) -> Vec<String> {
        let edges: Value =
            serde_json::from_str(&self.ops(yard, &["edge", "list", "--json"])).unwrap();
        let edges = edges["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Until an edge has said so, in whichever order.
fn has_joined(yard: &Yard, edge: &mut Running) {
    yard.until("edge that serves and has joined", || {
        let said = edge.seen().join("\n");
        said.contains("Node attestation was successful") && said.contains("msg=ready")
    });
}

/// An edge by the contract's file with observability, and the same edge again after its container is gone.
#[test]
fn the_contracts_compose_file_with_observability_joins_and_stays_joined() {
    let Some(yard) = yard().filter(|_| has_compose()) else { return };
    let center = Center::start(&yard);
    let [url, bundle] = center.edge(&yard, "edge-1");
    let registry = format!("{CENTER}:5000");
    let values = [
        ("PIPELINE_URL", url.as_str()),
        ("EDGE_BUNDLE", &bundle),
        ("OCI_REGISTRY", &registry),
        ("OCI_PASSWORD", PASSWORD),
    ];
    let file = "compose.observability.yaml";
    for _ in 0..2 {
        let mut edge = Running::start(&mut deployed(&yard, "device", file, &values));
        has_joined(&yard, &mut edge);
        infers(&yard, "fraud");
        let down = format!("cd device && podman-compose -f {file} down -t 10");
        run(&mut yard.shell(&down, &[])).success();
        edge.wait();
    }
    assert_eq!(center.edges(&yard), ["edge-1"]);
}

/// The contract's command with observability, twice: the bundle's token holds once, what is in `./data` for ever.
#[test]
fn the_contracts_docker_run_with_observability_joins_and_stays_joined() {
    let Some(yard) = yard().filter(|_| has_compose()) else { return };
    let center = Center::start(&yard);
    let [url, bundle] = center.edge(&yard, "edge-1");
    let script = format!(
        "mkdir -p data
         docker run -p 8080:8080 \\
         -v ./data:/persist \\
         -e DEBUG=true \\
         -e OCI_REGISTRY=$REGISTRYURL \\
         -e EDGE_BUNDLE={bundle} \\
         -e CONFIG_CPUS=1 \\
         -e OCI_USERNAME=$REGISTRYUSERNAME \\
         -e OCI_PASSWORD=\"$REGISTRYPASSWORD\" \\
         -e PIPELINE_URL={url} \\
         {ENGINE}"
    );
    let registry = format!("{CENTER}:5000");
    let shell =
        [("REGISTRYURL", &*registry), ("REGISTRYUSERNAME", USER), ("REGISTRYPASSWORD", PASSWORD)];
    for _ in 0..2 {
        let mut docker = Running::start(&mut yard.shell(&script, &shell));
        has_joined(&yard, &mut docker);
        infers(&yard, "fraud");
        yard.podman(&["rm", "--force", "--time", "10", &yard.latest()]).success();
        docker.wait();
    }
    assert_eq!(center.edges(&yard), ["edge-1"]);
}
