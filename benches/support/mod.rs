//! What the benches share: the shipped engine, the models it serves, and its process.

mod serving;

use potoroo::ops::publish::{Order, Target, publish};
pub(crate) use serving::Serving as Engine;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the package.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// `target/shipped/release/potoroo-engine`, or the one that `POTOROO_ENGINE` names: what
/// `cargo bench` itself builds is not built as shipped.
pub(crate) fn engine() -> PathBuf {
    let engine = std::env::var_os("POTOROO_ENGINE")
        .map_or_else(|| file("target/shipped/release/potoroo-engine"), PathBuf::from);
    assert!(
        engine.exists(),
        "{} is missing: cargo build --release --no-default-features --features engine --bin \
         potoroo-engine --target-dir target/shipped",
        engine.display()
    );
    engine
}

/// Publishes a fixture (a pipeline file or a model) into a layout in `home`: its `PIPELINE_URL`.
pub(crate) fn published(fixture: &str, home: &Path) -> String {
    let order = Order {
        known_answers: None,
        file: file("tests/fixtures").join(fixture),
        name: None,
        target: Target::Layout(home.join("layout")),
        engine_url: None,
        cpus: "1".parse().unwrap(),
        chart: None,
        signing: None,
    };
    publish(&order).unwrap().pipeline_url
}

impl Engine {
    /// Starts `engine` with what was published into `home`, and waits until it listens.
    pub(crate) fn start(engine: &Path, url: &str, home: &Path, more: &[(&str, &str)]) -> Engine {
        let mut serve = Command::new(engine);
        serve
            .env_clear()
            .env("PIPELINE_URL", url)
            .env("POTOROO_LISTEN", "127.0.0.1:0")
            .env("POTOROO_PERSIST", home.join("persist"))
            .envs(more.iter().copied());
        Engine::of(&mut serve)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}
