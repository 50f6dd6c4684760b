//! What the programs say: the contract's start-up lines on stdout, logfmt on stderr, with levels for a journal.

use crate::clock::{Clock, DeviceClock, rfc3339};
use log::{Level, LevelFilter};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

/// `at=` of what is pulled from a registry.
pub const AT_PULL: &str = "potoroo::pull";
/// `at=` of loading and warming up models.
pub const AT_LOAD: &str = "potoroo::load";
/// `at=` of answering requests.
pub const AT_SERVE: &str = "potoroo::serve";
/// `at=` of settings and start-up.
pub const AT_START: &str = "potoroo::start";
/// `at=` of looking for another pipeline, and switching to it.
pub const AT_UPDATE: &str = "potoroo::update";
/// `at=` of joining and reporting to the ops center.
pub const AT_LINK: &str = "potoroo::link";
/// `at=` of the journal of inferences.
pub const AT_JOURNAL: &str = "potoroo::journal";
/// `at=` of publishing.
pub const AT_PUBLISH: &str = "potoroo::publish";
/// `at=` of taking in and keeping logs.
pub const AT_LOGS: &str = "potoroo::logs";
/// `at=` of a panic, wherever it was.
pub const AT_PANIC: &str = "potoroo::panic";

/// How much is said.
///
/// The levels: error means that someone must act; warn that we coped, but look; info is a change of
/// state for an operator's timeline; debug is a line a request; trace is for developers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Changes of state.
    Normal,
    /// A line a request, too.
    Debug,
}

/// Starts logging to stderr; once in a process, later calls change nothing.
///
/// Our own lines by `verbosity`; libraries say only what is wrong, so that no header of a request
/// ever stands in a log. Panics become log lines too.
pub fn start(verbosity: Verbosity) {
    let ours = match verbosity {
        Verbosity::Normal => LevelFilter::Info,
        Verbosity::Debug => LevelFilter::Debug,
    };
    let to_journal = goes_to_journal(std::env::var("JOURNAL_STREAM").ok().as_deref());
    let started = env_logger::Builder::new()
        .filter_level(LevelFilter::Error)
        .filter_module("potoroo", ours)
        .format(move |buffer, record| {
            let level = record.level();
            let at = record.target().trim_start_matches("potoroo::");
            if to_journal {
                // A line of its own for each: what has no priority before it would get another.
                let text = record.args().to_string();
                let priority = priority(level);
                return text
                    .split('\n')
                    .try_for_each(|line| writeln!(buffer, "<{priority}>at={at} {line}"));
            }
            let time = rfc3339(DeviceClock.since_epoch());
            let level = level.as_str().to_ascii_lowercase();
            writeln!(buffer, "t={time} level={level} at={at} {}", record.args())
        })
        .try_init();
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or("unnamed");
            log::error!(target: AT_PANIC, "thread={thread} {}", quoted("msg", &panic.to_string()));
        }));
    }
}

/// Whether standard error is the stream to systemd's journal that `JOURNAL_STREAM` names by device
/// and inode (systemd.exec(5)): it has times of its own, and reads levels off the lines.
fn goes_to_journal(named: Option<&str>) -> bool {
    // By the descriptor and not by a name: it is a socket.
    let stream = std::fs::metadata("/proc/self/fd/2").ok();
    let stream = stream.map(|it| format!("{}:{}", it.dev(), it.ino()));
    named.is_some() && named == stream.as_deref()
}

/// A level as syslog numbers it (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Prints one of the contract's lines on stdout, whole. A closed stdout stops nobody.
pub fn announce(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// `key="value"` with what would break a logfmt line escaped.
pub fn quoted(key: &str, value: &str) -> String {
    format!("{key}={value:?}")
}
