//! Each way in which an ops center refuses an edge: told by its own sentence, and the engine answers on.

use crate::support::engine::Engine;
use crate::support::founded::{Center, command};
use crate::support::link_proxy::{LinkProxy, Luck};
use crate::support::process::run;
use crate::support::publishing::{Author, edge_variables, until};
use crate::support::python::request;
use potoroo::fleet::{Bundle, Code};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Refusals that a device meets whose requests are as they should be: it asks again, and tells nobody.
const PASSING: [Code; 5] =
    [Code::SayAgain, Code::ReportFirst, Code::Malformed, Code::Busy, Code::Unavailable];

type Variables = Vec<(String, String)>;

/// A place where ops centers are, one after the other, and the directories of edges.
struct Stage {
    proxy: LinkProxy,
    homes: TempDir,
    center: Center,
    publish: Value,
    told: BTreeSet<&'static str>,
}

/// An ops center over this directory whose clock is so many hours ahead.
fn serve(proxy: &LinkProxy, data: &Path, hours_ahead: u64) -> Center {
    proxy.lead_to(None);
    let mut serve = command(data);
    serve.args(["--url", &format!("http://{}", proxy.host()), "--report-seconds", "1"]);
    if 0 < hours_ahead {
        let faketime = ["x86_64", "aarch64"]
            .map(|arch| format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1"))
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("tests/setup.sh brings faketime");
        serve.env("LD_PRELOAD", faketime).env("DONT_FAKE_MONOTONIC", "1");
        serve.env("FAKETIME", format!("+{}", hours_ahead * 3600));
    }
    let center = Center::run(data, &mut serve);
    proxy.lead_to(Some(&center.address));
    center
}

impl Stage {
    fn start() -> Stage {
        let (proxy, homes) = (LinkProxy::start(|_| Luck::Good), tempfile::tempdir().unwrap());
        let mut center = serve(&proxy, &homes.path().join("data"), 0);
        center.first_run();
        let author = Author::of(&center);
        let publish = author.published(author.save("fraud", "fraud.onnx").id);
        Stage { proxy, homes, center, publish, told: BTreeSet::new() }
    }

    /// Adds an edge; the variables that its engine runs with.
    fn add(&self, name: &str) -> Variables {
        let added = Author::of(&self.center).add_edge(&self.publish, name);
        edge_variables(&added).map(|(name, value)| (name.into(), value.into())).to_vec()
    }

    fn remove(&self, name: &str) {
        self.center.post("/v1/api/pipelines/remove_edge", &json!({ "name": name })).ok();
    }

    fn home(&self, name: &str) -> PathBuf {
        self.homes.path().join(name)
    }

    /// Joins as that edge, and stops.
    fn joined(&self, name: &str) -> Variables {
        let variables = self.add(name);
        let mut engine = self.engine(name, &variables);
        let line = "Node attestation was successful";
        until(|| engine.process.seen().iter().any(|it| it.contains(line)).then_some(()));
        engine.process.signal("TERM");
        variables
    }

    fn engine(&self, home: &str, variables: &[(String, String)]) -> Engine {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Engine::start_in(&self.home(home), &variables)
    }

    /// The directory of one edge with all that it has, for another device.
    fn copy(&self, from: &str, to: &str) {
        run(Command::new("cp").arg("-a").arg(self.home(from)).arg(self.home(to))).success();
    }

    /// The same without who it is: it has the pipeline, and no session.
    fn copy_of_a_stranger(&self, from: &str, to: &str) {
        self.copy(from, to);
        std::fs::remove_dir_all(self.home(to).join("edge")).unwrap();
    }

    /// The key of the one identity of an edge.
    fn key(&self, home: &str) -> PathBuf {
        let only = |directory: PathBuf| {
            std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path()
        };
        only(only(self.home(home).join("edge"))).join("key")
    }

    /// The engine over that directory is refused so, says why and what to do, and answers.
    fn refused(&mut self, code: Code, home: &str, variables: &[(String, String)]) {
        let mut engine = self.engine(home, variables);
        until(|| engine.process.seen().iter().any(|it| it.contains(code.sentence())).then_some(()));
        let metrics = engine.curl("/metrics", &[]).body;
        let state = format!("potoroo_link_state{{state=\"{}\"}} 1", code.name());
        assert!(metrics.lines().any(|line| line == state), "{state}: {metrics}");
        let page = engine.curl("/", &[]).body;
        let (what, next) = code.sentence().split_once(": ").unwrap();
        assert!(page.contains(&escaped(what)) && page.contains(&escaped(next)), "{page}");
        let answer = engine.infer_file("fraud", &request("fraud_1.json"));
        assert_eq!(answer.status, 200, "{}: {}", code.name(), answer.body);
        self.told.insert(code.name());
    }
}

fn escaped(text: &str) -> String {
    text.replace('\'', "&#39;")
}

#[test]
fn every_refusal_is_told_by_its_sentence_and_the_engine_answers_on() {
    let mut stage = Stage::start();
    let [first, second, removed] = ["first", "second", "removed"].map(|name| stage.joined(name));
    let [late, revoked] = ["late", "revoked"].map(|name| stage.add(name));
    for name in ["used", "unknown", "late", "revoked"] {
        stage.copy_of_a_stranger("first", name);
    }

    stage.refused(Code::TokenUsed, "used", &first);
    let bundle = Bundle::parse(&first[0].1).unwrap();
    let [host, url] = ["OPSCENTER_HOST", "PIPELINE_URL"].map(|key| bundle.value(key).unwrap());
    let forged = Bundle::new(&[
        ("EDGE_NAME", "first"),
        ("JOIN_TOKEN", "3148ada5-285a-4fca-b3b8-b50a48d7511b"),
        ("OPSCENTER_HOST", host),
        ("PIPELINE_URL", url),
    ]);
    let mut unknown = first.clone();
    unknown[0].1 = forged.unwrap().encoded();
    stage.refused(Code::TokenUnknown, "unknown", &unknown);
    stage.remove("revoked");
    stage.refused(Code::TokenRevoked, "revoked", &revoked);
    stage.remove("removed");
    stage.refused(Code::EdgeRemoved, "removed", &removed);
    // A disk that lost the key, and got another.
    stage.copy("second", "mended");
    std::fs::copy(stage.key("first"), stage.key("mended")).unwrap();
    stage.refused(Code::Signature, "mended", &second);
    let original = stage.engine("first", &first);
    let joined = "potoroo_link_state{state=\"joined\"} 1";
    until(|| original.curl("/metrics", &[]).body.contains(joined).then_some(()));
    stage.copy("first", "copied");
    stage.refused(Code::SessionCopied, "copied", &first);
    drop(original);

    // A day, and a week, go by.
    let data = stage.home("data");
    for (hours, code, home, variables) in
        [(25, Code::TokenExpired, "late", &late), (24 * 8, Code::SessionExpired, "second", &second)]
    {
        stage.center.process.signal("KILL");
        stage.center = serve(&stage.proxy, &data, hours);
        stage.refused(code, home, variables);
    }
    // Another ops center is where that one was.
    stage.center.process.signal("KILL");
    stage.center = serve(&stage.proxy, &stage.home("another"), 0);
    stage.refused(Code::SessionUnknown, "second", &second);

    let lasting = Code::all().filter(|code| !PASSING.contains(code)).map(Code::name);
    assert_eq!(stage.told, lasting.collect());
}
