//! What pods of the chart would run, run here: the engine with their environment, and the check of `helm test`.

use super::{line, publish, render};
use crate::support::engine::{self, Engine};
use crate::support::helm::{Release, pull, render_each};
use crate::support::process;
use crate::support::python::yaml;
use crate::support::registry::{Auth, PASSWORD, Registry};
use serde_json::json;
use std::path::Path;

/// Kubernetes puts the service's address into the place of the variable; here it is the engine's.
#[test]
fn the_test_of_the_chart_asks_the_engine_whether_it_is_well() {
    let engine = Engine::serving("models/fraud.onnx");
    let (host, port) = engine.address.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let release = render(&json!({"service": {"port": port}})).sound();
    let container = &release.only("Pod")["spec"]["containers"][0];
    assert_eq!(container["image"], release.pod()["containers"][0]["image"]);
    let variable = &container["env"][0];
    let address = variable["value"].as_str().unwrap().replace("$(ENGINE_SVC_SERVICE_HOST)", host);
    let ask = |address: &str| {
        let mut command = engine::command(Path::new("/nowhere"));
        command.arg(container["args"][0].as_str().unwrap());
        process::run(command.env(variable["name"].as_str().unwrap(), address)).code()
    };
    assert_eq!(ask(&address), 0);
    drop(engine);
    assert_eq!(ask(&address), 1);
}

/// The variables of the engine's container, with what Secrets hold in their places; what names a
/// directory of the container is left out.
fn environment(release: &Release, secrets: &Release) -> Vec<(String, String)> {
    let all = release.pod()["containers"][0]["env"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    all.iter()
        .filter(|variable| variable["name"] != "POTOROO_PERSIST")
        .map(|variable| {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let value = match variable.get("value") {
                Some(value) => text(value),
                None => secrets.secret(&text(&from["name"]), &text(&from["key"])),
            };
            (text(&variable["name"]), value)
        })
        .collect()
}

/// The first login is the contract's file of values, with ours in their places.
#[test]
fn an_engine_with_what_its_pod_gets_pulls_and_answers() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let printed = publish(&registry.host().to_string(), &[]).success().stdout;
    let [chart, version] = ["helm.chart: ", "helm.version: "].map(|key| line(&printed, key));
    let directory = tempfile::tempdir().unwrap();
    let pulled = pull(chart, version, directory.path(), Some(("me", PASSWORD)));
    let own = yaml(&format!(
        "ociRegistry:\n    registry: {}\n    username:  me\n    password: {PASSWORD}\n",
        registry.host()
    ));
    // The chart's own Secret for the image, as one that was there already.
    let existing = json!({"ociRegistry": {"existingSecret": "edge-pull"}});
    let mut rendered = render_each(&pulled.archive, &[own, existing]).into_iter();
    let [own, existing] = [(); 2].map(|()| rendered.next().unwrap().sound());

    let logins = tempfile::tempdir().unwrap();
    let mounted = &existing.pod()["volumes"][1]["secret"];
    let item = &mounted["items"][0];
    let [secret, key, path] =
        [&mounted["secretName"], &item["key"], &item["path"]].map(|it| it.as_str().unwrap());
    std::fs::write(logins.path().join(path), own.secret(secret, key)).unwrap();
    for (release, login) in [(&own, "OCI_PASSWORD"), (&existing, "DOCKER_CONFIG")] {
        let mut variables = environment(release, &own);
        assert!(variables.iter().any(|(name, _)| name == login), "{login}");
        for (_, value) in variables.iter_mut().filter(|(name, _)| name == "DOCKER_CONFIG") {
            *value = logins.path().display().to_string();
        }
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let engine = Engine::start(&variables);
        let answer = engine.curl("/pipelines", &[]);
        assert_eq!(answer.json()["pipelines"][0]["id"], "fraud", "{}", answer.body);
    }
}
