//! Real tools pull from it: skopeo, and our own engine with a login, signatures and a bad link.

use std::process::Command;

use serde_json::Value;

use crate::support::built_in::{BuiltIn, EDGE, PASSWORD, PERSON, shown};
use crate::support::engine::{self, Engine};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::fixture;
use crate::support::ops::{Published, publish_layout};
use crate::support::process::{Ended, run};
use crate::support::python::request;
use crate::support::signing::Keys;

const REPOSITORY: &str = "pipelines/fraud";
const MODEL: &str = "models/fraud.onnx";

/// A registry with the fraud pipeline, published as any layout is.
fn published() -> (BuiltIn, Published) {
    let registry = BuiltIn::start();
    let layout = registry.layout(REPOSITORY);
    let published = publish_layout(&fixture(MODEL), layout.root());
    (registry, published)
}

fn skopeo(arguments: &[&str]) -> Ended {
    // No login of the machine, and no policy of its own.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy").args(arguments);
    run(command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path()))
}

#[test]
fn skopeo_lists_inspects_and_copies_with_the_login_of_an_edge() {
    let (registry, published) = published();
    let repository = format!("docker://{}/{REPOSITORY}", registry.host());
    let image = format!("{repository}:{}", published.tag());
    let login = format!("{EDGE}:{PASSWORD}");
    let plain = ["--tls-verify=false", "--creds", login.as_str()];
    let listed = skopeo(&[&["list-tags"], &plain[..], &[repository.as_str()]].concat()).success();
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!([published.tag()]));
    let raw = skopeo(&[&["inspect", "--raw"], &plain[..], &[&image]].concat()).success();
    let manifest = registry.layout(REPOSITORY).whole_manifest(&published.digest.parse().unwrap());
    assert_eq!(raw.stdout.into_bytes(), manifest.unwrap());

    let copy = tempfile::tempdir().unwrap();
    let to = format!("oci:{}:copied", shown(copy.path()));
    let from = ["copy", "--src-tls-verify=false", "--src-creds", login.as_str()];
    skopeo(&[&from[..], &[&image, &to]].concat()).success();
    let engine =
        Engine::start(&[("PIPELINE_URL", &format!("oci-layout:{}:copied", shown(copy.path())))]);
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);

    let wrong = skopeo(&["list-tags", "--tls-verify=false", "--creds", "edge-1:x", &repository]);
    assert!(
        !wrong.status.success() && wrong.stderr.contains("the user name or the password is wrong"),
        "{wrong:?}"
    );
    let nobody = skopeo(&["list-tags", "--tls-verify=false", "--no-creds", &repository]);
    assert!(!nobody.status.success(), "{nobody:?}");
    let elsewhere = format!("docker://{}/charts/fraud:v1", registry.host());
    let denied = skopeo(&[&["inspect"], &plain[..], &[elsewhere.as_str()]].concat());
    assert!(
        !denied.status.success() && denied.stderr.contains("may not pull from charts/fraud"),
        "{denied:?}"
    );
}

#[test]
fn skopeo_reads_the_layout_of_a_repository_and_what_it_copies_there_is_served() {
    let (registry, published) = published();
    let layout = registry.layout(REPOSITORY);
    let from = format!("oci:{}:{}", shown(layout.root()), published.tag());
    let other = registry.layout("engines/copy");
    let to = format!("oci:{}:v1", shown(other.root()));
    skopeo(&["copy", &from, &to]).success();
    let got = registry.get("/v2/engines/copy/manifests/v1");
    assert_eq!(got.header("docker-content-digest"), Some(published.digest.as_str()));
    for layer in got.json()["layers"].as_array().unwrap() {
        let path = format!("/v2/engines/copy/blobs/{}", layer["digest"].as_str().unwrap());
        assert_eq!(registry.get(&path).body.len() as u64, layer["size"].as_u64().unwrap());
    }
    assert!(other.root().join("blobs").is_symlink());
}

#[test]
fn skopeo_is_told_that_nothing_is_pushed_here() {
    let (registry, published) = published();
    let from = format!("oci:{}:{}", shown(registry.layout(REPOSITORY).root()), published.tag());
    let to = format!("docker://{}/{REPOSITORY}:other", registry.host());
    let login = format!("{PERSON}:{PASSWORD}");
    let ended = skopeo(&["copy", "--dest-tls-verify=false", "--dest-creds", &login, &from, &to]);
    assert!(
        !ended.status.success() && ended.stderr.contains("this registry is for pulling"),
        "{ended:?}"
    );
}

