//! An edge as it lives: a registry behind a door, a tag that moves, a persistent directory over many starts.

use super::engine::{Engine, command};
use super::fixture;
use super::front::Front;
use super::ops::{Published, publish};
use super::process::{Ended, Running, run};
use super::registry::{Auth, Registry};
use potoroo::oci::Version;
use potoroo::registry::Layout;
use std::path::Path;
use tempfile::TempDir;

/// Where every pipeline of an edge is published.
const REPOSITORY: &str = "pipelines/fraud";

pub struct Edge {
    pub registry: Registry,
    pub front: Front,
    /// The persistent directory of every engine.
    pub home: TempDir,
    files: TempDir,
}

impl Edge {
    /// An edge whose registry is empty and in reach.
    pub fn new() -> Edge {
        let registry = Registry::start(&Auth::None);
        let front = Front::start(&registry.host().to_string());
        let (home, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Edge { registry, front, home, files }
    }

    /// The same with a pipeline `fraud` behind the tag `live`, whose model is called `old`.
    pub fn with_old() -> Edge {
        let edge = Edge::new();
        let old = edge.publish("old", 0);
        edge.tag(&old);
        edge
    }

    /// Publishes the fraud model under this name, its file made longer by so many bytes that are
    /// other bytes under every name; gives the digest.
    pub fn publish(&self, model: &str, pad_bytes: usize) -> String {
        let mut bytes = std::fs::read(fixture("models/fraud.onnx")).unwrap();
        // `doc_string` of a model, field 6: a text that nothing reads.
        let mut random = Random::new(model.bytes().map(u64::from).sum());
        let text: Vec<u8> = (0..pad_bytes).map(|_| b'a' + random.below(26) as u8).collect();
        bytes.push(0x32);
        let mut length = text.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(text);
        let file = self.files.path().join(format!("{model}.onnx"));
        std::fs::write(&file, bytes).unwrap();
        self.publish_file(model, &file)
    }

    /// Publishes any model under this name as the pipeline `fraud`; gives the digest.
    fn publish_file(&self, model: &str, file: &Path) -> String {
        let recipe = self.files.path().join(format!("{model}.yaml"));
        let text = format!(
            "name: fraud\nmodels:\n  - name: {model}\n    path: {}\nsteps:\n  - model: {model}\n",
            file.display()
        );
        std::fs::write(&recipe, text).unwrap();
        Published::from(publish(&recipe, &self.registry.host().to_string(), None)).digest
    }

    /// Pushes the artifact `v1` of an image layout and lets the tag `live` name it.
    pub fn push(&self, layout: &Path) {
        let remote = self.registry.remote(REPOSITORY, None);
        let layout = Layout::open(layout).unwrap();
        let artifact = layout.manifest(&Version::Tag("v1".parse().unwrap())).unwrap();
        for blob in artifact.manifest.layers.iter().chain([&artifact.manifest.config]) {
            let path = layout.blob_path(&blob.digest);
            let mut open = || Ok(Box::new(std::fs::File::open(&path)?) as Box<dyn std::io::Read>);
            remote.push_blob(blob, &mut open).unwrap();
        }
        remote.push_manifest(&Version::Tag("live".parse().unwrap()), &artifact.bytes).unwrap();
    }

    /// Lets the tag `live` name the manifest with this digest.
    pub fn tag(&self, digest: &str) {
        let remote = self.registry.remote(REPOSITORY, None);
        let digest = Version::Digest(digest.parse().unwrap());
        let manifest = remote.manifest(&digest).unwrap();
        remote.push_manifest(&Version::Tag("live".parse().unwrap()), &manifest.bytes).unwrap();
    }

    /// What `PIPELINE_URL` is, by the door.
    pub fn url(&self) -> String {
        format!("{}/{REPOSITORY}:live", self.front.host())
    }

    /// The same for the manifest with this digest.
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}/{REPOSITORY}@{digest}", self.front.host())
    }

    /// An engine that serves what the tag leads to.
    pub fn start(&self) -> Engine {
        self.start_with(&[])
    }

    /// The same with these variables.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Engine {
        let url = self.url();
        let variables = [&[("PIPELINE_URL", url.as_str())], variables].concat();
        Engine::start_in(self.home.path(), &variables)
    }

    /// An engine that need not come to serve.
    pub fn begin(&self) -> Running {
        Running::start(command(self.home.path()).env("PIPELINE_URL", self.url()))
    }

    /// An engine that ends by itself, with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(command(self.home.path()).env("PIPELINE_URL", self.url()).args(arguments))
    }

    /// A file in the store by the digest of its content.
    pub fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.home.path().join("store/blobs/sha256").join(hex)
    }

    /// What the state file says.
    pub fn state(&self) -> serde_json::Value {
        let bytes = std::fs::read(self.home.path().join("pipelines.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// Numbers that are the same for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }
}
