//! What the doctor finds on devices that are well and on those that are not, and the health check.

use crate::support::certificates::{Authority, LOOPBACK, TO_COME};
use crate::support::engine::{Engine, command};
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::{Ended, Running, run};
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::signing::Keys;
use crate::support::{fixture, golden};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The engine's command with one word, and these variables.
fn engine(home: &Path, words: &[&str], variables: &[(&str, &str)]) -> Ended {
    run(command(home).args(words).envs(variables.iter().copied()))
}

/// The findings by their checks: level, sentence and remedy in one.
pub(crate) fn findings(ended: &Ended) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", ended.stdout, ended.stderr));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let one = |it| [text(it, "level"), text(it, "finding"), text(it, "remedy")].join("|");
    findings.map(|it| (text(it, "check"), one(it))).collect()
}

/// Every file below a directory, with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn published(registry: &Registry, login: Option<(&str, &str)>) -> String {
    let file = fixture("pipelines/fraud.yaml");
    Published::from(publish(&file, &registry.host().to_string(), login)).pipeline_url
}

#[test]
fn kernels_that_are_left_off_are_not_among_those_that_the_doctor_names() {
    let home = tempfile::tempdir().unwrap();
    let named = |kernels: &str| {
        let variables = [("PIPELINE_URL", "127.0.0.1:1/no/such:1"), ("POTOROO_KERNELS", kernels)];
        findings(&engine(home.path(), &["doctor", "--json"], &variables))
    };
    let all = ["images", "patches", "attention", "quantised-products"];
    for (kernels, left_off) in [("true", &all[..0]), ("-patches,-attention", &all[1..3])] {
        let processor = &named(kernels)["processor"];
        for name in all {
            let is_named = processor.contains(name);
            assert_eq!(is_named, !left_off.contains(&name), "{name}, {kernels}: {processor}");
        }
    }
    assert!(named("false")["processor"].contains("without kernels of their own"));
    let wrong = named("-patch");
    let told = wrong.values().any(|it| it.contains("POTOROO_KERNELS") && it.contains("-patches"));
    assert!(told, "{wrong:?}");
}

#[test]
fn a_device_that_is_well_is_told_so_and_nothing_on_it_changes() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let url = published(&registry, Some(("me", PASSWORD)));
    let login = [("PIPELINE_URL", &*url), ("OCI_USERNAME", "me"), ("OCI_PASSWORD", PASSWORD)];
    let home = tempfile::tempdir().unwrap();
    let persist = home.path().join("persist");
    let ended = engine(&persist, &["doctor", "--json"], &login);
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    golden("doctor_shape.json", &shape(&ended.stdout));
    assert!(!persist.exists(), "the doctor makes no directory");
    let found = findings(&ended);
    assert!(found["login"].starts_with("ok|") && found["login"].contains("lets \"me\" in"));
    assert!(found["space"].contains("have to be fetched"), "{found:?}");

    let mut running =
        Running::start(command(&persist).envs(login).stdin(std::process::Stdio::null()));
    running.line_with("msg=ready");
    let before = files(&persist);
    let ended = engine(&persist, &["doctor"], &login).success();
    assert_eq!(files(&persist), before);
    assert!(ended.stdout.lines().any(|line| line.starts_with("ok   store       3 blobs of")));
    assert!(!ended.stdout.contains(PASSWORD) && !ended.stdout.contains("fail"), "{}", ended.stdout);
}

/// The report with its keys and checks, and the kind of each value in its place.
fn shape(report: &str) -> String {
    let mut report: Value = serde_json::from_str(report).unwrap();
    report["version"] = "string".into();
    report["worst"] = "ok, warn or fail".into();
    for finding in report["findings"].as_array_mut().unwrap() {
        finding["level"] = "ok, warn or fail".into();
        finding["finding"] = "string".into();
        finding["remedy"] = "string, or null when it is ok".into();
    }
    serde_json::to_string_pretty(&report).unwrap() + "\n"
}

