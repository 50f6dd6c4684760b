//! Power cuts: a pull or an update is killed at any moment, and the next start serves a whole pipeline.

use crate::support::edge::{Edge, Random};
use crate::support::front::Way;
use crate::support::python::request;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Kills of an ordinary run; `POTOROO_KILLS` asks for more.
const KILLS: u64 = 40;

/// Bytes by which the model's file is longer, so that a pull takes a while.
const PAD_BYTES: usize = 200_000;

/// The pace of the link, in bytes a second: a pull takes half a second, as long as all else.
const PACE: u64 = 400_000;

/// About what a process takes to begin with its work.
const START: Duration = Duration::from_millis(60);

/// So much later than an update takes a kill still strikes: what is not needed is taken away then.
const AFTER: Duration = Duration::from_millis(20);

/// Where a kill struck, by what it left.
fn stage(edge: &Edge, wanted: &str) -> &'static str {
    let is_there = |path: std::path::PathBuf| path.exists();
    let partial = std::fs::read_dir(edge.home.path().join("store/partial"));
    if edge.state()["current"]["digest"] == wanted {
        "after it was adopted"
    } else if edge.state()["trying"]["digest"] == wanted {
        "while it was loaded"
    } else if is_there(edge.blob(wanted)) {
        "after its manifest was stored"
    } else if partial.is_ok_and(|entries| entries.count() > 0) {
        "in the middle of a blob"
    } else {
        "before a byte of a model came"
    }
}

/// Each round has one pipeline on the disk and the tag on another, begins the update, by a start or
/// by SIGHUP, and kills the engine at a random moment. Then the registry is away, and the engine
/// must serve one that is whole: it verifies what it serves, and here it also answers.
#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn after_a_kill_at_any_moment_a_start_serves_the_old_or_the_new_pipeline() {
    let kills = std::env::var("POTOROO_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let edge = Edge::new();
    let models = ["one", "two", "three"].map(|model| (model, edge.publish(model, PAD_BYTES)));
    edge.tag(&models[0].1);
    // The first pull of all can be killed too; what it leaves need not serve without a registry.
    let mut random = Random::new(1);
    let mut struck: BTreeMap<&str, u64> = BTreeMap::new();
    // How long an update takes, by the slow way and by the quick one.
    let mut longest = [Duration::from_millis(700), Duration::from_millis(150)];
    edge.front.set(Way::Slow(PACE));
    for _ in 0..3 {
        let mut engine = edge.begin();
        std::thread::sleep(Duration::from_millis(random.below(500)));
        engine.signal("KILL");
        *struck.entry("in the first pull").or_default() += 1;
    }
    edge.front.set(Way::Through);
    drop(edge.start());
    let mut last = serde_json::Value::Null;
    for kill in 3..kills {
        let state = edge.state();
        let is_kept = |role: &str, digest: &str| state[role]["digest"] == digest;
        let (_, wanted) = models
            .iter()
            .find(|(_, digest)| !is_kept("current", digest) && !is_kept("previous", digest))
            .unwrap();
        if state["current"]["digest"] != last {
            // Of the next one nothing shall be there; what came of the same one is gone on with.
            edge.run(&["gc"]).success();
            last = state["current"]["digest"].clone();
        }
        edge.tag(wanted);
        let by_signal = kill % 2 == 0;
        // Where nothing waits for the link, more kills strike what is written and renamed.
        let is_quick = kill % 3 == 0;
        let way = if is_quick { Way::Through } else { Way::Slow(PACE) };
        let longest = &mut longest[usize::from(is_quick)];
        // Now and then nobody kills it, which tells how long it takes.
        let is_spared = kill % 10 == 4;
        let mut engine = if by_signal {
            edge.front.set(Way::Down);
            let engine = edge.start().process;
            edge.front.set(way);
            engine.send("HUP");
            engine
        } else {
            edge.front.set(way);
            edge.begin()
        };
        let begun = Instant::now();
        if is_spared {
            engine.line_with("msg=switched");
            *longest = begun.elapsed();
        } else {
            let most = *longest + if by_signal { AFTER } else { AFTER + START };
            std::thread::sleep(Duration::from_millis(random.below(most.as_millis() as u64)));
        }
        engine.signal("KILL");
        *struck.entry(stage(&edge, wanted)).or_default() += 1;

        edge.front.set(Way::Down);
        let mut engine = edge.start();
        let answer = engine.infer_file("fraud", &request("fraud_1.json"));
        assert_eq!(answer.status, 200, "kill {kill}: {}", answer.body);
        let model = answer.json()[0]["model_name"].clone();
        let said = engine.process.seen().join("\n");
        let ready = said.lines().find(|line| line.contains("msg=ready")).unwrap();
        let (_, digest) = models.iter().find(|(name, _)| model == *name).unwrap();
        let is_old = state["current"]["digest"] == digest.as_str();
        assert!(is_old || digest == wanted, "kill {kill}: {model} is neither the old nor the new");
        assert!(ready.contains(&format!("digest={digest}")), "kill {kill}: {model} in\n{said}");
        assert!(!said.contains("damaged") && !said.contains("cannot be served"), "{said}");
        engine.process.signal("KILL");
    }
    println!("{kills} kills, none left a start without a whole pipeline; they struck {struck:#?}");
}
