//! Updates from afar: edges that are told to run another publish, one by one or in waves, while clients ask.

use crate::faults::client::Client;
use crate::support::edge::Random;
use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::founded::{Center, command};
use crate::support::golden;
use crate::support::layout::Artifact;
use crate::support::ops::ops;
use crate::support::process::run;
use crate::support::publishing::{Author, docker_environment, until};
use crate::support::python::request;
use crate::support::registry::{Auth, PASSWORD, Registry, credentials};
use potoroo::http::server::REQUESTS_PER_CONNECTION_MAX;
use potoroo::oci::{Reference, Version};
use potoroo::registry::Layout;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tempfile::TempDir;

/// Edges of an ordinary run; `POTOROO_EDGES` asks for more, 4 at least.
const EDGES: usize = 4;

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 4;

/// Who logs in to a registry that is not the ops center's own.
const USER: &str = "_json_key_base64";

/// An ops center and the edges that joined it.
struct Fleet {
    center: Center,
    author: Author,
    /// The publish that all of them run at first.
    old: Value,
    edges: Vec<Edge>,
}

/// An engine with the bundle of its edge.
struct Edge {
    name: String,
    engine: Engine,
    variables: Vec<(String, String)>,
    home: TempDir,
}

impl Fleet {
    /// So many edges that run `fraud` and have joined.
    fn of(edges: usize) -> Fleet {
        Fleet::around(Center::start_with(&["--report-seconds", "1"]), edges)
    }

    fn around(center: Center, edges: usize) -> Fleet {
        let author = Author::of(&center);
        let old = author.published(author.save("fraud", "fraud.onnx").id);
        let edges = (1..=edges).map(|edge| Edge::start(&author, &old, &format!("e{edge:02}")));
        let edges = edges.collect();
        Fleet { center, author, old, edges }
    }

    /// A further publish of the pipeline, of this model.
    fn publish(&self, model: &str) -> Value {
        self.author.published(self.author.save("fraud", model).id)
    }

    fn start(&self, order: &Value) -> i64 {
        let started = self.author.post("rollouts/start", order);
        assert_eq!(started.status, 201, "{}", started.text());
        started.json()["id"].as_i64().unwrap()
    }

    fn rollout(&self, id: i64) -> Value {
        self.author.post("rollouts/get", &json!({ "id": id })).ok()
    }

    /// The rollout once it is in that state and nobody is on the way.
    fn at_rest(&self, id: i64, state: &str) -> Value {
        let on_the_way =
            ["assigned", "received", "fetching", "proving", "switched", "watching", "going_back"];
        until(|| {
            let rollout = self.rollout(id);
            let is_moving = on_the_way.iter().any(|it| !rollout["counts"][it].is_null());
            (rollout["state"] != "running" && !is_moving).then(|| {
                assert_eq!(rollout["state"], state, "{rollout:#}");
                rollout
            })
        })
    }

    /// The newest assignment of an edge, once it is at its end.
    fn ended(&self, edge: &str) -> Value {
        until(|| {
            let found = self.author.post("edges/assignments", &json!({ "name": edge })).ok();
            let newest = found["assignments"][0].clone();
            (!newest["ended_at"].is_null()).then_some(newest)
        })
    }

    /// What the command line prints, which does what it should.
    fn says(&self, words: &[&str]) -> String {
        let mut command = ops();
        command.env("POTOROO_OPS_URL", self.center.url("")).env("HOME", self.edges[0].home.path());
        run(command.env("POTOROO_OPS_TOKEN", &self.center.token).args(words)).success().stdout
    }

    fn assign(&self, edge: &str, publish: &Value, watch: &Value) {
        let order = json!({ "name": edge, "publish_id": publish["id"], "watch": watch });
        assert_eq!(self.author.post("edges/assign", &order).status, 201);
    }
}

impl Edge {
    fn start(author: &Author, publish: &Value, name: &str) -> Edge {
        let added = author.add_edge(publish, name);
        let pull = &added["pull_credentials"];
        let text = |key: &str, other: &str| pull[key].as_str().unwrap_or(other).to_owned();
        let (username, password) = (text("username", USER), text("password", PASSWORD));
        let shell = [("REGISTRYUSERNAME", username.as_str()), ("REGISTRYPASSWORD", &password)];
        let commands = author.commands(name, &added);
        let variables = docker_environment(commands["docker_run"].as_str().unwrap(), &shell);
        let home = tempfile::tempdir().unwrap();
        let mut engine = begin(&variables, &home);
        let joined = "Node attestation was successful";
        if !engine.process.seen().iter().any(|line| line.contains(joined)) {
            engine.process.line_with(joined);
        }
        Edge { name: name.to_owned(), engine, variables, home }
    }

