//! The handout for Helm: the contract's commands, from the login to the forwarded port.

use super::{Handout, PASSWORD, PORT, USERNAME, yaml};
use crate::ops::chart;

/// The service that every chart makes.
const SERVICE: &str = "engine-svc";

/// The file that the commands below read.
const VALUES_FILE: &str = "local-values.yaml";

/// The longest name of a release, in characters (Helm, `ValidateReleaseName`).
const RELEASE_CHARS_MAX: usize = 53;

impl Handout<'_> {
    /// The commands; none where no chart was pushed.
    #[must_use]
    pub fn helm(&self) -> Option<String> {
        let chart::Helm { chart, version, .. } = self.chart?;
        let host = chart.split('/').next().unwrap_or(chart);
        let name = release(chart);
        let lines = [
            format!("helm registry login {host} --username ${USERNAME} --password ${PASSWORD}"),
            format!("helm pull oci://{chart} --version {version}"),
            format!("kubectl create namespace {name}"),
            format!(
                "helm install --namespace {name} --values {VALUES_FILE} {name} oci://{chart} \
                 --version {version}"
            ),
            format!("kubectl port-forward svc/{SERVICE} -n {name} {PORT} --address 0.0.0.0"),
        ];
        Some(lines.join("\n") + "\n")
    }

    /// The values file of these commands, `local-values.yaml`, with the contract's two places to
    /// fill in: left as they are, the chart refuses them. None where no chart was pushed.
    #[must_use]
    pub fn helm_values(&self) -> Option<String> {
        let chart = &self.chart?.chart;
        let host = yaml(chart.split('/').next().unwrap_or(chart));
        let mut text = format!(
            "ociRegistry:\n    registry: {host}\n    username:  {{registry username here}}\n    \
             password: {{registry token here}}\n"
        );
        if let Some(bundle) = self.bundle() {
            text.push_str(&format!("edgeBundle: {}\n", yaml(bundle)));
        }
        Some(text)
    }
}

/// The pipeline's name as that of a namespace and a release (RFC 1123, a label).
fn release(chart: &str) -> String {
    let pipeline = chart.rsplit('/').next().unwrap_or(chart);
    let mut name = pipeline.replace(['.', '_'], "-");
    name.truncate(RELEASE_CHARS_MAX); // letters of a repository's name are a byte each
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn a_release_is_a_label_of_at_most_53_characters() {
        for (chart, wanted) in [
            ("r.io/charts/edge-cv", "edge-cv"),
            ("r.io/charts/a.b_c", "a-b-c"),
            (&format!("r.io/charts/{}-b", "a".repeat(52)), &"a".repeat(52)),
        ] {
            assert_eq!(release(chart), wanted);
        }
    }
}
