//! The process of a trial as the center sees it: started, watched, and ended when it takes too much.

use super::{Order, Verdict};
use crate::runtime::free_memory_bytes;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// The most memory that a trial gets, in bytes, however much there is: three times the largest file
/// that is taken, as loading needs, and some for running.
const MEMORY_BYTES_MAX: u64 = 8 << 30;

/// The part of the free memory that a trial gets: two are held at once, a model and a pipeline, and the
/// center goes on beside them.
const FREE_PERCENT: u64 = 40;

/// How often the memory is looked at: at the rate at which a kernel clears pages, some 100 MiB more.
const WATCH: Duration = Duration::from_millis(50);

/// Bytes of a verdict: a config with known answers, escaped once more.
const VERDICT_BYTES_MAX: u64 = 32 << 20;

/// What a trial may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Bounds {
    /// Until it is ended.
    pub time: Duration,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

impl Bounds {
    /// So much time, and of the memory what can be spared now.
    pub(in crate::ops) fn of(time: Duration) -> Bounds {
        let free = free_memory_bytes().map(|bytes| bytes / 100 * FREE_PERCENT);
        let memory_bytes = free.unwrap_or(MEMORY_BYTES_MAX).min(MEMORY_BYTES_MAX);
        Bounds { time, memory_bytes }
    }
}

/// Why a trial has no verdict. The sentences end up beside the model's status.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum TrialError {
    /// No process.
    #[error(
        "the process that checks it could not be started: make room on the ops center and try again"
    )]
    NotStarted(#[source] std::io::Error),
    /// It was ended.
    #[error(
        "checking it took more than {} MiB of memory, which is what the ops center can spare: give a \
         smaller one, or the ops center more memory", .bytes >> 20
    )]
    Memory {
        /// The bound.
        bytes: u64,
    },
    /// It was ended.
    #[error("checking it took more than {} seconds: give a smaller one, or export it again", .0.as_secs())]
    Late(Duration),
    /// It ended without a word.
    #[error(
        "the process that checks it broke down ({0}): it is damaged or made to harm, or memory is \
         short; export it again"
    )]
    Broke(ExitStatus),
    /// Other words than a verdict.
    #[error(
        "the process that checks it gave no verdict: the program of the ops center was replaced while it ran; start it anew"
    )]
    Garbled(#[source] serde_json::Error),
}

/// A child that does not outlive the trial.
struct Ward(Child);

impl Drop for Ward {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Holds a trial: `program trial` is given the order, and has so much time and memory.
pub(in crate::ops) fn hold(
    program: &Path,
    order: &Order,
    bounds: Bounds,
) -> Result<Verdict, TrialError> {
    let mut line = serde_json::to_vec(order).map_err(TrialError::Garbled)?;
    line.push(b'\n');
    let mut command = Command::new(program);
    // Nothing of the center's surroundings is a stranger's model's to see.
    command.arg("trial").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ward = Ward(command.spawn().map_err(TrialError::NotStarted)?);
    let (stdin, stdout) = (ward.0.stdin.take(), ward.0.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(TrialError::NotStarted(std::io::Error::other("it has no pipes")));
    };
    let (sender, receiver) = sync_channel(1);
    let reading = std::thread::Builder::new().name("verdict".into()).spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.take(VERDICT_BYTES_MAX).read_to_end(&mut bytes);
        let _ = sender.send(bytes); // nobody listens any more when it was late
    });
    reading.map_err(TrialError::NotStarted)?;
    // What it does not read it does not answer either, so an error here shows below.
    let _ = stdin.write_all(&line);
    let end = Instant::now() + bounds.time;
    let bytes = loop {
        match receiver.recv_timeout(WATCH) {
            Ok(bytes) => break bytes,
            Err(RecvTimeoutError::Disconnected) => break Vec::new(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if resident(ward.0.id()).is_some_and(|bytes| bytes > bounds.memory_bytes) {
            return Err(TrialError::Memory { bytes: bounds.memory_bytes });
        }
        if end < Instant::now() {
            return Err(TrialError::Late(bounds.time));
        }
    };
    let status = ward.0.wait().map_err(TrialError::NotStarted)?;
    drop(stdin); // open until now: its end is the end of the process
    if !status.success() {
        return Err(TrialError::Broke(status));
    }
    serde_json::from_slice(&bytes).map_err(TrialError::Garbled)
}

fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status_bytes(&status, "VmRSS:")
}

/// Bytes behind a name in the kernel's account of a process.
pub(super) fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    /// A program that takes the place of the trial: what such a process may do is the question.
    fn program(directory: &Path, script: &str) -> std::path::PathBuf {
        let path = directory.join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn held(script: &str, bounds: Bounds) -> Result<Verdict, TrialError> {
        let directory = tempfile::tempdir().unwrap();
        let order = Order::Model { file: "model.onnx".into(), beside: BTreeMap::new() };
        hold(&program(directory.path(), script), &order, bounds)
    }

    const AMPLE: Bounds = Bounds { time: Duration::from_secs(60), memory_bytes: 1 << 40 };

    #[test]
    fn a_process_that_takes_too_much_memory_is_ended() {
        let bounds = Bounds { memory_bytes: 1 << 10, ..AMPLE };
        let error = held("read line; read line", bounds).unwrap_err();
        assert!(matches!(error, TrialError::Memory { bytes: 1024 }), "{error}");
    }

    #[test]
    fn a_process_that_goes_on_for_ever_is_ended() {
        let bounds = Bounds { time: Duration::from_millis(100), ..AMPLE };
        let error = held("read line; read line", bounds).unwrap_err();
        assert!(matches!(error, TrialError::Late(_)), "{error}");
    }

    #[test]
    fn a_process_that_is_killed_gives_no_verdict() {
        let error = held("kill -9 $$", AMPLE).unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }

    #[test]
    fn words_that_are_no_verdict_are_none() {
        let error = held("read line; echo fine", AMPLE).unwrap_err();
        assert!(matches!(error, TrialError::Garbled(_)), "{error}");
    }

    #[test]
    fn the_order_is_given_and_the_verdict_is_taken() {
        let script = r#"read line; case "$line" in *model.onnx*) echo '{"Unfit":{"sentence":"no","hint":null}}';; esac"#;
        let verdict = held(script, AMPLE).unwrap();
        assert!(matches!(verdict, Verdict::Unfit { .. }), "{verdict:?}");
    }
}