    /// Kills the engine, as a power cut would, and starts it again.
    fn kill_and_start(&mut self) {
        self.engine.process.signal("KILL");
        self.engine = begin(&self.variables, &self.home);
    }

    /// How far the device was with this publish, by its state file.
    fn stage(&self, wanted: &Value) -> String {
        let bytes = std::fs::read(self.home.path().join("pipelines.json")).unwrap();
        let state: Value = serde_json::from_slice(&bytes).unwrap();
        let assigned = &state["assigned"];
        match assigned["assignment"]["pipeline_url"] == wanted["pipeline_url"] {
            true => assigned["state"].as_str().unwrap().to_owned(),
            false => "before it was loaded".to_owned(),
        }
    }

    /// The version of the pipeline that answers.
    fn version(&self) -> String {
        let found = self.engine.curl("/v2/models/fraud", &[]).json();
        found["versions"][0].as_str().unwrap().to_owned()
    }
}

fn begin(variables: &[(String, String)], home: &TempDir) -> Engine {
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Engine::start_in(home.path(), &variables)
}

/// What clients heard, edge by edge and model by model, and what went wrong.
#[derive(Default)]
struct Heard {
    answers: Mutex<BTreeMap<(String, String), usize>>,
    failures: Mutex<Vec<String>>,
}

