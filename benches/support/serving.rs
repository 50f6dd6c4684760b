//! A program of ours that serves, ended when dropped.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

pub(crate) struct Serving {
    pub(crate) process: Child,
    /// Where it listens, `127.0.0.1:port`.
    pub(crate) address: String,
    /// Kept open, or its next line of log would be an error.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    /// Starts it and waits until it listens.
    pub(crate) fn of(command: &mut Command) -> Serving {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("the program ended").unwrap();
            if line.contains("msg=ready") {
                let word = line.split(' ').find_map(|word| word.strip_prefix("listen="));
                break word.unwrap().to_owned();
            }
        };
        Serving { process, address, _log: log }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
