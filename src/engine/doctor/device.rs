//! The device: processors, what they can do, memory, and descriptors.

use super::finding::{Finding, Level};
use super::{Found, enough, size};
use crate::http::server::CONNECTIONS_MAX;
use crate::runtime::{self, Families};
use crate::supervisor::{Room, room};
use std::fs;
use std::path::Path;

/// Descriptors beside those of the connections: files, the registry, the log.
const DESCRIPTORS_BESIDE: u64 = 64;

/// Memory for the program itself, in bytes: what the engine has resident with a small model.
const PROGRAM_BYTES: u64 = 24 << 20;

/// A model's file counts so often: once as the graph that is loaded, once more while that is
/// made ready, and intermediate results beside it. A rule of thumb, so it only warns.
const FILE_TIMES: u64 = 3;

pub(super) fn examine(cpus: usize, kernels: Families, found: Found<'_>) {
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
    let Some(Room { free_bytes: free, is_of_group }) = room(Path::new("/")) else { return true };
    let whose = if is_of_group { "the cgroup" } else { "the device" };
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
    room(Path::new("/")).map(|room| room.free_bytes)
}

/// What the processor can do of that which makes models fast.
fn processor() -> Finding {
    let features = features();
    let has: Vec<&str> = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let lacks_vectors = features.first().is_some_and(|(_, has)| !has);
    let list = if has.is_empty() { "no vector units".to_owned() } else { has.join(", ") };
    let families = runtime::families_in_use();
    let nets = "nets of images and of words and recurrent layers";
    let images = match (runtime::kernels_in_use(), runtime::integer_kernels_in_use()) {
        (Some(vectors), Some(integers)) => {
            format!(
                "{nets} run on kernels for {vectors}, quantised ones for {integers}: {families}"
            )
        }
        (Some(vectors), None) => format!("{nets} run on kernels for {vectors}: {families}"),
        (None, _) => format!("{nets} run without kernels of their own"),
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
        ("I8MM", std::arch::is_aarch64_feature_detected!("i8mm")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// The soft limit of open files in `/proc/self/limits` (proc(5)).
fn descriptors(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::descriptors;

    #[test]
    fn the_systems_files_are_read() {
        let text = "Limit   Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(descriptors(text), Some(1024));
        assert_eq!(descriptors("Max open files  unlimited  unlimited  files\n"), Some(u64::MAX));
    }
}
