//! Signatures: those that we make and others verify, those that others make, and the policy.

use crate::support::engine::{self, Engine};
use crate::support::layout::{Artifact, by_hand};
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::{Ended, Running, run};
use crate::support::registry::{Auth, Registry};
use crate::support::signing::{Keys, PASSWORD, cosign_key, openssl, sigstore};
use crate::support::{fixture, golden};
use potoroo::oci::{Descriptor, Digest, Version, media_type};
use potoroo::registry::Layout;
use potoroo::registry::signature::{Attached, attached, bundle_manifest, tag_manifest};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const MODEL: &str = "models/fraud.onnx";

fn layout_of(published: &Published) -> Layout {
    let path = published.pipeline_url.strip_prefix("oci-layout:").unwrap();
    Layout::open(Path::new(path.rsplit_once(':').unwrap().0)).unwrap()
}

fn digest_of(published: &Published) -> Digest {
    published.digest.parse().unwrap()
}

/// What is attached to a publish in a layout: first what has the tag, then bundles.
fn signatures(published: &Published) -> Vec<Attached> {
    let (found, flaws) = attached(&layout_of(published), &digest_of(published)).unwrap();
    assert!(flaws.is_empty(), "{flaws:?}");
    found
}

fn signed_layout(keys: &Keys, directory: &Path) -> Published {
    keys.publish(MODEL, &["--layout", directory.to_str().unwrap()])
}

/// The engine with these variables and this persistent directory, to its end.
fn refused(url: &str, variables: &[(&str, &str)], persist: &Path) -> Ended {
    let mut command = engine::command(persist);
    command.env("PIPELINE_URL", url).envs(variables.iter().copied());
    run(&mut command)
}

/// Serves until it listens, and gives the lines up to then.
fn served(url: &str, variables: &[(&str, &str)], persist: &Path) -> String {
    let mut command = engine::command(persist);
    command.env("PIPELINE_URL", url).envs(variables.iter().copied());
    let mut running = Running::start(&mut command);
    running.line_with("msg=ready");
    running.seen().join("\n")
}

#[test]
fn openssl_verifies_the_signature_under_the_tag_and_the_payload_is_cosigns() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let keys = Keys::make();
    let published = keys.publish(MODEL, &["--registry", &host]);
    assert!(published.text.contains("signature by tag: made"), "{}", published.text);
    let repository = published.pipeline_url.rsplit_once(':').unwrap().0;
    let hex = published.digest.strip_prefix("sha256:").unwrap();
    let copy = tempfile::tempdir().unwrap();
    let image = format!("docker://{repository}:sha256-{hex}.sig");
    let directory = format!("dir:{}", copy.path().display());
    run(Command::new("skopeo").args(["copy", "--src-tls-verify=false", &image, &directory]))
        .success();
    let manifest = std::fs::read(copy.path().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    let blob = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let payload = copy.path().join(blob);
    assert_eq!(
        std::fs::read_to_string(&payload).unwrap(),
        format!(
            "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"{repository}\"}},\"image\":\
             {{\"docker-manifest-digest\":\"{}\"}},\"type\":\"cosign container image signature\"}},\
             \"optional\":null}}",
            published.digest
        )
    );
    let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    let raw = copy.path().join("raw");
    std::fs::write(&raw, openssl(&["base64", "-d", "-A"], signature.as_bytes())).unwrap();
    let (public, payload) = (keys.public_text(), payload.display().to_string());
    let raw = raw.display().to_string();
    let verified =
        openssl(&["dgst", "-sha256", "-verify", &public, "-signature", &raw, &payload], b"");
    assert_eq!(String::from_utf8(verified).unwrap().trim(), "Verified OK");
}

