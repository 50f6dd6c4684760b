//! The switch of a running pipeline: by SIGHUP, under load, and not to one that does not load.

use crate::faults::client::Client;
use crate::support::edge::Edge;
use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::front::Way;
use crate::support::layout::Artifact;
use crate::support::python::request;
use crate::support::signing::Keys;
use potoroo::http::server::REQUESTS_PER_CONNECTION_MAX;
use potoroo::oci::Digest;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Switches under load.
const SWITCHES: usize = 6;

/// Clients that ask all the time: half of them on one connection, half on a new one each time.
const CLIENTS: usize = 4;

fn inference() -> String {
    let body = std::fs::read_to_string(request("fraud_1.json")).unwrap();
    format!(
        "POST /pipelines/fraud HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The value of a line of `/metrics`.
fn metric(engine: &Engine, line: &str) -> u64 {
    let text = engine.curl("/metrics", &[]).body;
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    value.unwrap_or_else(|| panic!("no {line} in\n{text}")).trim().parse().unwrap()
}

fn updates(engine: &Engine, outcome: &str) -> u64 {
    metric(engine, &format!("potoroo_updates_total{{outcome=\"{outcome}\"}}"))
}

#[test]
#[expect(clippy::print_stdout, reason = "how much load there was is to be read")]
fn a_switch_under_load_fails_no_request() {
    let edge = Edge::with_old();
    let digests = [edge.publish("old", 0), edge.publish("new", 5000)];
    let mut engine = edge.start();
    let (asked, is_over) = (inference(), AtomicBool::new(false));
    let answers: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (asked, is_over, address) = (&asked, &is_over, engine.address.clone());
            let (answers, failures) = (&answers, &failures);
            scope.spawn(move || {
                let (mut connection, mut asked_on_it) = (None, 0);
                while !is_over.load(SeqCst) {
                    let mut open = connection.take().unwrap_or_else(|| Client::connect(&address));
                    open.send(asked);
                    match open.next() {
                        Some((200, body)) => {
                            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                            let model = body[0]["model_name"].as_str().unwrap().to_owned();
                            *answers.lock().unwrap().entry(model).or_default() += 1;
                        }
                        other => failures.lock().unwrap().push(format!("{other:?}")),
                    }
                    // A connection is for so many requests, of which a quick engine answers all.
                    asked_on_it = (asked_on_it + 1) % (REQUESTS_PER_CONNECTION_MAX - 1);
                    connection = (client % 2 == 0 && asked_on_it != 0).then_some(open);
                }
            });
        }
        for switch in 1..=SWITCHES {
            edge.tag(&digests[switch % 2]);
            engine.process.send("HUP");
            engine.process.line_with("msg=switched");
        }
        is_over.store(true, SeqCst);
    });
    let (answers, failures) = (answers.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{answers:?} answers over {SWITCHES} switches, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["new", "old"]);
    assert_eq!(updates(&engine, "switched"), SWITCHES as u64);
}

#[test]
fn every_endpoint_tells_of_the_pipeline_that_answers_now() {
    let edge = Edge::with_old();
    let mut engine = edge.start();
    let (old, new) = (edge.state()["current"]["digest"].clone(), edge.publish("new", 0));
    edge.tag(&new);
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
    for path in ["/models", "/", "/metrics"] {
        let body = engine.curl(path, &[]).body;
        assert!(body.contains("new") && !body.contains(">old<"), "{path}:\n{body}");
    }
    let version = engine.curl("/v2/models/fraud", &[]).json()["versions"][0].clone();
    assert!(engine.curl("/", &[]).body.contains(version.as_str().unwrap()));
    assert!(engine.curl("/metrics", &[]).body.contains(&new));
    let state = edge.state();
    assert_eq!((&state["current"]["digest"], &state["previous"]["digest"]), (&new.into(), &old));
    engine.process.send("HUP");
    engine.process.line_with("up to date");
    assert_eq!(updates(&engine, "unchanged"), 1);
}

