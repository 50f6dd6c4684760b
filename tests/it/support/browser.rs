//! Headless Chromium, driven by `tests/fixtures/browser.py`.

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
