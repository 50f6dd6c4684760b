//! What the engine counts about itself, in Prometheus' text form (exposition format 0.0.4).

mod board;
mod journal;

use super::gate::Load;
use super::journal::State;
use super::link::Status;
use super::slot::Slot;
use super::updates::Outcome;
use super::verdicts::Verdicts;
use crate::fleet::Counters;
use crate::tensor::{Data, NamedTensor};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// `Content-Type` of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the latency buckets in nanoseconds: from a small model's one row to the
/// longest that a client waits, three a decade.
const BUCKETS_NS: [u64; 19] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The parts of a request that are timed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// From bytes to a table.
    Read,
    /// Waiting for a turn to compute.
    Wait,
    /// The models.
    Run,
    /// From outputs to bytes.
    Write,
    /// All of an inference, from its head to its answer.
    Whole,
}

impl Stage {
    const ALL: [Stage; 5] = [Stage::Read, Stage::Wait, Stage::Run, Stage::Write, Stage::Whole];

    fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Wait => "wait",
            Stage::Run => "run",
            Stage::Write => "write",
            Stage::Whole => "whole",
        }
    }
}

/// Counts of one engine since its start; every request adds to them.
#[derive(Debug)]
pub(super) struct Metrics {
    started: Instant,
    stages: [Histogram; Stage::ALL.len()],
    /// Answers by status, from [`STATUS_MIN`] on. Every request adds to one, so there is no lock.
    statuses: [AtomicU64; STATUSES],
    /// Refused requests by the kind in their answer.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Those of them that are no fault of whoever asked.
    failed: AtomicU64,
    rows: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    not_finite: AtomicU64,
    updates: [AtomicU64; Outcome::ALL.len()],
    pub(super) verdicts: Verdicts,
}

/// The statuses that a final answer can have: 200 to 599.
const STATUS_MIN: u16 = 200;
const STATUSES: usize = 400;

/// How many took how long: the last count is of those beyond the last bucket's bound.
#[derive(Debug, Default)]
struct Histogram {
    counts: [AtomicU64; BUCKETS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    fn add(&self, elapsed: Duration) {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_NS.partition_point(|bound| *bound < ns);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
    }
}

impl Metrics {
    pub(super) fn new(started: Instant) -> Metrics {
        Metrics {
            started,
            stages: Default::default(),
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
            refused: Mutex::default(),
            failed: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            not_finite: AtomicU64::new(0),
            updates: Default::default(),
            verdicts: Verdicts::default(),
        }
    }

    /// One stage of one request took so long.
    pub(super) fn stage(&self, stage: Stage, elapsed: Duration) {
        self.stages[stage as usize].add(elapsed);
    }

    /// A request was answered with this status and so many bytes.
    pub(super) fn answered(&self, status: u16, bytes_out: usize) {
        if let Some(count) = self.statuses.get(usize::from(status.wrapping_sub(STATUS_MIN))) {
            count.fetch_add(1, Relaxed);
        }
        self.bytes_out.fetch_add(bytes_out as u64, Relaxed);
    }

