//! What `publish --chart` pushed, pulled by Helm.

use super::{line, publish};
use crate::support::helm::{pull, render_file};
use crate::support::registry::{Auth, PASSWORD, Registry};

fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).unwrap().0
}

#[test]
fn helm_pulls_lints_and_renders_what_publish_pushed() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let printed = publish(&format!("{host}/my/team"), &[]).success().stdout;
    let [reference, chart, version] =
        ["reference", "chart", "version"].map(|key| line(&printed, &format!("helm.{key}: ")));
    assert_eq!(chart, format!("{host}/my/team/charts/fraud"));
    let pipeline_url = line(&printed, "pipeline_url: ");
    assert!(pipeline_url.ends_with(version.strip_prefix("0.0.1-").unwrap()), "{version}");

    let directory = tempfile::tempdir().unwrap();
    let pulled = pull(chart, version, directory.path(), Some(("me", PASSWORD)));
    assert_eq!(reference, format!("{host}/my/team/charts@{}", pulled.digest));

    // The values file of the contract, its two places filled in.
    let values = part(&printed, "local-values.yaml:\n\n", "\n\nhelm registry login");
    let refused = render_file(&pulled.archive, "fraud", "fraud", values).refusal();
    assert!(refused.contains("/ociRegistry/username"), "{refused}");
    let values =
        values.replace("{registry username here}", "me").replace("{registry token here}", PASSWORD);
    let release = render_file(&pulled.archive, "fraud", "ccfraud01", &values).sound();
    assert_eq!(release.variable("PIPELINE_URL").unwrap(), pipeline_url);
    assert_eq!(release.variable("OCI_REGISTRY").unwrap(), &host);
    let forward = "kubectl port-forward svc/engine-svc -n ccfraud01 8080 --address 0.0.0.0\n";
    assert!(release.notes.contains(forward), "{}", release.notes);
    let install = format!(
        "helm install --namespace fraud --values local-values.yaml fraud oci://{chart} --version \
         {version}\n"
    );
    assert!(printed.contains(&install), "{printed}");
}

#[test]
fn publishing_again_gives_the_same_chart_to_the_byte() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let archive = |printed: &str| {
        let directory = tempfile::tempdir().unwrap();
        let [chart, version] = ["helm.chart: ", "helm.version: "].map(|key| line(printed, key));
        let pulled = pull(chart, version, directory.path(), Some(("me", PASSWORD)));
        std::fs::read(pulled.archive).unwrap()
    };
    let first = publish(&host, &["--cpus", "500m"]).success().stdout;
    let first_archive = archive(&first);
    let second = publish(&host, &["--cpus", "0.5"]).success().stdout;
    assert_eq!(line(&first, "helm.reference: "), line(&second, "helm.reference: "));
    assert!(first_archive == archive(&second), "the archives differ");
}

#[test]
fn what_makes_no_chart_leaves_no_pipeline_behind() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let ended = publish(&host, &["--engine-url", "engine:v1"]);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("--engine-url"), "{}", ended.stderr);
    assert!(!registry.storage().join("repositories").exists());
    for wrong in [["--cpus", "four"], ["--memory", "3GiB"], ["--arch", "mips"]] {
        assert_eq!(publish(&host, &wrong).code(), 2, "{wrong:?}");
    }
}
