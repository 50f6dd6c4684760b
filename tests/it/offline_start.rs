//! A start without a registry: the last good pipeline answers, and the engine goes on asking.

use crate::support::edge::Edge;
use crate::support::engine::Engine;
use crate::support::front::Way;
use crate::support::python::request;

/// What the one line says that tells of it.
const KEPT: &str = "serving the pipeline that is kept on this device";

/// The model that answers an inference.
fn answering(engine: &Engine) -> String {
    let answer = engine.infer_file("fraud", &request("fraud_1.json"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()[0]["model_name"].as_str().unwrap().to_owned()
}

/// An edge that has served `old` once and is switched off now.
fn edge_that_has_served() -> Edge {
    let edge = Edge::with_old();
    assert_eq!(answering(&edge.start()), "old");
    edge
}

#[test]
fn a_registry_that_went_away_is_asked_again_until_it_is_back_with_another_pipeline() {
    let mut edge = edge_that_has_served();
    let new = edge.publish("new", 0);
    edge.tag(&new);
    edge.registry.stop();
    let mut engine = edge.start();
    let warnings = |said: &[String]| {
        said.iter().filter(|line| line.contains("level=warn")).cloned().collect::<Vec<_>>()
    };
    let told = warnings(engine.process.seen());
    assert!(told.len() == 1 && told[0].contains(KEPT), "one line tells it:\n{}", told.join("\n"));
    assert_eq!(answering(&engine), "old");
    edge.registry.start_again();
    edge.front.lead_to(&edge.registry.host().to_string());
    engine.process.line_with("msg=switched");
    assert_eq!(answering(&engine), "new");
    assert_eq!(edge.state()["previous"]["url"], edge.url());
}

#[test]
fn whatever_is_wrong_with_the_registry_the_last_good_pipeline_answers() {
    let edge = edge_that_has_served();
    for way in [
        Way::Down,
        Way::Silent,
        Way::Garbage,
        Way::Status(401),
        Way::Status(403),
        Way::Status(404),
        Way::Status(429),
        Way::Status(500),
        Way::Status(503),
    ] {
        edge.front.set(way);
        let mut engine = edge.start();
        let said = engine.process.seen().join("\n");
        assert_eq!(said.matches(KEPT).count(), 1, "{way:?}:\n{said}");
        assert_eq!(answering(&engine), "old", "{way:?}");
    }
}

#[test]
fn a_registry_that_is_slow_does_not_keep_a_start_waiting_and_what_it_gives_late_is_taken() {
    let edge = edge_that_has_served();
    edge.tag(&edge.publish("new", 300_000));
    edge.front.set(Way::Slow(30_000));
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains(KEPT) && said.contains("gave no pipeline within 5 s"), "{said}");
    assert_eq!(answering(&engine), "old");
    engine.process.line_with("msg=switched");
    assert_eq!(answering(&engine), "new");
}

#[test]
fn a_tag_that_was_deleted_does_not_end_what_it_named() {
    let edge = edge_that_has_served();
    let tags = edge.registry.storage().join("repositories/pipelines/fraud/_manifests/tags");
    std::fs::remove_dir_all(tags.join("live")).unwrap();
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains(KEPT) && said.contains("is unknown"), "{said}");
}

#[test]
fn a_pipeline_pinned_by_digest_needs_no_network_once_it_is_there() {
    let edge = Edge::new();
    let digest = edge.publish("old", 0);
    let pinned = edge.pinned(&digest);
    drop(edge.start_with(&[("PIPELINE_URL", &pinned)]));
    edge.front.set(Way::Silent);
    let before = edge.front.connections();
    let mut engine = edge.start_with(&[("PIPELINE_URL", &pinned)]);
    assert_eq!(answering(&engine), "old");
    assert!(!engine.process.seen().join("\n").contains(KEPT), "nothing is amiss");
    engine.process.send("HUP");
    engine.process.line_with("up to date");
    assert_eq!(edge.front.connections(), before, "nobody asked the registry");
}

#[test]
fn a_blob_that_is_damaged_on_disk_is_fetched_again() {
    let edge = edge_that_has_served();
    let model = damage_model(&edge);
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains(&model) && said.contains("damaged on disk"), "{said}");
    assert!(!said.contains(KEPT), "{said}");
    assert_eq!(answering(&engine), "old");
}

