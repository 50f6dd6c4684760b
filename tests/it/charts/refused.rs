//! Values that are refused, and values that try to be more.

use super::{BUNDLE, login, packed, render};
use crate::support::helm::render_each;
use serde_json::{Value, json};

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
    assert_eq!(release.secret("edge-registry", "PASSWORD"), password);
    assert_eq!(release.secret("edge-registry", "USERNAME"), "u: \"x\" #{{ 1 }}");
    let logins = release.secret("edge-pull", ".dockerconfigjson");
    let logins: Value = serde_json::from_str(&logins).unwrap();
    assert_eq!(logins["auths"]["registry.example.com"]["password"], password);
    assert_eq!(release.variable("NOTE").unwrap(), hostile);
    assert_eq!(release.only("Service")["metadata"]["annotations"]["true"], hostile);
    let annotations = &release.only("ServiceAccount")["metadata"]["annotations"];
    assert_eq!(annotations, &json!({"a": "yes", "b": "0x10", "c": "~", "d": "1e3"}));
}
