//! A registry that is broken or means harm: each thing it does has its sentence, and stays outside.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use potoroo::oci::{
    CONFIG_BYTES_MAX, Descriptor, Digest, MANIFEST_BYTES_MAX, architecture, media_type,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::engine::command;
use crate::support::ops::publish_layout;
use crate::support::process::{Ended, Running, run};
use crate::support::scripted::{Scripted, Step, answer, raw};
use crate::support::{fixture, golden};

/// A good artifact, and where it lies.
struct Artifact {
    manifest: Value,
    layout: TempDir,
}

impl Artifact {
    fn publish() -> Artifact {
        let layout = tempfile::tempdir().unwrap();
        let published = publish_layout(&fixture("pipelines/fraud.yaml"), layout.path());
        let digest: Digest = published.digest.parse().unwrap();
        let manifest = fs::read(blob_path(layout.path(), &digest)).unwrap();
        Artifact { manifest: serde_json::from_slice(&manifest).unwrap(), layout }
    }

    /// The manifest after a change.
    fn with(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut manifest = self.manifest.clone();
        change(&mut manifest);
        manifest.to_string().into_bytes()
    }

    /// The bytes of the model.
    fn model(&self) -> Vec<u8> {
        fs::read(fixture("models/fraud.onnx")).unwrap()
    }

    /// The target of the model.
    fn model_target(&self) -> String {
        format!("/blobs/{}", self.manifest["layers"][0]["digest"].as_str().unwrap())
    }

    /// A registry that answers by these ends of targets, and with the good artifact's blobs.
    fn served(&self, answers: Vec<(String, Step)>) -> Scripted {
        let layout = self.layout.path().to_owned();
        Scripted::answering(move |target| {
            let special = answers.iter().find(|(end, _)| target.ends_with(end.as_str()));
            match (special, target.rsplit_once("/blobs/")) {
                (Some((_, step)), _) => step.clone(),
                (None, Some((_, digest))) => answer(
                    200,
                    &[],
                    &fs::read(blob_path(&layout, &digest.parse().unwrap())).unwrap(),
                ),
                (None, None) => answer(200, &[], b"{}"),
            }
        })
    }
}

fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

/// An engine that pulls from there into `persist` below `home`.
fn engine(registry: &Scripted, home: &Path) -> std::process::Command {
    let mut command = command(&home.join("persist"));
    command.env("PIPELINE_URL", format!("{}/a/b:v1", registry.address()));
    command
}

/// What the engine says when it ends by itself, once it is sure that it wrote its store alone.
fn refusal(registry: &Scripted) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let ended: Ended = run(&mut engine(registry, home.path()));
    wrote_only_its_store(home.path());
    let lines = ended.stderr.lines().filter(|line| !line.starts_with("t="));
    let said: String = lines.map(|line| format!("{line}\n")).collect();
    let said = said.replace(&registry.address().to_string(), "registry:5000");
    (ended.code(), said.replace(&format!("linux/{}", architecture()), "linux/this"))
}

/// Every file below `home` has a name that we gave: none of a registry's.
fn wrote_only_its_store(home: &Path) {
    let mut waiting = vec![home.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(home).unwrap().to_str().unwrap().to_owned();
            let parts: Vec<_> = name.split('/').collect();
            let is_hex =
                |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
            let is_ours = match parts[..] {
                ["persist"]
                | ["persist", "store" | "lock" | "pipelines.json" | "pipelines.copy.json"]
                | ["persist", "store", "blobs" | "partial" | "index.json" | "oci-layout"]
                | ["persist", "store", "blobs", "sha256"] => true,
                ["persist", "store", "blobs", "sha256", hex] => is_hex(hex),
                ["persist", "store", "partial", name] => {
                    name.strip_prefix("sha256-").is_some_and(is_hex)
                }
                _ => false,
            };
            assert!(is_ours, "{name} was written");
            if path.is_dir() {
                waiting.push(path);
            }
        }
    }
}

const MANIFEST: &str = "/manifests/v1";
const PAGE: &[u8] = b"<!doctype html><title>Sign in</title>";

fn found(body: &[u8]) -> Step {
    answer(200, &[("content-type", media_type::MANIFEST)], body)
}

fn page() -> Step {
    answer(200, &[("content-type", "text/html; charset=utf-8")], PAGE)
}

fn pointing_to(location: &str) -> Step {
    answer(307, &[("location", location)], b"")
}

