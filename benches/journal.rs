//! Journal: what answers cost with the log of inferences on and off, the two engines taking turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "serve/load.rs"]
mod load;
#[path = "journal/paced.rs"]
mod paced;
mod support;

use load::Load;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use support::{Engine, file, published};

/// The engines take turns, a short one each: what else the machine does, and how fast it happens to be,
/// meets both. `POTOROO_ROUNDS` asks for others.
const ROUNDS: usize = 60;
const ROUND: Duration = Duration::from_millis(200);

/// Connections that ask again once they are answered: a sensor alone, and a machine at its limit.
const CONNECTIONS: [usize; 2] = [1, 16];

/// Connections that ask at a pace, together at half of what the engine gave them at its limit.
const PACED_CONNECTIONS: usize = 8;

/// What one sensor asks a second that waits for no answer but its own.
const SENSOR_PER_SECOND: f64 = 1000.0;

/// Bytes of a body that an engine answers at that pace.
const SENSOR_BYTES_MAX: usize = 16 << 10;

/// What a board has to bear: so many answers a second, beside programs that take all the CPU.
const USUAL_PER_SECOND: f64 = 300.0;
const USUAL: Duration = Duration::from_secs(20);

/// Programs that do nothing but compute, for each CPU.
const BUSY_PER_CPU: usize = 2;

/// What came faster than it could be written; what went later for want of room is another matter.
const QUEUE_LOST: &str = "lost_total{reason=\"queue\"}";

/// `/proc/PID/stat` counts in these on every Linux that Rust runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

const RECORDS: &str = "application/json; format=pandas-records";
const ARROW: &str = "application/vnd.apache.arrow.file";

const WORKLOADS: [(&str, &str, &str); 2] =
    [("1 row, JSON", "fraud_1.json", RECORDS), ("1000 rows, Arrow", "fraud_1000.arrow", ARROW)];

/// What one engine did in one round.
struct Round {
    answers: usize,
    per_second: f64,
    middle: Duration,
    slow: Duration,
}

