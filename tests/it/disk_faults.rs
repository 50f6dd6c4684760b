//! Disks that are full, and disks that fail: an engine answers, counts what it loses, and recovers by itself.

use crate::support::engine::{Engine, command, path};
use crate::support::fixture;
use crate::support::ops::publish_layout;
use crate::support::process::{PATIENCE, run};
use crate::support::python::RECORDS;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Faults in an ordinary run; `POTOROO_FAULTS` asks for more.
const FAULTS: u64 = 8;

/// Rows of an inference that is to fill a disk, each of 29 floats.
const ROWS: usize = 500;

/// What the small disk holds, and what of it is taken before the engine starts.
const DISK_KIB: usize = 1024;
const BALLAST_KIB: usize = 700;

const KEPT: [(&str, &str); 2] = [("LOCAL_INFERENCE_STORAGE", "16Mi"), ("POTOROO_LOG_SECONDS", "1")];

/// Rows that repeat nothing, the first value of each a number that grows over all of them.
fn rows(from: usize, count: usize) -> String {
    let mut state = (from as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / 256.0
    };
    let row = |number: usize| {
        let mut values = vec![number as f64];
        values.extend((1..29).map(|_| noise()));
        json!({ "features": values })
    };
    Value::Array((from..from + count).map(row).collect()).to_string()
}

fn infer(engine: &Engine, body: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(body.as_bytes()).unwrap();
    let kind = format!("Content-Type: {RECORDS}");
    let body = format!("@{}", file.path().display());
    let answer = engine.curl("/infer", &["-H", &kind, "--data-binary", &body]);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Inferences that are safe, and those that were lost by reason; all of before are written.
fn counted(engine: &Engine) -> (u64, BTreeMap<String, u64>) {
    let answer = engine.curl("/logs", &["--data-binary", r#"{"order":"desc","page_size":1}"#]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let metrics = engine.curl("/metrics", &[]).body;
    let number = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    let safe = metrics.lines().find(|it| it.starts_with("potoroo_journal_records_total "));
    let lost = metrics.lines().filter(|it| it.starts_with("potoroo_journal_lost_total{"));
    let lost = lost.map(|line| (line.split('"').nth(1).unwrap().to_owned(), number(line)));
    (safe.map_or(0, number), lost.filter(|(_, count)| 0 < *count).collect())
}

/// The first values of all rows that the journal has, read by a process of its own.
fn found(home: &Path) -> Vec<usize> {
    let lines = run(command(home).arg("logs")).success().stdout;
    let row = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    lines.lines().map(|line| row(line)["in"]["features"][0].as_f64().unwrap() as usize).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that is not run says so")]
fn on_a_full_disk_an_engine_answers_and_goes_on_once_there_is_room() {
    let mounts =
        run(Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]));
    if !mounts.status.success() {
        println!("not run: no file system can be mounted here: {}", mounts.stderr.trim());
        return;
    }
    let (home, layout) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let published = publish_layout(&fixture("models/fraud.onnx"), layout.path());
    let persist = home.path().join("persist");
    std::fs::create_dir(&persist).unwrap();
    // The shell becomes the engine, in a namespace where the disk is.
    let words = format!(
        "exec unshare -rm sh -c 'mount -t tmpfs -o size={DISK_KIB}k tmpfs {0} && \
         head -c {BALLAST_KIB}K /dev/zero > {0}/ballast && exec {1}' #",
        persist.display(),
        path().display()
    );
    let variables = [
        ("PIPELINE_URL", published.pipeline_url.as_str()),
        ("POTOROO_PERSIST", persist.to_str().unwrap()),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ];
    let engine = Engine::start_after(&format!("{words}\n true"), &[&variables[..], &KEPT].concat());
    let mut asked = 0;
    let mut ask = || {
        infer(&engine, &rows(asked * ROWS, ROWS));
        asked += 1;
        asked as u64
    };
    // Until it is full, and on.
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = ask();
        let (safe, lost) = counted(&engine);
        assert_eq!(safe + lost.values().sum::<u64>(), asked, "{lost:?}");
        if lost.get("disk").is_some_and(|lost| 3 <= *lost) {
            break;
        }
        assert!(Instant::now() < end, "the disk is never full: {safe} {lost:?}");
    }
    let (safe, lost) = counted(&engine);
    assert!(0 < safe && lost.len() == 1, "{safe} {lost:?}");
    // Somebody makes room.
    let inside = format!("/proc/{}/root{}/ballast", engine.process.id(), persist.display());
    std::fs::remove_file(inside).unwrap();
    ask();
    ask();
    assert_eq!(counted(&engine), (safe + 2, lost), "it goes on by itself");
    let first_of = |order: &str| {
        let asked = json!({ "order": order, "page_size": 1 }).to_string();
        let page = engine.curl("/logs", &["--data-binary", &asked]).json();
        page[0]["in"]["features"][0].as_f64().unwrap() as usize
    };
    assert_eq!((first_of("asc"), first_of("desc")), (0, asked * ROWS - 1));
}

/// The library that makes calls fail, or why there is none.
fn faults(into: &Path) -> Result<PathBuf, String> {
    let library = into.join("faults.so");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    compile.arg(fixture("disk_faults.c")).arg("-ldl");
    match compile.output() {
        Err(error) => Err(error.to_string()),
        Ok(ended) if !ended.status.success() => {
            Err(String::from_utf8_lossy(&ended.stderr).into_owned())
        }
        Ok(_) => Ok(library),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn no_fault_of_a_disk_leaves_a_journal_that_cannot_be_read_or_a_loss_that_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let library = match faults(directory.path()) {
        Ok(library) => library.display().to_string(),
        Err(why) => return println!("not run: the faults cannot be built: {why}"),
    };
    let published = publish_layout(&fixture("models/fraud.onnx"), directory.path());
    let faults = std::env::var("POTOROO_FAULTS").ok().and_then(|text| text.parse().ok());
    let mut figures: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..faults.unwrap_or(FAULTS) {
        let kind = ["write", "tear", "full", "sync"][seed as usize % 4];
        let fault = format!("{kind}:{}:{}", seed / 4 % 5, 1 + seed / 4 % 3);
        let home = tempfile::tempdir().unwrap();
        let variables = [
            ("PIPELINE_URL", published.pipeline_url.as_str()),
            ("LD_PRELOAD", &library),
            ("DISK_FAULT", &fault),
        ];
        let mut engine = Engine::start_in(home.path(), &[&variables[..], &KEPT].concat());
        let (mut asked, mut last) = (0, (0, BTreeMap::new()));
        for step in 0..8 {
            for _ in 0..1 + (seed + step) % 3 {
                infer(&engine, &rows(asked, 1));
                asked += 1;
            }
            last = counted(&engine);
            let told = last.0 + last.1.values().sum::<u64>();
            assert_eq!(told, asked as u64, "seed {seed}, {fault}: {last:?}");
        }
        engine.process.signal("KILL");
        let found = found(home.path());
        let context = format!("seed {seed}, {fault}: {last:?}, {found:?}");
        assert_eq!(found.len() as u64, last.0, "{context}");
        assert!(found.is_sorted() && found.windows(2).all(|two| two[0] < two[1]), "{context}");
        assert!(found.last() == Some(&(asked - 1)), "it has not recovered: {context}");
        let lost: u64 = last.1.values().sum();
        assert!(0 < lost, "nothing failed: {context}");
        *figures.entry(format!("{kind}: safe")).or_default() += last.0;
        *figures.entry(format!("{kind}: lost and told")).or_default() += lost;
    }
    println!("{figures:?}");
}
