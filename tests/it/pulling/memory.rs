//! How much memory a pull takes: the same for every size of blob.

use std::io::Write;
use std::process::Command;

use potoroo::http::client::Timeouts;
use potoroo::oci::Descriptor;
use potoroo::registry::{Layout, Remote, Retry, Transfer, Transport};

use super::{noise, push};
use crate::support::process::run;
use crate::support::registry::{Auth, Registry};

/// What the peak of a pull may be above the process before it, in KiB.
const ABOVE_IDLE_KIB_MAX: u64 = 20 << 10;

/// Tells the child which registry to pull from; it is this very test in a process of its own.
const REGISTRY: &str = "POTOROO_TEST_PULL_FROM";
/// Tells it the blobs, as `DIGEST SIZE` by the line.
const BLOBS: &str = "POTOROO_TEST_PULL_BLOBS";

#[test]
fn the_peak_of_pulling_two_hundred_megabytes_is_under_twenty_above_idle() {
    const MB: usize = 1_000_000;
    if let Some(host) = std::env::var_os(REGISTRY) {
        return pull(host.to_str().unwrap(), &std::env::var(BLOBS).unwrap());
    }
    let registry = Registry::start(&Auth::None);
    let remote = registry.remote("a/b", None);
    // As many at once as ever, so that what each of them takes is counted.
    let blobs: Vec<_> = [80, 60, 60]
        .iter()
        .zip(1..)
        .map(|(size, seed)| push(&remote, &noise(seed, size * MB)))
        .collect();
    let list: Vec<_> = blobs.iter().map(|blob| format!("{} {}", blob.digest, blob.size)).collect();
    let name =
        "pulling::memory::the_peak_of_pulling_two_hundred_megabytes_is_under_twenty_above_idle";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    child.env(REGISTRY, registry.host().to_string()).env(BLOBS, list.join("\n"));
    let said = run(&mut child).success().stdout;
    let above = said.split("above idle: ").nth(1).and_then(|it| it.split(' ').next());
    let above: u64 = above.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    assert!(above < ABOVE_IDLE_KIB_MAX, "{above} KiB above idle");
}

/// Pulls in this process and says by how much its memory's peak rose.
fn pull(host: &str, blobs: &str) {
    let blobs: Vec<_> = blobs
        .lines()
        .map(|line| {
            let (digest, size) = line.split_once(' ').unwrap();
            Descriptor::new("", digest.parse().unwrap(), size.parse().unwrap())
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let transport = Transport::new(Timeouts::EDGE, Vec::new());
    let remote = Remote::new(transport, host.parse().unwrap(), "a/b".parse().unwrap(), None);
    let idle = status_kib("VmRSS");
    let transfer = Transfer { remote: &remote, layout: &layout, retry: Retry::NEVER };
    let brought = transfer.bring(&blobs, &mut |_, _| {}).unwrap();
    assert_eq!(brought.bytes, 200_000_000);
    let above = status_kib("VmHWM") - idle;
    let line = format!("above idle: {above} KiB\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// A line of `/proc/self/status`, in KiB.
fn status_kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap()
}
