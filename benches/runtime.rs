//! Runtime: tree ensembles beside onnxruntime, by the CPU time that a run takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

use potoroo::runtime::{Deadline, Flow, Model, Pool};
use potoroo::tensor::{Column, Data, RowShape, Table};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const FEATURES: usize = 29;
const MODELS: [&str; 4] = ["passing", "random_forest", "xgboost", "lightgbm"];
const ROWS: [usize; 4] = [1, 32, 1_024, 10_000];

/// Turns of each program: what else the machine does meets both.
const ROUNDS: usize = 9;

/// Rows that a turn computes, in runs of one size: some 50 ms.
const ROWS_A_TURN: usize = 20_000;

/// Runs of a turn at most: a single row costs more than its share of a batch.
const RUNS_A_TURN_MAX: usize = 4_000;

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runtime/trees.py");
    let made = python().arg(&script).arg("make").arg(&directory).status().unwrap();
    assert!(made.success(), "{} could not make the models", script.display());
    let features = floats(&directory.join("features.f32"));
    let pool = Pool::start(1).unwrap();
    let mut peer = Peer::start(&script, &directory);
    println!("CPU us for a run, median of {ROUNDS} turns; one thread each; theirs / ours");
    print!("{:<16}{:>8}{:>12}", "model", "rows", "ours");
    println!("{:>14}{:>8}", "onnxruntime", "ratio");
    for name in MODELS {
        let model = Model::load(&directory.join(format!("{name}.onnx"))).unwrap();
        let flow = Flow::of_model(Arc::new(model));
        for rows in ROWS {
            let table = table(&features, rows);
            let times = (ROWS_A_TURN / rows).clamp(2, RUNS_A_TURN_MAX);
            let run = |times: usize| {
                let mut last = 0.0;
                for _ in 0..times {
                    let outcome = flow.run(&pool, &table, Deadline::NONE).unwrap();
                    let scores = &outcome.outputs.last().unwrap().tensor;
                    let Data::F32(values) = scores.data() else { panic!("not floats") };
                    last = values.iter().step_by(scores.shape()[1]).sum::<f32>();
                }
                last
            };
            let (ours, theirs) = (run(3), peer.run(name, rows, 3));
            let difference = (f64::from(ours) - theirs).abs() / theirs.abs().max(1.0);
            assert!(difference < 1e-4, "{name}, {rows} rows: {ours} and {theirs}");
            let id = peer.process.id().to_string();
            let mut costs = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                costs[0].push(cost("self", times, || run(times)));
                costs[1].push(cost(&id, times, || peer.run(name, rows, times)));
            }
            let [ours, theirs] = costs.map(median);
            let ratio = theirs / ours;
            println!("{name:<16}{rows:>8}{ours:>12.1}{theirs:>14.1}{ratio:>8.2}");
        }
    }
}

/// Microseconds of a process for each of `times` runs.
fn cost<R>(process: &str, times: usize, work: impl FnOnce() -> R) -> f64 {
    let before = cpu_nanoseconds(process);
    work();
    (cpu_nanoseconds(process) - before) / times as f64 / 1e3
}

fn python() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python"))
}

fn floats(path: &PathBuf) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn table(features: &[f32], rows: usize) -> Table<'_> {
    let data = Data::F32(Cow::Borrowed(&features[..rows * FEATURES]));
    let column = Column { name: "features".into(), row_shape: RowShape::Flat(FEATURES), data };
    Table::new(rows, vec![column]).unwrap()
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

/// What all threads of a process have computed, which preemption does not lengthen.
///
/// The kernel brings a thread's account up to date when it leaves the processor, so ours does.
fn cpu_nanoseconds(process: &str) -> f64 {
    std::thread::yield_now();
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum()
}

/// onnxruntime in a Python process of its own.
struct Peer {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Peer {
    fn start(script: &Path, directory: &Path) -> Peer {
        let mut command = python();
        command.arg(script).arg("serve").arg(directory);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Peer { process, answers }
    }

    fn run(&mut self, name: &str, rows: usize, times: usize) -> f64 {
        writeln!(self.process.stdin.as_mut().unwrap(), "{name} {rows} {times}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
