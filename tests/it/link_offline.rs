//! Inferences at a steady pace while the ops center is away, for an hour if asked: each arrives once, in order.

use crate::faults::client::Client;
use crate::support::edge::Random;
use crate::support::engine::{Engine, curl};
use crate::support::founded::Center;
use crate::support::link_proxy::{LinkProxy, Luck};
use crate::support::publishing::{Author, edge_variables, until};
use potoroo::http::server::REQUESTS_PER_CONNECTION_MAX;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Seconds without an ops center in an ordinary run; `POTOROO_OFFLINE_S` asks for more.
const OFFLINE_S: u64 = 7;

/// Inferences a second, all the time; `POTOROO_OFFLINE_RATE` asks for others.
const RATE: u64 = 20;

/// Values of a row, of which the first is its number.
const FEATURES: usize = 29;

/// How long an engine may take until it asks again, after so long, and has sent all: it asks every five
/// minutes then, for its session and for its journal.
const BACK_MAX: Duration = Duration::from_secs(900);

/// How long the ops center is there before it goes, and how long inferences go on once it is back.
const ONLINE: Duration = Duration::from_secs(2);

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// A client that numbers its inferences and counts those that were answered.
struct Sender<'e> {
    address: &'e str,
    /// For the values beside the number: real ones repeat nothing.
    random: Random,
    connection: Option<Client>,
    answered: u64,
    rate: u64,
}

impl Sender<'_> {
    fn of(address: &str, rate: u64) -> Sender<'_> {
        Sender { address, random: Random::new(3), connection: None, answered: 0, rate }
    }

    /// Infers at its pace for so long; the slowest answer.
    fn infer_for(&mut self, time: Duration) -> Duration {
        let (begun, before, mut slowest) = (Instant::now(), self.answered, Duration::ZERO);
        while begun.elapsed() < time {
            let sent = Instant::now();
            self.infer();
            slowest = slowest.max(sent.elapsed());
            let due = Duration::from_secs_f64((self.answered - before) as f64 / self.rate as f64);
            // A pace, and no wait for something.
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        slowest
    }

    fn infer(&mut self) {
        let mut features = vec![self.answered as f64];
        features.extend((1..FEATURES).map(|_| self.random.below(1 << 20) as f64 / 1e6 - 0.5));
        let body = json!([{ "features": features }]).to_string();
        let request = format!(
            "POST /pipelines/fraud HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut open = self.connection.take().unwrap_or_else(|| Client::connect(self.address));
        open.send(request);
        let (status, body) = open.answer();
        assert_eq!(status, 200, "{body}");
        self.answered += 1;
        let is_used_up = self.answered.is_multiple_of(u64::from(REQUESTS_PER_CONNECTION_MAX) - 1);
        self.connection = (!is_used_up).then_some(open);
    }
}

/// Numbers of the engine's metrics, all of one moment.
fn metrics<const N: usize>(address: &str, names: [&str; N]) -> [u64; N] {
    let metrics = curl(&format!("http://{address}/metrics"), &[]).body;
    names.map(|name| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse::<f64>().unwrap() as u64
    })
}

/// The numbers of all inferences that the ops center has, the earliest first, page by page.
fn arrived(center: &Center, pipeline: i64) -> Vec<u64> {
    let (mut numbers, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let asked = json!({
            "pipeline_id": pipeline, "order": "asc", "page_size": 10_000, "cursor": cursor,
        });
        let page = center.post("/v1/api/pipelines/get_logs", &asked);
        for row in page.ok().as_array().unwrap() {
            numbers.push(row["in"]["features"][0].as_f64().unwrap() as u64);
        }
        match page.header("x-iteration-cursor") {
            Some(next) => cursor = next.into(),
            None => return numbers,
        }
    }
}

/// The ops center is killed and the link leads nowhere, so that nothing at all answers meanwhile.
#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn what_was_inferred_while_the_ops_center_was_away_arrives_once_and_in_order() {
    let offline = Duration::from_secs(asked("POTOROO_OFFLINE_S", OFFLINE_S));
    let proxy = LinkProxy::start(|_| Luck::Good);
    let home = tempfile::tempdir().unwrap();
    let mut center = Center::behind(&proxy, &home.path().join("data"));
    center.first_run();
    let author = Author::of(&center);
    let saved = author.save("fraud", "fraud.onnx");
    let added = author.add_edge(&author.published(saved.id), "till-7");
    let engine = Engine::start_in(&home.path().join("edge"), &edge_variables(&added));
    let address = engine.address.as_str();
    let mut sender = Sender::of(address, asked("POTOROO_OFFLINE_RATE", RATE));
    sender.infer_for(ONLINE);
    until(|| (!arrived(&center, saved.pipeline).is_empty()).then_some(()));

    proxy.lead_to(None);
    center.process.signal("KILL");
    let before = sender.answered;
    let slowest = sender.infer_for(offline);
    let inferred = sender.answered - before;
    let names = [
        "potoroo_journal_waiting_records",
        "potoroo_journal_waiting_bytes",
        "potoroo_journal_written_bytes_total",
        "potoroo_journal_syncs_total",
    ];
    let [waiting, bytes, written, syncs] = metrics(address, names);

    let mut again = Center::behind(&proxy, &center.data);
    (again.token, again.workspace) = (center.token.clone(), center.workspace);
    let back = Instant::now();
    // It goes on inferring meanwhile. No more waits in the end than comes in a few batches.
    let (mut most, mut found) = (waiting, None);
    let caught_up = loop {
        sender.infer_for(Duration::from_millis(200));
        let [left] = metrics(address, ["potoroo_journal_waiting_records"]);
        if left < most {
            found.get_or_insert(back.elapsed());
        }
        most = most.max(left);
        if found.is_some() && left <= sender.rate * 10 {
            break back.elapsed();
        }
        assert!(back.elapsed() < BACK_MAX, "{left} records still wait");
    };
    let found = found.unwrap_or_default();
    sender.infer_for(ONLINE);
    let answered = sender.answered;
    until(|| {
        let names = ["potoroo_journal_queued_records", "potoroo_journal_waiting_records"];
        (metrics(address, names) == [0, 0]).then_some(())
    });
    println!(
        "{} s offline: {inferred} inferences, slowest answer {slowest:?}; {waiting} records of {bytes} bytes \
         waited; {written} bytes written in {syncs} syncs; found again after {found:?}, caught up after \
         {caught_up:?}; {answered} records in all",
        offline.as_secs()
    );
    let recorded = metrics(address, ["potoroo_journal_records_total"]);
    assert_eq!(recorded, [answered], "the sender's count");
    let all = arrived(&again, saved.pipeline);
    let odd = all.iter().zip(0..).find(|(found, wanted)| *found != wanted);
    assert_eq!((all.len() as u64, odd), (answered, None), "each once, in order");
    let losses = json!({ "pipeline_id": saved.pipeline });
    let losses = again.post("/v1/api/pipelines/get_log_losses", &losses).ok();
    assert_eq!(losses, json!({ "losses": [] }));
}