    /// A request was refused for this reason; `failed` says whether another could not help it.
    pub(super) fn refused(&self, kind: &'static str, failed: bool) {
        self.failed.fetch_add(u64::from(failed), Relaxed);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// A body of so many bytes was read.
    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    /// A look for an update ended so.
    pub(super) fn updated(&self, outcome: Outcome) {
        self.updates[outcome as usize].fetch_add(1, Relaxed);
    }

    /// So many rows were inferred, with these outputs; gives how many values are no finite numbers.
    pub(super) fn inferred(&self, rows: usize, outputs: &[NamedTensor<'_>]) -> usize {
        self.rows.fetch_add(rows as u64, Relaxed);
        let not_finite: usize = outputs.iter().map(|out| not_finite(out.tensor.data())).sum();
        self.not_finite.fetch_add(not_finite as u64, Relaxed);
        not_finite
    }

    /// Inferences that were answered, those that failed here, and requests that were refused.
    pub(super) fn counters(&self) -> Counters {
        let whole = &self.stages[Stage::Whole as usize];
        let inferences = whole.counts.iter().map(|count| count.load(Relaxed)).sum();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = refused.values().sum();
        let failures = self.failed.load(Relaxed).min(all);
        Counters { inferences, failures, refused: all - failures }
    }

    /// All of it as text, with how full the gate is and what the slot holds.
    pub(super) fn text(
        &self,
        slot: &Slot,
        load: Load,
        journal: Option<&State>,
        link: Option<&Status>,
    ) -> String {
        let mut page = Page(String::new());
        let pipeline = label("pipeline_name", &slot.definition.name);
        page.info(
            "potoroo_pipeline_info",
            "The pipeline that answers.",
            &format!(
                "{pipeline},{},{}",
                label("version", &slot.definition.version),
                label("digest", &slot.digest.to_string())
            ),
        );
        page.head("potoroo_model_info", "gauge", "The models of the pipeline.");
        for entry in &slot.definition.models {
            let key = &entry.key;
            let labels = [
                label("name", &key.name),
                label("version", &key.version),
                label("sha", &key.sha.hex()),
            ];
            page.line("potoroo_model_info", &labels.join(","), 1);
        }
        page.info(
            "potoroo_engine_info",
            "The engine.",
            &label("version", env!("CARGO_PKG_VERSION")),
        );
        page.head("potoroo_updates_total", "counter", "Looks for another pipeline by their end.");
        for (outcome, count) in Outcome::ALL.into_iter().zip(&self.updates) {
            let labels = label("outcome", outcome.name());
            page.line("potoroo_updates_total", &labels, count.load(Relaxed));
        }
        self.requests(&mut page);
        page.gauge(
            "potoroo_known_answers_differ",
            "Outputs that differ from the known answers of the pipeline.",
            slot.proof.failures(),
        );
        self.verdicts.write(&mut page);
        if let Some(link) = link {
            link.write(&mut page);
        }
        self.latencies(&mut page, &pipeline);
        page.gauge("potoroo_running", "Requests that compute.", load.running as u64);
        page.gauge(
            "potoroo_waiting",
            "Requests that wait for a compute thread.",
            load.waiting as u64,
        );
        page.counter(
            "tensor_throughput_batch_count",
            "Rows inferred, under the original's name.",
            &pipeline,
            self.rows.load(Relaxed),
        );
        let none = "";
        page.counter(
            "potoroo_received_bytes_total",
            "Bytes of bodies.",
            none,
            self.bytes_in.load(Relaxed),
        );
        page.counter(
            "potoroo_sent_bytes_total",
            "Bytes of answers.",
            none,
            self.bytes_out.load(Relaxed),
        );
        page.counter(
            "potoroo_outputs_not_finite_total",
            "NaN and infinities in outputs.",
            none,
            self.not_finite.load(Relaxed),
        );
        page.gauge(
            "potoroo_uptime_seconds",
            "Since the engine started.",
            self.started.elapsed().as_secs(),
        );
        if let Some(state) = journal {
            journal::write(&mut page, state);
        }
        process(&mut page);
        board::write(&mut page, Path::new("/"));
        page.0
    }

    fn requests(&self, page: &mut Page) {
        page.head("potoroo_requests_total", "counter", "Answers by status.");
        for (status, count) in (STATUS_MIN..).zip(&self.statuses) {
            match count.load(Relaxed) {
                0 => {}
                count => {
                    page.line("potoroo_requests_total", &format!("status=\"{status}\""), count);
                }
            }
        }
        page.head("potoroo_refused_total", "counter", "Refused requests by kind.");
        for (kind, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.line("potoroo_refused_total", &label("kind", kind), *count);
        }
    }

    fn latencies(&self, page: &mut Page, pipeline: &str) {
        const OURS: &str = "potoroo_stage_ns";
        page.head(OURS, "histogram", "Nanoseconds that each stage of a request took.");
        for (stage, histogram) in Stage::ALL.into_iter().zip(&self.stages) {
            page.histogram(OURS, &label("stage", stage.name()), histogram);
        }
        const THEIRS: &str = "latency_histogram_ns";
        page.head(THEIRS, "histogram", "A whole inference, under the original's name.");
        page.histogram(THEIRS, pipeline, &self.stages[Stage::Whole as usize]);
    }
}

/// The text while it is written.
pub(super) struct Page(String);

impl Page {
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn line(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn float(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }

    pub(super) fn info(&mut self, name: &str, help: &str, labels: &str) {
        self.head(name, "gauge", help);
        self.line(name, labels, 1);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, labels: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(name, labels, value);
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let mut below = 0;
        let [bounded @ .., beyond] = &histogram.counts;
        for (bound, bucket) in BUCKETS_NS.iter().zip(bounded) {
            below += bucket.load(Relaxed);
            self.line(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below);
        }
        let count = below + beyond.load(Relaxed);
        self.line(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), count);
        self.line(&format!("{name}_sum"), labels, histogram.sum_ns.load(Relaxed));
        self.line(&format!("{name}_count"), labels, count);
    }
}

/// `name="value"` with what the format wants escaped.
pub(super) fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn not_finite(data: &Data<'_>) -> usize {
    match data {
        Data::F16(values) => values.iter().filter(|value| !value.is_finite()).count(),
        Data::F32(values) => values.iter().filter(|value| !value.is_finite()).count(),
        Data::F64(values) => values.iter().filter(|value| !value.is_finite()).count(),
        Data::Bool(_)
        | Data::I8(_)
        | Data::I16(_)
        | Data::I32(_)
        | Data::I64(_)
        | Data::String(_)
        | Data::U8(_)
        | Data::U16(_)
        | Data::U32(_)
        | Data::U64(_) => 0,
    }
}

/// Memory and CPU time of the process, where Linux tells them; elsewhere the lines are absent.
fn process(page: &mut Page) {
    const TICKS_PER_SECOND: u64 = 100; // USER_HZ, which is part of Linux' ABI
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    if let Some(kib) = field("VmRSS:") {
        page.gauge("process_resident_memory_bytes", "Resident memory.", kib * 1024);
    }
    if let Some(threads) = field("Threads:") {
        page.gauge("process_threads", "Threads.", threads);
    }
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // After the command's name in parentheses: utime and stime are fields 14 and 15.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
        let ticks = user + system;
        const NAME: &str = "process_cpu_seconds_total";
        page.head(NAME, "counter", "CPU time, user and system.");
        let (whole, part) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
        let _ = writeln!(page.0, "{NAME} {whole}.{part:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards() {
        let histogram = Histogram::default();
        for us in [5, 15, 15, 20_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        let mut page = Page(String::new());
        page.histogram("x", "a=\"b\"", &histogram);
        for line in [
            "x_bucket{a=\"b\",le=\"10000\"} 1",
            "x_bucket{a=\"b\",le=\"20000\"} 3",
            "x_bucket{a=\"b\",le=\"10000000000\"} 3",
            "x_bucket{a=\"b\",le=\"+Inf\"} 4",
            "x_count{a=\"b\"} 4",
        ] {
            assert!(page.0.contains(line), "no {line} in\n{}", page.0);
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a", "x\"\\\n"), r#"a="x\"\\\n""#);
    }

    #[test]
    fn the_process_tells_its_memory_and_time() {
        let mut page = Page(String::new());
        process(&mut page);
        assert!(page.0.contains("process_resident_memory_bytes "), "{}", page.0);
        assert!(page.0.contains("process_cpu_seconds_total "), "{}", page.0);
    }
}