/// What a registry answers for a manifest, by the name of the case.
fn bad_manifests(good: &Artifact) -> Vec<(&'static str, Step)> {
    let over = (MANIFEST_BYTES_MAX + 1).to_string();
    let endless = vec![b' '; usize::try_from(MANIFEST_BYTES_MAX).unwrap() + 1];
    let other = Digest::of(b"other").to_string();
    let index = |entries: Value| {
        found(json!({ "schemaVersion": 2, "manifests": entries }).to_string().as_bytes())
    };
    let on = |os: &str, architecture: &str| {
        let mut entry = json!(Descriptor::of(media_type::MANIFEST, os.as_bytes()));
        entry["platform"] = json!({ "os": os, "architecture": architecture });
        entry
    };
    let signed = json!({ "schemaVersion": 1, "fsLayers": [], "signatures": [{}] }).to_string();
    let layer = |change: fn(&mut Value)| found(&good.with(|it| change(&mut it["layers"][0])));
    vec![
        (
            "a manifest that is announced too large",
            Step::Hang(raw(200, &[("content-length", &over)], b"")),
        ),
        ("a manifest that does not end", Step::Answer(raw(200, &[], &endless))),
        ("a manifest that is not what its digest says", {
            answer(200, &[("docker-content-digest", &other)], &good.with(|_| ()))
        }),
        ("a web page for a manifest", page()),
        ("a web page for a manifest that is said to be one", found(PAGE)),
        (
            "an image index for other devices",
            index(json!([on("windows", "amd64"), on("plan9", "386")])),
        ),
        ("an image index that is empty", index(json!([]))),
        ("a manifest of schema version 1", found(signed.as_bytes())),
        ("a digest that leads elsewhere", layer(|it| it["digest"] = json!("sha256:../../../x"))),
        ("a digest of another algorithm", layer(|it| it["digest"] = json!("sha512:abc"))),
        ("a layer over the limit", layer(|it| it["size"] = json!(u64::MAX))),
        ("a layer of a negative size", layer(|it| it["size"] = json!(-1))),
        ("a layer of no bytes", layer(|it| it["size"] = json!(0))),
        (
            "a layer that is one byte short",
            layer(|it| it["size"] = json!(it["size"].as_u64().unwrap() - 1)),
        ),
        (
            "a layer that is compressed with gzip",
            layer(|it| {
                it["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
            }),
        ),
        (
            "a layer that is compressed with zstd",
            layer(|it| {
                it["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
            }),
        ),
        (
            "one layer with two sizes",
            found(&good.with(|it| {
                let mut again = it["layers"][0].clone();
                again["size"] = json!(1);
                it["layers"].as_array_mut().unwrap().push(again);
            })),
        ),
        (
            "more layers than there may be",
            found(&good.with(|it| {
                it["layers"] = vec![it["layers"][0].clone(); 1025].into();
            })),
        ),
        (
            "a config over the limit",
            found(&good.with(|it| {
                it["config"]["size"] = json!(CONFIG_BYTES_MAX + 1);
            })),
        ),
        ("a redirect without end", pointing_to("/v2/a/b/manifests/v1")),
        ("a redirect with a password", pointing_to("http://user:hunter2@127.0.0.1/x")),
        ("a redirect to a file", pointing_to("file:///etc/passwd")),
        ("a redirect to nowhere", answer(307, &[], b"")),
        ("a head that is too large", { answer(200, &[("x-bomb", &"x".repeat(100_000))], b"{}") }),
        ("a head of too many lines", answer(200, &[("x-bomb", "x"); 1000], b"{}")),
        ("something that is not HTTP", Step::Answer(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
    ]
}

/// What it answers for the model.
fn bad_models(good: &Artifact) -> Vec<(&'static str, Step)> {
    let mut other = good.model();
    other[0] ^= 1;
    let longer = [good.model().as_slice(), b"!"].concat();
    let endless = [good.model(), vec![0; 1 << 20]].concat();
    vec![
        ("a model that is not what its digest says", answer(200, &[], &other)),
        ("a model that is announced one byte longer", answer(200, &[], &longer)),
        ("a model that does not end", Step::Answer(raw(200, &[], &endless))),
        ("a web page for a model", page()),
        ("a model that is missing", answer(404, &[], b"")),
        ("a part of a model that was not asked for", answer(206, &[], &good.model())),
    ]
}

#[test]
fn each_thing_that_a_hostile_registry_does_has_its_sentence_and_leaves_nothing_behind() {
    let good = Artifact::publish();
    let mut cases = Vec::new();
    for (case, step) in bad_manifests(&good) {
        cases.push((case, vec![(MANIFEST.to_owned(), step)]));
    }
    for (case, step) in bad_models(&good) {
        let manifest = found(&good.with(|_| ()));
        cases.push((case, vec![(MANIFEST.to_owned(), manifest), (good.model_target(), step)]));
    }
    cases.push(("a web page for a registry", vec![("/v2/".to_owned(), page())]));
    let mut sentences = String::new();
    for (case, answers) in cases {
        let (code, said) = refusal(&good.served(answers));
        writeln!(sentences, "{case}, exit code {code}\n{said}").unwrap();
    }
    golden("registry_refused.txt", &sentences);
    assert!(!sentences.contains("hunter2"));
}

#[test]
fn an_index_within_an_index_is_refused_and_one_with_this_platform_is_followed() {
    let good = Artifact::publish();
    let manifest = good.with(|_| ());
    let index = |entry: &[u8], kind: &str| {
        let entry = Descriptor::of(kind, entry);
        json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [entry] })
            .to_string()
            .into_bytes()
    };
    let inner = index(&manifest, media_type::MANIFEST);
    let outer = index(&inner, media_type::INDEX);
    let at = |bytes: &[u8]| (format!("/manifests/{}", Digest::of(bytes)), found(bytes));
    let nested = vec![(MANIFEST.to_owned(), found(&outer)), at(&inner), at(&manifest)];
    let (code, said) = refusal(&good.served(nested));
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("it is an image index, not a manifest"), "{said}");

    let registry = good.served(vec![(MANIFEST.to_owned(), found(&inner)), at(&manifest)]);
    let home = tempfile::tempdir().unwrap();
    Running::start(&mut engine(&registry, home.path())).line_with("msg=ready");
}

#[test]
fn names_in_annotations_name_nothing_on_the_disk_and_move_no_cursor() {
    let good = Artifact::publish();
    let manifest = good.with(|it| {
        for key in ["filename", "name", "org.opencontainers.image.title"] {
            it["layers"][0]["annotations"][key] = json!("../../../x\u{1b}[2J\n  name: forged");
        }
        it["annotations"]["org.opencontainers.image.ref.name"] = json!("../../y");
        // The same file twice is one file.
        let again = it["layers"][0].clone();
        it["layers"].as_array_mut().unwrap().push(again);
    });
    let registry = good.served(vec![(MANIFEST.to_owned(), found(&manifest))]);
    let home = tempfile::tempdir().unwrap();
    let mut process = Running::start(&mut engine(&registry, home.path()));
    process.line_with("msg=ready");
    let shown = process.seen().join("\n");
    assert!(shown.contains("filename: ../../../x [2J   name: forged"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    process.signal("TERM");
    wrote_only_its_store(home.path());
    let models = registry.asked().iter().filter(|it| it.ends_with(&good.model_target())).count();
    assert_eq!(models, 1);
}

#[test]
fn a_token_service_that_is_hostile_has_its_sentences() {
    let good = Artifact::publish();
    let mut sentences = String::new();
    let cases = [
        ("a token answer that is too large", answer(200, &[], &[b' '; 70_000])),
        ("a web page for a token", page()),
        ("a token that no header can hold", answer(200, &[], br#"{"token":"a\nb: c"}"#)),
        ("a token service that redirects without end", pointing_to("/token")),
    ];
    for (case, step) in cases {
        let tokens = Scripted::answering(move |_| step.clone());
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", tokens.address());
        let challenge = answer(401, &[("www-authenticate", &realm)], b"");
        let (code, said) = refusal(&good.served(vec![("/v2/".to_owned(), challenge)]));
        let said = said.replace(&tokens.address().to_string(), "tokens:5001");
        writeln!(sentences, "{case}, exit code {code}\n{said}").unwrap();
    }
    let realms = ["http://example.com/token", "https://user:hunter2@tokens/", "ftp://tokens/"];
    for realm in realms {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let challenge = answer(401, &[("www-authenticate", &challenge)], b"");
        let (code, said) = refusal(&good.served(vec![("/v2/".to_owned(), challenge)]));
        let shown = realm.replace("hunter2", "…");
        writeln!(sentences, "a token service at {shown}, exit code {code}\n{said}").unwrap();
    }
    golden("token_service_refused.txt", &sentences);
    assert!(!sentences.contains("hunter2"));
}