fn main() {
    let engine = support::engine();
    let bodies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal");
    std::fs::create_dir_all(&bodies).unwrap();
    let script = file("tests/fixtures/reference.py");
    let python = file("target/python/bin/python");
    let made = Command::new(python).arg(script).arg("inputs").arg(&bodies).status().unwrap();
    assert!(made.success(), "the bodies are not made");
    let rounds = std::env::var("POTOROO_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    println!("load average at the start: {}", load_average());
    println!(
        "medians of {rounds} rounds of {} ms; on / off in each round, with their quartiles; CPU time of all \
         rounds, by answers",
        ROUND.as_millis()
    );
    let (on_home, off_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |home: &Path, more: &[(&str, &str)]| {
        let url = published("models/fraud.onnx", home);
        Engine::start(&engine, &url, home, &[&[("CONFIG_CPUS", "2")], more].concat())
    };
    // What two engines differ by that do the same: POTOROO_EQUAL asks for it.
    let kept: &[(&str, &str)] = match std::env::var_os("POTOROO_EQUAL") {
        Some(_) => &[],
        None => &[("LOCAL_INFERENCE_STORAGE", "64Mi")],
    };
    let on = start(on_home.path(), kept);
    let off = start(off_home.path(), &[]);
    for (title, body, content_type) in WORKLOADS {
        let body = std::fs::read(bodies.join(body)).unwrap();
        let request = request(content_type, &body);
        let ask = |address: &str| paced::run(address, &request, 1, SENSOR_PER_SECOND, ROUND);
        let sensor = format!("{title}, one sensor {SENSOR_PER_SECOND:.0} times a second");
        // A thousand rows take the engine longer than that.
        if body.len() < SENSOR_BYTES_MAX {
            compared(&sensor, [&on, &off], rounds, &ask);
        }
        let mut limit = 0.0;
        for connections in CONNECTIONS {
            let ask = |address: &str| Load::run(address, &request, connections, ROUND);
            limit = compared(
                &format!("{title}, {connections} connections at their limit"),
                [&on, &off],
                rounds,
                &ask,
            );
        }
        let pace = limit / 2.0;
        let ask = |address: &str| paced::run(address, &request, PACED_CONNECTIONS, pace, ROUND);
        compared(&format!("{title}, at a pace of {pace:.0} a second"), [&on, &off], rounds, &ask);
        println!("load average: {}", load_average());
    }
    usual(&on, &std::fs::read(bodies.join(WORKLOADS[0].1)).unwrap());
    for line in metrics(&on).lines() {
        if line.starts_with("potoroo_journal_") || line.starts_with("process_resident") {
            println!("{line}");
        }
    }
}

/// Both engines under the same load in turns; how many answers a second the second one gave.
fn compared(
    title: &str,
    [on, off]: [&Engine; 2],
    rounds: usize,
    ask: &dyn Fn(&str) -> Load,
) -> f64 {
    let (mut ons, mut offs) = (Vec::new(), Vec::new());
    round(on, ask);
    round(off, ask);
    let before = [counted(on, "records_total"), counted(on, QUEUE_LOST), written(on)];
    let cpu_before = [cpu(on), cpu(off)];
    for index in 0..rounds {
        // Whoever goes first in a round does not always.
        if index % 2 == 0 {
            ons.push(round(on, ask));
            offs.push(round(off, ask));
        } else {
            offs.push(round(off, ask));
            ons.push(round(on, ask));
        }
    }
    // What is written after its round is paid for here, too.
    let answers = [&ons, &offs].map(|it| it.iter().map(|round| round.answers as f64).sum::<f64>());
    let cpu_us =
        [(on, 0), (off, 1)].map(|(engine, at)| (cpu(engine) - cpu_before[at]) * 1e6 / answers[at]);
    let after = [counted(on, "records_total"), counted(on, QUEUE_LOST), written(on)];
    let [kept, lost, bytes] = [0, 1, 2].map(|place| after[place] - before[place]);
    let told = |name: &str, value: fn(&Round) -> f64| {
        let of = |rounds: &[Round]| median(rounds.iter().map(value).collect());
        let ratios = ons.iter().zip(&offs).map(|(on, off)| value(on) / value(off));
        let ratios: Vec<f64> = ratios.collect();
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| quantile(ratios.clone(), part));
        let (on, off) = (of(&ons), of(&offs));
        format!("{name} {on:.1} on, {off:.1} off ({middle:.3}, {low:.2} to {high:.2})")
    };
    println!(
        "{title}: {}; {}; {}; CPU us {:.1} on, {:.1} off ({:.3}); {kept} kept, {lost} lost ({:.0} %), {:.1} MB written",
        told("answers/s", |it| it.per_second),
        told("p50 us", |it| it.middle.as_secs_f64() * 1e6),
        told("p99 us", |it| it.slow.as_secs_f64() * 1e6),
        cpu_us[0],
        cpu_us[1],
        cpu_us[0] / cpu_us[1],
        100.0 * lost / (kept + lost).max(1.0),
        bytes / 1e6,
    );
    median(offs.iter().map(|it| it.per_second).collect())
}

/// Whether all is kept of what a board usually has, where nothing is left of its CPUs.
fn usual(engine: &Engine, body: &[u8]) {
    let cpus = std::thread::available_parallelism().unwrap().get();
    let spin = |_| Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    let busy: Vec<Busy> = (0..cpus * BUSY_PER_CPU).map(spin).collect();
    // What is still to be written of the loads before goes first.
    while 0.0 < counted(engine, "queued_records") {
        std::thread::sleep(Duration::from_millis(100));
    }
    let before = [counted(engine, QUEUE_LOST), cpu(engine)];
    let request = request(RECORDS, body);
    let load = paced::run(&engine.address, &request, 1, USUAL_PER_SECOND, USUAL);
    let after = [counted(engine, QUEUE_LOST), cpu(engine)];
    println!(
        "1 row, JSON, beside {} programs that take all of {cpus} CPUs: {} answers, {:.0} a second, \
         {:.1} CPU us each; {} lost",
        busy.len(),
        load.latencies.len(),
        load.latencies.len() as f64 / load.took.as_secs_f64(),
        (after[1] - before[1]) * 1e6 / load.latencies.len() as f64,
        after[0] - before[0],
    );
}

/// A program that is killed when dropped.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn request(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /infer HTTP/1.1\r\nHost: engine\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn round(engine: &Engine, ask: &dyn Fn(&str) -> Load) -> Round {
    let load = ask(&engine.address);
    let answers = load.latencies.len();
    Round {
        answers,
        per_second: answers as f64 / load.took.as_secs_f64(),
        middle: load.percentile(50),
        slow: load.percentile(99),
    }
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

fn metrics(engine: &Engine) -> String {
    let url = format!("http://{}/metrics", engine.address);
    let ended = Command::new("curl").args(["-sS", &url]).output().unwrap();
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// The sum of a metric of the journal over its labels.
fn counted(engine: &Engine, name: &str) -> f64 {
    let name = format!("potoroo_journal_{name}");
    let metrics = metrics(engine);
    let lines = metrics.lines().filter(|line| line.starts_with(&name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn written(engine: &Engine) -> f64 {
    counted(engine, "written_bytes_total")
}

/// Seconds of CPU time that the engine has taken.
fn cpu(engine: &Engine) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", engine.id())).unwrap();
    // utime and stime are fields 14 and 15; the second, in brackets, may have blanks.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>() as f64 / TICKS_PER_SECOND
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
