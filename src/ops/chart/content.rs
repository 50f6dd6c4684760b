//! The files of a chart: the templates as they stand in the sources, and two files with blanks.

use super::{Metadata, Spec};

/// A blank begins so and ends with `}`; what it becomes is a text of YAML in double quotes.
const BLANK: &str = "@{";

/// The file that says what the chart is.
const CHART: &str = include_str!("files/Chart.yaml");
/// The file with the defaults, which people copy from.
const VALUES: &str = include_str!("files/values.yaml");

/// What is the same in every chart.
const FIXED: [(&str, &str); 13] = [
    ("values.schema.json", include_str!("files/values.schema.json")),
    ("templates/NOTES.txt", include_str!("files/templates/NOTES.txt")),
    ("templates/_checks.tpl", include_str!("files/templates/_checks.tpl")),
    ("templates/_names.tpl", include_str!("files/templates/_names.tpl")),
    ("templates/autoscaler.yaml", include_str!("files/templates/autoscaler.yaml")),
    ("templates/claim.yaml", include_str!("files/templates/claim.yaml")),
    ("templates/deployment.yaml", include_str!("files/templates/deployment.yaml")),
    ("templates/ingress.yaml", include_str!("files/templates/ingress.yaml")),
    ("templates/networkpolicy.yaml", include_str!("files/templates/networkpolicy.yaml")),
    ("templates/secrets.yaml", include_str!("files/templates/secrets.yaml")),
    ("templates/service.yaml", include_str!("files/templates/service.yaml")),
    ("templates/serviceaccount.yaml", include_str!("files/templates/serviceaccount.yaml")),
    ("templates/tests/healthz.yaml", include_str!("files/templates/tests/healthz.yaml")),
];

/// All files by their names below the chart's directory.
pub(super) fn files(spec: &Spec, metadata: &Metadata<'_>) -> Vec<(&'static str, String)> {
    let Spec { engine_url, engine, .. } = spec;
    let tag = engine_url.version.tag().map(ToString::to_string).unwrap_or_default();
    let digest = engine_url.version.digest().map(ToString::to_string).unwrap_or_default();
    let blanks = [
        ("name", metadata.name.to_owned()),
        ("description", metadata.description.to_owned()),
        ("version", metadata.version.to_owned()),
        ("app_version", metadata.app_version.to_owned()),
        ("kube_version", metadata.kube_version.to_owned()),
        ("pipeline_url", spec.pipeline_url.to_string()),
        ("engine_url", engine_url.to_string()),
        ("registry", spec.registry.to_string()),
        ("cpus", engine.cpus.to_string()),
        ("memory", engine.memory.to_string()),
        ("arch", engine.arch.map(|arch| arch.to_string()).unwrap_or_default()),
        ("image_repository", format!("{}/{}", engine_url.registry, engine_url.repository)),
        ("image_tag", tag),
        ("image_digest", digest),
    ];
    let filled = [("Chart.yaml", CHART), ("values.yaml", VALUES)];
    let filled = filled.map(|(name, text)| (name, fill(text, &blanks)));
    let fixed = FIXED.map(|(name, text)| (name, text.to_owned()));
    filled.into_iter().chain(fixed).collect()
}

/// The text with its blanks filled, in one go: a value that looks like a blank stays what it is.
///
/// A string of JSON is one of YAML, too (YAML 1.2.2, 1.2): nothing in a value can end it.
fn fill(text: &str, blanks: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BLANK) {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = blanks.iter().find(|(blank, _)| *blank == name).map(|(_, value)| value);
        filled.push_str(&serde_json::Value::from(value.cloned().unwrap_or_default()).to_string());
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_neither_end_its_quotes_nor_open_a_blank() {
        let blanks = [("a", "x\"\nb: @{b}".to_owned()), ("b", "no".to_owned())];
        assert_eq!(fill("a: @{a} # @{b}\n", &blanks), "a: \"x\\\"\\nb: @{b}\" # \"no\"\n");
    }

    #[test]
    fn no_file_is_left_out_of_the_chart() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops/chart/files");
        let mut there = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(root)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    there.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        there.sort();
        let mut packed = vec!["Chart.yaml".to_owned(), "values.yaml".to_owned()];
        packed.extend(FIXED.map(|(name, _)| name.to_owned()));
        packed.sort();
        assert_eq!(packed, there);
    }
}
