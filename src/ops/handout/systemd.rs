//! The handout for a bare device: a unit of systemd, and the file with its secrets.

use super::Handout;
use crate::supervisor::{Program, UnitSettings, unit};

/// Where a person puts a program that no package brought.
const DIRECTORY: &str = "/usr/local/bin";

/// The two files of a device without containers.
#[derive(Clone, PartialEq, Eq)]
pub struct Systemd {
    /// `/etc/systemd/system/potoroo-engine.service`
    pub unit: String,
    /// `/etc/potoroo/engine.env`, which only root may read: login and bundle.
    pub environment: String,
}

/// Its second file may have a bundle in it.
impl std::fmt::Debug for Systemd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Systemd").field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl Handout<'_> {
    /// The unit, under a user of its own that may write nowhere but below `/var/lib/potoroo`, where
    /// models and the session of an edge are kept.
    #[must_use]
    pub fn systemd(&self) -> Systemd {
        let registry = self.registry.map(ToString::to_string);
        let cpus = self.cpus.to_string();
        let mut variables = vec![("PIPELINE_URL", self.pipeline_url)];
        variables.extend(registry.as_deref().map(|registry| ("OCI_REGISTRY", registry)));
        variables.push(("CONFIG_CPUS", &cpus));
        // A layout may lie in somebody's home.
        let reads_homes = self.mounted().is_some();
        let settings = UnitSettings { directory: DIRECTORY, variables: &variables, reads_homes };
        let unit = unit(Program::Engine, settings);
        let mut environment = String::new();
        if self.registry.is_some() {
            environment.push_str("OCI_USERNAME=\nOCI_PASSWORD=\n");
        }
        if let Some(bundle) = self.bundle() {
            environment.push_str(&format!("EDGE_BUNDLE={bundle}\n"));
        }
        Systemd { unit, environment }
    }
}
