//! The Python package: installed as people do, against a real ops center and a real engine.

use crate::support::engine::Engine;
use crate::support::founded::{Center, EMAIL, PASSWORD};
use crate::support::process::run;
use crate::support::python::python;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_python_package_tells_the_story_from_a_model_to_an_answer() {
    let home = tempfile::tempdir().unwrap();
    let site = installed(home.path());
    let center = Center::start();
    let published = home.path().join("published.json");
    run(tests(&site, "test_center.py")
        .env("POTOROO_OPS_URL", center.url(""))
        .env("POTOROO_OPS_TOKEN", &center.token)
        .env("POTOROO_TEST_EMAIL", EMAIL)
        .env("POTOROO_TEST_PASSWORD", PASSWORD)
        .env("POTOROO_TEST_MODELS", crate::support::fixture("models"))
        .env("POTOROO_TEST_PUBLISHED", &published))
    .success();

    let told: Value = serde_json::from_slice(&std::fs::read(published).unwrap()).unwrap();
    let value = |key: &str| told[key].as_str().unwrap();
    let engine = Engine::start(&[
        ("PIPELINE_URL", value("pipeline_url")),
        ("OCI_USERNAME", value("username")),
        ("OCI_PASSWORD", value("password")),
    ]);
    run(tests(&site, "test_engine.py").env("POTOROO_TEST_ENGINE", engine.url(""))).success();
}

/// `pip install` from a copy, since building leaves files beside the sources, and without a network.
fn installed(home: &Path) -> PathBuf {
    let copy = home.join("sources");
    run(Command::new("cp").arg("-r").arg(sources()).arg(&copy)).success();
    let site = home.join("site");
    let offline = ["--no-index", "--no-build-isolation", "--no-deps", "--quiet"];
    run(Command::new(python())
        .args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(offline)
        .arg("--target")
        .arg(&site)
        .arg(&copy))
    .success();
    site
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/python")
}

/// A file of the package's own tests, over what was installed.
fn tests(site: &Path, name: &str) -> Command {
    let mut command = Command::new(python());
    command
        .env_clear()
        .env("PYTHONPATH", site)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(sources().join("tests").join(name));
    command
}
