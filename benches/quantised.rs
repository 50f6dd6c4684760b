//! Quantised nets: the CPU time of one row in our runtime, in tract alone, and in onnxruntime.
//!
//! ```sh
//! target/python/bin/python tests/quantised/make.py target/quantised-large large
//! cargo bench --bench quantised -- $PWD/target/quantised-large [NAME]
//! ```

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

use potoroo::runtime::{Deadline, Model};
use potoroo::tensor::{Data, Tensor};
use serde_json::Value;
use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tract_onnx::prelude::*;

/// Turns of each program: what else the machine does meets all of them.
const ROUNDS: usize = 7;

/// What one turn takes, about.
const TURN: Duration = Duration::from_millis(60);

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|one| !one.starts_with("--")).collect();
    let Some(directory) = arguments.first().map(PathBuf::from) else {
        println!("tests/quantised/make.py makes the models: give their directory");
        return;
    };
    let mut models: Vec<PathBuf> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| {
        let name = path.display().to_string();
        name.ends_with(".onnx") && arguments[1..].iter().all(|part| name.contains(part))
    });
    models.sort();
    let mut peer = Peer::start(&directory);
    println!("CPU us of one row, median of {ROUNDS} turns; one thread each");
    println!("{:<36}{:>10}{:>13}{:>13}", "model", "ours", "tract alone", "onnxruntime");
    for path in models {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (shape, values) = row(&path.with_extension("json"));
        let model = match Model::load(&path) {
            Ok(model) => model,
            Err(error) => {
                println!("{name:<36} refused: {error}");
                continue;
            }
        };
        let input = [Tensor::new(shape.clone(), Data::F32(Cow::Owned(values.clone()))).unwrap()];
        let ours = || drop(model.compute(&input, Deadline::NONE).unwrap());
        let plan = catch_unwind(AssertUnwindSafe(|| tract_alone(&path, &shape))).ok();
        let plan = plan.and_then(Result::ok);
        let given = tract_onnx::prelude::Tensor::from_shape(&shape, &values).unwrap();
        let given = given.into_tvalue();
        let alone = || drop(plan.as_ref().unwrap().run(tvec!(given.clone())).unwrap());
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            costs[0].push(cost("self", |times| (0..times).for_each(|_| ours())));
            if plan.is_some() {
                costs[1].push(cost("self", |times| (0..times).for_each(|_| alone())));
            }
            let id = peer.process.id().to_string();
            costs[2].push(cost(&id, |times| peer.run(&name, times)));
        }
        let [ours, alone, theirs] = costs.map(median);
        println!("{name:<36}{ours:>10.0}{alone:>13.0}{theirs:>13.0}");
    }
}

/// Microseconds of a process for each run, in as many runs as fill a turn.
fn cost(process: &str, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    work(1);
    let times = (TURN.as_nanos() / start.elapsed().as_nanos().max(1)).clamp(1, 2_000) as usize;
    let before = cpu_nanoseconds(process);
    work(times);
    (cpu_nanoseconds(process) - before) / times as f64 / 1e3
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What all threads of a process have computed, which preemption does not lengthen.
fn cpu_nanoseconds(process: &str) -> f64 {
    std::thread::yield_now(); // brings our own thread's account up to date
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum()
}

/// The first row of the case's input, as a batch of one.
fn row(case: &Path) -> (Vec<usize>, Vec<f32>) {
    let case: Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
    let input = &case["inputs"][0];
    let numbers = |key: &str| input[key].as_array().unwrap().iter();
    let mut shape: Vec<usize> =
        numbers("dim").map(|extent| extent.as_u64().unwrap() as usize).collect();
    shape[0] = 1;
    let values = numbers("data").take(shape.iter().product());
    (shape, values.map(|value| value.as_f64().unwrap() as f32).collect())
}

type Plan = Arc<TypedSimplePlan>;

fn tract_alone(path: &Path, shape: &[usize]) -> TractResult<Plan> {
    let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    let mut model = onnx.model_for_path(path)?;
    model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?;
    model.into_optimized()?.into_runnable()
}

/// onnxruntime in a Python process of its own.
struct Peer {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Peer {
    fn start(directory: &Path) -> Peer {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(root.join("target/python/bin/python"));
        command.arg(root.join("tests/quantised/serve.py")).arg(directory);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Peer { process, answers }
    }

    fn run(&mut self, name: &str, times: usize) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{name} {times}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "done");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
