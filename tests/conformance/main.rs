//! The `onnx` package's own backend tests against our runtime: what passed once must go on passing.
//!
//! ```sh
//! cargo test --test conformance               # counts, for ours, tract alone and rten
//! cargo test --test conformance -- --update   # and takes what passes now into passed.txt
//! cargo test --test conformance -- test_gemm  # the cases of this name, with the reason for each
//! cargo test --test conformance -- --load FILE  # what a model takes and gives, or why it does not load
//! ```
//! Each case runs in a child process, so that a crash costs one case.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "the counts are what it is run for")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the rest of the types is judged alike")]

mod cases;
mod judge;
mod runners;

use cases::Case;
use runners::Verdict;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A child that says nothing for so long hangs; the slowest case takes a second.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Who is asked, as the children are told and as the table calls them.
const ASKED: [&str; 3] = ["ours", "tract alone", "rten"];

type Outcomes = BTreeMap<String, (Verdict, String)>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = cases::all(&data());
    if let [child, asked] = arguments.as_slice()
        && child == "--child"
    {
        return serve(&cases, asked);
    }
    if let Some((flag, files)) = arguments.split_first()
        && flag == "--load"
    {
        files.iter().for_each(|file| println!("{file}: {}", runners::load(Path::new(file))));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|one| !one.starts_with('-')).collect();
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| wanted.is_empty() || wanted.iter().any(|part| case.name.contains(*part)))
        .collect();
    let outcomes: Vec<Outcomes> = std::thread::scope(|scope| {
        let runs = ASKED.map(|asked| scope.spawn(|| ask(&chosen, asked)));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    if !wanted.is_empty() {
        for (name, (verdict, detail)) in &outcomes[0] {
            println!("{verdict:?} {name} {detail}");
        }
        return ExitCode::SUCCESS;
    }
    count(&outcomes);
    judge_all(&outcomes[0], arguments.iter().any(|one| one == "--update"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the cases are: `CONFORMANCE_DATA` names another directory of the same layout.
fn data() -> PathBuf {
    let own = root().join("target/conformance/data");
    std::env::var_os("CONFORMANCE_DATA").map_or(own, PathBuf::from)
}

/// Reads case names, runs each, and answers with a line.
fn serve(cases: &[Case], asked: &str) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {})); // contained or not, the parent hears of it
    for line in std::io::stdin().lines() {
        let Ok(name) = line else { break };
        let Some(case) = cases.iter().find(|case| case.name == name) else { break };
        let (verdict, detail) = match ASKED.iter().position(|one| *one == asked) {
            Some(1) => runners::tract_alone(case),
            Some(2) => runners::rten_alone(case),
            Some(_) | None => runners::ours(case),
        };
        println!("{verdict:?}\t{detail}");
        let _ = std::io::stdout().flush();
    }
    ExitCode::SUCCESS
}

/// Asks children for every case, with a new child after each that died.
fn ask(cases: &[&Case], asked: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut rest = cases;
    while !rest.is_empty() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--child", asked])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        while let Some((case, after)) = rest.split_first() {
            rest = after;
            let _ = writeln!(questions, "{}", case.name);
            let outcome = match lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => Some(parse(&line)),
                Err(RecvTimeoutError::Timeout) => {
                    outcomes.insert(case.name.clone(), (Verdict::Hung, String::new()));
                    None
                }
                Err(RecvTimeoutError::Disconnected) => {
                    outcomes.insert(case.name.clone(), (Verdict::Crashed, String::new()));
                    None
                }
            };
            let Some(outcome) = outcome else { break };
            outcomes.insert(case.name.clone(), outcome);
        }
        drop(questions);
        let _ = child.kill();
        let _ = child.wait();
        let _ = reader.join();
    }
    outcomes
}

fn parse(line: &str) -> (Verdict, String) {
    let (verdict, detail) = line.split_once('\t').unwrap_or((line, ""));
    let known = Verdict::ALL.iter().find(|(one, _)| format!("{one:?}") == verdict);
    (known.map_or(Verdict::Broke, |(verdict, _)| *verdict), detail.to_owned())
}

fn count(outcomes: &[Outcomes]) {
    println!("{:12} {:>12} {:>12} {:>12}", "", ASKED[0], ASKED[1], ASKED[2]);
    for (verdict, name) in Verdict::ALL {
        let counts: Vec<usize> = outcomes
            .iter()
            .map(|one| one.values().filter(|(found, _)| *found == verdict).count())
            .collect();
        println!("{name:12} {:>12} {:>12} {:>12}", counts[0], counts[1], counts[2]);
    }
}

/// Holds what passes against what passed before, and what is wrong against what is known to be.
fn judge_all(outcomes: &Outcomes, update: bool) -> ExitCode {
    let passing: BTreeSet<String> = named(outcomes, Verdict::Passed);
    let wrong = named(outcomes, Verdict::Wrong);
    let list = |name: &str| -> PathBuf { root().join("tests/conformance").join(name) };
    let passed = read(&list("passed.txt"));
    let known_wrong = read(&list("wrong.txt"));
    let report: String = outcomes
        .iter()
        .map(|(name, (verdict, detail))| format!("{verdict:?}\t{name}\t{detail}\n"))
        .collect();
    let table = root().join("target/conformance/outcomes.tsv");
    std::fs::write(&table, report).unwrap();
    println!("the reason for each case: {}", table.display());
    if update {
        let lines: String = passing.iter().map(|name| format!("{name}\n")).collect();
        std::fs::write(list("passed.txt"), lines).unwrap();
    }
    let mut sound = true;
    for name in passed.difference(&passing) {
        println!("passed before, and does not now: {name}: {:?}", outcomes.get(name));
        sound = false;
    }
    for name in wrong.difference(&known_wrong) {
        println!("a wrong answer: {name}: {}", outcomes[name].1);
        sound = false;
    }
    for name in named(outcomes, Verdict::Crashed).union(&named(outcomes, Verdict::Hung)) {
        println!("the process died of it: {name}");
        sound = false;
    }
    let more = passing.difference(&passed).count();
    if more > 0 && !update {
        println!("{more} cases pass that did not: take them in with --update");
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn named(outcomes: &Outcomes, verdict: Verdict) -> BTreeSet<String> {
    let of = |(name, (found, _)): (&String, &(Verdict, String))| {
        (*found == verdict).then(|| name.clone())
    };
    outcomes.iter().filter_map(of).collect()
}

/// Names, one a line; what follows a `#` says why.
fn read(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let name = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    text.lines().map(name).filter(|name| !name.is_empty()).collect()
}
