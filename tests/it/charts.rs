//! The chart of a publish in Helm's own hands: pulled, linted, rendered, and held against Kubernetes' schemas.

use crate::support::engine::{self, Engine};
use crate::support::fixture;
use crate::support::helm::{Release, Rendered, pull, render_each, render_file};
use crate::support::ops::ops;
use crate::support::process::{Ended, run};
use crate::support::registry::{Auth, PASSWORD, Registry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use potoroo::ops::chart::{Chart, EngineConfig, Spec};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const VERSION: &str = "a5752acc-9334-4cac-8b34-471979b55d61";
const BUNDLE: &str = "ZXhwb3J0IEJVTkRMRV9WRVJTSU9OPTE=";

/// A chart that no registry was needed for.
struct Packed {
    archive: PathBuf,
    _directory: TempDir,
}

fn packed() -> Packed {
    let spec = Spec {
        pipeline: "edge-cv-retail".to_owned(),
        version: VERSION.to_owned(),
        pipeline_url: format!("registry.example.com/pipelines/edge-cv-retail:{VERSION}")
            .parse()
            .unwrap(),
        engine_url: "registry.example.com/engines/potoroo-engine:v1.2.3".parse().unwrap(),
        registry: "registry.example.com".parse().unwrap(),
        engine: EngineConfig {
            cpus: "4".parse().unwrap(),
            memory: "3Gi".parse().unwrap(),
            arch: None,
        },
        app_version: "v1.2.3".to_owned(),
    };
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("chart.tgz");
    std::fs::write(&archive, Chart::build(&spec).unwrap().archive()).unwrap();
    Packed { archive, _directory: directory }
}

fn render(values: &Value) -> Rendered {
    render_each(&packed().archive, std::slice::from_ref(values)).remove(0)
}

fn login() -> Value {
    json!({"username": "_json_key_base64", "password": "abc123"})
}

/// `publish --chart` of the fraud pipeline to this registry.
fn publish(registry: &str, arguments: &[&str]) -> Ended {
    let mut command = ops();
    command.arg("publish").arg(fixture("pipelines/fraud.yaml")).args(["--registry", registry]);
    command.arg("--chart").args(arguments);
    run(command.env("OCI_USERNAME", "me").env("OCI_PASSWORD", PASSWORD))
}

fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(begin));
    found.unwrap_or_else(|| panic!("no `{begin}` in:\n{text}"))
}

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

#[test]
fn every_way_to_run_it_is_sound_by_lint_and_schemas() {
    let bundled = ["PersistentVolumeClaim edge-persist", "Secret edge-edge"];
    let scaled = ["HorizontalPodAutoscaler edge", "Ingress edge", "NetworkPolicy edge"];
    let own = ["Secret edge-pull", "Secret edge-registry"];
    let cases: [(Value, &[&str], &[&str]); 6] = [
        (json!({}), &bundled[..1], &own),
        (json!({"ociRegistry": login()}), &own, &bundled[1..]),
        (json!({"ociRegistry": login(), "edgeBundle": BUNDLE}), &bundled, &scaled),
        (json!({"ociRegistry": {"existingSecret": "mine"}, "edgeBundleSecret": "b"}), &[], &own),
        (
            json!({
                "ociRegistry": {
                    "existingSecret": "mine",
                    "existingSecretKeys": {"username": "user", "password": "token"}
                },
                "tls": {"existingSecret": "certificate"},
                "persistence": {"existingClaim": "mine"},
                "serviceAccount": {"create": false},
                "image": {"digest": format!("sha256:{}", "0".repeat(64))}
            }),
            &[],
            &["ServiceAccount edge", bundled[0]],
        ),
        (
            json!({
                "ociRegistry": login(),
                "arch": "arm64",
                "nodeSelector": {"site": "plant-1"},
                "tolerations": [{"key": "wallaroo", "operator": "Exists"}],
                "affinity": {"podAntiAffinity": {}},
                "autoscaling": {
                    "enabled": true, "minReplicas": 2, "maxReplicas": 9,
                    "targetMemoryUtilizationPercentage": 70
                },
                "ingress": {
                    "enabled": true, "className": "nginx",
                    "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "16m"},
                    "hosts": [
                        {"host": "a.example.com"},
                        {"host": "b.example.com", "paths": [{"path": "/b", "pathType": "Exact"}]}
                    ],
                    "tls": [{"hosts": ["a.example.com"], "secretName": "a"}]
                },
                "networkPolicy": {
                    "enabled": true, "from": [{"podSelector": {}}],
                    "egress": [{"ports": [{"port": 443}]}]
                },
                "imagePullSecrets": [{"name": "other"}],
                "podLabels": {"team": "vision", "app.kubernetes.io/instance": "never"},
                "podAnnotations": {"prometheus.io/scrape": "false"},
                "priorityClassName": "high",
                "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"
                }],
                "engine": {
                    "extraEnv": [{"name": "POTOROO_API_KEY", "valueFrom": {
                        "secretKeyRef": {"name": "keys", "key": "api"}
                    }}],
                    "extraVolumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
                    "extraVolumeMounts": [{"name": "keys", "mountPath": "/keys"}]
                }
            }),
            &scaled,
            &bundled,
        ),
    ];
    let values: Vec<Value> = cases.iter().map(|(values, ..)| values.clone()).collect();
    let rendered = render_each(&packed().archive, &values);
    for (rendered, (values, there, absent)) in rendered.into_iter().zip(&cases) {
        let release = rendered.sound();
        let kinds = release.kinds();
        let has = |kind: &&&str| kinds.iter().any(|found| found == **kind);
        assert!(there.iter().all(|kind| has(&kind)), "{values}\n{kinds:?}");
        assert!(!absent.iter().any(|kind| has(&kind)), "{values}\n{kinds:?}");
        assert_eq!(release.only("Service")["metadata"]["name"], "engine-svc");
    }
}

