//! Blobs that nothing names: taken away, and never one that a model, a publish or a chart has.

use crate::support::engine::Engine;
use crate::support::founded::Center;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::publishing::Author;
use crate::support::python::request;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

fn blobs(center: &Center) -> BTreeSet<String> {
    let entries = std::fs::read_dir(center.data.join("blobs/blobs/sha256")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A blob as a kill between its name and its record leaves it.
fn stray(center: &Center, bytes: &[u8]) -> String {
    let name = potoroo::oci::Digest::of(bytes).hex();
    std::fs::write(center.data.join("blobs/blobs/sha256").join(&name), bytes).unwrap();
    name
}

#[test]
fn what_a_kill_left_goes_and_what_is_published_stays_and_is_served() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    let before = blobs(&center);
    let strays = [stray(&center, b"one"), stray(&center, b"two")];
    let mut gc = ops();
    gc.env("POTOROO_OPS_URL", center.url("")).env("POTOROO_OPS_TOKEN", &center.token);
    let told = run(gc.arg("gc")).success().stdout;
    assert!(told.contains("2 files of 6 bytes"), "{told}");
    let after = blobs(&center);
    assert!(strays.iter().all(|stray| !after.contains(stray)), "{after:?}");
    assert_eq!(after, before);

    let url = publish["pipeline_url"].as_str().unwrap();
    let login = [("OCI_USERNAME", "anyone"), ("OCI_PASSWORD", center.token.as_str())];
    let engine = Engine::start(&[("PIPELINE_URL", url), login[0], login[1]]);
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
}

#[test]
fn where_a_manifest_cannot_be_read_nothing_is_taken_away() {
    let center = Center::start();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    let stray = stray(&center, b"one");
    let digest = publish["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let manifest = center.data.join("blobs/blobs/sha256").join(digest);
    std::fs::write(&manifest, b"torn").unwrap();
    let refused = center.post("/v1/api/garbage/collect", &json!({}));
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(blobs(&center).contains(&stray) && Path::new(&manifest).exists());
}

#[test]
fn only_an_administrator_collects() {
    let center = Center::start();
    assert_eq!(center.stranger().post("/v1/api/garbage/collect", &json!({})).status, 401);
}