#[test]
fn a_damaged_pipeline_leaves_its_place_to_the_one_before_it_until_the_registry_is_back() {
    let edge = edge_that_has_served();
    edge.tag(&edge.publish("new", 100));
    assert_eq!(answering(&edge.start()), "new");
    damage_model(&edge);
    edge.front.set(Way::Down);
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains("cannot be served") && said.contains(KEPT), "{said}");
    assert_eq!(answering(&engine), "old");
    edge.front.set(Way::Through);
    engine.process.line_with("msg=switched");
    assert_eq!(answering(&engine), "new");
}

#[test]
fn with_nothing_that_can_be_served_the_cause_is_the_registrys() {
    let edge = edge_that_has_served();
    damage_model(&edge);
    edge.front.set(Way::Down);
    let ended = edge.run(&[]);
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot be served"), "{}", ended.stderr);
}

#[test]
fn a_pipeline_of_another_url_is_not_served_in_its_place() {
    let edge = edge_that_has_served();
    edge.front.set(Way::Status(503));
    let other = edge.url().replace(":live", ":other");
    let ended = crate::support::process::run(
        crate::support::engine::command(edge.home.path()).env("PIPELINE_URL", other),
    );
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
}

#[test]
fn a_second_engine_on_one_directory_is_refused_by_name_and_the_lock_goes_with_the_first() {
    let edge = edge_that_has_served();
    let mut first = edge.start();
    let ended = edge.run(&[]);
    assert_eq!(ended.code(), 8, "{}", ended.stderr);
    let directory = edge.home.path().display().to_string();
    assert!(ended.stderr.contains(&directory), "{}", ended.stderr);
    assert!(ended.stderr.contains("in use by another engine"), "{}", ended.stderr);
    first.process.signal("KILL");
    assert_eq!(answering(&edge.start()), "old");
}

#[test]
fn a_state_file_that_is_damaged_costs_a_look_at_the_registry_and_no_blob() {
    let edge = edge_that_has_served();
    for file in ["pipelines.json", "pipelines.copy.json"] {
        std::fs::write(edge.home.path().join(file), "{").unwrap();
    }
    let refused = edge.run(&["gc"]);
    assert_eq!(refused.code(), 7, "{}", refused.stderr);
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains("pipelines.json is damaged"), "{said}");
    assert_eq!(answering(&engine), "old");
    assert_eq!(edge.state()["current"]["url"], edge.url());
}

/// A card that loses blocks may lose these first, for they are written most often.
#[test]
fn files_that_tell_what_is_stored_may_be_damaged_and_it_is_served_without_a_registry() {
    let edge = edge_that_has_served();
    for file in ["pipelines.json", "store/index.json", "store/oci-layout"] {
        std::fs::write(edge.home.path().join(file), "\0\0\0").unwrap();
        edge.front.set(Way::Down);
        let mut engine = edge.start();
        let said = engine.process.seen().join("\n");
        assert!(said.contains(KEPT), "{file}:\n{said}");
        assert_eq!(answering(&engine), "old", "{file}");
        engine.process.signal("KILL");
        // With the registry all is as before.
        edge.front.set(Way::Through);
        edge.run(&["pull"]).success();
    }
}

/// What a lack of memory does: the kernel ends the engine while it loads, again and again.
#[test]
fn a_pipeline_that_ended_the_engine_three_times_is_not_tried_again_until_someone_asks() {
    let edge = edge_that_has_served();
    let new = edge.publish("new", 0);
    edge.tag(&new);
    let mut state = edge.state();
    state["trying"] = serde_json::json!({"digest": new, "times": 3});
    std::fs::write(edge.home.path().join("pipelines.json"), state.to_string()).unwrap();
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains("the engine ended 3 times while it loaded it"), "{said}");
    assert_eq!(answering(&engine), "old");
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
    assert_eq!(answering(&engine), "new");
}

/// Turns a bit of the model that the current pipeline runs; gives the digits of its digest.
fn damage_model(edge: &Edge) -> String {
    let digest = edge.state()["current"]["digest"].as_str().unwrap().to_owned();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(edge.blob(&digest)).unwrap()).unwrap();
    let model = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let mut bytes = std::fs::read(edge.blob(&model)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(edge.blob(&model), bytes).unwrap();
    model
}
