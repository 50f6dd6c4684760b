//! Codec: how fast bodies are read, and with how much memory, beside what others read them with.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

#[path = "codec/readers.rs"]
mod readers;
#[allow(dead_code, reason = "the other benches start an engine")]
mod support;

use readers::{Peer, Reader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::file;

/// The readers take turns: what else the machine does meets all of them.
const ROUNDS: usize = 9;

/// How long each reads in one round.
const ROUND: Duration = Duration::from_millis(150);

const JSON: &[Reader] =
    &[Reader::Ours, Reader::SerdeTree, Reader::Python("json"), Reader::Python("pyarrow.json")];

const ARROW: &[Reader] = &[Reader::Ours, Reader::Python("pyarrow")];

/// Title, file that `codec/bodies.py` writes, and what reads it.
const BODIES: [(&str, &str, &[Reader]); 10] = [
    ("JSON, image of 150,528 floats, shortest digits", "image_short.json", JSON),
    ("JSON, the same, digits of doubles", "image_long.json", JSON),
    ("JSON, 1,000 rows of 29", "rows_1000.json", JSON),
    ("Arrow, image", "noise.arrow", ARROW),
    ("Arrow, image, noise, LZ4", "noise_lz4.arrow", ARROW),
    ("Arrow, image, photograph, LZ4", "photo_lz4.arrow", ARROW),
    ("Arrow, image, patches, LZ4", "patches_lz4.arrow", ARROW),
    ("Arrow, image, noise, Zstandard", "noise_zstd.arrow", ARROW),
    ("Arrow, image, photograph, Zstandard", "photo_zstd.arrow", ARROW),
    ("Arrow, image, patches, Zstandard", "patches_zstd.arrow", ARROW),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|word| word == "--peak") {
        let reader = Reader::named(&arguments[at + 1]);
        println!("{}", reader.peak(Path::new(&arguments[at + 2])));
        return;
    }
    let wanted = arguments.iter().skip(1).find(|word| !word.starts_with('-'));
    let python = file("target/python/bin/python");
    assert!(python.exists(), "{} is missing: run tests/setup.sh", python.display());
    let bodies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec");
    let script = file("benches/codec/bodies.py");
    let made = Command::new(&python).args(["-B".as_ref(), script.as_path(), &bodies]).status();
    assert!(made.unwrap().success());
    println!("median of {ROUNDS} rounds of {} ms; in brackets theirs / ours", ROUND.as_millis());
    let mut peer = Peer::start(&python);
    for (title, name, readers) in BODIES {
        if wanted.is_none_or(|wanted| title.contains(wanted.as_str())) {
            compare(title, &bodies.join(name), readers, &mut peer, &python);
        }
    }
}

/// The file that a reader is given: pyarrow reads JSON line by line.
fn given(reader: Reader, path: &Path) -> PathBuf {
    match reader {
        Reader::Python("pyarrow.json") => path.with_extension("ndjson"),
        Reader::Ours | Reader::SerdeTree | Reader::Python(_) => path.to_owned(),
    }
}

fn compare(title: &str, path: &Path, readers: &[Reader], peer: &mut Peer, python: &Path) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); readers.len()];
    for round in 0..=ROUNDS {
        for (reader, times) in readers.iter().zip(&mut times) {
            let path = given(*reader, path);
            let time = match *reader {
                Reader::Python(name) => peer.time(name, &path, ROUND),
                Reader::Ours | Reader::SerdeTree => reader.time(&path, ROUND),
            };
            // The first warms up.
            if round > 0 {
                times.push(time);
            }
        }
    }
    // What is compressed counts with the bytes that it becomes.
    let plain = path.with_file_name("noise.arrow");
    let is_compressed = path.file_stem().is_some_and(|it| it.to_string_lossy().contains('_'));
    let bytes = match path.extension() {
        Some(ending) if ending == "arrow" && is_compressed => plain.metadata().unwrap().len(),
        Some(_) | None => path.metadata().unwrap().len(),
    };
    println!("\n{title} ({bytes} bytes)");
    println!("{:20} {:>12} {:>18} {:>18}", "", "MB/s", "us", "peak KiB above");
    let mut ours = None;
    for (reader, times) in readers.iter().zip(&mut times) {
        times.sort_unstable();
        let time = times[times.len() / 2].as_secs_f64();
        let path = given(*reader, path);
        let peak = match *reader {
            Reader::Python(name) => Peer::start(python).peak(name, &path),
            Reader::Ours | Reader::SerdeTree => peak(*reader, &path),
        };
        let (our_time, our_peak) = *ours.get_or_insert((time, peak));
        let ratio = |theirs: f64, ours: f64| match *reader {
            Reader::Ours => String::new(),
            Reader::SerdeTree | Reader::Python(_) => format!("({:.2})", theirs / ours),
        };
        println!(
            "{:20} {:>12.0} {:>9.0} {:>8} {:>9} {:>8}",
            reader.name(),
            bytes as f64 / time / 1e6,
            time * 1e6,
            ratio(time, our_time),
            peak,
            ratio(peak as f64, our_peak.max(1) as f64)
        );
    }
}

/// In a process of its own.
fn peak(reader: Reader, path: &Path) -> u64 {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--peak", reader.name()]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("a peak")
}
