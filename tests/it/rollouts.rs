//! Updates from afar: edges that are told to run another publish, one by one or in waves, while clients ask.

use crate::faults::client::Client;
use crate::support::edge::Random;
use crate::support::engine::Engine;
use crate::support::founded::Center;
use crate::support::publishing::{Author, docker_environment, until};
use crate::support::python::request;
use potoroo::http::server::REQUESTS_PER_CONNECTION_MAX;
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
        let center = Center::start_with(&["--report-seconds", "1"]);
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

    fn assign(&self, edge: &str, publish: &Value, watch: &Value) {
        let order = json!({ "name": edge, "publish_id": publish["id"], "watch": watch });
        assert_eq!(self.author.post("edges/assign", &order).status, 201);
    }
}

impl Edge {
    fn start(author: &Author, publish: &Value, name: &str) -> Edge {
        let added = author.add_edge(publish, name);
        let pull = &added["pull_credentials"];
        let text = |key: &str| pull[key].as_str().unwrap().to_owned();
        let (username, password) = (text("username"), text("password"));
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

/// What clients heard, model by model, and what went wrong.
#[derive(Default)]
struct Heard {
    answers: Mutex<BTreeMap<String, usize>>,
    failures: Mutex<Vec<String>>,
}

/// Clients that ask each of these engines all the time, until `meanwhile` is over.
fn asked_all_the_time(addresses: &[String], meanwhile: impl FnOnce(&Heard)) -> Heard {
    let (heard, is_over) = (Heard::default(), AtomicBool::new(false));
    let body = std::fs::read_to_string(request("fraud_1.json")).unwrap();
    let asked = format!(
        "POST /pipelines/fraud HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    std::thread::scope(|scope| {
        for address in addresses {
            let (heard, is_over, asked) = (&heard, &is_over, &asked);
            scope.spawn(move || {
                let (mut connection, mut asked_on_it) = (None, 0);
                while !is_over.load(SeqCst) {
                    let mut open = connection.take().unwrap_or_else(|| Client::connect(address));
                    open.send(asked);
                    match open.next() {
                        Some((200, body)) => {
                            let body: Value = serde_json::from_str(&body).unwrap();
                            let model = body[0]["model_name"].as_str().unwrap().to_owned();
                            *heard.answers.lock().unwrap().entry(model).or_default() += 1;
                        }
                        other => heard.failures.lock().unwrap().push(format!("{other:?}")),
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

/// The first edge is quiet, so the bad publish settles there; the next ones find out. One more than may
/// fail does, and all are back on the old publish. Then a good one goes through, wave by wave.
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
    let loud: Vec<String> = fleet.edges[1..].iter().map(|it| it.engine.address.clone()).collect();
    let heard = asked_all_the_time(&loud, |_| {
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
    println!("{answers:?} answers on {edges} edges, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["fraud", "nan"]);
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
    let address = [fleet.edges[0].engine.address.clone()];
    asked_all_the_time(&address, |_| {
        fleet.assign("e01", &bad, &json!({ "requests": 50, "seconds_max": 60 }));
        let ended = fleet.ended("e01");
        assert_eq!(ended["state"], "reverted", "{ended}");
        let reason = ended["reason"].as_str().unwrap();
        assert!(reason.contains("had NaN or an infinity in their outputs"), "{reason}");
    });
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

/// The engine is killed at any moment of an update. It serves the old or the new pipeline at once, and
/// ends on the new one, which was good.
#[test]
fn a_kill_at_any_moment_of_a_switch_leaves_one_of_the_two_pipelines() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut fleet = Fleet::of(1);
    let publishes = [fleet.old.clone(), fleet.publish("fraud.onnx")];
    let mut random = Random::new(7);
    for kill in 1..=kills {
        let wanted = &publishes[usize::try_from(kill).unwrap() % 2];
        fleet.assign("e01", wanted, &json!({ "requests": 1_000_000, "seconds_max": 2 }));
        std::thread::sleep(Duration::from_millis(random.below(1500)));
        let edge = &mut fleet.edges[0];
        edge.kill_and_start();
        let answer = edge.engine.infer_file("fraud", &request("fraud_1.json"));
        assert_eq!(answer.status, 200, "after kill {kill}: {}", answer.body);
        let ended = fleet.ended("e01");
        assert_eq!(ended["state"], "settled", "after kill {kill}: {ended}");
        assert_eq!(fleet.edges[0].version(), wanted["pipeline_version_name"]);
    }
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
    // The bundle says which pipeline, so a person has a new one made.
    let url = third["pipeline_url"].as_str().unwrap();
    edge.variables.retain(|(name, _)| name != "EDGE_BUNDLE" && name != "PIPELINE_URL");
    edge.variables.push(("PIPELINE_URL".to_owned(), url.to_owned()));
    edge.kill_and_start();
    assert_eq!(edge.version(), third["pipeline_version_name"]);
}

#[test]
fn an_edge_in_a_rollout_is_not_assigned_by_hand_and_an_abort_sends_it_back() {
    let fleet = Fleet::of(2);
    let next = fleet.publish("fraud.onnx");
    let id = fleet.start(&json!({
        "publish_id": next["id"], "edges": ["e01", "e02"], "waves": [1],
        "watch": { "requests": 1_000_000, "seconds_max": 3600 },
    }));
    let order = json!({ "name": "e02", "publish_id": next["id"] });
    assert_eq!(fleet.author.post("edges/assign", &order).refused(409)["kind"], "in_rollout");
    until(|| (fleet.rollout(id)["counts"]["watching"] == 1).then_some(()));
    fleet.author.post("rollouts/pause", &json!({ "id": id })).ok();
    fleet.author.post("rollouts/pause", &json!({ "id": id })).refused(409);
    fleet.author.post("rollouts/resume", &json!({ "id": id })).ok();
    fleet.author.post("rollouts/abort", &json!({ "id": id })).ok();
    let aborted = fleet.at_rest(id, "aborted");
    assert_eq!(aborted["counts"], json!({ "sent_back": 1, "waiting": 1 }));
    for edge in &fleet.edges {
        assert_eq!(edge.version(), fleet.old["pipeline_version_name"], "{}", edge.name);
    }
    fleet.author.post("rollouts/resume", &json!({ "id": id })).refused(409);
}
