//! Faults from the network against the engine as a process, each named after what is done to it.
//!
//! After a fault a fresh client is served in time, and threads, descriptors and memory are back
//! where they were. A panic in a handler and streamed answers have no way in here; the tests of
//! `http::server` have the first, and the engine has nothing of the second.

use crate::support::engine::Engine;
use crate::support::fixture;
use crate::support::ops::publish_layout;
use crate::support::python::RECORDS;
use client::Client;
use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

mod bodies;
pub mod client;
mod crowds;
mod descriptors;
mod heads;
mod secured;
mod signals;
mod slow;

/// What a fresh client waits for one inference, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(2);

/// What threads and descriptors of gone clients take to go: closing connections linger for 2 s.
const SETTLING: Duration = Duration::from_secs(10);

/// Memory that may stay after a fault: what the allocator keeps for the threads of a crowd, of
/// which there are 512; 24 MiB of it were seen.
const KEPT_KIB_MAX: u64 = 32 << 10;

/// Memory at the worst moment, above that at rest: 512 connections with all their buffers and stacks, of which
/// the busier the machine is the more are in the middle of a request; 68 MiB were seen.
const PEAK_KIB_MAX: u64 = 80 << 10;

/// Descriptors for the clients of several tests at once, where the usual limit is 1024.
static ROOM: LazyLock<()> = LazyLock::new(|| {
    use crate::support::process::run;
    let words = "hard=$(ulimit -Hn); prlimit --pid \"$0\" --nofile=\"$hard:$hard\"";
    run(Command::new("sh").args(["-c", words, &std::process::id().to_string()])).success();
});

/// The published pipeline that all engines here serve, once for the whole run.
static PIPELINE_URL: LazyLock<String> = LazyLock::new(|| {
    let layout = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-layout");
    publish_layout(&fixture("models/fraud.onnx"), &layout).pipeline_url
});

/// One row, as a sensor sends it.
static ROW: LazyLock<String> =
    LazyLock::new(|| fs::read_to_string(fixture("requests/fraud_1.json")).unwrap());

/// A request with this body to the pipeline, with these further header lines.
fn infer(fields: &str, body: &str) -> String {
    format!(
        "POST /pipelines/fraud HTTP/1.1\r\nHost: a\r\nContent-Type: {RECORDS}\r\n{fields}\r\n{body}"
    )
}

/// One inference as a whole request.
fn one_row() -> String {
    infer(&format!("Content-Length: {}\r\n", ROW.len()), &ROW)
}

/// What a process holds of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    threads: usize,
    descriptors: usize,
}

/// An engine, and what it held when nothing had been done to it.
struct Subject {
    engine: Engine,
    rest: Held,
    resident_kib: u64,
    /// Fresh clients so far, and what the slowest of them waited.
    served: Cell<usize>,
    slowest: Cell<Duration>,
}

impl Subject {
    fn start() -> Subject {
        Subject::start_after("true")
    }

    /// After these words of a shell.
    fn start_after(words: &str) -> Subject {
        LazyLock::force(&ROOM);
        let engine = Engine::start_after(words, &[("PIPELINE_URL", PIPELINE_URL.as_str())]);
        Subject::of(engine)
    }

    fn of(engine: Engine) -> Subject {
        let nothing = Held { threads: 0, descriptors: 0 };
        let (served, slowest) = (Cell::default(), Cell::default());
        let mut subject = Subject { engine, rest: nothing, resident_kib: 0, served, slowest };
        subject.serves();
        subject.until("the first client is gone", |subject| subject.connections() == 0);
        subject.rest = subject.held();
        subject.resident_kib = subject.status("VmRSS");
        subject
    }

    fn connect(&self) -> Client {
        Client::connect(&self.engine.address)
    }

    /// One connection for these bytes, and the statuses of all that comes back.
    fn say(&self, bytes: impl AsRef<[u8]>) -> Vec<u16> {
        let mut client = self.connect();
        client.send(bytes);
        client.statuses()
    }

    /// One inference of a client that has just come.
    fn serves(&self) {
        let begun = Instant::now();
        let mut client = self.connect();
        client.send(one_row());
        let (status, body) = client.answer();
        assert_eq!(status, 200, "{body}");
        let waited = begun.elapsed();
        assert!(waited < PATIENCE, "a fresh client waited for {waited:?}");
        self.served.set(self.served.get() + 1);
        self.slowest.set(self.slowest.get().max(waited));
    }

    /// Serves, and holds no more than it held at rest.
    fn is_well(&self) {
        self.serves();
        self.until("no more is held than at rest", |subject| {
            let (now, rest) = (subject.held(), subject.rest);
            // Less can be: at rest the first client's socket may have been about to be closed.
            now.threads <= rest.threads && now.descriptors <= rest.descriptors
        });
        let (now, peak) = (self.status("VmRSS"), self.status("VmHWM"));
        assert!(now <= self.resident_kib + KEPT_KIB_MAX, "{now} KiB, {} before", self.resident_kib);
        assert!(peak <= self.resident_kib + PEAK_KIB_MAX, "peak of {peak} KiB");
        self.report(peak);
    }

    /// One line of figures for each fault, where an engine was named to be measured.
    fn report(&self, peak_kib: u64) {
        if std::env::var_os("POTOROO_ENGINE").is_none() {
            return;
        }
        let fault = std::thread::current().name().unwrap_or_default().replace("faults::", "");
        let (served, slowest, resident) =
            (self.served.get(), self.slowest.get(), self.resident_kib);
        let line = format!(
            "{fault}: {served} fresh clients served, the slowest in {slowest:.1?}; \
             peak {peak_kib} KiB, {resident} at rest\n"
        );
        // Not through `print`, which the harness keeps to itself while a test succeeds.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }

    fn until(&self, what: &str, holds: impl Fn(&Subject) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let (rest, held) = (self.rest, self.held());
            assert!(begun.elapsed() < SETTLING, "never: {what}; {rest:?} became {held:?}");
            std::thread::yield_now();
        }
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.engine.process.id())
    }

    fn held(&self) -> Held {
        let count = |name| fs::read_dir(self.proc(name)).map_or(0, Iterator::count);
        Held { threads: count("task"), descriptors: count("fd") }
    }

    /// Threads that serve a connection, by their names.
    fn connections(&self) -> usize {
        let names = fs::read_dir(self.proc("task")).unwrap().filter_map(|task| {
            // A thread may end between the list and the look.
            fs::read_to_string(task.ok()?.path().join("comm")).ok()
        });
        let is_connection = |name: &String| {
            name.trim().strip_prefix("http-").is_some_and(|rest| rest.parse::<usize>().is_ok())
        };
        names.filter(is_connection).count()
    }

    /// A figure of `/proc/…/status`, in KiB.
    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time so far, at a hundred ticks a second.
    fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }
}
