//! The load generators, wrk and hey: how each is run, and what it says.

use crate::support::file;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What one run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers other than 200, connections refused or broken, and waits without end.
    pub(crate) errors: u64,
    /// Those of them that were 503, where the generator tells.
    pub(crate) busy: Option<u64>,
}

/// The one request that is sent again and again.
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    pub(crate) body: &'a Path,
    pub(crate) content_type: &'a str,
}

type Run = fn(&Target<'_>, usize, Duration) -> Outcome;

pub(crate) const GENERATORS: [(&str, Run); 2] = [("wrk", wrk), ("hey", hey)];

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{error}: {command:?} is missing: apt-get install wrk hey");
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{output:?}");
    said
}

fn wrk(target: &Target<'_>, connections: usize, time: Duration) -> Outcome {
    let said = output(
        Command::new("wrk")
            .args(["-t1", "--latency", "--timeout", "60s"])
            .args(["-c", &connections.to_string(), "-d", &format!("{}s", time.as_secs())])
            .arg("-s")
            .arg(file("benches/load/post.lua"))
            .args([target.url, "--"])
            .arg(target.body)
            .arg(target.content_type),
    );
    let after = |mark: &str| said.split_once(mark).map(|(_, rest)| rest.trim_start());
    let word = |mark: &str| after(mark).and_then(|rest| rest.split_whitespace().next());
    let requests = said.split_once(" requests in ").expect("a count").0;
    let requests = requests.split_whitespace().last().expect("a count").parse().unwrap();
    let sockets = after("Socket errors:").and_then(|rest| rest.lines().next()).unwrap_or_default();
    let numbers = sockets.split([' ', ',']).filter_map(|word| word.parse::<u64>().ok());
    let other = word("Non-2xx or 3xx responses:").map_or(0, |count| count.parse().unwrap());
    Outcome {
        requests,
        p50_ms: milliseconds(word("50%").expect("a median")),
        p99_ms: milliseconds(word("99%").expect("a percentile")),
        errors: numbers.sum::<u64>() + other,
        busy: (other == 0).then_some(0),
    }
}

/// `1.50us`, `1.50ms` or `1.50s`.
fn milliseconds(text: &str) -> f64 {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)];
    let found = units
        .iter()
        .find_map(|(unit, size)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * size));
    found.unwrap_or_else(|| panic!("{text} is no time"))
}

fn hey(target: &Target<'_>, connections: usize, time: Duration) -> Outcome {
    let said = output(
        Command::new("hey")
            .args(["-z", &format!("{}s", time.as_secs()), "-c", &connections.to_string()])
            .args(["-t", "60", "-m", "POST", "-T", target.content_type, "-D"])
            .arg(target.body)
            .arg(target.url),
    );
    let mut outcome = Outcome { busy: Some(0), ..Outcome::default() };
    let mut in_errors = false;
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        in_errors |= line.starts_with("Error distribution");
        let count = words.first().and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
        match (words.as_slice(), count) {
            (["50%", "in", time, ..], _) => outcome.p50_ms = time.parse::<f64>().unwrap() * 1e3,
            (["99%", "in", time, ..], _) => outcome.p99_ms = time.parse::<f64>().unwrap() * 1e3,
            ([_, ..], Some(count)) if in_errors => outcome.errors += count.parse::<u64>().unwrap(),
            ([_, times, "responses"], Some(status)) => {
                let times: u64 = times.parse().unwrap();
                outcome.requests += times;
                outcome.errors += if status == "200" { 0 } else { times };
                outcome.busy = outcome.busy.map(|busy| busy + u64::from(status == "503") * times);
            }
            _ => {}
        }
    }
    outcome
}
