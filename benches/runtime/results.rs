//! What a run of the bench measured, turn by turn, in a file of its own below benches/results.

use crate::engines::{NAMES, Turn};
use crate::peer::version;
use potoroo::clock::{Clock, DeviceClock, rfc3339};
use potoroo::runtime;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A file of lines of JSON: the machine and what was compared, the turns, and the load in the end.
pub(crate) struct Results(File);

impl Results {
    /// Begins a file that is named after the time and the commit.
    pub(crate) fn begin() -> Results {
        let began = rfc3339(DeviceClock.since_epoch());
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        let second: String = began.chars().take(19).filter(|it| !matches!(it, '-' | ':')).collect();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results");
        fs::create_dir_all(&directory).unwrap();
        let name = format!("runtime-{second}Z-{}.jsonl", commit.as_deref().unwrap_or("unknown"));
        let mut results = Results(File::create_new(directory.join(name)).unwrap());
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
        results.line(&json!({
            "began": began,
            "commit": commit,
            "changed": changed.map(|text| !text.is_empty()),
            "host": host(),
            "load": load(),
            "vectors": [runtime::kernels_in_use(), runtime::integer_kernels_in_use()],
            "versions": versions(),
        }));
        results
    }

    /// What one engine came to, with so many runs in each turn; no turns where it gave other values than
    /// onnxruntime.
    pub(crate) fn turns(
        &mut self,
        (net, rows, threads): (&str, usize, usize),
        place: usize,
        runs: usize,
        turns: &[Turn],
    ) {
        let of = |figure: fn(&Turn) -> f64| {
            turns.iter().map(|turn| (figure(turn) * 1e2).round() / 1e2).collect::<Vec<_>>()
        };
        self.line(&json!({
            "net": net, "rows": rows, "threads": threads, "engine": NAMES[place], "runs": runs,
            "wall_us": of(|turn| turn.wall), "cpu_us": of(|turn| turn.cpu),
        }));
    }

    /// The last line.
    pub(crate) fn end(mut self) {
        self.line(&json!({ "ended": rfc3339(DeviceClock.since_epoch()), "load": load() }));
    }

    fn line(&mut self, value: &Value) {
        writeln!(self.0, "{value}").unwrap();
    }
}

/// The machine, as far as it matters and does not name it.
fn host() -> Value {
    let processor = read("/proc/cpuinfo");
    let of = |name: &str| field(&processor, name);
    json!({
        "processor": of("model name").or_else(|| of("CPU part")),
        "family": of("cpu family").or_else(|| of("CPU implementer")),
        "model": of("model"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cache": of("cache size"),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// Ours, those that are built in, and those that are installed.
fn versions() -> Value {
    let lock = include_str!("../../Cargo.lock");
    let locked = |name: &str| {
        let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        after.split('"').next()
    };
    json!({
        "ours": env!("CARGO_PKG_VERSION"),
        "tract": locked("tract-onnx"),
        "onnxruntime": version("onnxruntime"),
        "openvino": version("openvino"),
        "rten": locked("rten"),
    })
}

/// The averages of 1, 5 and 15 minutes.
fn load() -> Vec<f64> {
    read("/proc/loadavg").split(' ').take(3).filter_map(|it| it.parse().ok()).collect()
}

fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What git says of the tree, where there is one.
fn git(words: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
