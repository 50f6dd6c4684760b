//! Devices whose clock is wrong, and devices behind a proxy: by TLS they join, pull, report and send all the same.

use crate::support::certificates::{Authority, GOOD, LOOPBACK};
use crate::support::engine::Engine;
use crate::support::founded::{self, Center};
use crate::support::process::PATIENCE;
use crate::support::proxy::{Manner, Proxy};
use crate::support::publishing::{Author, until};
use crate::support::python::request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::time::Instant;

/// A name that nobody but the tests' proxy connects to.
const HOST: &str = "ops.example";

/// An ops center that has begun to speak TLS, and what an edge of it runs with.
struct Secured {
    center: Center,
    bundle: String,
    login: [(String, String); 2],
    plain: String,
}

impl Secured {
    /// The certificate is for those names and years.
    fn start(authority: &Authority, names: &[&str], years: [i32; 2]) -> Secured {
        let mut before = Center::start_with(&["--report-seconds", "1"]);
        let author = Author::of(&before);
        let publish = author.published(author.save("fraud", "fraud.onnx").id);
        let added = author.add_edge(&publish, "edge");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let login = [("OCI_USERNAME", "username"), ("OCI_PASSWORD", "password")]
            .map(|(name, key)| (name.to_owned(), text(&added["pull_credentials"][key])));
        let bundle = STANDARD.decode(text(&added["docker_run_variables"]["EDGE_BUNDLE"])).unwrap();
        let plain = before.address.clone();
        before.process.signal("TERM");
        let files = authority.shown(names, years).write(&before.data);
        let mut serve = founded::command(&before.data);
        serve.args(["--report-seconds", "1", "--tls-cert"]).arg(&files[0]);
        let center = before.started_by(serve.arg("--tls-key").arg(&files[1]));
        Secured { center, bundle: String::from_utf8(bundle).unwrap(), login, plain }
    }

    /// An engine of the edge, which finds the ops center and the registry at that host.
    fn engine(&self, home: &Path, host: &str, more: &[(&str, &str)]) -> Engine {
        let bundle = self.bundle.replace(&self.plain, &format!("https://{host}"));
        let bundle = STANDARD.encode(bundle);
        let mut variables = vec![("EDGE_BUNDLE", bundle.as_str()), ("POTOROO_LOG_SECONDS", "1")];
        variables.extend(self.login.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        variables.extend(more);
        Engine::start_in(home, &variables)
    }
}

fn faketime() -> String {
    ["x86_64", "aarch64"]
        .map(|arch| format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1"))
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("tests/setup.sh brings faketime")
}

/// Joined, reported, and all of one inference sent.
fn does_all(mut engine: Engine) {
    let line = "Node attestation was successful";
    until(|| engine.process.seen().iter().any(|it| it.contains(line)).then_some(()));
    let row = format!("[{{\"features\": {:?}}}]", vec![0.5; 29]);
    let kind = "Content-Type: application/json; format=pandas-records";
    let answer = engine.curl("/pipelines/fraud", &["-H", kind, "--data-binary", &row]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let end = Instant::now() + PATIENCE;
    loop {
        let metrics = engine.curl("/metrics", &[]).body;
        let has = |line: &str| metrics.lines().any(|it| it == line);
        if has("potoroo_journal_records_total 1") && has("potoroo_journal_waiting_records 0") {
            return;
        }
        assert!(Instant::now() < end, "{metrics}");
    }
}

#[test]
fn by_tls_an_engine_in_1970_or_a_day_ahead_joins_pulls_reports_and_sends() {
    let faketime = faketime();
    let authority = Authority::new();
    // In 1970 a certificate holds that was made after the engine was, too.
    for (clock, years) in [("@1970-01-02 00:00:00", [2027, 2090]), ("+86400", GOOD)] {
        let secured = Secured::start(&authority, &LOOPBACK, years);
        let home = tempfile::tempdir().unwrap();
        let ca = authority.file();
        let more = [
            ("POTOROO_CA_FILE", ca.as_str()),
            ("LD_PRELOAD", faketime.as_str()),
            ("FAKETIME", clock),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        does_all(secured.engine(home.path(), &secured.center.address, &more));
    }
}

/// A clock behind is helped; one that is decades ahead cannot be told from a certificate that is over.
#[test]
fn an_engine_decades_ahead_says_that_the_certificate_does_not_hold_by_its_clock_and_answers_on() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, &LOOPBACK, GOOD);
    let home = tempfile::tempdir().unwrap();
    let (ca, preload) = (authority.file(), faketime());
    let ca = ("POTOROO_CA_FILE", ca.as_str());
    let host = &secured.center.address;
    does_all(secured.engine(home.path(), host, &[ca]));
    let years = format!("+{}", 200_u64 * 365 * 24 * 3600);
    let more = [
        ca,
        ("LD_PRELOAD", preload.as_str()),
        ("FAKETIME", years.as_str()),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut engine = secured.engine(home.path(), host, &more);
    let part = "since its certificate does not hold by this device's clock";
    let line = until(|| engine.process.seen().iter().find(|it| it.contains(part)).cloned());
    assert!(line.contains("set this device's clock if it is wrong"), "{line}");
    let metrics = engine.curl("/metrics", &[]).body;
    assert!(metrics.contains("potoroo_link_state{state=\"clock\"} 1"), "{metrics}");
    let answer = engine.infer_file("fraud", &request("fraud_1.json"));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn a_link_through_a_proxy_and_tls_by_a_private_authority_joins_pulls_reports_and_sends() {
    let authority = Authority::new();
    let secured = Secured::start(&authority, &[HOST], GOOD);
    let proxy = Proxy::start(Manner::Connects, secured.center.address.parse().unwrap());
    let home = tempfile::tempdir().unwrap();
    let (ca, url) = (authority.file(), format!("http://{}", proxy.address()));
    let more = [("POTOROO_CA_FILE", ca.as_str()), ("HTTPS_PROXY", url.as_str())];
    does_all(secured.engine(home.path(), HOST, &more));
    let asked = proxy.asked();
    let line = format!("CONNECT {HOST}:443 HTTP/1.1");
    assert!(1 < asked.len() && asked.iter().all(|asked| *asked == line), "{asked:?}");
}
