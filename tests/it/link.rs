//! An edge joins once, reports, and is told apart from its copies; whatever the ops center says, it answers.

use crate::support::engine::{Engine, command};
use crate::support::founded::Center;
use crate::support::process::{PATIENCE, Running, run};
use crate::support::publishing::{Author, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// An ops center whose edges report each second, and a publish for them.
struct Fleet {
    center: Center,
    publish: Value,
}

impl Fleet {
    fn start() -> Fleet {
        let center = Center::start_with(&["--report-seconds", "1"]);
        let author = Author::of(&center);
        let publish = author.published(author.save("fraud", "fraud.onnx").id);
        Fleet { center, publish }
    }

    /// Adds an edge; the variables that its engine runs with.
    fn add(&self, name: &str) -> Vec<(String, String)> {
        let added = Author::of(&self.center).add_edge(&self.publish, name);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        vec![
            ("EDGE_BUNDLE".to_owned(), text(&added["docker_run_variables"]["EDGE_BUNDLE"])),
            ("OCI_USERNAME".to_owned(), text(&added["pull_credentials"]["username"])),
            ("OCI_PASSWORD".to_owned(), text(&added["pull_credentials"]["password"])),
        ]
    }

    fn edge(&self, name: &str) -> Value {
        let listed = self.center.post("/v1/api/pipelines/list_edges", &json!({})).ok();
        let edges = listed["edges"].as_array().unwrap();
        edges.iter().find(|edge| edge["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// Waits until the edge is in that state.
    fn is(&self, name: &str, state: &str) -> Value {
        until(|| Some(self.edge(name)).filter(|edge| edge["state"] == state))
    }

    fn remove(&self, name: &str) {
        self.center.post("/v1/api/pipelines/remove_edge", &json!({ "name": name })).ok();
    }
}

fn start(home: &Path, variables: &[(String, String)]) -> Engine {
    let borrowed: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Engine::start_in(home, &borrowed)
}

/// How the engine says that its link stands, by its metrics.
fn link_state(engine: &Engine) -> String {
    let text = engine.curl("/metrics", &[]).body;
    let line =
        text.lines().find(|line| line.starts_with("potoroo_link_state{") && line.ends_with(" 1"));
    line.map_or_else(String::new, |line| line.split('"').nth(1).unwrap().to_owned())
}

/// The line that holds `part`, of those before the engine was ready too.
fn said(engine: &mut Engine, part: &str) -> String {
    until(|| engine.process.seen().iter().find(|line| line.contains(part)).cloned())
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to)).success();
}

#[test]
fn an_edge_joins_once_keeps_its_session_and_tells_how_it_fares() {
    let fleet = Fleet::start();
    let home = tempfile::tempdir().unwrap();
    let variables = fleet.add("press-4");
    assert_eq!(fleet.edge("press-4")["state"], "waiting");
    let mut engine = start(home.path(), &variables);
    let joined = fleet.is("press-4", "joined");
    let told = until(|| Some(fleet.edge("press-4")).filter(|it| !it["running_version"].is_null()));
    let attested = |engine: &mut Engine| {
        let seen = engine.process.seen().join("\n");
        seen.contains("msg=\"Node attestation was successful\"")
    };
    assert!(attested(&mut engine));
    assert_eq!(told["engine_version"], env!("CARGO_PKG_VERSION"));
    assert!(told["session_days_left"].as_f64().unwrap() > 6.8, "{told}");
    assert!(told["running_digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(told["memory_free_bytes"].as_u64().unwrap() > 0);
    assert!(!joined["joined_at"].is_null());
    assert_eq!(link_state(&engine), "joined");
    assert!(engine.curl("/", &[]).body.contains("press-4 is in touch with"), "the page tells it");
    engine.process.signal("TERM");
    fleet.is("press-4", "stopped");
    // The token is used: the session of the volume is what it goes on with.
    let mut engine = start(home.path(), &variables);
    fleet.is("press-4", "joined");
    until(|| attested(&mut engine).then_some(()));
    engine.process.signal("KILL");
    let gone = fleet.is("press-4", "vanished");
    assert!(gone["state_reason"].as_str().unwrap().contains("lost its power"), "{gone}");
    assert_eq!(fleet.edge("press-4")["joined_at"], joined["joined_at"], "it joined once");
}

#[test]
fn a_used_bundle_and_a_removed_edge_are_told_and_the_engine_answers_on() {
    let fleet = Fleet::start();
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let variables = fleet.add("press-4");
    let engine = start(home.path(), &variables);
    fleet.is("press-4", "joined");
    // Another device with the same bundle: told, and it answers all the same.
    let mut second = start(other.path(), &variables);
    let line = said(&mut second, "another device has joined with this bundle");
    assert!(line.contains("add it again for a new bundle"), "{line}");
    assert_eq!(link_state(&second), "token_used");
    assert!(second.curl("/pipelines", &[]).body.contains("Running"));
    assert!(second.curl("/healthz", &[]).body.contains("ok"));
    drop(second);
    fleet.remove("press-4");
    let mut engine = engine;
    let line = said(&mut engine, "the edge was removed in the ops center");
    assert!(line.contains("use the new bundle"), "{line}");
    assert_eq!(link_state(&engine), "edge_removed");
    assert!(engine.curl("/pipelines", &[]).body.contains("Running"));
    drop(engine);
    // Added again: the volume has a session of the edge before, and the new token counts.
    let variables = fleet.add("press-4");
    let engine = start(home.path(), &variables);
    fleet.is("press-4", "joined");
    drop(engine);
    // A token that was never given out.
    let bundle = potoroo::fleet::Bundle::parse(&variables[0].1).unwrap();
    let values =
        ["OPSCENTER_HOST", "PIPELINE_URL"].map(|key| bundle.value(key).unwrap().to_owned());
    let made = potoroo::fleet::Bundle::new(&[
        ("EDGE_NAME", "press-4"),
        ("JOIN_TOKEN", "3148ada5-285a-4fca-b3b8-b50a48d7511b"),
        ("OPSCENTER_HOST", &values[0]),
        ("PIPELINE_URL", &values[1]),
    ]);
    let mut forged = variables.clone();
    forged[0].1 = made.unwrap().encoded();
    let empty = tempfile::tempdir().unwrap();
    let mut stranger = start(empty.path(), &forged);
    said(&mut stranger, "the ops center knows no such join token");
    drop(stranger);
    // And with the session on its volume a stale bundle is no reason to give that up.
    let _engine = start(home.path(), &forged);
    fleet.is("press-4", "joined");
}

#[test]
fn a_copy_of_a_persistent_directory_is_told_apart_and_the_original_goes_on() {
    let fleet = Fleet::start();
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let variables = fleet.add("press-4");
    let original = start(home.path(), &variables);
    fleet.is("press-4", "joined");
    let copied = elsewhere.path().join("copy");
    copy(home.path(), &copied);
    let mut copy = start(&copied, &variables);
    let line = said(&mut copy, "another device goes on with this edge's session");
    assert!(line.contains("add an edge of another name"), "{line}");
    assert_eq!(link_state(&copy), "session_copied");
    assert!(copy.curl("/pipelines", &[]).body.contains("Running"));
    let shown = fleet.is("press-4", "copied");
    assert!(shown["state_reason"].as_str().unwrap().contains("another device"), "{shown}");
    until(|| (link_state(&original) == "joined").then_some(()));
}

#[test]
fn an_ops_center_that_is_away_delays_no_start_and_is_found_again() {
    let fleet = Fleet::start();
    let home = tempfile::tempdir().unwrap();
    let variables = fleet.add("press-4");
    let engine = start(home.path(), &variables);
    fleet.is("press-4", "joined");
    drop(engine);
    let Fleet { mut center, .. } = fleet;
    center.process.signal("KILL");
    // What is on the volume answers, and the log says what is the matter.
    let started = std::time::Instant::now();
    let mut engine = start(home.path(), &variables);
    assert!(started.elapsed() < PATIENCE / 2);
    said(&mut engine, "the ops center is not reached");
    assert_eq!(link_state(&engine), "unreached");
}

#[test]
fn an_engine_with_a_clock_of_1970_or_a_day_ahead_joins_and_its_clock_is_shown() {
    let faketime = ["x86_64", "aarch64"]
        .map(|arch| format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1"))
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("tests/setup.sh brings faketime");
    let fleet = Fleet::start();
    for (name, clock, ahead) in
        [("past", "@1970-01-02 00:00:00", f64::MIN), ("ahead", "+86400", 8e4)]
    {
        let home = tempfile::tempdir().unwrap();
        let variables = fleet.add(name);
        let mut started = command(home.path());
        started.envs(variables).env("LD_PRELOAD", &faketime).env("FAKETIME", clock);
        started.env("DONT_FAKE_MONOTONIC", "1");
        let _engine = Running::start(&mut started);
        fleet.is(name, "joined");
        let found = until(|| fleet.edge(name)["clock_ahead_seconds"].as_f64());
        assert!(if ahead > 0.0 { found > ahead } else { found < -1e9 }, "{name}: {found}");
    }
}
