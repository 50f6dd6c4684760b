//! The handout for docker: one `docker run` with all that the engine needs.

use super::{Handout, LAYOUT_MOUNT, PASSWORD, PERSIST, PORT, USERNAME, word};

impl Handout<'_> {
    /// The contract's `docker run`, line for line.
    #[must_use]
    pub fn docker_run(&self) -> String {
        let mut lines = vec![format!("docker run -p {PORT}:{PORT}")];
        let mut set = |name: &str, value: &str| lines.push(format!("-e {name}={value}"));
        let mut volumes = Vec::new();
        let mounted = self.mounted();
        if let Some((directory, _)) = &mounted {
            volumes.push(word(&format!("{directory}:{LAYOUT_MOUNT}:ro")));
        }
        if self.edge_bundle.is_some() {
            volumes.push(PERSIST.to_owned());
        }
        set("DEBUG", "true");
        if let Some(registry) = self.registry {
            set("OCI_REGISTRY", &registry.to_string());
        }
        if let Some(bundle) = self.bundle() {
            set("EDGE_BUNDLE", &word(bundle));
        }
        set("CONFIG_CPUS", &self.cpus.to_string());
        if self.registry.is_some() {
            set("OCI_USERNAME", &format!("${USERNAME}"));
            set("OCI_PASSWORD", &format!("${PASSWORD}"));
        }
        let url = mounted.as_ref().map_or(self.pipeline_url, |(_, url)| url.as_str());
        set("PIPELINE_URL", &word(url));
        lines.splice(1..1, volumes.into_iter().map(|volume| format!("-v {volume}")));
        lines.push(word(self.engine_url));
        lines.join(" \\\n")
    }
}