#[test]
fn our_engine_pulls_with_its_login_and_serves() {
    let (registry, published) = published();
    let url = format!("{}/{REPOSITORY}:{}", registry.host(), published.tag());
    let login =
        [("PIPELINE_URL", url.as_str()), ("OCI_USERNAME", EDGE), ("OCI_PASSWORD", PASSWORD)];
    let engine = Engine::start(&login);
    let answer = engine.infer_file("fraud", &request("fraud_1.json"));
    assert_eq!((answer.status, &answer.json()[0]["model_name"]), (200, &Value::from("fraud")));

    let persist = tempfile::tempdir().unwrap();
    let ended = |username: &str, password: &str, url: &str| {
        let mut command = engine::command(persist.path());
        command.env("PIPELINE_URL", url).env("OCI_USERNAME", username);
        run(command.env("OCI_PASSWORD", password))
    };
    let wrong = ended(EDGE, "guess", &url);
    assert!(
        wrong.stderr.contains("refuses the user name and password (UNAUTHORIZED: the user name"),
        "{}",
        wrong.stderr
    );
    let elsewhere = url.replace(REPOSITORY, "charts/fraud");
    let denied = ended(EDGE, PASSWORD, &elsewhere);
    assert!(
        denied.stderr.contains("DENIED: this login may not pull from charts/fraud"),
        "{}",
        denied.stderr
    );
    assert_eq!((wrong.code(), denied.code()), (4, 4), "{} {}", wrong.stderr, denied.stderr);
    let gone = ended(EDGE, PASSWORD, &url.replace(published.tag(), "v9"));
    assert!(gone.stderr.contains("MANIFEST_UNKNOWN"), "{}", gone.stderr);
}

#[test]
fn an_engine_that_requires_signatures_finds_them_by_the_list_of_referrers() {
    let registry = BuiltIn::start();
    let layout = registry.layout(REPOSITORY);
    let (keys, root) = (Keys::make(), shown(layout.root()));
    let published = keys.publish(MODEL, &["--layout", &root, "--sign-form", "bundle"]);
    let key = keys.public_text();
    let start = |url: &str, key: &str| {
        let persist = tempfile::tempdir().unwrap();
        let mut command = engine::command(persist.path());
        command.env("PIPELINE_URL", url).env("OCI_USERNAME", EDGE).env("OCI_PASSWORD", PASSWORD);
        command.env("POTOROO_SIGNATURES", "require").env("POTOROO_SIGNATURE_KEY", key);
        (command, persist)
    };
    let url = format!("{}/{REPOSITORY}:{}", registry.host(), published.tag());
    let (mut command, _persist) = start(&url, &key);
    let mut engine = crate::support::process::Running::start(&mut command);
    engine.line_with("msg=ready");
    let said = engine.seen().join("\n");
    assert!(said.contains("signature=bundle key="), "{said}");

    let strangers = Keys::make();
    let (mut command, _persist) = start(&url, &strangers.public_text());
    let ended = run(&mut command);
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
    assert!(ended.stderr.contains("was made by another key"), "{}", ended.stderr);
    let unsigned = registry.layout("pipelines/plain");
    let plain = publish_layout(&fixture(MODEL), unsigned.root());
    let (mut command, _persist) =
        start(&format!("{}/pipelines/plain:{}", registry.host(), plain.tag()), &key);
    let ended = run(&mut command);
    assert!(ended.code() == 9 && ended.stderr.contains("is not signed"), "{}", ended.stderr);
}

#[test]
fn a_pull_that_is_cut_goes_on_where_it_was() {
    let (registry, published) = published();
    // The model has some 80 kB: each answer with more of it is cut after so many.
    const CUT: u64 = 2_000;
    let proxy = FaultProxy::start(&registry.host(), |_| vec![Fault::Cut(CUT)]);
    let url = format!("{}/{REPOSITORY}:{}", proxy.host(), published.tag());
    let login =
        [("PIPELINE_URL", url.as_str()), ("OCI_USERNAME", EDGE), ("OCI_PASSWORD", PASSWORD)];
    let engine = Engine::start(&login);
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
    let firsts = proxy.firsts();
    assert!(firsts.contains(&Some(CUT)), "{firsts:?}");
    let manifest = registry.layout(REPOSITORY).whole_manifest(&published.digest.parse().unwrap());
    let manifest: Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
    let sizes = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
    let size: u64 = sizes.map(|it| it["size"].as_u64().unwrap()).sum();
    assert_eq!(proxy.bytes(), size, "no byte came twice: {firsts:?}");
}
