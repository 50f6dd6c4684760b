//! Across an air gap: one tar file out of a registry, onto a device, and into another registry.

use crate::support::engine::{self, Engine};
use crate::support::fixture;
use crate::support::ops::{Published, ops, publish, publish_layout};
use crate::support::process::run;
use crate::support::python::request;
use crate::support::registry::{Auth, PASSWORD, Registry};
use crate::support::signing::Keys;
use std::path::Path;
use std::process::Command;

const PIPELINE: &str = "pipelines/two_steps.yaml";

fn export(source: &str, file: &Path) -> String {
    run(ops().arg("export").arg(source).arg(file)).success().stdout
}

fn skopeo(arguments: &[&str]) -> String {
    run(Command::new("skopeo").args(arguments)).success().stdout
}

fn digest_by_skopeo(image: &str, directory: &Path) -> String {
    let file = directory.join("raw");
    std::fs::write(&file, skopeo(&["inspect", "--raw", image])).unwrap();
    skopeo(&["manifest-digest", file.to_str().unwrap()]).trim().to_owned()
}

/// Bytes of all files below a directory.
fn bytes_below(directory: &Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        bytes += if kind.is_dir() {
            bytes_below(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        };
    }
    bytes
}

#[test]
fn an_export_is_the_same_file_each_time_and_skopeo_reads_it() {
    let registry = Registry::start(&Auth::None);
    let published =
        Published::from(publish(&fixture(PIPELINE), &registry.host().to_string(), None));
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (one, two, three) = (path("one.tar"), path("two.tar"), path("three.tar"));
    let said = export(&published.pipeline_url, &one);
    export(&published.pipeline_url, &two);
    let url = format!("oci-layout:{}:{}", one.display(), published.tag());
    assert!(said.contains(&format!("pipeline_url: {url}\n")), "{said}");
    assert!(said.contains(&format!("digest: {}\n", published.digest)), "{said}");
    // From the tar file itself, by its digest, it is the same file once more.
    export(&format!("oci-layout:{}@{}", one.display(), published.digest), &three);
    let bytes = std::fs::read(&one).unwrap();
    assert!(bytes == std::fs::read(&two).unwrap() && bytes == std::fs::read(&three).unwrap());

    let archive = format!("oci-archive:{}", one.display());
    assert_eq!(digest_by_skopeo(&archive, directory.path()), published.digest);
    let copy = path("copy");
    skopeo(&["copy", &archive, &format!("dir:{}", copy.display())]);
    let model = run(Command::new("sha256sum").arg(fixture("models/fraud.onnx"))).success().stdout;
    let sha = model.split_whitespace().next().unwrap();
    assert_eq!(
        std::fs::read(copy.join(sha)).unwrap(),
        std::fs::read(fixture("models/fraud.onnx")).unwrap()
    );
    // Tar agrees that it is one.
    let listed = run(Command::new("tar").arg("tf").arg(&one)).success().stdout;
    assert!(listed.starts_with("oci-layout\nindex.json\nblobs/\nblobs/sha256/\n"), "{listed}");
}

#[test]
fn the_engine_serves_from_the_tar_file_and_copies_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    let published = publish_layout(&fixture("models/vision.onnx"), &layout);
    let file = directory.path().join("vision.tar");
    export(&published.pipeline_url, &file);
    std::fs::remove_dir_all(&layout).unwrap();
    let persist = directory.path().join("persist");
    let answers: Vec<String> =
        ["".to_owned(), format!(":{}", published.tag()), format!("@{}", published.digest)]
            .iter()
            .map(|version| {
                let url = format!("oci-layout:{}{version}", file.display());
                let persist = persist.display().to_string();
                let engine =
                    Engine::start(&[("PIPELINE_URL", &url), ("POTOROO_PERSIST", &persist)]);
                engine.curl("/models", &[]).body
            })
            .collect();
    assert!(answers[0].contains("\"status\":\"Running\""), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // A graph is kept for the next start; of the file and its weights nothing is.
    let graphs = bytes_below(&persist.join("graphs"));
    let (kept, whole) = (bytes_below(&persist) - graphs, file.metadata().unwrap().len());
    assert!(kept < 10_000 && whole > 10 * kept, "{kept} bytes are kept of {whole}");
}

