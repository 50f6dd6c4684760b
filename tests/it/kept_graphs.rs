//! Starts from what an earlier start made of a model: the same answers, and nothing that can break one.

use crate::support::edge::Random;
use crate::support::engine::{Engine, command};
use crate::support::fixture;
use crate::support::ops::{Published, publish};
use crate::support::process::{Running, run};
use crate::support::python::request;
use crate::support::registry::{Auth, Registry};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Kills of the engine while it loads a model and keeps its graph.
const KILLS: u64 = 12;

struct Device {
    registry: Option<Registry>,
    home: tempfile::TempDir,
    url: String,
}

impl Device {
    fn new() -> Device {
        let registry = Registry::start(&Auth::None);
        let host = registry.host().to_string();
        let published = Published::from(publish(&fixture("pipelines/vision.json"), &host, None));
        let (home, url) = (tempfile::tempdir().unwrap(), published.pipeline_url);
        Device { registry: Some(registry), home, url }
    }

    fn start(&self) -> Engine {
        Engine::start_in(self.home.path(), &[("PIPELINE_URL", &self.url)])
    }

    /// The outputs of a start, and whether its model came `from` the file or a graph.
    fn outputs(&self, from: &str) -> serde_json::Value {
        let mut engine = self.start();
        let answer = engine.infer_file("vision", &request("image_224x224.arrow"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said = engine.process.seen().join("\n");
        assert!(said.contains(&format!("from={from} ")), "{said}");
        answer.json()[0]["outputs"].clone()
    }

    fn graphs(&self) -> Vec<PathBuf> {
        files(&self.home.path().join("graphs"))
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_start_from_a_kept_graph_answers_the_same() {
    let device = Device::new();
    let first = device.outputs("file");
    assert_eq!(device.graphs().len(), 1);
    assert_eq!(device.outputs("graph"), first);
    // What is damaged is made again, and nobody is told.
    let graph = device.graphs().remove(0);
    let mut bytes = fs::read(&graph).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&graph, bytes).unwrap();
    assert_eq!(device.outputs("file"), first);
    assert_eq!(device.outputs("graph"), first);
}

#[test]
fn a_damaged_model_is_not_served_from_its_graph() {
    let mut device = Device::new();
    drop(device.start());
    let blobs = files(&device.home.path().join("store/blobs/sha256"));
    let model = blobs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(model, &bytes).unwrap();
    // Nobody is there to fetch it from.
    drop(device.registry.take());
    let ended = run(command(device.home.path()).env("PIPELINE_URL", &device.url));
    assert_ne!(ended.code(), 0);
    assert!(ended.stderr.contains("cannot be served"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("msg=ready"), "{}", ended.stderr);
}

#[test]
fn a_collection_takes_the_graphs_of_models_that_are_gone() {
    let device = Device::new();
    drop(device.start());
    let graph = device.graphs().remove(0);
    let stale = graph.with_file_name("0".repeat(64));
    fs::copy(&graph, &stale).unwrap();
    run(command(device.home.path()).env("PIPELINE_URL", &device.url).arg("gc")).success();
    assert_eq!(device.graphs(), [graph]);
}

#[test]
fn after_a_kill_at_any_moment_a_start_answers_as_before() {
    let device = Device::new();
    let first = device.outputs("file");
    let mut random = Random::new(7);
    for kill in 0..KILLS {
        device.graphs().iter().for_each(|graph| fs::remove_file(graph).unwrap());
        let mut engine =
            Running::start(command(device.home.path()).env("PIPELINE_URL", &device.url));
        engine.line_with("Starting engine");
        std::thread::sleep(Duration::from_millis(random.below(120))); // the kill is the test
        engine.signal("KILL");
        let mut engine = device.start();
        let answer = engine.infer_file("vision", &request("image_224x224.arrow"));
        assert_eq!(answer.json()[0]["outputs"], first, "kill {kill}");
        let litter = |path: &PathBuf| path.to_string_lossy().ends_with(".unfinished");
        assert!(!device.graphs().iter().any(litter), "kill {kill}");
        engine.process.signal("KILL");
    }
}
