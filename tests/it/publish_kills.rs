//! Kills of the ops center at any moment of a publish: what was acknowledged is there, and no publish is stuck.

use crate::support::edge::Random;
use crate::support::founded::Center;
use crate::support::publishing::Author;
use crate::support::registry::{Auth, Registry};
use potoroo::oci::Reference;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 25;

/// A kill strikes so long after a publish was asked for at the latest, to begin with: about what one
/// takes. What one that nobody kills takes is measured now and then.
const LONGEST: Duration = Duration::from_millis(300);

/// A center over this directory that publishes to that registry, with what was known of it before.
fn again(data: &Path, registry: &str, before: &Center) -> Center {
    let mut next = Center::serve(data, &["--registry", registry]);
    next.token.clone_from(&before.token);
    next.workspace = before.workspace;
    next
}

fn kills() -> u64 {
    std::env::var("POTOROO_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn a_publish_that_was_acknowledged_is_there_after_any_kill() {
    let registry = Registry::start(&Auth::None);
    let host = registry.host().to_string();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut center = Center::serve(&data, &["--registry", &host]);
    center.first_run();
    let model = Author::of(&center).upload("fraud.onnx");
    let mut random = Random::new(7);
    let mut longest = LONGEST;
    // Of each publish that was acknowledged: its number and its version.
    let mut acknowledged: Vec<(i64, String)> = Vec::new();
    let mut edges: Vec<String> = Vec::new();
    let mut struck: BTreeMap<String, u64> = BTreeMap::new();
    for kill in 0..kills() {
        let author = Author::of(&center);
        let saved = author.save_of("fraud", &model);
        let begun = Instant::now();
        let id = author.ask(saved.id);
        acknowledged.push((id, saved.version));
        if kill % 10 == 4 {
            let publish = author.ended(id); // nobody kills this one
            longest = begun.elapsed();
            let name = format!("edge-{kill}");
            author.add_edge(&publish, &name);
            edges.push(name);
        } else {
            std::thread::sleep(Duration::from_millis(random.below(longest.as_millis() as u64)));
        }
        center.process.signal("KILL");
        center = again(&data, &host, &center);
        let status = Author::of(&center).status(id)["status"].as_str().unwrap().to_owned();
        *struck.entry(status).or_default() += 1;
    }
    let author = Author::of(&center);
    for (id, version) in &acknowledged {
        let publish = author.ended(*id);
        assert_eq!(publish["status"], "Published", "{publish}");
        let url: Reference = publish["pipeline_url"].as_str().unwrap().parse().unwrap();
        assert_eq!(url.version.tag().unwrap().as_str(), version);
        let found = registry.remote(url.repository.as_str(), None).manifest(&url.version).unwrap();
        assert_eq!(publish["digest"], found.digest.to_string());
    }
    let listed = author.post("pipelines/list_edges", &json!({})).ok();
    let listed: Vec<&Value> = listed["edges"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), edges.len());
    println!(
        "{} publishes, none lost or stuck; as their next start found them: {struck:#?}",
        acknowledged.len()
    );
}
