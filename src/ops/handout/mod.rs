//! The handout: how a publish is run, as commands and files in the contract's form, ready to paste.
//!
//! Each form is a file: [`docker run`](Handout::docker_run), [`compose.yaml`](Handout::compose),
//! [`helm`](Handout::helm), a [unit of systemd](Handout::systemd), and a
//! [process](Handout::process) of a shell. With an edge bundle they are
//! those of an edge that reports to its ops center, and keep its session.

mod compose;
mod docker;
mod helm;
mod process;
mod systemd;

use crate::oci::RegistryHost;
use crate::ops::chart;
use crate::registry::Secret;

pub use systemd::Systemd;

/// The port of the engine, in the container and in front of it.
const PORT: u16 = 8080;

/// Where the session of an edge is kept, beside the commands and in the container.
const PERSIST: &str = "./data:/persist";

/// Where a layout's directory is mounted in a container.
const LAYOUT_MOUNT: &str = "/pipeline";

/// The variables of the shell that hold the registry's login, by the contract's names. The commands
/// name them and not what they hold: `ps` and the shell's history show a command line.
const USERNAME: &str = "REGISTRYUSERNAME";
/// The password's.
const PASSWORD: &str = "REGISTRYPASSWORD";

/// What is to be run, and by whom it is known.
#[derive(Debug, Clone, Copy)]
pub struct Handout<'a> {
    /// The engine's image.
    pub engine_url: &'a str,
    /// The pipeline: `registry/repository:tag`, or `oci-layout:DIRECTORY:TAG`.
    pub pipeline_url: &'a str,
    /// The registry that the login is for; none with a layout.
    pub registry: Option<&'a RegistryHost>,
    /// `CONFIG_CPUS`.
    pub cpus: u32,
    /// What the ops center made for this edge, base64; without it nothing is reported to anyone.
    pub edge_bundle: Option<&'a Secret>,
    /// The chart that was pushed beside the pipeline.
    pub chart: Option<&'a chart::Helm>,
}

impl<'a> Handout<'a> {
    /// The layout's directory, and the pipeline's URL where that is mounted; none for a registry.
    fn mounted(&self) -> Option<(&'a str, String)> {
        let bare = self.pipeline_url.strip_prefix("oci-layout:")?;
        let (directory, tag) = bare.rsplit_once(':').unwrap_or((bare, ""));
        let colon = if tag.is_empty() { "" } else { ":" };
        Some((directory, format!("oci-layout:{LAYOUT_MOUNT}{colon}{tag}")))
    }

    fn bundle(&self) -> Option<&'a str> {
        self.edge_bundle.map(Secret::reveal)
    }
}

/// Whether a text means itself to a shell, to YAML and to systemd.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@+=,".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A text as one value of YAML.
fn yaml(text: &str) -> String {
    let plain = is_plain(text) && !text.ends_with(':') && !text.starts_with(['-', '@', '=', ',']);
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests;
