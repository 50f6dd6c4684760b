//! The contract's own examples, to the byte, and values that would mean something else in their place.

use super::*;

const ENGINE: &str = "sample-registry.com/engine:v2023.3.0-main-3707";
const PIPELINE: &str =
    "sample-registry.com/pipelines/edge-cv-retail:bf70eaf7-8c11-4b46-b751-916a43b1a555";
const BUNDLE: &str = "ZXhwb3J0IEJVTkRMRV9WRVJTSU9OPTE=";

fn host() -> RegistryHost {
    "sample-registry.com".parse().unwrap()
}

fn helm() -> chart::Helm {
    chart::Helm {
        reference: format!("sample-registry.com/charts@sha256:{}", "0".repeat(64)),
        chart: "sample-registry.com/charts/edge-cv-retail".to_owned(),
        version: "0.0.1-bf70eaf7-8c11-4b46-b751-916a43b1a555".to_owned(),
    }
}

/// The texts of a publish, with observability or without.
fn texts<T>(bundle: Option<&str>, take: impl Fn(&Handout<'_>) -> T) -> T {
    let (registry, chart) = (host(), helm());
    let bundle = bundle.map(|text| Secret::new(text.to_owned()));
    take(&Handout {
        engine_url: ENGINE,
        pipeline_url: PIPELINE,
        registry: Some(&registry),
        cpus: 4,
        edge_bundle: bundle.as_ref(),
        chart: Some(&chart),
    })
}

#[test]
fn docker_run_is_the_contracts_with_observability_and_without() {
    let with = format!(
        "docker run -p 8080:8080 \\\n-v ./data:/persist \\\n-e DEBUG=true \\\n\
         -e OCI_REGISTRY=sample-registry.com \\\n-e EDGE_BUNDLE={BUNDLE} \\\n-e CONFIG_CPUS=4 \\\n\
         -e OCI_USERNAME=$REGISTRYUSERNAME \\\n-e OCI_PASSWORD=$REGISTRYPASSWORD \\\n\
         -e PIPELINE_URL={PIPELINE} \\\n{ENGINE}"
    );
    let without = with
        .replace("-v ./data:/persist \\\n", "")
        .replace(&format!("-e EDGE_BUNDLE={BUNDLE} \\\n"), "");
    assert_eq!(texts(Some(BUNDLE), |it| it.docker_run()), with);
    assert_eq!(texts(None, |it| it.docker_run()), without);
}

#[test]
fn a_process_has_the_same_settings_and_keeps_an_edges_session() {
    let with = format!(
        "OCI_REGISTRY=sample-registry.com \\\nEDGE_BUNDLE={BUNDLE} \\\nPOTOROO_PERSIST=./data \\\n\
         CONFIG_CPUS=4 \\\nOCI_USERNAME=\"$REGISTRYUSERNAME\" \\\nOCI_PASSWORD=\"$REGISTRYPASSWORD\" \\\n\
         PIPELINE_URL={PIPELINE} \\\npotoroo-engine"
    );
    let without =
        with.replace(&format!("EDGE_BUNDLE={BUNDLE} \\\nPOTOROO_PERSIST=./data \\\n"), "");
    assert_eq!(texts(Some(BUNDLE), |it| it.process()), with);
    assert_eq!(texts(None, |it| it.process()), without);
}

#[test]
fn compose_is_the_contracts_with_observability_and_without() {
    let without = format!(
        "services:\n  engine:\n    image: {ENGINE}\n    ports:\n      - 8080:8080\n    \
         environment:\n      PIPELINE_URL: {PIPELINE}\n      OCI_REGISTRY: sample-registry.com\n      \
         OCI_USERNAME:  ${{REGISTRYUSERNAME}}\n      OCI_PASSWORD: ${{REGISTRYPASSWORD}}\n      \
         CONFIG_CPUS: 4\n"
    );
    let with = without
        .replace("    environment:", "    volumes:\n      - ./data:/persist\n    environment:")
        .replace("      OCI_REG", &format!("      EDGE_BUNDLE: {BUNDLE}\n      OCI_REG"));
    assert_eq!(texts(None, |it| it.compose()), without);
    assert_eq!(texts(Some(BUNDLE), |it| it.compose()), with);
}

#[test]
fn helms_commands_and_values_are_the_contracts() {
    let chart = "oci://sample-registry.com/charts/edge-cv-retail \
                 --version 0.0.1-bf70eaf7-8c11-4b46-b751-916a43b1a555";
    assert_eq!(
        texts(None, |it| it.helm()).unwrap(),
        format!(
            "helm registry login sample-registry.com --username $REGISTRYUSERNAME --password \
             $REGISTRYPASSWORD\n\
             helm pull {chart}\n\
             kubectl create namespace edge-cv-retail\n\
             helm install --namespace edge-cv-retail --values local-values.yaml edge-cv-retail \
             {chart}\n\
             kubectl port-forward svc/engine-svc -n edge-cv-retail 8080 --address 0.0.0.0\n"
        )
    );
    let without = "ociRegistry:\n    registry: sample-registry.com\n    \
                   username:  {registry username here}\n    password: {registry token here}\n";
    assert_eq!(texts(None, |it| it.helm_values()).unwrap(), without);
    let with = format!("{without}edgeBundle: {BUNDLE}\n");
    assert_eq!(texts(Some(BUNDLE), |it| it.helm_values()).unwrap(), with);
}

#[test]
fn a_unit_keeps_secrets_out_of_what_everyone_may_read() {
    let Systemd { unit, environment } = texts(Some(BUNDLE), |it| it.systemd());
    assert!(unit.contains(&format!("\nEnvironment=PIPELINE_URL={PIPELINE}\n")), "{unit}");
    assert!(!unit.contains(BUNDLE), "{unit}");
    assert_eq!(environment, format!("OCI_USERNAME=\nOCI_PASSWORD=\nEDGE_BUNDLE={BUNDLE}\n"));
    let shown = texts(Some(BUNDLE), |handout| format!("{handout:?} {:?}", handout.systemd()));
    assert!(!shown.contains(BUNDLE), "{shown}");
}

#[test]
fn a_layout_is_mounted_read_only_and_asks_for_no_login() {
    let handout = Handout {
        engine_url: "localhost/potoroo-engine:v1",
        pipeline_url: "oci-layout:/srv/my models/fraud's $1:v1",
        registry: None,
        cpus: 1,
        edge_bundle: None,
        chart: None,
    };
    assert_eq!(
        handout.docker_run(),
        "docker run -p 8080:8080 \\\n-v '/srv/my models/fraud'\\''s $1:/pipeline:ro' \\\n\
         -e DEBUG=true \\\n-e CONFIG_CPUS=1 \\\n-e PIPELINE_URL=oci-layout:/pipeline:v1 \\\n\
         localhost/potoroo-engine:v1"
    );
    let compose = handout.compose();
    assert!(compose.contains("      - \"/srv/my models/fraud's $$1:/pipeline:ro\"\n"), "{compose}");
    assert!(compose.contains("      PIPELINE_URL: oci-layout:/pipeline:v1\n"), "{compose}");
    assert!(!compose.contains("OCI_"), "{compose}");
    assert_eq!((handout.helm(), handout.helm_values()), (None, None));
    let unit = handout.systemd().unit;
    assert!(unit.contains("\"PIPELINE_URL=oci-layout:/srv/my models/fraud's $1:v1\""), "{unit}");
    assert!(unit.contains("\nProtectHome=read-only\n"), "{unit}");
}

#[test]
fn a_registry_with_an_address_of_version_6_is_no_list_of_yaml() {
    let registry: RegistryHost = "[::1]:5000".parse().unwrap();
    let chart = chart::Helm { chart: "[::1]:5000/charts/fraud".to_owned(), ..helm() };
    let pipeline_url = "[::1]:5000/pipelines/fraud:v1";
    let handout = Handout {
        engine_url: ENGINE,
        pipeline_url,
        registry: Some(&registry),
        cpus: 1,
        edge_bundle: None,
        chart: Some(&chart),
    };
    assert!(handout.compose().contains("      OCI_REGISTRY: \"[::1]:5000\"\n"));
    assert!(handout.compose().contains("      PIPELINE_URL: \"[::1]:5000/pipelines/fraud:v1\"\n"));
    assert!(handout.helm_values().unwrap().contains("    registry: \"[::1]:5000\"\n"));
    assert!(handout.docker_run().contains("-e PIPELINE_URL='[::1]:5000/pipelines/fraud:v1' "));
}
