//! Headless Chromium, driven by `tests/fixtures/browser.py` and `dashboard.py`.

use super::founded::Center;
use super::process::run;
use super::{fixture, python::python};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// What the browser saw on a page after it sent its form; screenshots go to `directory`.
pub fn visit(url: &str, directory: &Path) -> serde_json::Value {
    let mut command = Command::new(python());
    let ended = run(command.arg(fixture("browser.py")).arg(url).arg(directory)).success();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What the browser saw when it went through the dashboard of a center that has no user yet; the
/// screenshots are in `target/dashboard-shots`. Without axe-core, which npm brings, nothing is `judged`.
pub fn click_through(center: &mut Center, name: &str) -> serde_json::Value {
    let token = center.first_run_token();
    let link = center.url(&format!("/first-run?token={token}"));
    dashboard(&[link.as_ref(), fixture("models/fraud.onnx").as_ref()], name)
}

/// The same, later: with an edge that has joined and sent logs.
pub fn look_again(center: &Center, name: &str) -> serde_json::Value {
    dashboard(&["later".as_ref(), center.url("").as_ref()], name)
}

fn dashboard(arguments: &[&OsStr], name: &str) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let axe = root.join("target/node/node_modules/axe-core/axe.min.js");
    if !axe.is_file() {
        // Not through `print`, which the harness keeps to itself while a test succeeds.
        let note = "note: target/node has no axe-core, so nothing judged the dashboard's pages\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    let mut command = Command::new(python());
    command.arg(fixture("dashboard.py")).args(arguments).arg(axe);
    let ended = run(command.arg(root.join("target/dashboard-shots").join(name))).success();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}
