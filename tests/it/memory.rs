//! A model for which the memory will hardly do: told with its numbers, refused where that is asked for, and tried all the same.

use crate::support::engine::{Engine, command, path};
use crate::support::ops::publish_layout;
use crate::support::process::run;
use crate::support::python::{RECORDS, python};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Writes a product with a matrix of 16 MiB.
const LARGE: &str = r#"
import sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper

weight = np.random.default_rng(1).standard_normal((1024, 4096), dtype=np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "weight"], ["y"])],
    "large",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1024])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4096])],
    [numpy_helper.from_array(weight, "weight")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
open(sys.argv[1], "wb").write(model.SerializeToString())
"#;

/// Words of a shell that become the engine on a machine that says it has no more memory than `meminfo` tells.
fn words(meminfo: &Path) -> String {
    format!(
        "exec unshare -rm sh -c 'mount --bind {} /proc/meminfo && exec {}' #",
        meminfo.display(),
        path().display()
    )
}

fn free(directory: &Path, mib: u64) -> std::path::PathBuf {
    let file = directory.join(format!("meminfo-{mib}"));
    std::fs::write(&file, format!("MemAvailable: {} kB\n", mib << 10)).unwrap();
    file
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that is not run says so")]
fn a_model_that_will_hardly_fit_is_told_with_its_numbers_and_loaded_when_a_person_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (much, little) = (free(directory.path(), 32), free(directory.path(), 8));
    let script = format!("mount --bind {} /proc/meminfo", little.display());
    let mounts = run(Command::new("unshare").args(["-rm", "sh", "-c", &script]));
    if !mounts.status.success() {
        println!("not run: no memory can be feigned here: {}", mounts.stderr.trim());
        return;
    }
    let file = directory.path().join("large.onnx");
    run(Command::new(python()).args(["-c", LARGE]).arg(&file)).success();
    let published = publish_layout(&file, &directory.path().join("layout"));
    let with = |policy: &'static str| {
        let url = published.pipeline_url.as_str();
        [
            ("PIPELINE_URL", url),
            ("POTOROO_MEMORY", policy),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ]
    };
    let serves = |meminfo: &Path, policy: &'static str| {
        let mut engine = Engine::start_after(&format!("{}\n true", words(meminfo)), &with(policy));
        let body = directory.path().join("body.json");
        std::fs::write(&body, json!([{ "x": vec![1.0; 1024] }]).to_string()).unwrap();
        let answer = engine.infer("large", RECORDS, &body);
        assert_eq!(answer.status, 200, "{policy}: {}", answer.body);
        engine.process.seen().join("\n")
    };
    let refused = |meminfo: &Path, policy: &'static str| {
        let home = tempfile::tempdir().unwrap();
        let plain = command(home.path());
        let own = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut shell = Command::new("sh");
        shell.args(["-c", &words(meminfo)]).env_clear().envs(own).envs(with(policy));
        let ended = run(&mut shell);
        assert_eq!(ended.code(), 3, "{policy}: {}", ended.stderr);
        ended.stderr
    };
    let hardly =
        "the model's file has 16 MiB, loading it takes some 48 MiB, and 32 MiB of memory are free";
    let never =
        "the model's file has 16 MiB, loading it takes some 48 MiB, and 8 MiB of memory are free";
    let told = serves(&much, "warn");
    assert!(told.contains(hardly) && told.contains("it is tried"), "{told}");
    let told = refused(&much, "require");
    assert!(told.contains(hardly) && told.contains("POTOROO_MEMORY=off"), "{told}");
    // Not even the weights have a place there, so that warning would be all that is left of it.
    let told = refused(&little, "warn");
    assert!(told.contains(never) && told.contains("POTOROO_MEMORY=off"), "{told}");
    let told = serves(&little, "off");
    assert!(!told.contains("of memory are free"), "{told}");
}
