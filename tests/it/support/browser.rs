//! Headless Chromium, driven by `tests/fixtures/browser.py` and `dashboard.py`.

use super::founded::Center;
use super::process::run;
use super::{fixture, python::python};
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let axe = root.join("target/node/node_modules/axe-core/axe.min.js");
    if !axe.is_file() {
        // Written past the capture of output: a test that passes is otherwise silent.
        let note = "note: target/node has no axe-core, so nothing judged the dashboard's pages\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
    }
    let token = center.first_run_token();
    let link = center.url(&format!("/first-run?token={token}"));
    let mut command = Command::new(python());
    command.arg(fixture("dashboard.py")).arg(link).arg(fixture("models/fraud.onnx"));
    let ended = run(command.arg(axe).arg(root.join("target/dashboard-shots").join(name))).success();
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}
