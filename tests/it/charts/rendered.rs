//! What becomes of values: objects that are sound, and say what was asked for.

use super::{BUNDLE, VERSION, login, packed, packed_for, render};
use crate::support::helm::{Release, render_each, render_named};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

#[test]
fn every_way_to_run_it_is_sound_by_lint_and_schemas() {
    let bundled = ["PersistentVolumeClaim edge-persist", "Secret edge-edge"];
    let scaled = ["HorizontalPodAutoscaler edge", "Ingress edge", "NetworkPolicy edge"];
    let own = ["Secret edge-pull", "Secret edge-registry"];
    let cases: [(Value, &[&str], &[&str]); 8] = [
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
        (json!({"persistence": {"enabled": false}, "replicas": 0}), &[], &bundled),
        // What an original chart of 2023 has, but for its side-car.
        (
            json!({
                "nameOverride": "", "fullnameOverride": "", "podAnnotations": {}, "replicas": 1,
                "ociRegistry": {"registry": "docker.io", "email": "me@example.com",
                    "username": "me", "password": "abc123"},
                "service": {"type": "ClusterIP", "port": 8080},
                "engine": {"cpus": 4, "memory": "3Gi", "extraEnv": [],
                    "pipelineUrl": format!("docker.io/me/pipelines/card-detect:{VERSION}")},
                "image": {"repository": "docker.io/me/engine", "pullPolicy": "IfNotPresent",
                    "tag": ""},
                "rollingUpdate": {"enabled": true, "maxSurge": "100%", "maxUnavailable": "50%"},
                "ingress": {"enabled": false, "className": "", "annotations": {}, "tls": [],
                    "hosts": [{"host": "chart-example.local",
                        "paths": [{"path": "/", "pathType": "ImplementationSpecific"}]}]},
                "resources": {}, "nodeSelector": {}, "tolerations": {}, "affinity": {}
            }),
            &own,
            &scaled,
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
        assert_eq!(release.secret(secret, key), value);
    }
    assert_eq!(release.pod()["imagePullSecrets"], json!([{"name": "edge-pull"}]));
    let logins = release.secret("edge-pull", ".dockerconfigjson");
    let logins: Value = serde_json::from_str(&logins).unwrap();
    let auth = &logins["auths"]["registry.example.com"]["auth"];
    assert_eq!(auth, &STANDARD.encode("_json_key_base64:abc123"));
    let hub = json!({"registry": "docker.io", "username": "me", "password": "abc123"});
    let release = render(&json!({"ociRegistry": hub})).sound();
    let logins = release.secret("edge-pull", ".dockerconfigjson");
    assert!(logins.starts_with(r#"{"auths":{"https://index.docker.io/v1/":"#), "{logins}");
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
fn an_upgrade_to_another_pipelines_chart_changes_the_engine_in_place() {
    let values = json!({"ociRegistry": login(), "edgeBundle": BUNDLE});
    let [first, second] = ["edge-cv-retail", "card-fraud"]
        .map(|pipeline| render_named(&packed_for(pipeline).archive, "plant-1", &values).sound());
    assert_eq!(first.kinds(), second.kinds());
    let selector = |release: &Release| release.only("Deployment")["spec"]["selector"].clone();
    assert_eq!(selector(&first), selector(&second));
    assert_eq!(first.pod()["volumes"], second.pod()["volumes"]);
    assert_ne!(first.variable("PIPELINE_URL"), second.variable("PIPELINE_URL"));
}

#[test]
fn the_longest_names_stay_within_the_limits_of_kubernetes() {
    // A release has 53 characters at most, a pipeline 63; cut off, the second would end in `-`.
    let release = format!("r{}", "-x".repeat(26));
    let pipeline = format!("{}-b", "a".repeat(61));
    let values = json!({"ociRegistry": login(), "edgeBundle": BUNDLE});
    let release = render_named(&packed_for(&pipeline).archive, &release, &values).sound();
    let ends_well = |text: &str| {
        let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        text.len() <= 63 && end(text.as_bytes().first()) && end(text.as_bytes().last())
    };
    for one in &release.objects {
        let metadata = &one["metadata"];
        assert!(ends_well(metadata["name"].as_str().unwrap()), "{metadata}");
        for label in metadata["labels"].as_object().unwrap().values() {
            assert!(ends_well(label.as_str().unwrap()), "{metadata}");
        }
    }
}