/// One client for each of these edges, which asks it all the time for the row beside it, until
/// `meanwhile` is over.
fn asked_all_the_time(edges: &[(&Edge, String)], meanwhile: impl FnOnce(&Heard)) -> Heard {
    let (heard, is_over) = (Heard::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for (edge, body) in edges {
            let (heard, is_over) = (&heard, &is_over);
            let (name, address) = (&edge.name, &edge.engine.address);
            scope.spawn(move || {
                let asked = format!(
                    "POST /pipelines/fraud HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let (mut connection, mut asked_on_it) = (None, 0);
                while !is_over.load(SeqCst) {
                    let mut open = connection.take().unwrap_or_else(|| Client::connect(address));
                    open.send(&asked);
                    match open.next() {
                        Some((200, body)) => {
                            let body: Value = serde_json::from_str(&body).unwrap();
                            let model = body[0]["model_name"].as_str().unwrap().to_owned();
                            let heard = &mut heard.answers.lock().unwrap();
                            *heard.entry((name.clone(), model)).or_default() += 1;
                        }
                        other => {
                            let failure = format!("{name}: {other:?}");
                            heard.failures.lock().unwrap().push(failure);
                        }
                    }
                    // A connection is for so many requests.
                    asked_on_it = (asked_on_it + 1) % (REQUESTS_PER_CONNECTION_MAX - 1);
                    connection = (asked_on_it != 0).then_some(open);
                    // So many edges share few CPUs here, as they do nowhere else.
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
        // Else a failed assertion would leave the clients asking for ever.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meanwhile(&heard)));
        is_over.store(true, SeqCst);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    heard
}

/// A row of the fraud model, as an ordinary client asks.
fn row() -> String {
    std::fs::read_to_string(request("fraud_1.json")).unwrap()
}

/// The clients of the first edge ask for what the bad publish answers with numbers, too, so it settles
/// there; the next ones find out. One more than may fail does, and all are back on the old publish. Then a
/// good one goes through, wave by wave. Every edge is asked all the time, and no request fails.
#[test]
#[expect(clippy::print_stdout, reason = "how much was asked is to be read")]
fn a_bad_publish_is_halted_and_taken_back_everywhere_and_a_good_one_goes_through() {
    let edges = std::env::var("POTOROO_EDGES").map_or(EDGES, |text| text.parse().unwrap());
    let fleet = Fleet::of(edges);
    let (bad, good) = (fleet.publish("nan.onnx"), fleet.publish("fraud.onnx"));
    let versions = || fleet.edges.iter().map(Edge::version).collect::<Vec<_>>();
    let all = |publish: &Value| {
        vec![publish["pipeline_version_name"].as_str().unwrap().to_owned(); edges]
    };
    let large = json!([{ "features": vec![2e6; 29] }]).to_string();
    let rows = std::iter::once(large).chain(std::iter::repeat_with(row));
    let asked: Vec<(&Edge, String)> = fleet.edges.iter().zip(rows).collect();
    let heard = asked_all_the_time(&asked, |_| {
        let id = fleet.start(&json!({
            "publish_id": bad["id"], "from_publish_id": fleet.old["id"], "waves": [1, "50%"],
            "failures_max": 1, "watch": { "requests": 20, "seconds_max": 3 },
        }));
        let halted = fleet.at_rest(id, "halted");
        let counts = &halted["counts"];
        assert_eq!(counts["reverted"].as_u64().unwrap_or_default().max(2), 2, "{halted:#}");
        assert!(counts["sent_back"].as_u64() >= Some(1), "{halted:#}");
        assert!(counts["waiting"].as_u64() >= Some(1), "{halted:#}");
        assert!(halted["reason"].as_str().unwrap().contains("NaN"), "{halted:#}");
        assert_eq!(versions(), all(&fleet.old));
        println!("halted: {counts}");

        let id = fleet.start(&json!({
            "publish_id": good["id"], "tag": "a", "waves": [1, "50%"],
            "watch": { "requests": 20, "seconds_max": 1 },
        }));
        let done = fleet.at_rest(id, "done");
        assert_eq!(done["counts"], json!({ "settled": edges }));
        assert_eq!(versions(), all(&good));
    });
    let (answers, failures) =
        (heard.answers.into_inner().unwrap(), heard.failures.into_inner().unwrap());
    let of = |model: &str| {
        let counts = answers.iter().filter(|((_, found), _)| found == model);
        counts.map(|(_, count)| *count).collect::<Vec<usize>>()
    };
    let (of_fraud, of_nan) = (of("fraud"), of("nan"));
    let [frauds, nans] = [&of_fraud, &of_nan].map(|counts| counts.iter().sum::<usize>());
    let failed = failures.len();
    println!("{frauds} answers of fraud and {nans} of nan on {edges} edges, {failed} failures");
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(of_fraud.len(), edges, "each edge was asked: {answers:?}");
    assert!(answers.contains_key(&("e01".to_owned(), "nan".to_owned())), "{answers:?}");
    assert!(1 < of_nan.len(), "{answers:?}");
    // Who did what is kept.
    let actions = fleet.center.get("/v1/api/audit").text();
    for action in ["rollout.start", "rollout.halt", "rollout.done"] {
        assert!(actions.contains(action), "{action}");
    }
}

#[test]
fn an_edge_whose_answers_are_no_numbers_goes_back_by_itself_and_does_not_try_again() {
    let mut fleet = Fleet::of(1);
    let bad = fleet.publish("nan.onnx");
    let old = fleet.edges[0].version();
    asked_all_the_time(&[(&fleet.edges[0], row())], |_| {
        fleet.assign("e01", &bad, &json!({ "requests": 50, "seconds_max": 60 }));
        let ended = fleet.ended("e01");
        assert_eq!(ended["state"], "reverted", "{ended}");
        let reason = ended["reason"].as_str().unwrap();
        assert!(reason.contains("had NaN or an infinity in their outputs"), "{reason}");
    });
    let history = fleet.says(&["edge", "assignments", "e01"]);
    assert!(history.contains("reverted") && history.contains("NaN"), "{history}");
    let edge = &mut fleet.edges[0];
    assert_eq!(edge.version(), old);
    let metrics = edge.engine.curl("/metrics", &[]).body;
    assert!(metrics.contains("potoroo_updates_total{outcome=\"reverted\"} 1"), "{metrics}");
    edge.kill_and_start();
    assert_eq!(edge.version(), old);
    let state: Value =
        serde_json::from_slice(&std::fs::read(edge.home.path().join("pipelines.json")).unwrap())
            .unwrap();
    assert_eq!(state["assigned"]["state"], "reverted");
    assert_eq!(state["followed"], Value::Null);
}

/// The engine is killed at any moment of an update, every second time when it has just begun. It serves
/// the old or the new pipeline at once, and ends on the new one, which was good.
#[test]
#[expect(clippy::print_stdout, reason = "where the kills struck is to be read")]
fn a_kill_at_any_moment_of_a_switch_leaves_one_of_the_two_pipelines() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut fleet = Fleet::of(1);
    let publishes = [fleet.old.clone(), fleet.publish("fraud.onnx")];
    let mut random = Random::new(7);
    let mut struck: BTreeMap<String, u64> = BTreeMap::new();
    for kill in 1..=kills {
        let wanted = &publishes[usize::try_from(kill).unwrap() % 2];
        fleet.assign("e01", wanted, &json!({ "requests": 1_000_000, "seconds_max": 2 }));
        let edge = &mut fleet.edges[0];
        if kill % 2 == 0 {
            edge.engine.process.line_with("state=fetching");
            std::thread::sleep(Duration::from_millis(random.below(60)));
        } else {
            std::thread::sleep(Duration::from_millis(random.below(1500)));
        }
        edge.engine.process.signal("KILL");
        *struck.entry(edge.stage(wanted)).or_default() += 1;
        edge.engine = begin(&edge.variables, &edge.home);
        let answer = edge.engine.infer_file("fraud", &request("fraud_1.json"));
        assert_eq!(answer.status, 200, "after kill {kill}: {}", answer.body);
        let ended = fleet.ended("e01");
        assert_eq!(ended["state"], "settled", "after kill {kill}: {ended}");
        assert_eq!(fleet.edges[0].version(), wanted["pipeline_version_name"]);
    }
    println!("kills by what they left: {struck:?}");
}

/// A device keeps what it was assigned over restarts, and a person's other `PIPELINE_URL` wins over it.
#[test]
fn what_was_assigned_is_kept_over_restarts_until_a_person_says_another_url() {
    let mut fleet = Fleet::of(1);
    let [second, third] = [(); 2].map(|()| fleet.publish("fraud.onnx"));
    fleet.assign("e01", &second, &json!({ "seconds_max": 0 }));
    assert_eq!(fleet.ended("e01")["state"], "settled");
    let edge = &mut fleet.edges[0];
    edge.kill_and_start();
    assert_eq!(edge.version(), second["pipeline_version_name"]);
    let variables = edge.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut doctor = crate::support::engine::command(edge.home.path());
    let told = run(doctor.envs(variables).arg("doctor")).stdout;
    assert!(told.contains("a start begins with that, and not with PIPELINE_URL"), "{told}");
    // A registry that has nothing there any more says so, and is not asked again and again.
    let gone = fleet.publish("fraud.onnx");
    let digest = gone["digest"].as_str().unwrap().trim_start_matches("sha256:");
    std::fs::remove_file(fleet.center.data.join("blobs/blobs/sha256").join(digest)).unwrap();
    fleet.assign("e01", &gone, &json!({}));
    assert_eq!(fleet.ended("e01")["state"], "failed");
    let edge = &mut fleet.edges[0];
    assert_eq!(edge.version(), second["pipeline_version_name"]);
    // The bundle says which pipeline, so a person has a new one made.
    let url = third["pipeline_url"].as_str().unwrap();
    edge.variables.retain(|(name, _)| name != "EDGE_BUNDLE" && name != "PIPELINE_URL");
    edge.variables.push(("PIPELINE_URL".to_owned(), url.to_owned()));
    edge.kill_and_start();
    assert_eq!(edge.version(), third["pipeline_version_name"]);
}

/// Somebody pushed something else under the publish's tag: it is fetched, and it does not load.
#[test]
fn a_publish_that_does_not_load_never_answers_and_is_not_tried_again() {
    let registry = Registry::start(&Auth::Htpasswd(USER));
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut serve = command(&data);
    serve.args(["--report-seconds", "1", "--registry", &registry.host().to_string()]);
    let mut center =
        Center::run(&data, serve.env("OCI_USERNAME", USER).env("OCI_PASSWORD", PASSWORD));
    center.first_run();
    let mut fleet = Fleet::around(center, 1);
    let old = fleet.edges[0].version();
    let next = fleet.publish("fraud.onnx");
    let broken = tempfile::tempdir().unwrap();
    let file = fixture("models/broken/unknown_operator.onnx");
    Artifact { pipeline: "fraud", model: "broken", file: &file, fields: &[] }.write(broken.path());
    push_over(&registry, &next, broken.path());

    fleet.assign("e01", &next, &json!({}));
    let ended = fleet.ended("e01");
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(ended["reason"].as_str().unwrap().contains("FluxCapacitor"), "{ended}");
    let edge = &mut fleet.edges[0];
    assert_eq!(edge.version(), old);
    edge.kill_and_start();
    assert_eq!(edge.version(), old);
    let seen = edge.engine.process.seen().join("\n");
    assert!(!seen.contains("state=fetching"), "{seen}");
    let listed = fleet.author.post("pipelines/list_edges", &json!({})).ok();
    assert_eq!(listed["edges"][0]["should_run_publish"], fleet.old["id"]);
}

/// Lets the tag of a publish name what is in this layout.
fn push_over(registry: &Registry, publish: &Value, layout: &std::path::Path) {
    let url: Reference = publish["pipeline_url"].as_str().unwrap().parse().unwrap();
    let remote = registry.remote(url.repository.as_str(), credentials(USER, PASSWORD));
    let layout = Layout::open(layout).unwrap();
    let artifact = layout.manifest(&Version::Tag("v1".parse().unwrap())).unwrap();
    for blob in artifact.manifest.layers.iter().chain([&artifact.manifest.config]) {
        let path = layout.blob_path(&blob.digest);
        let mut open = || Ok(Box::new(std::fs::File::open(&path)?) as Box<dyn std::io::Read>);
        remote.push_blob(blob, &mut open).unwrap();
    }
    remote.push_manifest(&url.version, &artifact.bytes).unwrap();
}

/// The same with what differs from run to run as dots.
fn masked(answer: &Value) -> String {
    let mut masked = answer.clone();
    let hide = |value: &mut Value| {
        for (key, value) in value.as_object_mut().unwrap() {
            let is_hidden = ["id", "created_by"].contains(&key.as_str()) || key.ends_with("_at");
            if is_hidden && !value.is_null() {
                *value = json!("…");
            }
        }
    };
    hide(&mut masked);
    for list in ["edges", "assignments"] {
        let list = masked.get_mut(list).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(hide);
    }
    format!("{masked:#}\n")
}

#[test]
fn a_rollout_by_hand_is_paused_resumed_aborted_and_sent_back() {
    let mut fleet = Fleet::of(2);
    let next = fleet.publish("fraud.onnx");
    let id = next["id"].to_string();
    let started = fleet.says(&[
        "rollout",
        "start",
        &id,
        "--edge",
        "e01",
        "--edge",
        "e02",
        "--wave",
        "1",
        "--failures",
        "50%",
        "--watch-requests",
        "1000000",
        "--watch-seconds",
        "3600",
        "--json",
    ]);
    let started: Value = serde_json::from_str(&started).unwrap();
    assert_eq!((&started["waves"], &started["failures_max"]), (&json!(2), &json!(1)));
    let id = started["id"].as_i64().unwrap();
    let number = id.to_string();
    let order = json!({ "name": "e02", "publish_id": next["id"] });
    assert_eq!(fleet.author.post("edges/assign", &order).refused(409)["kind"], "in_rollout");
    until(|| (fleet.rollout(id)["counts"]["watching"] == 1).then_some(()));

    // A person's own look would take the way back away.
    let process = &mut fleet.edges[0].engine.process;
    process.send("HUP");
    process.line_with("what the ops center assigned is watched");

    assert!(fleet.says(&["rollout", "pause", &number]).contains("state: paused"));
    fleet.author.post("rollouts/pause", &json!({ "id": id })).refused(409);
    assert!(fleet.says(&["rollout", "resume", &number]).contains("state: running"));
    assert!(fleet.says(&["rollout", "list"]).contains("running"));
    assert!(fleet.says(&["rollout", "abort", &number]).contains("going_back"));
    let aborted = fleet.at_rest(id, "aborted");
    golden("center/rollout.json", &masked(&aborted));
    let history = fleet.author.post("edges/assignments", &json!({ "name": "e01" })).ok();
    golden("center/assignments.json", &masked(&history));
    for edge in &fleet.edges {
        assert_eq!(edge.version(), fleet.old["pipeline_version_name"], "{}", edge.name);
    }
    // And then the look is taken.
    fleet.edges[0].engine.process.line_with("the pipeline is up to date");
    fleet.author.post("rollouts/resume", &json!({ "id": id })).refused(409);
    let shown = fleet.says(&["rollout", "show", &number]);
    assert!(shown.contains("sent_back") && shown.contains("aborted by"), "{shown}");
}
