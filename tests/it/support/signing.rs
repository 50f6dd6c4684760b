//! Who signs and who checks: key pairs, openssl, Python's libsodium, and npm's verifier of bundles.

use super::ops::{Published, ops};
use super::process::run;
use super::{fixture, python};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The password of every key here.
pub const PASSWORD: &str = "correct horse";

/// A key pair that `potoroo-ops keygen` made.
pub struct Keys {
    directory: TempDir,
}

impl Keys {
    pub fn make() -> Keys {
        let keys = Keys { directory: tempfile::tempdir().unwrap() };
        let prefix = keys.directory.path().join("cosign");
        let mut command = ops();
        command.arg("keygen").arg("--output-prefix").arg(prefix).env("COSIGN_PASSWORD", PASSWORD);
        run(&mut command).success();
        keys
    }

    pub fn private(&self) -> PathBuf {
        self.directory.path().join("cosign.key")
    }

    pub fn public(&self) -> PathBuf {
        self.directory.path().join("cosign.pub")
    }

    pub fn public_text(&self) -> String {
        self.public().display().to_string()
    }

    /// `potoroo-ops publish FILE --sign` with this key and these further arguments.
    pub fn publish(&self, file: &str, arguments: &[&str]) -> Published {
        let mut command = ops();
        command.arg("publish").arg(fixture(file)).arg("--sign").arg(self.private());
        command.env("COSIGN_PASSWORD", PASSWORD).args(arguments);
        Published::from(run(&mut command))
    }
}

/// `tests/fixtures/cosign_key.py` with these arguments, this input and the bytes that it prints.
pub fn cosign_key(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(python::python());
    piped(command.arg(fixture("cosign_key.py")).args(arguments), input)
}

/// `openssl` with these arguments, this input and the bytes that it prints.
pub fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    piped(Command::new("openssl").args(arguments), input)
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// `tests/fixtures/sigstore.mjs`; `None` where its packages are not there, which is said.
pub fn sigstore(verb: &str, arguments: &[&Path]) -> Option<String> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node");
    if !modules.join("node_modules").exists() {
        // Not through `print`, which the harness keeps to itself while a test succeeds.
        let note = "note: target/node is missing, so npm's verifier of bundles was not run\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return None;
    }
    let mut command = Command::new("node");
    command.arg(fixture("sigstore.mjs")).arg(verb).arg(modules).args(arguments);
    Some(run(&mut command).success().stdout)
}
