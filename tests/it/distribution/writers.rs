//! Publishing into it while it serves: at the same time, and killed at any moment.

use std::time::Duration;

use crate::support::built_in::{BuiltIn, put, shown};
use crate::support::edge::Random;
use crate::support::fixture;
use crate::support::ops::{ops, publish_layout};
use crate::support::process::Running;

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 25;

/// A publish takes about that long, with the checks of its model.
const PUBLISH: Duration = Duration::from_millis(250);

#[test]
fn what_was_published_is_served_whatever_killed_the_next_publish() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let registry = BuiltIn::start();
    let mut random = Random::new(6);
    let kept = registry.put("pipelines/kept", "v1", b"kept");
    for kill in 0..kills {
        // A new repository each time, since making one has most steps.
        let repository = format!("pipelines/fraud-{kill}");
        let layout = registry.layout(&repository);
        if kill % 2 == 0 {
            std::fs::remove_dir_all(layout.root()).unwrap();
            std::fs::create_dir(layout.root()).unwrap();
            std::os::unix::fs::symlink("../../blobs", layout.root().join("blobs")).unwrap();
        }
        let root = layout.root().to_owned();
        let mut command = ops();
        command.arg("publish").arg(fixture("models/fraud.onnx")).args(["--layout", &shown(&root)]);
        let mut publisher = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(random.below(PUBLISH.as_millis() as u64)));
        publisher.signal("KILL");
        let got = registry.get(&format!("/v2/pipelines/kept/manifests/{kept}"));
        assert_eq!(got.status, 200, "kill {kill}");
        // Whatever is listed is there whole.
        let listed = registry.get(&format!("/v2/{repository}/tags/list"));
        for tag in listed.json()["tags"].as_array().unwrap_or(&Vec::new()) {
            let path = format!("/v2/{repository}/manifests/{}", tag.as_str().unwrap());
            let manifest = registry.get(&path);
            assert_eq!(manifest.status, 200, "kill {kill}: {path}");
            for layer in manifest.json()["layers"].as_array().unwrap() {
                let path = format!("/v2/{repository}/blobs/{}", layer["digest"].as_str().unwrap());
                assert_eq!(registry.get(&path).status, 200, "kill {kill}: {path}");
            }
        }
        let layout = registry.layout(&repository);
        let published = publish_layout(&fixture("models/fraud.onnx"), layout.root());
        let path = format!("/v2/{repository}/manifests/{}", published.tag());
        assert_eq!(registry.get(&path).status, 200, "kill {kill}");
    }
    let blobs = registry.directory.path().join("registry/blobs/sha256");
    let names = std::fs::read_dir(blobs).unwrap().map(|it| it.unwrap().file_name());
    let names: Vec<String> = names.map(|it| it.into_string().unwrap()).collect();
    assert!(names.iter().all(|name| name.len() == 64), "litter in {names:?}");
}

#[test]
fn writers_and_readers_at_the_same_time_lose_nothing() {
    let registry = BuiltIn::start();
    registry.put("pipelines/edge", "first", b"first");
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let layouts = &registry.repositories;
            scope.spawn(move || {
                for turn in 0..10_u8 {
                    let layout = layouts.layout(&"pipelines/edge".parse().unwrap()).unwrap();
                    put(&layout, &format!("w{writer}-{turn}"), &[turn]);
                }
            });
        }
        for _ in 0..10 {
            let got = registry.get("/v2/pipelines/edge/manifests/first");
            assert_eq!(got.status, 200);
        }
    });
    let tags = registry.get("/v2/pipelines/edge/tags/list").json();
    assert_eq!(tags["tags"].as_array().unwrap().len(), 41);
}
