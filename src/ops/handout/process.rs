//! The handout for a machine without containers: the engine as a process of a shell.

use super::{Handout, PASSWORD, USERNAME, word};

impl Handout<'_> {
    /// One command with the settings before it, for a shell in which `potoroo-engine` is found.
    #[must_use]
    pub fn process(&self) -> String {
        let mut lines = Vec::new();
        let mut set = |name: &str, value: &str| lines.push(format!("{name}={value}"));
        if let Some(registry) = self.registry {
            set("OCI_REGISTRY", &registry.to_string());
        }
        if let Some(bundle) = self.bundle() {
            set("EDGE_BUNDLE", &word(bundle));
            set("POTOROO_PERSIST", "./data");
        }
        set("CONFIG_CPUS", &self.cpus.to_string());
        if self.registry.is_some() {
            set("OCI_USERNAME", &format!("\"${USERNAME}\""));
            set("OCI_PASSWORD", &format!("\"${PASSWORD}\""));
        }
        set("PIPELINE_URL", &word(self.pipeline_url));
        lines.push("potoroo-engine".to_owned());
        lines.join(" \\\n")
    }
}