#[test]
fn many_engines_run_on_the_nodes_that_were_chosen_and_follow_the_load() {
    let release = render(&json!({
        "arch": "arm64",
        "nodeSelector": {"site": "plant-1"},
        "autoscaling": {"enabled": true, "minReplicas": 2, "maxReplicas": 9}
    }))
    .sound();
    let nodes = json!({"kubernetes.io/arch": "arm64", "site": "plant-1"});
    assert_eq!(release.pod()["nodeSelector"], nodes);
    let deployment = &release.only("Deployment")["spec"];
    assert_eq!(deployment.get("replicas"), None);
    assert_eq!(deployment["strategy"]["type"], "RollingUpdate");
    assert!(release.pod()["volumes"][0].get("emptyDir").is_some(), "{}", release.pod());
    let scaler = &release.only("HorizontalPodAutoscaler")["spec"];
    assert_eq!((&scaler["minReplicas"], &scaler["maxReplicas"]), (&json!(2), &json!(9)));
    assert_eq!(scaler["scaleTargetRef"]["name"], release.only("Deployment")["metadata"]["name"]);
}

#[test]
fn a_single_engine_keeps_its_claim_and_stops_before_the_next_starts() {
    let release = render(&json!({"ociRegistry": login(), "edgeBundle": BUNDLE})).sound();
    assert_eq!(release.only("Deployment")["spec"]["strategy"], json!({"type": "Recreate"}));
    let claim = &release.only("PersistentVolumeClaim")["metadata"];
    assert_eq!(claim["annotations"]["helm.sh/resource-policy"], "keep");
    let volume = &release.pod()["volumes"][0]["persistentVolumeClaim"]["claimName"];
    assert_eq!(volume, &claim["name"]);
    let mount = &release.pod()["containers"][0]["volumeMounts"][0];
    assert_eq!(mount["mountPath"], "/persist");
}

