//! What a chart is called, where it is put, and that nothing but its spec makes a difference.

use super::*;

fn spec() -> Spec {
    let version = "a5752acc-9334-4cac-8b34-471979b55d61";
    Spec {
        pipeline: "edge-cv".to_owned(),
        version: version.to_owned(),
        pipeline_url: format!("registry.example.com/team/pipelines/edge-cv:{version}")
            .parse()
            .unwrap(),
        engine_url: "registry.example.com/team/engines/potoroo-engine:v1.2.3".parse().unwrap(),
        registry: "registry.example.com".parse().unwrap(),
        engine: EngineConfig {
            cpus: "4".parse().unwrap(),
            memory: "3Gi".parse().unwrap(),
            arch: Some(Arch::Arm64),
        },
        app_version: "v1.2.3".to_owned(),
    }
}

#[test]
fn the_same_spec_gives_the_same_bytes_and_another_one_others() {
    let (first, second) = (Chart::build(&spec()).unwrap(), Chart::build(&spec()).unwrap());
    assert_eq!(first.archive(), second.archive());
    assert_eq!(first.manifest_bytes, second.manifest_bytes);
    let other = Spec { engine: EngineConfig { arch: None, ..spec().engine }, ..spec() };
    assert_ne!(first.digest(), Chart::build(&other).unwrap().digest());
}

#[test]
fn a_chart_is_told_of_as_the_original_does() {
    let chart = Chart::build(&spec()).unwrap();
    let host: RegistryHost = "registry.example.com".parse().unwrap();
    for (prefix, charts) in
        [("", "registry.example.com/charts"), ("/my/team/", "registry.example.com/my/team/charts")]
    {
        let helm = chart.helm(&host, prefix);
        assert_eq!(helm.reference, format!("{charts}@{}", chart.digest()));
        assert_eq!(helm.chart, format!("{charts}/edge-cv"));
        assert_eq!(helm.version, "0.0.1-a5752acc-9334-4cac-8b34-471979b55d61");
        let place = chart.place(&host, prefix).unwrap();
        assert_eq!(place.to_string(), format!("{}:{}", helm.chart, helm.version));
    }
    assert!(matches!(chart.place(&host, "My Team"), Err(ChartError::Place(_))));
}

#[test]
fn the_manifest_has_helms_media_types() {
    let chart = Chart::build(&spec()).unwrap();
    let manifest = Manifest::parse(&chart.manifest_bytes).unwrap();
    assert_eq!(manifest.config.media_type, "application/vnd.cncf.helm.config.v1+json");
    let layers: Vec<&str> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    assert_eq!(layers, ["application/vnd.cncf.helm.chart.content.v1.tar+gzip"]);
    assert_eq!(manifest.artifact_type, None);
    assert_eq!(manifest.annotations[TITLE], "edge-cv");
}

#[test]
fn a_version_that_helm_would_not_read_is_refused() {
    for version in ["1", "1.0", "v1", "0", "2024-01-31", "a5752acc-9334-4cac-8b34-471979b55d61"] {
        assert!(Chart::build(&Spec { version: version.to_owned(), ..spec() }).is_ok(), "{version}");
    }
    for version in ["", "01", "1..2", "a_b", "1+2", "ä", "x.", &"a".repeat(123)] {
        let refused = Chart::build(&Spec { version: version.to_owned(), ..spec() });
        assert!(matches!(refused, Err(ChartError::Version(_))), "{version}");
    }
}

#[test]
fn a_name_that_is_no_part_of_a_repository_is_refused() {
    for pipeline in ["", "Fraud", "a/b", "-a", "a b", "a\"", "..", &"a".repeat(64)] {
        let refused = Chart::build(&Spec { pipeline: pipeline.to_owned(), ..spec() });
        assert!(matches!(refused, Err(ChartError::Name(_))), "{pipeline}");
    }
}

#[test]
fn a_layout_holds_the_chart_under_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let chart = Chart::build(&spec()).unwrap();
    let put = chart.put(&layout).unwrap();
    assert_eq!(put.digest, chart.digest());
    let found = layout.manifest(&crate::oci::Version::Tag(chart.version.clone())).unwrap();
    assert_eq!(found.bytes, chart.manifest_bytes);
    let archive = layout.read_blob(&found.manifest.layers[0], 1 << 20).unwrap();
    assert_eq!(archive, chart.archive());
}
