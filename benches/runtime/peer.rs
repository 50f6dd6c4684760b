//! Engines in a Python process of their own: onnxruntime, and OpenVINO where it is installed.

use crate::engines::{Engine, Turn, cpu_nanoseconds};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One of them, which runs one model with one number of rows and threads.
pub(crate) struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    asked: String,
}

impl Peer {
    /// None where it is not installed, or does not load the model.
    pub(crate) fn start(
        name: &str,
        model: &Path,
        inputs: &Path,
        rows: usize,
        threads: usize,
    ) -> Option<Peer> {
        let mut command = peer(name)?;
        command.arg(threads.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let asked = format!("{} {} {rows}", model.display(), inputs.display());
        let mut peer = Peer { process, orders, answers, asked };
        peer.answer(1).map(|_| peer)
    }

    /// The checksum and the nanoseconds of so many runs.
    fn answer(&mut self, times: usize) -> Option<(f64, f64)> {
        writeln!(self.orders, "{} {times}", self.asked).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let line = line.trim();
        assert!(!line.is_empty(), "the peer failed");
        let (checksum, nanoseconds) = line.split_once(' ')?;
        Some((checksum.parse().unwrap(), nanoseconds.parse().unwrap()))
    }
}

impl Engine for Peer {
    fn run(&mut self, times: usize) -> Turn {
        let id = self.process.id().to_string();
        let before = cpu_nanoseconds(&id);
        let (checksum, nanoseconds) = self.answer(times).expect("the peer ran it before");
        let cpu = (cpu_nanoseconds(&id) - before) / times as f64 / 1e3;
        Turn { wall: nanoseconds / times as f64 / 1e3, cpu, checksum }
    }

    fn process(&self) -> String {
        self.process.id().to_string()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Which version of a peer there is, or none where it is not installed.
pub(crate) fn version(name: &str) -> Option<String> {
    let output = peer(name)?.arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

/// The Python of tests/setup.sh, which has onnxruntime and what makes the models.
pub(crate) fn python() -> Command {
    Command::new(in_target("python"))
}

/// peer.py for this engine; the one of benches/peers/setup.sh is there where somebody wanted it.
fn peer(name: &str) -> Option<Command> {
    let mut command = match name {
        "openvino" => Command::new(Some(in_target("peers")).filter(|python| python.exists())?),
        _ => python(),
    };
    command.arg(crate::here().join("peer.py")).arg(name);
    Some(command)
}

fn in_target(environment: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(environment).join("bin/python")
}
