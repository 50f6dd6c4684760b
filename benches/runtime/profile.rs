//! Where the time of each net goes, kind by kind of operator, beside what this machine could do.

use crate::engines::Ours;
use crate::{Case, shown};
use potoroo::clock::thread_cpu;
use potoroo::runtime::{Part, Peak, Work, peak, profiled};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// A buffer that no cache holds.
const MEMORY_BYTES: usize = 256 << 20;

/// Values that are read between two looks at the clock: two megabytes, some 100 microseconds.
const CHUNK: usize = 256 << 10;

/// A net runs for so long, so that the time of each operator is seen when nothing else has the processor.
const PROFILE: Duration = Duration::from_secs(3);

/// Runs at least, however long they take, and at most.
const RUNS: (usize, usize) = (12, 2_000);

/// The machine's bounds for one thread.
struct Roof {
    peak: Peak,
    /// Bytes a second that it reads from memory.
    memory: f64,
}

/// All operators of one kind.
#[derive(Default)]
struct Row {
    name: String,
    times: usize,
    seconds: f64,
    /// Seconds that its products take at the peak, and that the roof allows.
    at_peak: f64,
    least: f64,
    work: Work,
}

/// Prints a table for each net, or each of those named, with so many rows or the fewest of the bench.
pub(crate) fn profile<'a>(
    cases: impl Iterator<Item = &'a Case>,
    rows: Option<usize>,
    directory: &Path,
) {
    let roof = Roof { peak: peak(), memory: memory() };
    println!(
        "One thread: {:.0} GFLOPS of floats, {:.0} of integers of 8 bits, {:.1} GB/s from memory.",
        2.0 * roof.peak.floats / 1e9,
        2.0 * roof.peak.integers / 1e9,
        roof.memory / 1e9
    );
    println!(
        "Of each operator the quickest quarter of the runs is taken. Roof: the time that its products"
    );
    println!(
        "take at the peak, or its bytes from memory where that is more, as a share of what it took;"
    );
    println!("above 100 % where they come from a cache.");
    for case in cases {
        net(case, rows.unwrap_or(case.rows[0]), &roof, directory);
    }
}

fn net(case: &Case, rows: usize, roof: &Roof, directory: &Path) {
    let runs: Vec<(f64, Vec<Part>)> = Ours::alone(case, rows, directory).each(|run| {
        for _ in 0..3 {
            run(); // the plan is made, and memory is there
        }
        let start = Instant::now();
        let mut runs = Vec::new();
        while runs.len() < RUNS.0 || runs.len() < RUNS.1 && start.elapsed() < PROFILE {
            let before = thread_cpu();
            let (_, parts) = profiled(run);
            runs.push(((thread_cpu() - before).as_secs_f64(), parts));
        }
        runs
    });
    let whole = quarter(runs.iter().map(|run| run.0).collect());
    let mut table: Vec<Row> = Vec::new();
    for (place, part) in runs[0].1.iter().enumerate() {
        let taken = runs.iter().map(|(_, parts)| parts[place].elapsed.as_secs_f64());
        let seconds = quarter(taken.collect());
        let at = table.iter().position(|row| row.name == part.name).unwrap_or_else(|| {
            table.push(Row { name: part.name.clone(), ..Row::default() });
            table.len() - 1
        });
        table[at].add(seconds, &part.work, roof);
    }
    table.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    let parts: f64 = table.iter().map(|row| row.seconds).sum();
    println!();
    println!(
        "`{}`, {rows} {}: {} us of CPU time, {} in operators",
        case.name,
        if rows == 1 { "row" } else { "rows" },
        shown(whole * 1e6),
        shown(parts * 1e6)
    );
    println!();
    println!("| operator | times | us | share | GFLOP | MB | GFLOPS | of peak | GB/s | roof |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for row in &table {
        row.print(parts.max(whole));
    }
    let rest = Row { name: "all else".to_owned(), seconds: whole - parts, ..Row::default() };
    if 0.0 < rest.seconds {
        rest.print(whole);
    }
}

impl Row {
    fn add(&mut self, seconds: f64, work: &Work, roof: &Roof) {
        self.times += 1;
        self.seconds += seconds;
        let computing =
            work.floats as f64 / roof.peak.floats + work.integers as f64 / roof.peak.integers;
        self.at_peak += computing;
        self.least += computing.max(work.bytes as f64 / roof.memory);
        self.work.floats += work.floats;
        self.work.integers += work.integers;
        self.work.bytes += work.bytes;
    }

    fn print(&self, whole: f64) {
        let operations = 2.0 * (self.work.floats + self.work.integers) as f64;
        let or_none = |figure: f64, text: String| if figure > 0.0 { text } else { "-".to_owned() };
        println!(
            "| {} | {} | {} | {:.1} % | {} | {:.2} | {} | {} | {:.1} | {} |",
            self.name,
            self.times,
            shown(self.seconds * 1e6),
            100.0 * self.seconds / whole,
            or_none(operations, format!("{:.3}", operations / 1e9)),
            self.work.bytes as f64 / 1e6,
            or_none(operations, format!("{:.0}", operations / self.seconds / 1e9)),
            or_none(operations, format!("{:.0} %", 100.0 * self.at_peak / self.seconds)),
            self.work.bytes as f64 / self.seconds / 1e9,
            or_none(self.least, format!("{:.0} %", 100.0 * self.least / self.seconds)),
        );
    }
}

/// Bytes a second that one thread reads from memory, in the quickest quarter of the chunks.
fn memory() -> f64 {
    let buffer: Vec<u64> = (0..(MEMORY_BYTES / size_of::<u64>()) as u64).collect();
    let times = buffer.chunks_exact(CHUNK).map(|chunk| {
        let start = Instant::now();
        let sums = chunk.as_chunks::<32>().0.iter().fold([0_u64; 32], |mut sums, values| {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
            sums
        });
        black_box(sums);
        start.elapsed().as_secs_f64()
    });
    (CHUNK * size_of::<u64>()) as f64 / quarter(times.collect())
}

/// What the quickest quarter stays below.
fn quarter(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 4]
}