#[test]
fn secrets_stand_in_secrets_alone() {
    let values = json!({"ociRegistry": login(), "edgeBundle": BUNDLE});
    let release = render(&values).sound();
    for one in release.objects.iter().filter(|one| one["kind"] != "Secret") {
        let text = one.to_string();
        for secret in ["abc123", BUNDLE, &STANDARD.encode("abc123"), &STANDARD.encode(BUNDLE)] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(!release.notes.contains(BUNDLE) && !release.notes.contains("abc123"));
    for (variable, secret, key, value) in [
        ("OCI_USERNAME", "edge-registry", "USERNAME", "_json_key_base64"),
        ("OCI_PASSWORD", "edge-registry", "PASSWORD", "abc123"),
        ("EDGE_BUNDLE", "edge-edge", "EDGE_BUNDLE", BUNDLE),
    ] {
        let from = json!({"secretKeyRef": {"name": secret, "key": key}});
        assert_eq!(release.variable(variable), Some(&from));
        assert_eq!(secret_value(&release, secret, key), value);
    }
    assert_eq!(release.pod()["imagePullSecrets"], json!([{"name": "edge-pull"}]));
    let logins = secret_value(&release, "edge-pull", ".dockerconfigjson");
    let logins: Value = serde_json::from_str(&logins).unwrap();
    let auth = &logins["auths"]["registry.example.com"]["auth"];
    assert_eq!(auth, &STANDARD.encode("_json_key_base64:abc123"));
}

fn secret_value(release: &Release, secret: &str, key: &str) -> String {
    let named = |one: &&Value| one["kind"] == "Secret" && one["metadata"]["name"] == secret;
    let found = release.objects.iter().find(named).unwrap();
    let bytes = STANDARD.decode(found["data"][key].as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn pods_start_anew_when_a_secret_changes_and_only_then() {
    let with = |password: &str, bundle: &str| json!({"ociRegistry": {"username": "u", "password": password}, "edgeBundle": bundle});
    let values = [with("a", BUNDLE), with("a", BUNDLE), with("b", BUNDLE), with("a", "YQ==")];
    let marks: Vec<String> = render_each(&packed().archive, &values)
        .into_iter()
        .map(|rendered| {
            let release = rendered.sound();
            let template = &release.only("Deployment")["spec"]["template"]["metadata"];
            template["annotations"]["potoroo/secrets"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(marks[0], marks[1]);
    assert_ne!(marks[0], marks[2]);
    assert_ne!(marks[0], marks[3]);
}

#[test]
fn an_existing_secret_wins_over_the_login_of_the_values() {
    let both = json!({"username": "u", "password": "p", "existingSecret": "mine"});
    let release = render(&json!({"ociRegistry": both})).sound();
    assert!(
        !release.kinds().iter().any(|kind| kind.starts_with("Secret")),
        "{:?}",
        release.kinds()
    );
    assert_eq!(release.pod()["imagePullSecrets"], json!([{"name": "mine"}]));
    // The engine reads a file of logins where it has neither user nor password of its own.
    assert_eq!(release.variable("OCI_USERNAME"), None);
    assert_eq!(release.variable("DOCKER_CONFIG").unwrap(), "/etc/potoroo/login");
    assert_eq!(release.pod()["volumes"][1]["secret"]["secretName"], "mine");
    let keys = json!({"existingSecret": "mine",
        "existingSecretKeys": {"username": "user", "password": "token"}});
    let release = render(&json!({"ociRegistry": keys})).sound();
    let from = json!({"secretKeyRef": {"name": "mine", "key": "token"}});
    assert_eq!(release.variable("OCI_PASSWORD"), Some(&from));
    assert_eq!(release.pod().get("imagePullSecrets"), None);
}

#[test]
fn config_cpus_is_the_limit_rounded_up() {
    let of = |cpu: Value| json!({"engine": {"resources": {"limits": {"cpu": cpu}}}});
    let cases = [
        (json!({}), "4"),
        (of(json!(1)), "1"),
        (of(json!(1.2)), "2"),
        (of(json!("0.5")), "1"),
        (of(json!("2500m")), "3"),
        (of(json!("2000m")), "2"),
        (json!({"engine": {"cpus": 8, "memory": "512Mi"}}), "8"),
        (json!({"resources": {"requests": {"cpu": "1500m"}}}), "2"),
    ];
    let values: Vec<Value> = cases.iter().map(|(values, _)| values.clone()).collect();
    for (rendered, (values, wanted)) in
        render_each(&packed().archive, &values).into_iter().zip(&cases)
    {
        let release = rendered.sound();
        assert_eq!(release.variable("CONFIG_CPUS").unwrap(), wanted, "{values}");
    }
    let release = render(&json!({"resources": {"limits": {"memory": "1Gi"}}})).sound();
    assert_eq!(release.variable("CONFIG_CPUS"), None);
}

#[test]
fn a_pod_may_do_nothing_but_serve() {
    let release = render(&json!({})).sound();
    let container = &release.pod()["containers"][0];
    assert_eq!(release.pod()["securityContext"]["runAsNonRoot"], true);
    assert_eq!(release.pod()["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(release.pod()["automountServiceAccountToken"], false);
    assert_eq!(release.only("ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}
        })
    );
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["path"], "/healthz", "{probe}");
    }
}

#[test]
fn values_that_are_wrong_or_do_not_go_together_are_refused_with_a_sentence() {
    let claim = json!({"replicas": 2, "persistence": {"existingClaim": "mine"}});
    let variable = json!({"engine": {"extraEnv": [{"name": "OCI_PASSWORD", "value": "hunter2"}]}});
    let upside_down = json!({"autoscaling": {"enabled": true, "minReplicas": 9}});
    let idle = json!({"autoscaling": {"enabled": true}, "resources": {"limits": {"cpu": 1}}});
    let cases = [
        (json!({"replica": 2}), "'replica' not allowed"),
        (json!({"replicas": "2"}), "'/replicas': got string, want integer"),
        (json!({"engine": {"cpu": 2}}), "'cpu' not allowed"),
        (json!({"engine": {"resources": {"limits": {"cpu": "four"}}}}), "/limits/cpu'"),
        (json!({"persistence": {"size": "lots"}}), "'/persistence/size'"),
        (json!({"arch": "x86"}), "one of '', 'amd64', 'arm64'"),
        (json!({"service": {"name": "Engine"}}), "'/service/name'"),
        (json!({"ociRegistry": {"registry": "https://r.io/x"}}), "'/ociRegistry/registry'"),
        (json!({"ociRegistry": {"registry": ""}}), "ociRegistry.registry must be provided"),
        (json!({"ociRegistry": {"username": "u"}}), "ociRegistry.password must be provided"),
        (json!({"ociRegistry": {"password": "p"}}), "ociRegistry.username must be provided"),
        (json!({"edgeBundle": BUNDLE, "replicas": 2}), "an edge bundle is for one engine"),
        (
            json!({"edgeBundleSecret": "b", "autoscaling": {"enabled": true}}),
            "an edge bundle is for one engine",
        ),
        (
            json!({"edgeBundle": BUNDLE, "persistence": {"enabled": false}}),
            "an edge bundle needs a persistent volume",
        ),
        (json!({"edgeBundle": "hunter2!"}), "edgeBundle is not base64"),
        (claim, "one claim is for one engine"),
        (variable, "use the value `ociRegistry.password` instead"),
        (upside_down, "autoscaling.minReplicas is more than"),
        (idle, "set engine.resources.requests.cpu"),
        (json!({"ingress": {"enabled": true}}), "ingress.enabled needs ingress.hosts"),
    ];
    let values: Vec<Value> = cases.iter().map(|(values, _)| values.clone()).collect();
    for (rendered, (values, sentence)) in
        render_each(&packed().archive, &values).into_iter().zip(&cases)
    {
        let refusal = rendered.refusal();
        assert!(refusal.contains(sentence), "{values}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn no_value_can_become_more_than_a_value() {
    let plain = render(&json!({"ociRegistry": login()})).sound().kinds();
    let password = "p\"'\\{{ fail \"x\" }}\n---\nkind: Pod\n# ${HOME} %s \u{1f980}\u{85}\u{2028}";
    let hostile =
        "x\"\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: mine}\n# {{ .Release.Name }}";
    let release = render(&json!({
        "ociRegistry": {"username": "u: \"x\" #{{ 1 }}", "password": password},
        "podAnnotations": {"note": hostile},
        "service": {"annotations": {"true": hostile}},
        "serviceAccount": {"annotations": {"a": "yes", "b": "0x10", "c": "~", "d": "1e3"}},
        "engine": {"extraEnv": [{"name": "NOTE", "value": hostile}]}
    }))
    .sound();
    assert_eq!(release.kinds(), plain);
    assert_eq!(secret_value(&release, "edge-registry", "PASSWORD"), password);
    assert_eq!(secret_value(&release, "edge-registry", "USERNAME"), "u: \"x\" #{{ 1 }}");
    let logins = secret_value(&release, "edge-pull", ".dockerconfigjson");
    let logins: Value = serde_json::from_str(&logins).unwrap();
    assert_eq!(logins["auths"]["registry.example.com"]["password"], password);
    assert_eq!(release.variable("NOTE").unwrap(), hostile);
    assert_eq!(release.only("Service")["metadata"]["annotations"]["true"], hostile);
    let annotations = &release.only("ServiceAccount")["metadata"]["annotations"];
    assert_eq!(annotations, &json!({"a": "yes", "b": "0x10", "c": "~", "d": "1e3"}));
}

/// Kubernetes puts the service's address into the place of the variable; here it is the engine's.
#[test]
fn the_chart_s_own_test_asks_the_engine_whether_it_is_well() {
    let engine = Engine::serving("models/fraud.onnx");
    let (host, port) = engine.address.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let release = render(&json!({"service": {"port": port}})).sound();
    let container = &release.only("Pod")["spec"]["containers"][0];
    assert_eq!(container["image"], release.pod()["containers"][0]["image"]);
    let variable = &container["env"][0];
    let address = variable["value"].as_str().unwrap().replace("$(ENGINE_SVC_SERVICE_HOST)", host);
    let ask = |address: &str| {
        let mut command = engine::command(std::path::Path::new("/nowhere"));
        command.arg(container["args"][0].as_str().unwrap());
        run(command.env(variable["name"].as_str().unwrap(), address)).code()
    };
    assert_eq!(ask(&address), 0);
    drop(engine);
    assert_eq!(ask(&address), 1);
}
