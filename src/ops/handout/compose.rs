//! The handout for docker compose: a `compose.yaml` of one service.

use super::{Handout, LAYOUT_MOUNT, PASSWORD, PERSIST, PORT, USERNAME, yaml};

impl Handout<'_> {
    /// The contract's `compose.yaml`. User and password come from the shell, or from a file `.env`
    /// beside it.
    #[must_use]
    pub fn compose(&self) -> String {
        let mut lines = vec![
            "services:".to_owned(),
            "  engine:".to_owned(),
            format!("    image: {}", text(self.engine_url)),
            "    ports:".to_owned(),
            format!("      - {PORT}:{PORT}"),
        ];
        let mounted = self.mounted();
        let layout =
            mounted.as_ref().map(|(directory, _)| format!("{directory}:{LAYOUT_MOUNT}:ro"));
        let persist = self.edge_bundle.map(|_| PERSIST.to_owned());
        let volumes: Vec<String> = layout.into_iter().chain(persist).collect();
        if !volumes.is_empty() {
            lines.push("    volumes:".to_owned());
            lines.extend(volumes.iter().map(|volume| format!("      - {}", text(volume))));
        }
        lines.push("    environment:".to_owned());
        let url = mounted.as_ref().map_or(self.pipeline_url, |(_, url)| url.as_str());
        lines.push(format!("      PIPELINE_URL: {}", text(url)));
        lines.extend(self.bundle().map(|bundle| format!("      EDGE_BUNDLE: {}", text(bundle))));
        if let Some(registry) = self.registry {
            lines.push(format!("      OCI_REGISTRY: {}", text(&registry.to_string())));
            // The contract has two spaces here.
            lines.push(format!("      OCI_USERNAME:  ${{{USERNAME}}}"));
            lines.push(format!("      OCI_PASSWORD: ${{{PASSWORD}}}"));
        }
        lines.push(format!("      CONFIG_CPUS: {}", self.cpus));
        lines.join("\n") + "\n"
    }
}

/// A text of YAML that compose does not look for variables in.
fn text(text: &str) -> String {
    yaml(&text.replace('$', "$$"))
}
