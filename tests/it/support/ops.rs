//! The ops command, as a person runs it.

use super::process::{Ended, run};
use std::path::Path;
use std::process::Command;

/// `potoroo-ops` with an environment of its own.
pub fn ops() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_potoroo-ops"));
    command.env_clear();
    command
}

/// What a publish printed.
#[derive(Debug)]
pub struct Published {
    pub pipeline_url: String,
    pub digest: String,
    pub text: String,
}

impl Published {
    pub fn from(ended: Ended) -> Published {
        let text = ended.success().stdout;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("no `{key}` in:\n{text}")).to_owned()
        };
        Published { pipeline_url: value("pipeline_url: "), digest: value("digest: "), text }
    }

    /// The part of the URL after the last colon.
    pub fn tag(&self) -> &str {
        self.pipeline_url.rsplit_once(':').unwrap().1
    }
}

/// Publishes into an image layout.
pub fn publish_layout(file: &Path, layout: &Path) -> Published {
    Published::from(run(ops().arg("publish").arg(file).arg("--layout").arg(layout)))
}

/// Publishes to a registry, with a user and password unless it is open.
pub fn publish(file: &Path, registry: &str, login: Option<(&str, &str)>) -> Ended {
    let mut command = ops();
    command.arg("publish").arg(file).args(["--registry", registry]);
    if let Some((username, password)) = login {
        command.env("OCI_USERNAME", username).env("OCI_PASSWORD", password);
    }
    run(&mut command)
}
