//! The readers: ours, serde_json's tree, and Python's in a process of their own.

use crate::support::file;
use potoroo::codec::{InputFormat, decode};
use potoroo::tensor::{ElementType, Port};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What reads a body; the name is that in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Ours,
    SerdeTree,
    /// By its name in `peer.py`.
    Python(&'static str),
}

impl Reader {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reader::Ours => "potoroo",
            Reader::SerdeTree => "serde_json::Value",
            Reader::Python("json") => "python json",
            Reader::Python(name) => name,
        }
    }

    /// The one of this name that runs in this process.
    pub(crate) fn named(name: &str) -> Reader {
        [Reader::Ours, Reader::SerdeTree].into_iter().find(|it| it.name() == name).unwrap()
    }

    /// Reads in this process, down to floats in one run.
    fn read(self, path: &Path, body: Vec<u8>) -> Box<dyn std::any::Any> {
        match self {
            Reader::Ours => Box::new(ours(path, body)),
            Reader::SerdeTree => Box::new(serde_tree(&body)),
            Reader::Python(_) => unreachable!("read by the peer"),
        }
    }

    /// Mean time of one read, over so long. The body is copied, as it is received, outside of it.
    pub(crate) fn time(self, path: &Path, at_least: Duration) -> Duration {
        let body = std::fs::read(path).unwrap();
        let (mut spent, mut count) = (Duration::ZERO, 0);
        while spent < at_least {
            let own = body.clone();
            let begun = Instant::now();
            let read = black_box(self.read(path, own));
            spent += begun.elapsed();
            drop(read);
            count += 1;
        }
        spent / count
    }

    /// KiB above what is resident with the body; for a process that does nothing else.
    pub(crate) fn peak(self, path: &Path) -> u64 {
        let body = std::fs::read(path).unwrap();
        // The kernel forgets the highest so far (proc(5), "clear_refs").
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS");
        let read = black_box(self.read(path, body));
        let after = status("VmHWM");
        drop(read);
        after.saturating_sub(before)
    }
}

fn ours(path: &Path, body: Vec<u8>) -> potoroo::codec::Decoded {
    let port = Port { name: "tensor".into(), element: ElementType::F32, dimensions: vec![] };
    let format = match path.extension().is_some_and(|it| it == "arrow") {
        true => InputFormat::ArrowFile,
        false => InputFormat::PandasRecords,
    };
    let decoded = decode(format, body, &[port], &[]).unwrap();
    assert!(decoded.table().rows() > 0);
    decoded
}

/// As most servers do: the whole body as a tree, then its numbers.
fn serde_tree(body: &[u8]) -> Vec<f32> {
    let tree: serde_json::Value = serde_json::from_slice(body).unwrap();
    let rows = tree.as_array().unwrap().iter();
    rows.flat_map(|row| row["tensor"].as_array().unwrap())
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A running `peer.py`.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(python: &Path) -> Peer {
        let mut child = Command::new(python)
            .arg("-B")
            .arg(file("benches/codec/peer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Peer { child, input, output }
    }

    fn ask(&mut self, question: &str) -> f64 {
        writeln!(self.input, "{question}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim().parse().expect("an answer of the peer")
    }

    pub(crate) fn time(&mut self, name: &str, path: &Path, at_least: Duration) -> Duration {
        let question = format!("time {name} {} {}", path.display(), at_least.as_secs_f64());
        Duration::from_secs_f64(self.ask(&question))
    }

    pub(crate) fn peak(&mut self, name: &str, path: &Path) -> u64 {
        self.ask(&format!("peak {name} {}", path.display())) as u64
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
