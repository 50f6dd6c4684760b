//! The commands that a publish prints, as a shell and a reader of YAML take them.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::python::yaml;
use crate::support::registry::{Auth, PASSWORD, Registry};
use serde_json::json;
use std::process::Command;

/// `publish` of the fraud pipeline to a registry that wants a login, as it is printed.
fn printed(registry: &Registry, arguments: &[&str]) -> String {
    let mut command = ops();
    command.arg("publish").arg(fixture("pipelines/fraud.yaml")).args(arguments);
    command.args(["--registry", &registry.host().to_string()]);
    run(command.env("OCI_USERNAME", "me").env("OCI_PASSWORD", PASSWORD)).success().stdout
}

/// The text from the line that begins so to the next empty line.
fn paragraph<'a>(printed: &'a str, begin: &str) -> &'a str {
    let at = printed.find(&format!("\n{begin}")).unwrap_or_else(|| panic!("no {begin}: {printed}"));
    let rest = &printed[at + 1..];
    rest.split("\n\n").next().unwrap()
}

/// A shell's own `docker` that tells which words it was given, each on a line.
fn words(command: &str) -> Vec<String> {
    // The contract's form has no quotes around the password, and the one here has spaces in it.
    let script = format!("IFS=; docker() {{ printf '%s\\n' \"$@\"; }}\n{command}\n");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear();
    shell.env("REGISTRYUSERNAME", "me").env("REGISTRYPASSWORD", PASSWORD);
    run(&mut shell).success().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn an_engine_with_exactly_the_environment_of_the_printed_docker_run_answers() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let printed = printed(&registry, &["--engine-url", "r.io/engine:v1", "--cpus", "2"]);
    let words = words(paragraph(&printed, "docker run"));
    assert_eq!(words[..3], ["run", "-p", "8080:8080"]);
    assert_eq!(words.last().unwrap(), "r.io/engine:v1");
    let variables: Vec<(&str, &str)> = words
        .windows(2)
        .filter(|pair| pair[0] == "-e")
        .map(|pair| pair[1].split_once('=').unwrap())
        .collect();
    assert_eq!(words.len(), 3 + 2 * variables.len() + 1, "{words:?}");
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let contract =
        ["DEBUG", "OCI_REGISTRY", "CONFIG_CPUS", "OCI_USERNAME", "OCI_PASSWORD", "PIPELINE_URL"];
    assert_eq!(names, contract);
    let engine = Engine::start(&variables);
    let answer = engine.curl("/pipelines", &[]);
    assert_eq!(answer.json()["pipelines"][0]["id"], "fraud", "{}", answer.body);
}

#[test]
fn the_printed_compose_file_is_one_service_with_the_contracts_variables() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let printed = printed(&registry, &["--engine-url", "r.io/engine:v1"]);
    let url = printed.lines().find_map(|line| line.strip_prefix("pipeline_url: ")).unwrap();
    assert_eq!(
        yaml(paragraph(&printed, "services:")),
        json!({"services": {"engine": {
            "image": "r.io/engine:v1",
            "ports": ["8080:8080"],
            "environment": {
                "PIPELINE_URL": url,
                "OCI_REGISTRY": registry.host().to_string(),
                "OCI_USERNAME": "${REGISTRYUSERNAME}",
                "OCI_PASSWORD": "${REGISTRYPASSWORD}",
                "CONFIG_CPUS": 1
            }
        }}})
    );
}

#[test]
fn a_unit_is_printed_where_it_is_asked_for() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let plain = printed(&registry, &[]);
    assert!(!plain.contains("[Service]"), "{plain}");
    let with = printed(&registry, &["--systemd"]);
    let unit = with.strip_prefix(&plain).unwrap_or_else(|| panic!("{with}"));
    let url = plain.lines().find_map(|line| line.strip_prefix("pipeline_url: ")).unwrap();
    assert!(unit.contains(&format!("\nEnvironment=PIPELINE_URL={url}\n")), "{unit}");
    assert!(!unit.contains(PASSWORD), "{unit}");
}