#[test]
fn npms_verifier_takes_our_bundle_and_the_engine_takes_one_of_npms() {
    let keys = Keys::make();
    let directory = tempfile::tempdir().unwrap();
    let published = signed_layout(&keys, directory.path());
    let ours = &signatures(&published)[1];
    let file = directory.path().join("bundle.json");
    std::fs::write(&file, &ours.layers[0].1).unwrap();
    let Some(statement) = sigstore("verify", &[&file, &keys.public()]) else { return };
    let statement: Value = serde_json::from_str(&statement).unwrap();
    let hex = digest_of(&published).hex();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], hex.as_str());
    assert_eq!(statement["predicateType"], "https://sigstore.dev/cosign/sign/v1");

    let plain = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture(MODEL), plain.path());
    let (private, public) = (plain.path().join("k.pem"), plain.path().join("k.pub"));
    let pem = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
    std::fs::write(&private, &pem).unwrap();
    std::fs::write(&public, openssl(&["pkey", "-pubout"], &pem)).unwrap();
    sigstore("make", &[&private, Path::new(&hex), &file]).unwrap();
    let subject = Descriptor::new(media_type::MANIFEST, digest_of(&published), 1);
    let bundle = bundle_manifest(&subject, std::fs::read(&file).unwrap());
    layout_of(&published).put_attached(&subject.digest, &bundle).unwrap();
    let key = public.display().to_string();
    let persist = tempfile::tempdir().unwrap();
    let said = served(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert!(said.contains("signature=bundle key="), "{said}");
}

#[test]
fn each_form_from_a_registry_is_enough_for_the_engine() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let keys = Keys::make();
    for (form, file) in [("tag", MODEL), ("bundle", "models/score.onnx")] {
        let published = keys.publish(file, &["--registry", &host, "--sign-form", form]);
        let persist = tempfile::tempdir().unwrap();
        let key = keys.public_text();
        let said =
            served(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
        assert!(said.contains(&format!("signature={form} key=")), "{said}");
    }
}

#[test]
fn what_was_verified_once_is_verified_again_without_its_signature_in_the_registry() {
    let registry = Registry::start(&Auth::None);
    let keys = Keys::make();
    let published = keys.publish(MODEL, &["--registry", &registry.host().to_string()]);
    let (key, persist) = (keys.public_text(), tempfile::tempdir().unwrap());
    let require = [("POTOROO_SIGNATURES", "require"), ("POTOROO_SIGNATURE_KEY", key.as_str())];
    served(&published.pipeline_url, &require, persist.path());

    let tags = registry.storage().join("repositories/pipelines/fraud/_manifests/tags");
    let hex = digest_of(&published).hex();
    for tag in [format!("sha256-{hex}.sig"), format!("sha256-{hex}")] {
        std::fs::remove_dir_all(tags.join(tag)).unwrap();
    }
    served(&published.pipeline_url, &require, persist.path());
    // A device that never saw the signature has nothing to verify by.
    let fresh = tempfile::tempdir().unwrap();
    let ended = refused(&published.pipeline_url, &require, fresh.path());
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
    // And a key that is no longer trusted vouches for nothing, kept or not.
    let other = Keys::make();
    let ended = refused(
        &published.pipeline_url,
        &[("POTOROO_SIGNATURE_KEY", &other.public_text())],
        persist.path(),
    );
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not signed") || ended.stderr.contains("another key"));
}

