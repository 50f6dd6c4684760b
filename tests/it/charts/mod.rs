//! The chart of a publish in Helm's own hands: pulled, linted, rendered, and held against Kubernetes' schemas.

mod pushed;
mod refused;
mod rendered;
mod run;

use crate::support::fixture;
use crate::support::helm::{Rendered, render_each};
use crate::support::ops::ops;
use crate::support::process::{self, Ended};
use crate::support::registry::PASSWORD;
use potoroo::ops::chart::{Chart, EngineConfig, Spec};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const VERSION: &str = "a5752acc-9334-4cac-8b34-471979b55d61";
const BUNDLE: &str = "ZXhwb3J0IEJVTkRMRV9WRVJTSU9OPTE=";

/// A chart that no registry was needed for.
struct Packed {
    archive: PathBuf,
    _directory: TempDir,
}

fn packed() -> Packed {
    packed_for("edge-cv-retail")
}

fn packed_for(pipeline: &str) -> Packed {
    let spec = Spec {
        pipeline: pipeline.to_owned(),
        version: VERSION.to_owned(),
        pipeline_url: format!("registry.example.com/pipelines/{pipeline}:{VERSION}")
            .parse()
            .unwrap(),
        engine_url: "registry.example.com/engines/potoroo-engine:v1.2.3".parse().unwrap(),
        registry: "registry.example.com".parse().unwrap(),
        engine: EngineConfig {
            cpus: "4".parse().unwrap(),
            memory: "3Gi".parse().unwrap(),
            arch: None,
        },
        app_version: "v1.2.3".to_owned(),
    };
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("chart.tgz");
    std::fs::write(&archive, Chart::build(&spec).unwrap().archive()).unwrap();
    Packed { archive, _directory: directory }
}

fn render(values: &Value) -> Rendered {
    render_each(&packed().archive, std::slice::from_ref(values)).remove(0)
}

fn login() -> Value {
    json!({"username": "_json_key_base64", "password": "abc123"})
}

/// `publish --chart` of the fraud pipeline to this registry.
fn publish(registry: &str, arguments: &[&str]) -> Ended {
    let mut command = ops();
    command.arg("publish").arg(fixture("pipelines/fraud.yaml")).args(["--registry", registry]);
    command.arg("--chart").args(arguments);
    process::run(command.env("OCI_USERNAME", "me").env("OCI_PASSWORD", PASSWORD))
}

fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(begin));
    found.unwrap_or_else(|| panic!("no `{begin}` in:\n{text}"))
}