#[test]
fn a_pipeline_that_does_not_load_is_refused_once_and_the_old_one_goes_on() {
    let edge = Edge::with_old();
    let mut engine = edge.start();
    // A publisher of ours lets none through that does not load, so this one comes by another way.
    let layout = tempfile::tempdir().unwrap();
    let file = fixture("models/broken/unknown_operator.onnx");
    Artifact { pipeline: "fraud", model: "broken", file: &file, fields: &[] }.write(layout.path());
    edge.push(layout.path());
    engine.process.send("HUP");
    let line = engine.process.line_with("no update");
    assert!(line.contains("FluxCapacitor"), "{line}");
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
    assert_eq!(updates(&engine, "refused"), 1);
    assert!(engine.curl("/models", &[]).body.contains("old"));

    // A new start knows it, and does not fetch again what was taken away.
    engine.process.line_with("took away what no pipeline needs");
    engine.process.signal("KILL");
    let mut engine = edge.start();
    let said = engine.process.seen().join("\n");
    assert!(said.contains("was refused before") && said.contains("FluxCapacitor"), "{said}");
    assert!(engine.curl("/models", &[]).body.contains("old"));
    assert_eq!(updates(&engine, "refused"), 1);
    let broken = Digest::of(&std::fs::read(&file).unwrap()).hex();
    assert!(!edge.blob(&broken).exists());

    // Who asks by name gets another try, and one that loads is taken as ever.
    engine.process.send("HUP");
    let line = engine.process.line_with("no update");
    assert!(line.contains("FluxCapacitor") && !line.contains("before"), "{line}");
    edge.tag(&edge.publish("new", 0));
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
}

#[test]
fn an_update_that_cannot_be_fetched_leaves_the_old_one_and_is_asked_for_again() {
    let edge = Edge::with_old();
    let mut engine = edge.start();
    edge.tag(&edge.publish("new", 0));
    edge.front.set(Way::Status(500));
    engine.process.send("HUP");
    engine.process.line_with("no update");
    assert_eq!(engine.infer_file("fraud", &request("fraud_1.json")).status, 200);
    assert!(updates(&engine, "failed") >= 1);
    edge.front.set(Way::Through);
    engine.process.line_with("msg=switched");
}

#[test]
fn what_no_pipeline_needs_any_more_is_taken_away() {
    let edge = Edge::with_old();
    let mut engine = edge.start();
    let blobs = || std::fs::read_dir(edge.blob("").as_path()).unwrap().count();
    let one = blobs();
    for (model, pipelines) in [("second", 2), ("third", 2)] {
        edge.tag(&edge.publish(model, 10));
        engine.process.send("HUP");
        engine.process.line_with("msg=switched");
        if model == "third" {
            engine.process.line_with("took away what no pipeline needs");
        }
        assert_eq!(blobs(), one * pipelines, "{model}");
    }
    // Both that are left still start.
    edge.front.set(Way::Down);
    engine.process.signal("KILL");
    assert!(edge.start().curl("/models", &[]).body.contains("third"));
}

#[test]
fn an_image_layout_is_looked_at_again_too() {
    let (layout, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = fixture("models/fraud.onnx");
    let write = |model| {
        Artifact { pipeline: "fraud", model, file: &file, fields: &[] }.write(layout.path())
    };
    let url = write("old");
    let mut engine = Engine::start_in(home.path(), &[("PIPELINE_URL", &url)]);
    write("new");
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
    assert!(engine.curl("/models", &[]).body.contains("new"));
}

/// The signatures are kept beside the store, so what takes blobs away must leave them be.
#[test]
fn signatures_outlive_switches_and_what_is_taken_away_and_vouch_without_a_registry() {
    let (edge, keys) = (Edge::new(), Keys::make());
    let (host, key) = (edge.registry.host().to_string(), keys.public_text());
    let require = [("POTOROO_SIGNATURES", "require"), ("POTOROO_SIGNATURE_KEY", key.as_str())];
    let signed = |model: &str| {
        let file = format!("models/{model}.onnx");
        let published = keys.publish(&file, &["--registry", &host, "--name", "fraud"]);
        edge.tag(&published.digest);
        published.digest
    };
    let first = signed("fraud");
    let mut engine = edge.start_with(&require);
    let second = signed("score");
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
    let third = signed("double");
    engine.process.send("HUP");
    engine.process.line_with("msg=switched");
    engine.process.line_with("took away what no pipeline needs");
    assert!(!edge.blob(&first).exists() && edge.blob(&second).exists());

    edge.tag(&edge.publish("nobodys", 0));
    engine.process.send("HUP");
    let line = engine.process.line_with("no update");
    assert!(line.contains("is not signed"), "{line}");
    assert!(engine.curl("/models", &[]).body.contains("double"));
    assert!(updates(&engine, "failed") >= 1);
    engine.process.signal("KILL");

    edge.run(&["gc"]).success();
    edge.front.set(Way::Down);
    for (digest, model) in [(&third, "double"), (&second, "score")] {
        let mut engine = edge.start_with(&require);
        let said = engine.process.seen().join("\n");
        assert!(said.contains(&format!("digest={digest} signature=")), "{said}");
        assert!(engine.curl("/models", &[]).body.contains(model), "{model}");
        engine.process.signal("KILL");
        // The next start has only the pipeline before this one.
        std::fs::write(edge.blob(digest), "damaged").unwrap();
    }
}