#[test]
fn a_start_without_a_registry_verifies_again_and_serves_nothing_that_is_not_trusted() {
    let registry = Registry::start(&Auth::None);
    let keys = Keys::make();
    let published = keys.publish(MODEL, &["--registry", &registry.host().to_string()]);
    let (key, persist) = (keys.public_text(), tempfile::tempdir().unwrap());
    served(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    drop(registry);
    let said = served(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert!(said.contains("serving the pipeline that is kept on this device"), "{said}");
    assert!(said.contains("signature=tag key="), "{said}");

    let strangers = Keys::make();
    let key = strangers.public_text();
    let ended =
        refused(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
    assert!(ended.stderr.contains("was made by another key"), "{}", ended.stderr);
}

#[test]
fn keys_are_rotated_by_a_directory_of_both() {
    let (old, new) = (Keys::make(), Keys::make());
    let (directory, trusted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let published = signed_layout(&new, directory.path());
    let trust = |name: &str, keys: &Keys| {
        std::fs::copy(keys.public(), trusted.path().join(name)).unwrap();
    };
    trust("2025.pub", &old);
    let path = trusted.path().display().to_string();
    let (persist, key) = (tempfile::tempdir().unwrap(), [("POTOROO_SIGNATURE_KEY", path.as_str())]);
    assert_eq!(refused(&published.pipeline_url, &key, persist.path()).code(), 9);
    trust("2026.pub", &new);
    served(&published.pipeline_url, &key, persist.path());
    std::fs::remove_file(trusted.path().join("2025.pub")).unwrap();
    served(&published.pipeline_url, &key, persist.path());
}

#[test]
fn publishing_again_signs_nothing_anew_and_another_key_stands_beside_the_first() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let (one, two) = (Keys::make(), Keys::make());
    let published = one.publish(MODEL, &["--registry", &host]);
    let remote = registry.remote("pipelines/fraud", None);
    let signatures = || attached(&remote, &digest_of(&published)).unwrap().0;
    let before = signatures();
    assert_eq!(before.len(), 2);
    let again = one.publish(MODEL, &["--registry", &host]);
    assert!(again.text.contains("signature by tag: already there"), "{}", again.text);
    assert!(again.text.contains("signature by bundle: already there"), "{}", again.text);
    assert_eq!(signatures(), before);

    two.publish(MODEL, &["--registry", &host]);
    let after = signatures();
    assert_eq!((after.len(), after[0].layers.len()), (3, 2));
    assert_eq!(after[0].layers[0], before[0].layers[0]);
    for keys in [&one, &two] {
        let (key, persist) = (keys.public_text(), tempfile::tempdir().unwrap());
        served(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    }
}

#[test]
fn warn_serves_what_is_not_signed_and_says_so_and_off_asks_nothing() {
    let registry = Registry::start(&Auth::None);
    let published = Published::from(publish(&fixture(MODEL), &registry.host().to_string(), None));
    let (keys, persist) = (Keys::make(), tempfile::tempdir().unwrap());
    let key = keys.public_text();
    let with = |policy| [("POTOROO_SIGNATURES", policy), ("POTOROO_SIGNATURE_KEY", key.as_str())];
    let said = served(&published.pipeline_url, &with("warn"), persist.path());
    assert!(said.contains("signature=none msg=") && said.contains("is not signed"), "{said}");
    // Not even the key is read.
    std::fs::remove_file(keys.public()).unwrap();
    let said = served(&published.pipeline_url, &with("off"), persist.path());
    assert!(!said.contains("signature="), "{said}");
}

/// Each refusal as a person sees it, with `KEYS` for the path of the keys.
#[test]
fn each_refusal_has_its_own_sentence() {
    let keys = Keys::make();
    let other = Keys::make();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let good = signatures(&signed_layout(&keys, &path("good")));
    let of_another = signatures(
        &keys.publish("models/score.onnx", &["--layout", path("score").to_str().unwrap()]),
    );
    let strange = signatures(&signed_layout(&other, &path("other")));
    let changed = |of: usize, change: &dyn Fn(&mut Attached)| {
        let mut one = good[of].clone();
        change(&mut one);
        let (mut layers, subject) = (one.layers, manifest_descriptor());
        let (layer, bytes) = layers.pop().unwrap();
        if of == 1 {
            return bundle_manifest(&subject, bytes);
        }
        let mut made = tag_manifest(None, bytes, b"");
        made.layers[0].0.annotations = layer.annotations;
        remade(&made)
    };
    let crowd = {
        let mut crowd = good[0].clone();
        for _ in 0..40 {
            crowd = tag_manifest(Some(&crowd), b"{}".to_vec(), b"x");
        }
        crowd
    };
    let cases: Vec<(&str, Vec<Attached>)> = vec![
        ("no signature", vec![]),
        ("tag by another key", vec![strange[0].clone()]),
        ("bundle by another key", vec![strange[1].clone()]),
        ("tag of another artifact", vec![of_another[0].clone()]),
        (
            "bundle of another artifact",
            vec![bundle_manifest(&manifest_descriptor(), of_another[1].layers[0].1.clone())],
        ),
        ("payload changed", vec![changed(0, &|it| it.layers[0].1.push(b' '))]),
        ("no annotation", vec![changed(0, &|it| it.layers[0].0.annotations.clear())]),
        (
            "signature is not base64",
            vec![changed(0, &|it| {
                it.layers[0].0.annotations.values_mut().for_each(|it| *it = "!".to_owned());
            })],
        ),
        ("bundle is not JSON", vec![changed(1, &|it| it.layers[0].1 = b"{".to_vec())]),
        (
            "bundle of a certificate",
            vec![changed(1, &|it| {
                let text = String::from_utf8(it.layers[0].1.clone()).unwrap();
                it.layers[0].1 = text.replace("publicKey", "certificate").into_bytes();
            })],
        ),
        ("too many", vec![crowd]),
        ("two that are wrong", vec![strange[0].clone(), strange[1].clone()]),
    ];
    let (mut told, key) = (String::new(), keys.public_text());
    for (name, signatures) in cases {
        let layout = path(&format!("case {name}"));
        let published = publish_layout(&fixture(MODEL), &layout);
        let subject = digest_of(&published);
        for signature in &signatures {
            layout_of(&published).put_attached(&subject, signature).unwrap();
        }
        let persist = tempfile::tempdir().unwrap();
        let ended =
            refused(&published.pipeline_url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
        assert_eq!(ended.code(), 9, "{name}: {}", ended.stderr);
        let said = ended.stderr.split_once("error: ").unwrap().1.replace(&key, "KEYS");
        told.push_str(&format!("{name}\n{}\n", said.trim_end()));
    }
    golden("signatures_refused.txt", &told);
}

/// The manifest of [`MODEL`]'s publish, which is the same wherever it is published.
fn manifest_descriptor() -> Descriptor {
    let directory = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture(MODEL), directory.path());
    let version = Version::Digest(digest_of(&published));
    let fetched = layout_of(&published).manifest(&version).unwrap();
    Descriptor::of(media_type::MANIFEST, &fetched.bytes)
}

/// The manifest of these layers as they are now.
fn remade(changed: &Attached) -> Attached {
    let mut made = changed.clone();
    let mut manifest: Value = serde_json::from_slice(&changed.manifest).unwrap();
    let annotations = &changed.layers[0].0.annotations;
    manifest["layers"][0]["annotations"] = serde_json::json!(annotations);
    made.manifest = manifest.to_string().into_bytes();
    made.descriptor = Descriptor::of(media_type::MANIFEST, &made.manifest);
    made
}

#[test]
fn a_signature_for_a_pipeline_of_another_name_does_not_let_this_one_in() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let keys = Keys::make();
    let published =
        keys.publish(MODEL, &["--registry", &host, "--name", "pricing", "--sign-form", "tag"]);
    let named = published.pipeline_url.replace("pipelines/pricing:", "pipelines/fraud:");
    // Who can write to the registry puts it, signature and all, where another one should be.
    for suffix in [String::new(), format!(":sha256-{}.sig", digest_of(&published).hex())] {
        let url = |url: &str| match suffix.as_str() {
            "" => format!("docker://{url}"),
            suffix => format!("docker://{}{suffix}", url.rsplit_once(':').unwrap().0),
        };
        let (from, to) = (url(&published.pipeline_url), url(&named));
        run(Command::new("skopeo").args([
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &from,
            &to,
        ]))
        .success();
    }
    let (key, persist) = (keys.public_text(), tempfile::tempdir().unwrap());
    let ended = refused(&named, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
    let expected = "pipelines/pricing`, and this one is called `fraud`";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_pinned_digest_is_honoured_when_its_tag_moves_and_needs_its_signature_all_the_same() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let published = Published::from(publish(&fixture(MODEL), &host, None));
    let later = Published::from(publish(&fixture("pipelines/two_steps.yaml"), &host, None));
    let remote = registry.remote("pipelines/fraud", None);
    // The tag is moved to another manifest: that of the same model with a note.
    let old = remote.manifest(&Version::Digest(digest_of(&published))).unwrap();
    let mut moved = old.manifest.clone();
    moved.annotations.insert("moved".to_owned(), "yes".to_owned());
    let tag = Version::Tag(published.tag().parse().unwrap());
    let now = remote.push_manifest(&tag, &moved.to_bytes()).unwrap();
    assert_ne!(now, old.digest);

    let persist = tempfile::tempdir().unwrap();
    let pinned = format!("{}@{}", published.pipeline_url, published.digest);
    let said = served(&pinned, &[], persist.path());
    assert!(said.contains(&format!("digest={}", published.digest)), "{said}");
    let said = served(&published.pipeline_url, &[], persist.path());
    assert!(said.contains(&format!("digest={now}")), "{said}");
    // A digest that the repository does not have is not made up for by the tag.
    let wrong = format!("{}@{}", published.pipeline_url, later.digest);
    assert_eq!(refused(&wrong, &[], persist.path()).code(), 5);
    // A digest says which one it is, and not who made it.
    let keys = Keys::make();
    let key = keys.public_text();
    let ended = refused(&pinned, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
}

#[test]
fn keys_go_both_ways_between_us_and_cosigns_form_as_others_write_it() {
    let keys = Keys::make();
    let sealed = std::fs::read(keys.private()).unwrap();
    let pkcs8 = cosign_key(&["open", PASSWORD], &sealed);
    let public = openssl(&["pkey", "-inform", "DER", "-pubout"], &pkcs8);
    assert_eq!(public, std::fs::read(keys.public()).unwrap());

    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    let der = openssl(
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER"],
        b"",
    );
    let pkcs8 =
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER"], &der);
    let sign = |text: &[u8], password: Option<&str>| {
        let file = directory.path().join("their.key");
        std::fs::write(&file, text).unwrap();
        let mut command = ops();
        command.arg("publish").arg(fixture(MODEL)).arg("--sign").arg(file);
        command.arg("--layout").arg(&layout);
        command.envs(password.map(|password| ("COSIGN_PASSWORD", password)));
        run(&mut command)
    };
    for (label, cost) in
        [("ENCRYPTED SIGSTORE PRIVATE KEY", "16"), ("ENCRYPTED COSIGN PRIVATE KEY", "15")]
    {
        let text = cosign_key(&["seal", label, cost, "theirs"], &pkcs8);
        sign(&text, Some("theirs")).success();
        let ended = sign(&text, Some("ours"));
        assert_eq!(ended.code(), 2);
        assert!(ended.stderr.contains("the password does not open it"), "{}", ended.stderr);
        let ended = sign(&text, None);
        assert!(ended.stderr.contains("and there is no password"), "{}", ended.stderr);
    }
    let plain = openssl(&["pkey", "-inform", "DER"], &pkcs8);
    let published = Published::from(sign(&plain, None));
    // It is one key in all these forms, so there is one signature of each form.
    assert!(published.text.contains("signature by tag: already there"), "{}", published.text);
    let old_form = openssl(&["ec", "-inform", "DER"], &der);
    let ended = sign(&old_form, None);
    assert!(ended.stderr.contains("holds `EC PRIVATE KEY`"), "{}", ended.stderr);
    let p384 =
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], b"");
    assert!(sign(&p384, None).stderr.contains("no ECDSA key on the curve P-256"));
}

#[test]
fn a_new_key_takes_no_old_ones_place_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let keys = Keys::make();
    let mode = std::fs::metadata(keys.private()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(keys.private()).unwrap();
    let mut command = ops();
    command.arg("keygen").arg("--output-prefix").arg(keys.private().with_extension(""));
    let ended = run(command.env("COSIGN_PASSWORD", PASSWORD));
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("is there already"), "{}", ended.stderr);
    assert_eq!(std::fs::read(keys.private()).unwrap(), before);
}

/// What another tool published can be signed by its layout, and the engine holds it to that.
#[test]
fn an_artifact_by_hand_is_no_exception() {
    let keys = Keys::make();
    let key = keys.public_text();
    let model = std::fs::read(fixture(MODEL)).unwrap();
    let layout = by_hand(b"{}", &[(&model, Some("fraud.onnx"))]);
    let persist = tempfile::tempdir().unwrap();
    let ended = refused(&layout.url, &[("POTOROO_SIGNATURE_KEY", &key)], persist.path());
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
    let directory = tempfile::tempdir().unwrap();
    let artifact = Artifact {
        pipeline: "fraud",
        model: "fraud",
        file: &fixture(MODEL),
        fields: &["features"],
    };
    let url = artifact.write(directory.path());
    let engine = Engine::start(&[("PIPELINE_URL", &url), ("POTOROO_SIGNATURES", "off")]);
    assert_eq!(engine.curl("/pipelines", &[]).status, 200);
}