#[test]
fn an_answer_from_the_tar_file_is_the_answer_from_the_layout() {
    let directory = tempfile::tempdir().unwrap();
    let published = publish_layout(&fixture(PIPELINE), &directory.path().join("layout"));
    let file = directory.path().join("two_steps.tar");
    export(&published.pipeline_url, &file);
    let outputs = |url: &str| {
        let engine = Engine::start(&[("PIPELINE_URL", url)]);
        let answer = engine.infer_file("two-steps", &request("fraud_1000.arrow"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()[0]["outputs"].clone()
    };
    assert_eq!(
        outputs(&format!("oci-layout:{}", file.display())),
        outputs(&published.pipeline_url)
    );
}

#[test]
fn tar_files_of_skopeo_and_tar_are_read_and_compressed_ones_are_refused_by_name() {
    let registry = Registry::start(&Auth::None);
    let published =
        Published::from(publish(&fixture("models/fraud.onnx"), &registry.host().to_string(), None));
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let by_skopeo = path("skopeo.tar");
    let image = format!("docker://{}", published.pipeline_url);
    let archive = format!("oci-archive:{}:v1", by_skopeo.display());
    skopeo(&["copy", "--src-tls-verify=false", &image, &archive]);
    let layout = path("layout");
    publish_layout(&fixture("models/fraud.onnx"), &layout);
    let tarred = |name: &str, format: &str| {
        let file = path(name);
        let mut tar = Command::new("tar");
        tar.args([format, "-C", layout.to_str().unwrap(), "-cf"]).arg(&file).arg(".");
        run(&mut tar).success();
        file
    };
    let (gnu, pax) = (tarred("gnu.tar", "--format=gnu"), tarred("pax.tar", "--format=pax"));
    for file in [&by_skopeo, &gnu, &pax] {
        let engine = Engine::start(&[("PIPELINE_URL", &format!("oci-layout:{}", file.display()))]);
        assert_eq!(engine.curl("/pipelines", &[]).status, 200);
    }
    run(Command::new("gzip").arg(&gnu)).success();
    let mut command = engine::command(&path("persist"));
    let ended = run(command.env("PIPELINE_URL", format!("oci-layout:{}.gz", gnu.display())));
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("it is compressed (gzip)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("gunzip"), "{}", ended.stderr);
}

/// Every refusal of a header is a case of the archive's own tests; this is the whole program.
#[test]
fn a_tar_file_with_a_way_out_or_a_changed_model_ends_the_engine_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let layout = path("layout");
    let published = publish_layout(&fixture("models/fraud.onnx"), &layout);
    let good = path("good.tar");
    export(&published.pipeline_url, &good);
    let bytes = std::fs::read(&good).unwrap();
    // The last blob is the model; its last bytes are before the padding and the end.
    let mut changed = bytes.clone();
    let at = changed.iter().rposition(|byte| *byte != 0).unwrap();
    changed[at] ^= 1;
    std::fs::write(path("changed.tar"), changed).unwrap();
    std::fs::write(path("cut.tar"), &bytes[..bytes.len() - 3000]).unwrap();
    let append = |name: &str, arguments: &[&str]| {
        std::fs::copy(&good, path(name)).unwrap();
        let mut tar = Command::new("tar");
        tar.current_dir(directory.path()).arg("-rf").arg(path(name)).args(arguments);
        run(&mut tar).success();
    };
    std::fs::write(path("escaped"), "x").unwrap();
    std::os::unix::fs::symlink("/etc", path("link")).unwrap();
    append("out.tar", &["-P", "--transform=s,^,../,", "escaped"]);
    append("link.tar", &["link"]);
    append("twice.tar", &["-C", layout.to_str().unwrap(), "oci-layout"]);
    for (name, code, expected) in [
        ("changed.tar", 7, "expected sha256:"),
        ("cut.tar", 7, "it was cut short"),
        ("out.tar", 7, "`../escaped` leads out of its directory"),
        ("link.tar", 7, "`link` is a symbolic link"),
        ("twice.tar", 7, "`oci-layout` is in it twice"),
        ("none.tar", 2, "it has no file oci-layout"),
    ] {
        let persist = path("persist");
        let mut command = engine::command(&persist);
        let url = format!("oci-layout:{}", path(name).display());
        let ended = run(command.env("PIPELINE_URL", url));
        assert_eq!(ended.code(), code, "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{name}: {}", ended.stderr);
        assert!(bytes_below(&persist) < 1_000, "{name} left something");
    }
    let mut found: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".tar"))
        .collect();
    found.sort();
    assert_eq!(found, ["escaped", "layout", "link", "persist"]);
}

#[test]
fn a_signed_pipeline_crosses_with_its_signatures_and_is_trusted_on_both_sides() {
    let (registry, inside) = (Registry::start(&Auth::None), Registry::start(&Auth::Htpasswd("me")));
    let keys = Keys::make();
    let published = keys.publish(PIPELINE, &["--registry", &registry.host().to_string()]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two_steps.tar");
    let said = export(&published.pipeline_url, &file);
    assert!(said.contains("signatures: 2\n"), "{said}");
    drop(registry);

    let key = keys.public_text();
    let require = ("POTOROO_SIGNATURE_KEY", key.as_str());
    let url = format!("oci-layout:{}", file.display());
    let engine = Engine::start(&[("PIPELINE_URL", &url), require]);
    assert_eq!(engine.curl("/pipelines", &[]).status, 200);
    let tagged = format!("oci-archive:{}:{}", file.display(), published.tag());
    assert_eq!(digest_by_skopeo(&tagged, directory.path()), published.digest);

    let to = format!("{}/mirror/pipelines/two-steps:{}", inside.host(), published.tag());
    let mut command = ops();
    command.arg("import").arg(&file).arg(&to);
    command.env("OCI_USERNAME", "me").env("OCI_PASSWORD", PASSWORD);
    let said = run(&mut command).success().stdout;
    assert!(
        said.contains(&format!("pipeline_url: {to}\ndigest: {}\n", published.digest)),
        "{said}"
    );
    let login = [("OCI_USERNAME", "me"), ("OCI_PASSWORD", PASSWORD)];
    let engine = Engine::start(&[&[("PIPELINE_URL", to.as_str()), require], &login[..]].concat());
    assert_eq!(engine.curl("/pipelines", &[]).status, 200);
}

#[test]
fn a_failed_export_leaves_the_file_that_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    let published = publish_layout(&fixture("models/fraud.onnx"), &layout);
    let file = directory.path().join("fraud.tar");
    std::fs::write(&file, "what was there").unwrap();
    let model = std::fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&model).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let ended = run(ops().arg("export").arg(&published.pipeline_url).arg(&file));
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "what was there");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}
