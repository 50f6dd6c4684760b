//! The engine's configuration, variable by variable.

use super::*;

const URL: &str =
    "sample-registry.com/pipelines/edge-cv-retail:bf70eaf7-8c11-4b46-b751-916a43b1a555";

fn config(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let own = [("POTOROO_PERSIST".to_owned(), directory.path().display().to_string())];
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::from_environment(own.into_iter().chain(variables)).map_err(|error| error.0)
}

#[test]
fn the_contracts_variables_are_enough() {
    let config = config(&[
        ("PIPELINE_URL", URL),
        ("OCI_REGISTRY", "sample-registry.com"),
        ("OCI_USERNAME", "_json_key_base64"),
        ("OCI_PASSWORD", "abc123"),
        ("CONFIG_CPUS", "4"),
        ("DEBUG", "true"),
    ])
    .unwrap();
    assert_eq!(config.cpus, 4);
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.credentials.unwrap().username, "_json_key_base64");
    assert_eq!(config.pipeline_url, URL);
}

#[test]
fn an_anonymous_pull_needs_the_url_alone() {
    assert!(config(&[("PIPELINE_URL", URL), ("OCI_USERNAME", "")]).unwrap().credentials.is_none());
}

#[test]
fn variables_of_the_ops_center_are_passed_over() {
    let of_both = [("PIPELINE_URL", URL), ("POTOROO_OPS_URL", "http://localhost:8090")];
    assert!(config(&of_both).is_ok());
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_no_secret_with_it() {
    let problems = config(&[
        ("OCI_PASSWORD", "hunter2"),
        ("CONFIG_CPUS", "none"),
        ("DEBUG", "perhaps"),
        ("POTOROO_LISTEN", "8080"),
        ("POTOROO_LISTEM", "0.0.0.0:80"),
        ("EDGE_BUNDLE", "hunter2!"),
    ])
    .unwrap_err();
    let all = problems.join("\n");
    for name in
        ["PIPELINE_URL", "OCI_USERNAME", "CONFIG_CPUS", "DEBUG", "LISTEN ", "LISTEM", "EDGE_BUNDLE"]
    {
        assert!(all.contains(name), "{name} is not named in:\n{all}");
    }
    assert_eq!(problems.len(), 7, "{all}");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn credentials_for_another_registry_are_refused() {
    let problems = config(&[
        ("PIPELINE_URL", URL),
        ("OCI_REGISTRY", "ghcr.io/somebody"),
        ("OCI_USERNAME", "u"),
        ("OCI_PASSWORD", "p"),
    ])
    .unwrap_err();
    assert!(problems[0].contains("ghcr.io") && problems[0].contains("sample-registry.com"));
}

#[test]
fn the_bundles_values_win() {
    use base64::Engine;
    let text = format!("export CONFIG_CPUS=3\nexport PIPELINE_URL={URL}");
    let bundle = base64::engine::general_purpose::STANDARD.encode(text);
    let other = "other.example/p:1";
    let config =
        config(&[("PIPELINE_URL", other), ("CONFIG_CPUS", "1"), ("EDGE_BUNDLE", &bundle)]).unwrap();
    assert_eq!((config.cpus, config.pipeline_url.as_str()), (3, URL));
}

#[test]
fn a_secret_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "abc123\n").unwrap();
    let path = path.display().to_string();
    let config =
        config(&[("PIPELINE_URL", URL), ("OCI_USERNAME", "u"), ("OCI_PASSWORD_FILE", &path)])
            .unwrap();
    assert_eq!(config.credentials.unwrap().password.reveal(), "abc123");
}

#[test]
fn cpus_are_rounded_up_and_bounded() {
    let cpus = |text| config(&[("PIPELINE_URL", URL), ("CONFIG_CPUS", text)]).map(|c| c.cpus);
    assert_eq!(cpus("0.5"), Ok(1));
    assert_eq!(cpus("2.0"), Ok(2));
    for refused in ["0", "-1", "1025", "NaN", "inf"] {
        assert!(cpus(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_certificate_needs_its_key_and_both_must_be_readable() {
    let problems = |variables: &[(&str, &str)]| {
        let url = [("PIPELINE_URL", URL)];
        config(&[&url, variables].concat()).unwrap_err().join("\n")
    };
    let certificate = ("POTOROO_TLS_CERT", "/nowhere/cert.pem");
    let key = ("POTOROO_TLS_KEY", "/nowhere/key.pem");
    assert!(problems(&[certificate]).starts_with("POTOROO_TLS_KEY is not set, but"));
    assert!(problems(&[key]).starts_with("POTOROO_TLS_CERT is not set, but"));
    let unreadable = problems(&[certificate, key]);
    assert!(unreadable.contains("/nowhere/cert.pem cannot be read"), "{unreadable}");
}

#[test]
fn an_api_key_that_no_header_carries_is_refused_and_none_is_shown() {
    let key = |key| config(&[("PIPELINE_URL", URL), ("POTOROO_API_KEY", key)]);
    assert!(!format!("{:?}", key("hunter2").unwrap()).contains("hunter2"));
    let problems = key("hunter2 hunter2").unwrap_err().join("\n");
    assert!(problems.contains("POTOROO_API_KEY") && !problems.contains("hunter2"), "{problems}");
}

#[test]
fn a_key_alone_asks_for_signatures_and_a_policy_needs_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cosign.pub");
    // A key that nobody has signed with: the generator of the curve, in the form of its file.
    std::fs::write(
        &path,
        "-----BEGIN PUBLIC KEY-----\n\
         MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
         6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7Ltkf/GGg6kg==\n\
         -----END PUBLIC KEY-----\n",
    )
    .unwrap();
    let path = path.display().to_string();
    let trust = |variables: &[(&str, &str)]| {
        let all = [&[("PIPELINE_URL", URL)], variables].concat();
        config(&all).map(|config| match config.trust {
            Trust::Off => None,
            Trust::Keys { policy, keys } => Some((policy, keys.keys().len())),
        })
    };
    let (policy, key) = ("POTOROO_SIGNATURES", ("POTOROO_SIGNATURE_KEY", path.as_str()));
    assert_eq!(trust(&[]), Ok(None));
    assert_eq!(trust(&[key]), Ok(Some((Policy::Require, 1))));
    assert_eq!(trust(&[key, (policy, "Warn")]), Ok(Some((Policy::Warn, 1))));
    assert_eq!(trust(&[key, (policy, "off")]), Ok(None));
    for (variables, expected) in [
        (vec![(policy, "require")], "POTOROO_SIGNATURE_KEY is not set, but"),
        (vec![key, (policy, "yes")], "POTOROO_SIGNATURES is not `off`, `warn` or `require`"),
        (vec![("POTOROO_SIGNATURE_KEY", "/nowhere")], "/nowhere cannot be read"),
    ] {
        let problems = trust(&variables).unwrap_err().join("\n");
        assert!(problems.contains(expected), "{problems}");
    }
}
