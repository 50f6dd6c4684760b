//! Python's own tools: request bodies by pyarrow and pandas, reference outputs by onnxruntime.

use super::fixture;
use super::process::{Ended, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub const ARROW: &str = "application/vnd.apache.arrow.file";
pub const RECORDS: &str = "application/json; format=pandas-records";

/// The interpreter with the pinned packages, as `tests/setup.sh` makes it.
pub fn python() -> PathBuf {
    made("target/python/bin/python")
}

/// The command `schemathesis`, of an environment of its own.
pub fn schemathesis() -> PathBuf {
    made("target/schemathesis/bin/schemathesis")
}

fn made(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(path.exists(), "{} is missing: run ./test.sh, which makes it", path.display());
    path
}

/// `tests/fixtures/reference.py` with these arguments.
pub fn reference(arguments: &[&Path]) -> Ended {
    run(Command::new(python()).arg(fixture("reference.py")).args(arguments)).success()
}

/// A request body written by pyarrow or pandas; all are made once in a test run.
pub fn request(name: &str) -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let directory = MADE.get_or_init(|| {
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("requests-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        reference(&[Path::new("inputs"), &directory]);
        directory
    });
    let path = directory.join(name);
    assert!(path.exists(), "reference.py makes no {name}");
    path
}

/// The model's outputs for this body, by onnxruntime: `[{name, dtype, dim, data}]`.
pub fn expected(model: &str, body: &Path) -> serde_json::Value {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("expected.json");
    reference(&[Path::new("expect"), &fixture(&format!("models/{model}")), body, &out]);
    serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap()
}

/// An Arrow answer as pyarrow reads it.
pub fn read_arrow(file: &Path) -> serde_json::Value {
    let ended = reference(&[Path::new("read-arrow"), file]);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A YAML text as PyYAML reads it.
pub fn yaml(text: &str) -> serde_json::Value {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))";
    let ended = run(Command::new(python()).args(["-c", script, text])).success();
    serde_json::from_str(&ended.stdout).unwrap()
}