#[test]
fn broken_settings_are_told_and_the_rest_is_examined_all_the_same() {
    let registry = Registry::start(&Auth::None);
    let url = published(&registry, None);
    let home = tempfile::tempdir().unwrap();
    let variables =
        [("PIPELINE_URL", &*url), ("CONFIG_CPUS", "many"), ("POTOROO_LISTENS", "hunter2")];
    let ended = engine(home.path(), &["doctor", "--json"], &variables);
    assert_eq!(ended.code(), 1);
    let found = findings(&ended);
    assert!(found["settings"].starts_with("fail|CONFIG_CPUS is not a number"), "{found:?}");
    assert!(found["settings"].contains("POTOROO_LISTENS is no setting"), "{found:?}");
    assert!(found["manifest"].starts_with("ok|"), "{found:?}");
    assert_eq!(
        ended.stderr,
        "error: the engine cannot serve like this: settings\n  next: do what is said beside each \
         `fail`\n"
    );
    let nothing = engine(home.path(), &["doctor", "--json"], &[]);
    assert_eq!(nothing.code(), 1);
    assert!(findings(&nothing)["settings"].contains("PIPELINE_URL is not set"));
}

#[test]
fn each_fault_on_the_way_to_the_registry_is_found_where_it_is() {
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let host = registry.host().to_string();
    let url = published(&registry, Some(("me", PASSWORD)));
    let unknown = format!("{host}/pipelines/fraud:nothing");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("{closed}/pipelines/fraud:1");
    let authority = Authority::new();
    let secure = authority.shown(&LOOPBACK, TO_COME);
    let secure = Registry::start_at("127.0.0.1:0", &Auth::None, Some(&secure));
    let to_come = format!("https://{}/pipelines/fraud:1", secure.host());
    let ca = authority.file();
    let wrong = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", "hunter2")];
    let right = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", PASSWORD)];
    let proxy = [("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1")];
    for (check, url, variables, remedy) in [
        ("login", url.as_str(), &wrong[..], "check OCI_USERNAME"),
        ("login", &url, &[], "set OCI_USERNAME"),
        ("manifest", &unknown, &right, "check the tag"),
        ("tcp", &nobody, &[], "check host and port"),
        ("tls", &to_come, &[("POTOROO_CA_FILE", &ca)], "set this device's clock"),
        ("tcp", "registry.example/p:1", &proxy, "check HTTPS_PROXY"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let all = [&[("PIPELINE_URL", url)], variables].concat();
        let ended = engine(home.path(), &["doctor", "--json"], &all);
        assert_eq!(ended.code(), 1, "{check}: {}", ended.stdout);
        let found = findings(&ended);
        assert!(found[check].starts_with("fail|"), "{check}: {found:?}");
        assert!(found[check].contains(remedy), "{check}: {found:?}");
        let failed = found.values().filter(|it| it.starts_with("fail|")).count();
        assert_eq!(failed, 1, "{check}: {found:?}");
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    }
}

#[test]
fn a_registry_that_is_down_is_a_warning_where_the_pipeline_is_kept() {
    let mut registry = Registry::start(&Auth::None);
    let url = published(&registry, None);
    let home = tempfile::tempdir().unwrap();
    let mut running = Running::start(command(home.path()).env("PIPELINE_URL", &url));
    running.line_with("msg=ready");
    assert_eq!(running.signal("TERM").code(), Some(0));
    registry.stop();
    let ended = engine(home.path(), &["doctor", "--json"], &[("PIPELINE_URL", &url)]).success();
    let found = findings(&ended);
    assert!(found["pipeline"].contains("an engine starts without the registry"), "{found:?}");
    assert!(found["tcp"].starts_with("warn|"), "{found:?}");
}

#[test]
fn a_damaged_store_and_a_port_that_is_taken_are_found() {
    let registry = Registry::start(&Auth::None);
    let url = published(&registry, None);
    let home = tempfile::tempdir().unwrap();
    let mut running = Running::start(command(home.path()).env("PIPELINE_URL", &url));
    let line = running.line_with("msg=ready");
    let listen = line.split_whitespace().find_map(|word| word.strip_prefix("listen=")).unwrap();
    let own = [("PIPELINE_URL", &*url), ("POTOROO_LISTEN", listen)];
    let found = findings(&engine(home.path(), &["doctor", "--json"], &own));
    assert!(found["port"].starts_with("ok|an engine answers at"), "{found:?}");
    assert_eq!(running.signal("TERM").code(), Some(0));

    let (blob, mut bytes) = files(&home.path().join("store/blobs")).pop_last().unwrap();
    bytes[0] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let other = registry.host().to_string();
    let own = [("PIPELINE_URL", &*url), ("POTOROO_LISTEN", &*other)];
    let ended = engine(home.path(), &["doctor", "--json"], &own);
    let found = findings(&ended);
    assert!(found["store"].starts_with("warn|1 of the blobs are damaged: sha256:"), "{found:?}");
    assert!(found["port"].starts_with("fail|something else answers at"), "{found:?}");
    assert_eq!(ended.code(), 1);
}

#[test]
fn a_tar_file_is_examined_where_it_lies_and_damage_in_it_is_found() {
    let (directory, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let published =
        publish_layout(&fixture("pipelines/fraud.yaml"), &directory.path().join("layout"));
    let file = directory.path().join("fraud.tar");
    run(ops().arg("export").arg(&published.pipeline_url).arg(&file)).success();
    let url = format!("oci-layout:{}", file.display());
    let examine = || engine(home.path(), &["doctor", "--json"], &[("PIPELINE_URL", &url)]);
    let ended = examine();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    let said = &findings(&ended)["pipeline"];
    assert!(said.starts_with("ok|") && said.contains("fraud.tar has it, whole"), "{said}");

    let mut bytes = std::fs::read(&file).unwrap();
    // Where the models are, whatever stands before and after them.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let ended = examine();
    assert_eq!(ended.code(), 1, "{}\n{}", ended.stdout, ended.stderr);
    let said = &findings(&ended)["pipeline"];
    assert!(said.starts_with("fail|") && said.contains("sha256:"), "{said}");
}

#[test]
fn who_signed_the_pipeline_is_told_and_that_nobody_did() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let (keys, others) = (Keys::make(), Keys::make());
    let signed = keys.publish("pipelines/fraud.yaml", &["--registry", &host]).pipeline_url;
    let layout = tempfile::tempdir().unwrap();
    let path = layout.path().display().to_string();
    let laid = keys.publish("pipelines/fraud.yaml", &["--layout", &path]).pipeline_url;
    let (key, other) = (keys.public_text(), others.public_text());
    let own = ("POTOROO_SIGNATURE_KEY", &*key);
    let another = ("POTOROO_SIGNATURE_KEY", &*other);
    let warned = ("POTOROO_SIGNATURES", "warn");
    for (url, variables, code, wanted) in [
        (&signed, &[][..], 0, "ok|none is asked for"),
        (&signed, &[own], 0, "ok|sha256:"),
        (&laid, &[own], 0, "ok|sha256:"),
        (&signed, &[another], 1, "fail|"),
        (&laid, &[another], 1, "fail|"),
        (&signed, &[another, warned], 0, "warn|"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let all = [&[("PIPELINE_URL", url.as_str())], variables].concat();
        let ended = engine(home.path(), &["doctor", "--json"], &all);
        assert_eq!(ended.code(), code, "{variables:?}: {}", ended.stdout);
        let told = &findings(&ended)["signatures"];
        assert!(told.starts_with(wanted), "{variables:?}: {told}");
        assert_eq!(files(home.path()), BTreeMap::new(), "the doctor keeps nothing");
    }
}

#[test]
fn a_bundle_is_read_and_its_ops_center_looked_for() {
    use base64::Engine as _;
    let registry = Registry::start(&Auth::None);
    let url = published(&registry, None);
    let home = tempfile::tempdir().unwrap();
    for (ops, expected) in [
        (registry.host().to_string(), "ok|127.0.0.1:"),
        ("127.0.0.1:1".to_owned(), "warn|127.0.0.1:1 takes no connection"),
    ] {
        let text =
            format!("export EDGE_NAME=e7\nexport JOIN_TOKEN=hunter2\nexport OPSCENTER_HOST={ops}");
        let bundle = base64::engine::general_purpose::STANDARD.encode(text);
        let variables = [("PIPELINE_URL", &*url), ("EDGE_BUNDLE", &*bundle)];
        let ended = engine(home.path(), &["doctor", "--json"], &variables).success();
        let found = findings(&ended);
        assert!(found["ops"].starts_with(expected), "{found:?}");
        assert!(found["bundle"].contains("\"e7\""), "{found:?}");
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    }
}

#[test]
fn the_health_check_tells_a_well_engine_from_a_stopping_and_a_dead_one() {
    let layout = tempfile::tempdir().unwrap();
    let file = fixture("pipelines/fraud.yaml");
    let url = publish_layout(&file, layout.path()).pipeline_url;
    let mut running = Engine::start(&[("PIPELINE_URL", &url), ("POTOROO_GRACE_SECONDS", "3600")]);
    let port = running.address.rsplit_once(':').unwrap().1.to_owned();
    let everywhere = format!("0.0.0.0:{port}");
    let health = |listen: &str| {
        engine(Path::new("/nowhere"), &["healthcheck"], &[("POTOROO_LISTEN", listen)])
    };
    let well = health(&everywhere);
    assert_eq!((well.code(), &*well.stdout, &*well.stderr), (0, "", ""));
    running.process.send("TERM");
    running.process.line_with("msg=stopping");
    let stopping = health(&running.address);
    let sentence = format!("error: the engine at {} is not ready (status 503)\n", running.address);
    assert_eq!((stopping.code(), stopping.stderr), (1, sentence));
    assert_eq!(running.process.signal("TERM").code(), Some(1));
    let dead = health(&running.address);
    assert_eq!(dead.code(), 1);
    assert!(dead.stderr.starts_with(&format!("error: {} does not answer", running.address)));
    assert_eq!(dead.stderr.lines().count(), 1, "{}", dead.stderr);
    let unknown = health("127.0.0.1:0");
    assert_eq!(unknown.code(), 1);
    assert!(unknown.stderr.contains("POTOROO_LISTEN has port 0"), "{}", unknown.stderr);
}

#[test]
fn the_health_check_knows_the_engine_by_its_certificate_whatever_its_name_and_time() {
    let layout = tempfile::tempdir().unwrap();
    let file = fixture("pipelines/fraud.yaml");
    let url = publish_layout(&file, layout.path()).pipeline_url;
    let authority = Authority::new();
    let [own, other] = [["edge-7.example"], ["edge-8.example"]].map(|names| {
        let directory = tempfile::tempdir().unwrap();
        let files = authority.shown(&names, TO_COME).write(directory.path());
        (directory, files.map(|path| path.display().to_string()))
    });
    let (_, [certificate, key]) = &own;
    let tls = [("POTOROO_TLS_CERT", &**certificate), ("POTOROO_TLS_KEY", &**key)];
    let variables = [&[("PIPELINE_URL", &*url), ("POTOROO_API_KEY", "hunter2hunter2")], &tls[..]];
    let running = Engine::start(&variables.concat());
    let health = |certificate: Option<&str>| {
        let mut variables = vec![("POTOROO_LISTEN", &*running.address)];
        variables.extend(certificate.map(|it| ("POTOROO_TLS_CERT", it)));
        engine(Path::new("/nowhere"), &["healthcheck"], &variables)
    };
    let well = health(Some(certificate));
    assert_eq!((well.code(), &*well.stderr), (0, ""));
    for (case, certificate) in [("another's", Some(&*other.1[0])), ("none", None)] {
        let ended = health(certificate);
        assert_eq!(ended.code(), 1, "{case}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{case}: {}", ended.stderr);
    }
}
