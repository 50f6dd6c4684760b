//! The device: processors, what they can do, memory, and descriptors.

use super::finding::{Finding, Level};
use super::{Found, enough, size};
use crate::http::server::CONNECTIONS_MAX;
use crate::runtime;
use std::fs;
use std::path::{Path, PathBuf};

/// Descriptors beside those of the connections: files, the registry, the log.
const DESCRIPTORS_BESIDE: u64 = 64;

/// Memory for the program itself, in bytes: what the engine has resident with a small model.
const PROGRAM_BYTES: u64 = 24 << 20;

/// A model's file counts so often: once as the graph that is loaded, once more while that is
/// made ready, and intermediate results beside it. A rule of thumb, so it only warns.
const FILE_TIMES: u64 = 3;

pub(super) fn examine(cpus: usize, kernels: bool, found: Found<'_>) {
    runtime::use_kernels(kernels);
    found(processor());
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    found(Finding::new(
        "cpus",
        if cpus > allowed { Level::Warn } else { Level::Ok },
        format!("{cpus} compute threads, and cgroup and affinity allow {allowed} CPUs"),
        "lower CONFIG_CPUS: threads that wait for each other's CPU are slower than fewer",
    ));
    let needed = CONNECTIONS_MAX as u64 + DESCRIPTORS_BESIDE;
    if let Some(limit) = descriptors(&fs::read_to_string("/proc/self/limits").unwrap_or_default()) {
        found(Finding::new(
            "descriptors",
            enough(limit, needed, Level::Warn),
            format!("{limit} descriptors are allowed, and {needed} are used at most"),
            "raise the limit: `LimitNOFILE` of systemd, `--ulimit nofile` of docker",
        ));
    }
}

/// Whether models of so many bytes fit into what is free, as far as the system tells.
pub(super) fn memory(models: u64, found: Found<'_>) -> bool {
    let needed = PROGRAM_BYTES + models.saturating_mul(FILE_TIMES);
    let (free, group) = free();
    let Some(free) = free else { return true };
    let whose = if group == Some(free) { "the cgroup" } else { "the device" };
    found(Finding::new(
        "memory",
        enough(free, needed, Level::Warn),
        format!(
            "{whose} has {} free, and models of {} take about {} while they are loaded",
            size(free),
            size(models),
            size(needed)
        ),
        "raise the limit, stop other programs, or publish a smaller model",
    ));
    needed <= free
}

/// The memory that the engine may still have, in bytes, as far as the system tells.
pub(in crate::engine) fn memory_free() -> Option<u64> {
    free().0
}

/// What is free, and what of it the cgroup allows.
fn free() -> (Option<u64>, Option<u64>) {
    let device = meminfo(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let group = group_room(Path::new("/sys/fs/cgroup"));
    ([device, group].into_iter().flatten().min(), group)
}

/// What the processor can do of that which makes models fast.
fn processor() -> Finding {
    let features = features();
    let has: Vec<&str> = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let lacks_vectors = features.first().is_some_and(|(_, has)| !has);
    let list = if has.is_empty() { "no vector units".to_owned() } else { has.join(", ") };
    let images = match runtime::kernels_in_use() {
        Some(vectors) => format!("nets of images run on kernels for {vectors}"),
        None => "nets of images run without kernels of their own".to_owned(),
    };
    Finding::new(
        "processor",
        if lacks_vectors { Level::Warn } else { Level::Ok },
        format!("{} with {list}; {images}", std::env::consts::ARCH),
        "nothing: the engine runs, and slower than on newer processors",
    )
}

/// Features of this processor, the one that matters most first.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("AVX2", std::is_x86_feature_detected!("avx2")),
        ("FMA", std::is_x86_feature_detected!("fma")),
        ("AVX-512", std::is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", std::is_x86_feature_detected!("avx512vnni")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("NEON", std::arch::is_aarch64_feature_detected!("neon")),
        ("FP16", std::arch::is_aarch64_feature_detected!("fp16")),
        ("DotProd", std::arch::is_aarch64_feature_detected!("dotprod")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// `MemAvailable` of `/proc/meminfo` in bytes (proc(5)).
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of open files in `/proc/self/limits` (proc(5)).
fn descriptors(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// The least room of our cgroup and those above it, in bytes; `None` without limits.
fn group_room(root: &Path) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut rooms = Vec::new();
    let mut group: PathBuf = root.join(own);
    while group.starts_with(root) {
        rooms.extend(room(&group, "memory.max", "memory.current"));
        if !group.pop() {
            break;
        }
    }
    // The older hierarchy, where a container sees its own group at the root.
    rooms.extend(room(&root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"));
    rooms.into_iter().min()
}

/// The limit of one group less what it uses; caches of files, which give way, are not counted.
fn room(group: &Path, limit: &str, used: &str) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cached: u64 = cached.and_then(|it| it.trim().parse().ok()).unwrap_or_default();
    let limit = number(limit)?;
    // The older hierarchy says "no limit" with a number next to the largest.
    (limit < 1 << 60)
        .then(|| limit.saturating_sub(number(used).unwrap_or(0).saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::{descriptors, meminfo, room};

    #[test]
    fn the_systems_files_are_read() {
        let text = "MemTotal:  2000 kB\nMemFree:  100 kB\nMemAvailable:    1500 kB\n";
        assert_eq!(meminfo(text), Some(1500 * 1024));
        assert_eq!(meminfo("MemTotal: 1 kB\n"), None);
        let text = "Limit   Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(descriptors(text), Some(1024));
        assert_eq!(descriptors("Max open files  unlimited  unlimited  files\n"), Some(u64::MAX));
    }

    #[test]
    fn a_groups_room_is_its_limit_less_what_does_not_give_way() {
        let group = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(group.path().join(name), text).unwrap();
        let found = || room(group.path(), "memory.max", "memory.current");
        assert_eq!(found(), None);
        write("memory.max", "max\n");
        assert_eq!(found(), None, "no limit");
        write("memory.max", "1000\n");
        write("memory.current", "700\n");
        assert_eq!(found(), Some(300));
        write("memory.stat", "anon 200\ninactive_file 500\n");
        assert_eq!(found(), Some(800));
    }
}
