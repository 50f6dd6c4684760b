//! What a DevOps engineer is handed after a publish: commands in the contract's form, ready to paste.

use super::{Order, Target};

/// The engine image of this version, where a registry of its own is asked for.
const ENGINE_IMAGE: &str = "engines/potoroo-engine";

/// The commands for one publish.
#[derive(Debug)]
pub(super) struct Handout<'a> {
    target: &'a Target,
    pipeline_url: &'a str,
    pub(super) engine_url: String,
}

/// Where a layout's directory is mounted in a container.
const LAYOUT_MOUNT: &str = "/pipeline";

impl<'a> Handout<'a> {
    pub(super) fn new(order: &'a Order, pipeline_url: &'a str) -> Handout<'a> {
        let version = env!("CARGO_PKG_VERSION");
        let engine_url = order.engine_url.clone().unwrap_or_else(|| match &order.target {
            Target::Registry { host, prefix, .. } => {
                let prefix = prefix.trim_matches('/');
                let slash = if prefix.is_empty() { "" } else { "/" };
                format!("{host}/{prefix}{slash}{ENGINE_IMAGE}:v{version}")
            }
            Target::Layout(_) => format!("localhost/potoroo-engine:v{version}"),
        });
        Handout { target: &order.target, pipeline_url, engine_url }
    }

    /// `docker run` without observability. Secrets are left to the shell's variables: a command
    /// line is shown by `ps` and kept by the shell's history.
    pub(super) fn docker_run(&self) -> String {
        let mut lines = vec!["docker run -p 8080:8080".to_owned()];
        match self.target {
            Target::Registry { host, .. } => lines.extend([
                "-e DEBUG=true".to_owned(),
                format!("-e OCI_REGISTRY={host}"),
                "-e CONFIG_CPUS=1".to_owned(),
                "-e OCI_USERNAME=$OCI_USERNAME".to_owned(),
                "-e OCI_PASSWORD=$OCI_PASSWORD".to_owned(),
                format!("-e PIPELINE_URL={}", self.pipeline_url),
            ]),
            Target::Layout(_) => {
                let (directory, mounted) = self.mounted();
                lines.extend([
                    format!("-v {directory}:{LAYOUT_MOUNT}:ro"),
                    "-e DEBUG=true".to_owned(),
                    "-e CONFIG_CPUS=1".to_owned(),
                    format!("-e PIPELINE_URL={mounted}"),
                ]);
            }
        }
        lines.push(self.engine_url.clone());
        lines.join(" \\\n    ")
    }

    /// `compose.yaml` without observability.
    pub(super) fn compose(&self) -> String {
        let mut lines = vec![
            "services:".to_owned(),
            "  engine:".to_owned(),
            format!("    image: {}", self.engine_url),
            "    ports:".to_owned(),
            "      - 8080:8080".to_owned(),
        ];
        match self.target {
            Target::Registry { host, .. } => lines.extend([
                "    environment:".to_owned(),
                format!("      PIPELINE_URL: {}", self.pipeline_url),
                format!("      OCI_REGISTRY: {host}"),
                "      OCI_USERNAME: ${OCI_USERNAME}".to_owned(),
                "      OCI_PASSWORD: ${OCI_PASSWORD}".to_owned(),
            ]),
            Target::Layout(_) => {
                let (directory, mounted) = self.mounted();
                lines.extend([
                    "    volumes:".to_owned(),
                    format!("      - {directory}:{LAYOUT_MOUNT}:ro"),
                    "    environment:".to_owned(),
                    format!("      PIPELINE_URL: {mounted}"),
                ]);
            }
        }
        lines.push("      CONFIG_CPUS: 4".to_owned());
        lines.join("\n") + "\n"
    }

    /// The layout's directory on the host, and the pipeline's URL inside the container.
    fn mounted(&self) -> (&str, String) {
        let bare = self.pipeline_url.trim_start_matches("oci-layout:");
        let (directory, tag) = bare.rsplit_once(':').unwrap_or((bare, ""));
        (directory, format!("oci-layout:{LAYOUT_MOUNT}:{tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_have_the_contracts_form() {
        let order = Order {
            known_answers: None,
            file: "fraud.yaml".into(),
            name: None,
            engine_url: Some("sample-registry.com/engine:v1".into()),
            target: Target::Registry {
                host: "sample-registry.com".parse().unwrap(),
                prefix: String::new(),
                credentials: None,
                plain_http: Vec::new(),
                tls_only: Vec::new(),
                surroundings: Default::default(),
            },
        };
        let handout = Handout::new(&order, "sample-registry.com/pipelines/fraud:v");
        assert_eq!(
            handout.docker_run(),
            "docker run -p 8080:8080 \\\n    \
             -e DEBUG=true \\\n    \
             -e OCI_REGISTRY=sample-registry.com \\\n    \
             -e CONFIG_CPUS=1 \\\n    \
             -e OCI_USERNAME=$OCI_USERNAME \\\n    \
             -e OCI_PASSWORD=$OCI_PASSWORD \\\n    \
             -e PIPELINE_URL=sample-registry.com/pipelines/fraud:v \\\n    \
             sample-registry.com/engine:v1"
        );
        assert_eq!(
            handout.compose(),
            "services:\n  engine:\n    image: sample-registry.com/engine:v1\n    ports:\n      \
             - 8080:8080\n    environment:\n      \
             PIPELINE_URL: sample-registry.com/pipelines/fraud:v\n      \
             OCI_REGISTRY: sample-registry.com\n      \
             OCI_USERNAME: ${OCI_USERNAME}\n      \
             OCI_PASSWORD: ${OCI_PASSWORD}\n      \
             CONFIG_CPUS: 4\n"
        );
    }

    #[test]
    fn a_layout_is_mounted_read_only() {
        let order = Order {
            known_answers: None,
            file: "fraud.yaml".into(),
            name: None,
            engine_url: None,
            target: Target::Layout("/srv/fraud".into()),
        };
        let run = Handout::new(&order, "oci-layout:/srv/fraud:v1").docker_run();
        assert!(run.contains("-v /srv/fraud:/pipeline:ro"), "{run}");
        assert!(run.contains("-e PIPELINE_URL=oci-layout:/pipeline:v1"), "{run}");
    }
}
