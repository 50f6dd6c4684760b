//! Kills between any two steps of joining and renewal, on both sides, over a link that loses answers.

use crate::support::edge::Random;
use crate::support::engine::command;
use crate::support::founded::Center;
use crate::support::link_proxy::{LinkProxy, Luck};
use crate::support::process::{PATIENCE, Running};
use crate::support::publishing::{Author, edge_variables, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 20;

/// Kills of one edge: half before it has joined, as a rule, and half of renewals.
const KILLS_OF_AN_EDGE: u64 = 5;

/// The longest until a kill: a start in a debug build has joined and reported twice by then.
const KILL_AFTER_MS: u64 = 700;

/// The longest until a kill that shall meet a join: keys, the request, the answer and the session take
/// so long.
const JOIN_MS: u64 = 60;

struct Stage {
    proxy: LinkProxy,
    center: Option<Center>,
    /// How often each edge has joined, as the ops centers before this one have said.
    joins: BTreeMap<String, usize>,
}

impl Stage {
    fn arguments(&self) -> Vec<String> {
        let url = format!("http://{}", self.proxy.host());
        ["--url", &url, "--report-seconds", "1"].map(str::to_owned).into()
    }

    fn center(&self) -> &Center {
        self.center.as_ref().unwrap()
    }

    fn count_joins(&mut self) {
        let center = self.center.as_mut().unwrap();
        for line in center.process.seen() {
            if line.contains("msg=\"an edge has joined\"") {
                let edge = line.split("edge=\"").nth(1).unwrap().split('"').next().unwrap();
                *self.joins.entry(edge.to_owned()).or_default() += 1;
            }
        }
    }

    /// Kills the ops center, and starts it again over its data behind the same address.
    fn kill_center(&mut self) {
        let mut before = self.center.take().unwrap();
        self.proxy.lead_to(None);
        before.process.signal("KILL");
        self.center = Some(before);
        self.count_joins();
        let before = self.center.take().unwrap();
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut next = Center::serve(&before.data, &arguments);
        self.proxy.lead_to(Some(&next.address));
        (next.token, next.workspace) = (before.token.clone(), before.workspace);
        self.center = Some(next);
    }

    fn edge(&self, name: &str) -> Value {
        let listed = self.center().post("/v1/api/pipelines/list_edges", &json!({})).ok();
        let edges = listed["edges"].as_array().unwrap();
        edges.iter().find(|edge| edge["name"] == name).cloned().unwrap_or(Value::Null)
    }
}

/// The session on the device's disk, where one is.
fn session(home: &Path) -> Option<Value> {
    let edges = std::fs::read_dir(home.join("edge")).ok()?.flatten();
    let tokens = edges.filter_map(|edge| std::fs::read_dir(edge.path()).ok()).flatten().flatten();
    let mut found = tokens.filter_map(|token| std::fs::read(token.path().join("session")).ok());
    serde_json::from_slice(&found.next()?).ok()
}

/// Each edge is killed a few times at seeded moments, by turns with the ops center, while the link
/// loses and doubles what goes by. At its end it has joined: once, with one session that only grew.
#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn every_edge_ends_joined_exactly_once_whatever_is_killed() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let lucks = Mutex::new(Random::new(17));
    let proxy = LinkProxy::start(move |_| match lucks.lock().unwrap().below(8) {
        0 => Luck::Swallowed,
        1 => Luck::AnswerLost,
        2 => Luck::Twice,
        _ => Luck::Good,
    });
    let data = tempfile::tempdir().unwrap();
    let mut stage = Stage { proxy, center: None, joins: BTreeMap::new() };
    let arguments = stage.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut center = Center::serve(&data.path().join("data"), &arguments);
    stage.proxy.lead_to(Some(&center.address));
    center.first_run();
    let author = Author::of(&center);
    let publish = author.published(author.save("fraud", "fraud.onnx").id);
    stage.center = Some(center);
    let mut random = Random::new(7);
    let (mut of_engines, mut of_centers) = (0, 0);
    let (mut before_join, mut edges) = (0, 0);
    while of_engines + of_centers < kills {
        let name = format!("edge-{edges}");
        edges += 1;
        let added = Author::of(stage.center()).add_edge(&publish, &name);
        let home = tempfile::tempdir().unwrap();
        let start = || Running::start(command(home.path()).envs(edge_variables(&added)));
        let mut engine = start();
        let mut known: Option<Value> = None;
        for _ in 0..KILLS_OF_AN_EDGE {
            // The moment is what is tried here: nothing is waited for.
            let within_ms = if random.below(2) == 0 { JOIN_MS } else { KILL_AFTER_MS };
            std::thread::sleep(Duration::from_millis(random.below(within_ms)));
            if random.below(3) == 0 {
                stage.kill_center();
                of_centers += 1;
            } else {
                engine.signal("KILL");
                of_engines += 1;
                before_join += u64::from(session(home.path()).is_none());
                engine = start();
            }
            if let Some(now) = session(home.path()) {
                if let Some(before) = &known {
                    assert_eq!(before["session"], now["session"], "{name}");
                    assert!(before["serial"].as_u64() <= now["serial"].as_u64(), "{name}");
                }
                known = Some(now);
            }
        }
        let begun = Instant::now();
        let edge = until(|| {
            // A first start that finds no registry ends, and whoever supervises it starts it again.
            if engine.seen().iter().any(|line| line.starts_with("error: ")) {
                engine = start();
            }
            let attested = "msg=\"Node attestation was successful\"";
            let is_attested = engine.seen().iter().any(|line| line.contains(attested));
            Some(stage.edge(&name)).filter(|edge| is_attested && edge["state"] == "joined")
        });
        assert!(begun.elapsed() < PATIENCE, "{edge}");
        engine.signal("TERM");
    }
    stage.count_joins();
    let twice: Vec<_> = stage.joins.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "joined more than once: {twice:?}");
    println!(
        "{} kills: {of_engines} of engines ({before_join} before a session was on the disk), {of_centers} \
         of ops centers; {edges} edges joined, each once",
        of_engines + of_centers
    );
}
