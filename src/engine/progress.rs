//! How far a fetch is: a bar on a terminal, a line now and then in a log.

use crate::logging::AT_PULL;
use crate::oci::{Descriptor, Digest};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two log lines of one fetch: a slow link must be seen to move, and a log must stay short.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Between two drawings of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Characters of the bar.
const BAR_CHARS: u64 = 30;

/// Tells how far a fetch of some blobs is.
pub(super) struct Progress {
    /// What of each blob is there, in bytes.
    arrived: BTreeMap<Digest, u64>,
    total_bytes: u64,
    pace: Pace,
    bar: bool,
}

impl Progress {
    /// Progress of these blobs, of which nothing is there yet.
    pub(super) fn start(blobs: &[Descriptor]) -> Progress {
        let bar = std::io::stderr().is_terminal();
        let pace = Pace::new(if bar { BAR_EVERY } else { LINE_EVERY }, Instant::now());
        let total_bytes = blobs.iter().map(|blob| blob.size).sum();
        Progress { arrived: BTreeMap::new(), total_bytes, pace, bar }
    }

    /// `bytes` of the blob are there.
    pub(super) fn at(&mut self, blob: &Digest, bytes: u64) {
        self.arrived.insert(*blob, bytes);
        if !self.pace.due(Instant::now()) {
            return;
        }
        let bytes = self.arrived.values().sum();
        if self.bar {
            self.draw(bytes);
        } else {
            let percent = percent(bytes, self.total_bytes);
            log::info!(
                target: AT_PULL,
                "bytes={bytes} total={} percent={percent} digest={blob}", self.total_bytes
            );
        }
    }

    /// All of them are whole.
    pub(super) fn done(self) {
        if self.bar {
            self.draw(self.total_bytes);
            let _ = writeln!(std::io::stderr());
        }
    }

    fn draw(&self, bytes: u64) {
        let _ = write!(std::io::stderr(), "\r{}", bar(bytes, self.total_bytes));
    }
}

/// Lets through one call in each interval.
struct Pace {
    every: Duration,
    last: Instant,
}

impl Pace {
    fn new(every: Duration, now: Instant) -> Pace {
        Pace { every, last: now }
    }

    fn due(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.last) >= self.every;
        if due {
            self.last = now;
        }
        due
    }
}

fn percent(bytes: u64, total: u64) -> u64 {
    (u128::from(bytes) * 100).checked_div(u128::from(total)).map_or(100, |percent| percent as u64)
}

fn bar(bytes: u64, total: u64) -> String {
    let percent = percent(bytes, total).min(100);
    let full = (percent * BAR_CHARS / 100) as usize;
    let rest = BAR_CHARS as usize - full;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "[{}{}] {percent:3}% {:.1}/{:.1} MiB",
        "#".repeat(full),
        ".".repeat(rest),
        mib(bytes),
        mib(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_once_in_an_interval() {
        let start = Instant::now();
        let mut pace = Pace::new(LINE_EVERY, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        let due: Vec<bool> = [1, 10, 11, 19, 20].map(|s| pace.due(after(s))).to_vec();
        assert_eq!(due, [false, true, false, false, true]);
    }

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(1 << 20, 4 << 20), "[#######.......................]  25% 1.0/4.0 MiB");
        assert_eq!(bar(0, 0), "[##############################] 100% 0.0/0.0 MiB");
    }
}
