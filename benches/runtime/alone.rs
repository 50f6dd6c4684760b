//! One engine in a process of its own: what memory a net takes, and what `cross/count` counts the instructions of.

use crate::engines::{NAMES, one};
use crate::{CASES, Case};
use std::path::Path;
use std::process::{Command, Stdio};

/// Words of what is to run: the net, the engine, rows, threads, and how many runs.
pub(crate) const VARIABLE: &str = "POTOROO_ALONE";

/// Processes that a peak is the median of: where a program lies in memory, and so how many of its pages are there
/// at once, is another each time.
const PROCESSES: usize = 5;

/// How the engine's images and its unit have mimalloc set, which this process has, too.
const ALLOCATOR: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "100"), ("MIMALLOC_ALLOW_THP", "0")];

/// Runs that a peak is taken of: the second and third show what is kept for the next.
const RUNS: usize = 3;

/// Does what the variable's words say, and prints the checksum, the process's peak in KiB and the microseconds of a run, or `-`.
pub(crate) fn run(asked: &str, directory: &Path) {
    let words: Vec<&str> = asked.split(' ').collect();
    let [net, engine, numbers @ ..] = words.as_slice() else { panic!("{VARIABLE}={asked}") };
    let numbers: Vec<usize> = numbers.iter().map(|it| it.parse().unwrap()).collect();
    let [rows, threads, runs] = numbers[..] else { panic!("{VARIABLE}={asked}") };
    let case = CASES.iter().find(|it| it.name == *net).unwrap_or_else(|| panic!("no net {net}"));
    match one(engine, case, rows, threads, directory) {
        Some(mut engine) => {
            let turn = engine.run(runs);
            println!("{} {} {:.2}", turn.checksum, peak_kib(&engine.process()), turn.cpu);
        }
        None => println!("-"),
    }
}

/// Prints what memory each engine takes for each net beyond what it takes for the net of one operator.
pub(crate) fn memory<'a>(cases: impl Iterator<Item = &'a Case>) {
    println!(
        "MiB at the peak of a process with one thread: beyond that with `passing`, in brackets all"
    );
    println!();
    println!("| net | rows | {} |", NAMES.join(" | "));
    println!("| --- | --: |{}", " --: |".repeat(NAMES.len()));
    let bare = NAMES.map(|engine| peak("passing", engine, 1));
    for case in cases {
        for rows in case.rows {
            let cells = NAMES.iter().zip(&bare).map(|(engine, bare)| {
                match (peak(case.name, engine, *rows), bare) {
                    (Some(all), Some(bare)) => format!("{:.1} ({all:.1})", all - bare),
                    (Some(all), None) => format!("({all:.1})"),
                    (None, _) => "-".to_owned(),
                }
            });
            println!("| {} | {rows} | {} |", case.name, cells.collect::<Vec<_>>().join(" | "));
        }
    }
}

/// MiB of a process of its own that ran the net, or none where the engine has not all its operators.
fn peak(net: &str, engine: &str, rows: usize) -> Option<f64> {
    let mut peaks: Vec<f64> =
        (0..PROCESSES).map(|_| once(net, engine, rows)).collect::<Option<_>>()?;
    peaks.sort_by(f64::total_cmp);
    Some(peaks[PROCESSES / 2])
}

fn once(net: &str, engine: &str, rows: usize) -> Option<f64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(VARIABLE, format!("{net} {engine} {rows} 1 {RUNS}")).envs(ALLOCATOR);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{engine} failed at {net}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split(' ').nth(1)?.parse::<f64>().unwrap() / 1024.0)
}

/// What a process held at most, pages of files too: `VmHWM`.
fn peak_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
