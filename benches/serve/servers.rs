//! The servers that are compared: ours and two of Python, each with all of its processes.

use crate::load::Client;
use crate::support::{self, Engine, file};
use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Compute threads of each server.
const CPUS: &str = "2";

/// LitServe starts four interpreters one after the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// `/proc/PID/stat` counts in these on every Linux that Rust runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    process: Process,
}

enum Process {
    Ours(Engine),
    Theirs(Child),
}

/// All that are compared, serving one model; ours is the first.
pub(crate) fn all(engine: &Path, model: &str, home: &Path) -> Vec<Server> {
    vec![
        ours("potoroo", engine, model, home, "true"),
        peer("FastAPI", "fastapi_server.py", model),
        peer("LitServe", "litserve_server.py", model),
    ]
}

/// Ours with rows computed together where they wait, and without.
pub(crate) fn with_and_without_batches(engine: &Path, model: &str, home: &Path) -> Vec<Server> {
    vec![
        ours("together", engine, model, &home.join("on"), "true"),
        ours("alone", engine, model, &home.join("off"), "false"),
    ]
}

fn ours(
    name: &'static str,
    engine: &Path,
    model: &str,
    home: &Path,
    batches: &'static str,
) -> Server {
    let url = support::published(&format!("models/{model}.onnx"), home);
    let settings = [("CONFIG_CPUS", CPUS), ("POTOROO_BATCH", batches)];
    let ours = Engine::start(engine, &url, home, &settings);
    Server { name, address: ours.address.clone(), process: Process::Ours(ours) }
}

fn peer(name: &'static str, script: &str, model: &str) -> Server {
    let python = file("target/peers/bin/python");
    assert!(python.exists(), "{} is missing: run benches/peers/setup.sh", python.display());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(python)
        .arg("-B")
        .arg(file("benches/peers").join(script))
        .arg(file("tests/fixtures/models").join(format!("{model}.onnx")))
        .args([model, &port.to_string()])
        .env("CONFIG_CPUS", CPUS)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server =
        Server { name, address: format!("127.0.0.1:{port}"), process: Process::Theirs(child) };
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(&server.address).is_err() {
        assert!(Instant::now() < end, "{name} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// What a server has taken from the machine.
pub(crate) struct Usage {
    /// User and system time of all its processes since they started.
    pub(crate) cpu: Duration,
    /// Their memory, where a page that several processes share counts once in all (`Pss`).
    pub(crate) resident_kib: u64,
}

impl Server {
    pub(crate) fn answer(&self, request: &[u8]) -> serde_json::Value {
        serde_json::from_slice(Client::new(&self.address).ask(request)).unwrap()
    }

    pub(crate) fn usage(&self) -> Usage {
        let (mut ticks, mut resident_kib) = (0, 0);
        for id in self.processes() {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            // utime and stime are fields 14 and 15; the second, in brackets, may have blanks.
            let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
            ticks += fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>();
            let memory = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
            let line = memory.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
            resident_kib += line.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
        Usage { cpu: Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND), resident_kib }
    }

    /// The first process and all that descend from it.
    fn processes(&self) -> BTreeSet<u32> {
        let first = match &self.process {
            Process::Ours(engine) => engine.id(),
            Process::Theirs(child) => child.id(),
        };
        let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id| Some((id, parent(id)?)))
            .collect();
        let mut tree = BTreeSet::from([first]);
        loop {
            let before = tree.len();
            let children = parents.iter().filter(|(_, parent)| tree.contains(parent));
            let children: Vec<u32> = children.map(|(id, _)| *id).collect();
            tree.extend(children);
            if tree.len() == before {
                return tree;
            }
        }
    }
}

/// The parent of a process that has not ended meanwhile.
fn parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        let ids = self.processes();
        if let Process::Theirs(child) = &mut self.process {
            let ids = ids.iter().map(u32::to_string);
            let _ = Command::new("kill").args(["-s", "KILL"]).args(ids).status();
            let _ = child.wait();
        }
    }
}
