//! Whether the memory will do for a model, said before it is loaded and not by the kernel after.

use std::fs;

/// What loading takes for each byte of the file: the messages and the graph hold the weights at
/// the same time, and a plan packs them once more.
const COPIES: u64 = 3;

/// Says in the log that a model of this size will hardly fit, with the numbers.
pub(in super::super) fn forewarn(file_bytes: u64) {
    let Some(free) = free_memory_bytes() else { return };
    let wanted = file_bytes.saturating_mul(COPIES);
    if wanted > free {
        log::warn!(
            "the model's file has {} MiB, loading it takes some {} MiB, and {} MiB of memory are \
             free: it is tried, and may be ended by the system",
            file_bytes >> 20,
            wanted >> 20,
            free >> 20
        );
    }
}

/// Bytes of memory that the machine, or the control group where it is less, still has; none where it
/// does not say.
pub fn free_memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // `max` is no number: the group has no limit of its own then.
    let limit = number("/sys/fs/cgroup/memory.max");
    let group = limit.zip(number("/sys/fs/cgroup/memory.current"));
    let group = group.map(|(limit, used)| limit.saturating_sub(used));
    match (machine, group) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (one, None) | (None, one) => one,
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figure_is_read_in_bytes() {
        let text = "MemTotal:         507264 kB\nMemAvailable:     301000 kB\n";
        assert_eq!(available(text), Some(301_000 << 10));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
