//! An engine that is killed in the middle of a pull: the next one goes on from what came.

use std::fs;
use std::time::Instant;

use crate::support::engine::command;
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::fixture;
use crate::support::ops::{Published, publish};
use crate::support::process::{PATIENCE, Running, run};
use crate::support::registry::{Auth, Registry};
use std::process::Command;

/// Of the model's 90 KB so many come before the power goes.
const CAME: u64 = 40_000;

#[test]
fn an_engine_that_was_killed_in_the_middle_of_a_model_goes_on_from_what_came() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let published = Published::from(publish(&fixture("pipelines/vision.json"), &host, None));
    let size = fs::metadata(fixture("models/vision.onnx")).unwrap().len();
    // The config goes through, the model stalls, and everything after it goes through.
    let proxy = FaultProxy::start(&host, |asked| match asked.nth {
        1 => vec![Fault::Stall(CAME)],
        _ => vec![],
    });
    let url = published.pipeline_url.replace(&host, &proxy.host());
    let home = tempfile::tempdir().unwrap();
    let start = || Running::start(command(home.path()).env("PIPELINE_URL", &url));

    let mut engine = start();
    let part = home.path().join("store/partial");
    let end = Instant::now() + PATIENCE;
    while bytes_in(&part) < CAME {
        assert!(Instant::now() < end, "{:?}", engine.seen());
        std::thread::yield_now();
    }
    engine.signal("KILL");
    // As a writer of the index would leave it that was killed.
    let litter = home.path().join("store/.0123456789abcdef.unfinished");
    fs::write(&litter, b"{").unwrap();

    let mut engine = start();
    engine.line_with("msg=ready");
    assert_eq!(proxy.firsts()[2..], [Some(CAME)], "{:?}", proxy.asked());
    let config = proxy.bytes() - size;
    assert!(config < 10_000, "{config} bytes beside the model's {size}");
    assert_eq!(fs::read_dir(&part).unwrap().count(), 0);
    assert!(!litter.exists());
    engine.signal("TERM");

    // Other tools read what was pulled in two pieces.
    let store = format!("oci:{}:{}", home.path().join("store").display(), published.tag());
    let copied = tempfile::tempdir().unwrap();
    let to = format!("dir:{}", copied.path().display());
    run(Command::new("skopeo").args(["copy", "--insecure-policy", &store, &to])).success();
    let digest =
        run(Command::new("skopeo").arg("manifest-digest").arg(copied.path().join("manifest.json")));
    assert_eq!(digest.success().stdout.trim(), published.digest);
}

fn bytes_in(directory: &std::path::Path) -> u64 {
    let Ok(files) = fs::read_dir(directory) else { return 0 };
    files.map_while(Result::ok).filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
